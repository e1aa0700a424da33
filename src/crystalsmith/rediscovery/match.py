"""Whether a crystal is its target, at two sets of tolerances, and its cell in the target's axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from crystalsmith.crystal import Crystal
from crystalsmith.evaluation.measures.matching import ANGLE_TOL, LTOL, STOL
from crystalsmith.runs.warned import logged_warnings
from crystalsmith.symmetry import lattice_family, lattice_to_cell

Cell = tuple[float, float, float, float, float, float]


class Tolerances(NamedTuple):
    """Of pymatgen's StructureMatcher.

    Attributes:
        name: of the set.
        length: of edges, as a fraction.
        site: of atoms, in units of (volume / atoms)^(1/3).
        angle: degrees.
    """

    name: str
    length: float
    site: float
    angle: float


TOLERANCES = (Tolerances("field", LTOL, STOL, ANGLE_TOL), Tolerances("strict", 0.2, 0.3, 5.0))
"""Those of published match rates, and pymatgen's own defaults. The first let zinc blende pass for rock
salt."""


def displacements(crystal: Crystal, target: Crystal) -> tuple[float | None, ...]:
    """Displacement at each of ``TOLERANCES``, in (volume / atoms)^(1/3); None where it does not match."""
    pair = crystal.to_structure(primitive=True), target.to_structure(primitive=True)
    with logged_warnings():
        found = [_matcher(tolerances, True).get_rms_dist(*pair) for tolerances in TOLERANCES]
    return tuple(None if f is None else float(f[0]) for f in found)


def cell_like(crystal: Crystal, target: Crystal) -> Cell:
    """The cell of a matching crystal (Angstrom, degrees) that corresponds to the target's conventional one.

    Space groups and settings may differ, so the axes are those that the matcher lays on the target's; where
    it cannot, it is the crystal's own conventional cell.
    """
    reference = target.to_structure(primitive=False)
    with logged_warnings():
        try:
            # Its own primitive cell may be several of the target's, nearly.
            laid = _matcher(TOLERANCES[0], False).get_s2_like_s1(
                reference, crystal.to_structure(primitive=True).get_primitive_structure()
            )
        except ValueError:  # no whole number of it fits into the reference
            laid = None
    cell = crystal.cell if laid is None else lattice_to_cell(laid.lattice.matrix).tolist()
    a, b, c, alpha, beta, gamma = cell
    return a, b, c, alpha, beta, gamma


@lru_cache(maxsize=4)
def _matcher(tolerances: Tolerances, primitive: bool) -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    _, length, site, angle = tolerances
    return StructureMatcher(
        ltol=length, stol=site, angle_tol=angle, primitive_cell=primitive, attempt_supercell=not primitive
    )


# Constraints of a family on a cell: edges that need not be named, angles that are fixed.
_SPARE = {"cubic": (1, 2), "hexagonal": (1,), "tetragonal": (1,)}
_FIXED_ANGLES = {"hexagonal": (90, 90, 120), "triclinic": (0, 0, 0)}


def cell_text(cell: Sequence[float], group: int) -> str:
    """A cell in as few numbers as the family of a space group needs: ``5.107, 3.102``.

    What departs from the family's constraints is named too, so nothing is averaged away.
    """
    family = lattice_family(group)
    edges, angles = cell[:3], cell[3:]
    spare = _SPARE.get(family, ())
    if any(abs(edges[k] - edges[0]) >= 0.005 for k in spare):
        spare = ()
    text = ", ".join(f"{x:.3f}" for k, x in enumerate(edges) if k not in spare)
    fixed = _FIXED_ANGLES.get(family, (90, 90, 90))
    odd = [
        f"{name} {x:.1f}"
        for name, x, ideal in zip(("α", "β", "γ"), angles, fixed, strict=True)
        if abs(x - ideal) >= 0.05
    ]
    return ", ".join([text, *odd])
