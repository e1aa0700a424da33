"""A crystal as plain JSON for the viewer: one cell with its atoms, periodic bonds and polyhedra.

The viewer repeats cells and completes faces itself, so that a page can change these without asking again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.elements import ELECTRONEGATIVITY
from crystalsmith.errors import StructureError
from crystalsmith.pictures.ball_and_stick import VIEW, element_color
from crystalsmith.pictures.cell_contents import BOUNDARY_TOLERANCE, PeriodicBonds, ball_radii, periodic_bonds

Scene: TypeAlias = dict[str, Any]

MOST_BONDED = 2000
"""Atoms of a cell above which no bonds are sought: nothing could be told apart."""

_IONIC = 0.5  # by how much a corner of a polyhedron is more electronegative than its centre
_FEWEST_CORNERS = 4
_MOST_CORNERS = 14


def scene(crystal: Crystal | Atoms, *, bonds: bool = True, polyhedra: bool = True) -> Scene:
    """What the viewer draws of a crystal.

    Args:
        crystal: shown in its conventional cell; of ASE atoms the cell is shown as it is.
        bonds: with the bonds.
        polyhedra: with the coordination polyhedra of cations, which the viewer hides until asked.

    Returns:
        Plain JSON data: ``formula``, ``group``, ``lattice`` (3 rows, Angstrom, a along x and c up),
        ``elements`` (symbol to ``color`` and ``radius`` in Angstrom), ``atoms`` (``element``, ``position`` in
        fractions of the cell within [0, 1), ``label``), ``bonds`` as [first, second, cell of the second],
        each once, and ``polyhedra`` (``centre``, ``corners`` as [atom, cell], ``faces``, triangles).
        ``view`` (3 x 3) takes lattice coordinates as rows to the screen's x, y, and z towards the viewer.

    Raises:
        StructureError: the cell has no volume, or a coordinate is not finite.
    """
    atoms, labels = _cell_of(crystal)
    found: PeriodicBonds | None = None
    if (bonds or polyhedra) and len(atoms) <= MOST_BONDED:
        found = periodic_bonds(atoms)
    symbols = list(dict.fromkeys(atoms.get_chemical_symbols()))
    numbers = {s: chemical_symbols.index(s) for s in symbols}
    places = atoms.get_scaled_positions(wrap=False)
    return {
        **_names(crystal),
        "lattice": np.round(np.asarray(atoms.cell), 5).tolist(),
        "view": np.round(VIEW, 6).tolist(),
        "elements": {
            s: {"color": _hex(element_color(z)), "radius": round(float(ball_radii(np.array(z))), 3)}
            for s, z in numbers.items()
        },
        "atoms": [
            {"element": s, "position": place, "label": label}
            for s, place, label in zip(
                atoms.get_chemical_symbols(), np.round(places, 6).tolist(), labels, strict=True
            )
        ],
        "bonds": _each_once(found) if bonds and found is not None else [],
        "polyhedra": _polyhedra(atoms, found) if polyhedra and found is not None else [],
    }


def _names(crystal: Crystal | Atoms) -> dict[str, str]:
    if isinstance(crystal, Crystal):
        return {"formula": crystal.formula, "group": f"{crystal.group.symbol} ({crystal.space_group})"}
    return {"formula": crystal.get_chemical_formula("metal", empirical=True), "group": ""}


def _cell_of(crystal: Crystal | Atoms) -> tuple[Atoms, list[str]]:
    """The cell to show, a along x, its atoms within [0, 1), and what each is called."""
    if isinstance(crystal, Crystal):
        atoms = crystal.to_atoms(primitive=False)
        places = [
            f"{site.element} {position.multiplicity}{site.letter}"
            for site, position in zip(crystal.sites, crystal.positions_of_sites, strict=True)
        ]
        labels = [places[k] for k in crystal.orbit_of_atom(primitive=False)]
    else:
        atoms = crystal.copy()
        labels = [f"{s}{k + 1}" for k, s in enumerate(atoms.get_chemical_symbols())]
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.cell).all():
        raise StructureError("a crystal with a coordinate that is not finite cannot be shown")
    if atoms.cell.rank < 3 or abs(atoms.cell.volume) < 1e-6:
        raise StructureError("a crystal's cell needs three vectors that span a volume")
    atoms.set_constraint()
    atoms.set_cell(atoms.cell.standard_form()[0], scale_atoms=True)
    places = atoms.get_scaled_positions(wrap=False) % 1.0
    places[places > 1.0 - BOUNDARY_TOLERANCE] -= 1.0
    atoms.set_scaled_positions(places)
    return atoms, labels


def _each_once(found: PeriodicBonds) -> list[list[Any]]:
    bonds = []
    for i, j, shift in zip(found.first.tolist(), found.second.tolist(), found.shifts.tolist(), strict=True):
        if (i, [0, 0, 0]) < (j, shift) if i != j else shift > [0, 0, 0]:
            bonds.append([i, j, shift])
    return bonds


def _polyhedra(atoms: Atoms, found: PeriodicBonds) -> list[dict[str, Any]]:
    """Around each atom whose bonded neighbours are all more electronegative."""
    around: dict[int, list[int]] = defaultdict(list)
    for bond, i in enumerate(found.first.tolist()):
        around[i].append(bond)
    chi = ELECTRONEGATIVITY
    solids = []
    for centre, bonds in around.items():
        others = atoms.numbers[found.second[bonds]]
        if not _FEWEST_CORNERS <= len(bonds) <= _MOST_CORNERS:
            continue
        if any(chi[z] < chi[atoms.numbers[centre]] + _IONIC for z in others):
            continue
        faces = _faces(found.vectors[bonds])
        if faces:
            corners = [[int(found.second[b]), found.shifts[b].tolist()] for b in bonds]
            solids.append({"centre": centre, "corners": corners, "faces": faces})
    return solids


def _faces(corners: NDArray[np.float64]) -> list[list[int]]:
    """Triangles of the convex hull (n, 3), turning left seen from outside; none where the origin lies out."""
    from scipy.spatial import ConvexHull, QhullError

    try:
        hull = ConvexHull(corners)
    except QhullError:  # all in one plane
        return []
    if len(hull.vertices) < len(corners) or np.any(hull.equations[:, 3] > 0.1):
        return []
    faces = []
    for triangle, normal in zip(hull.simplices, hull.equations[:, :3], strict=True):
        a, b, c = corners[triangle]
        turned = np.cross(b - a, c - a) @ normal < 0
        faces.append([int(k) for k in (triangle[::-1] if turned else triangle)])
    return faces


def _hex(color: Sequence[float] | NDArray[np.float64]) -> str:
    return "#" + "".join(f"{round(255 * x):02x}" for x in np.clip(color, 0, 1))


def film(crystals: Sequence[Crystal | Atoms], words: Sequence[str]) -> list[Scene]:
    """Scenes to play one after the other; what stays the same stands in the first one alone.

    Args:
        crystals: n of them, of the same elements.
        words: n, what stands beside each.
    """
    frames: list[Scene] = []
    for crystal, text in zip(crystals, words, strict=True):
        frame = scene(crystal) | {"text": text}
        if frames:
            frame = {k: v for k, v in frame.items() if v != frames[0][k]}
        frames.append(frame)
    return frames
