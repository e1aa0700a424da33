"""From any cell of a crystal to its record in the standard setting, verified against the input."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import moyopy
import numpy as np

from crystalsmith.crystal.crystal import Crystal, Site
from crystalsmith.crystal.distance import closest_pair
from crystalsmith.crystal.elements import SYMBOLS
from crystalsmith.crystal.hall import hall_number
from crystalsmith.crystal.orbits import find_wyckoff
from crystalsmith.errors import StructureError
from crystalsmith.runs.warned import logged_warnings
from crystalsmith.symmetry import cell_to_lattice, lattice_to_cell, space_group

# moyopy logs a warning for every supercell; whoever configures logging still gets it.
logging.getLogger("moyo").addHandler(logging.NullHandler())

# The text before the colon of an error's message is the reason that `data build` counts.
MINIMUM_DISTANCE = 0.1
"""Atoms closer than this (Angstrom) are an error of the input, not a crystal."""

LARGEST = 1e6
"""Lengths (Angstrom) and fractional coordinates beyond this have lost their decimals."""

RETRIES = (1.0, 0.3, 0.1, 0.01)
"""Factors on the tolerance that are tried in turn."""


@dataclass(frozen=True, eq=False)
class _Standard:
    """What a symmetry program found; ``x_standard = (x - shift) @ inverse.T`` in the conventional cell."""

    number: int
    lattice: np.ndarray  # (3, 3) refined conventional
    inverse: np.ndarray  # (3, 3)
    shift: np.ndarray  # (3,)
    points: np.ndarray  # (r, 3) refined conventional coordinates, one atom per orbit
    numbers: np.ndarray  # (r,)
    sizes: np.ndarray  # (r,) atoms of the orbit in the primitive cell
    symprec: float


def crystal_from_arrays(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, symprec: float = 0.01
) -> Crystal:
    """Determine the symmetry of a crystal, describe it in the standard setting and verify the description.

    moyopy is asked first with ``symprec`` and smaller tolerances, then spglib. A description is taken when
    the crystal rebuilt from it has the atoms of the input: the same ones, each within a few tolerances of
    its place, in a cell of the same shape.

    Args:
        lattice: (3, 3) rows in Angstrom, of any cell, either handedness.
        fractional: (n, 3).
        numbers: (n,) atomic numbers.
        symprec: Angstrom.

    Raises:
        StructureError: empty, not finite, flat cell, overlapping atoms, or no description could be verified.
    """
    lattice = np.asarray(lattice, dtype=float)
    fractional = np.asarray(fractional, dtype=float)
    numbers = np.asarray(numbers, dtype=np.int64)
    _check_input(lattice, fractional, numbers)
    reason = "no symmetry program found a space group"
    for standards in (_by_moyo, _by_spglib):
        for standard in standards(lattice, fractional, numbers, symprec):
            try:
                return _describe(standard, lattice, fractional, numbers)
            except StructureError as error:
                reason = str(error)
    raise StructureError(f"symmetry cannot be verified: {reason}")


def _check_input(lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray) -> None:
    if (
        lattice.shape != (3, 3)
        or fractional.ndim != 2
        or fractional.shape[1] != 3
        or len(numbers) != len(fractional)
    ):
        raise StructureError(
            "wrong shape: a structure is a (3, 3) lattice, (n, 3) coordinates and n atomic numbers"
        )
    if not len(numbers):
        raise StructureError("empty: the structure has no atoms")
    if not (np.isfinite(lattice).all() and np.isfinite(fractional).all()):
        raise StructureError("not finite: the structure has a lattice or coordinate that is no number")
    if np.abs(lattice).max() > LARGEST or np.abs(fractional).max() > LARGEST:
        raise StructureError(f"out of range: the structure has a lattice or coordinate beyond {LARGEST:g}")
    lengths = np.linalg.norm(lattice, axis=1)
    if lengths.min() < 1e-3 or abs(np.linalg.det(lattice)) < 1e-3 * np.prod(lengths):
        raise StructureError("flat cell: the cell of the structure has no volume")
    if numbers.min() < 1 or numbers.max() > 118:
        raise StructureError("unknown element: the structure has dummy or unknown species")
    check_distances(lattice, fractional, numbers)


def check_distances(lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray) -> None:
    """Refuse atoms that are closer than ``MINIMUM_DISTANCE``; arguments as ``crystal_from_arrays``.

    Raises:
        StructureError: naming the closest pair.
    """
    if len(numbers) > 1:
        i, j, distance = closest_pair(lattice, fractional)
        if distance < MINIMUM_DISTANCE:
            pair = f"{i} ({SYMBOLS[numbers[i]]}) and {j} ({SYMBOLS[numbers[j]]})"
            raise StructureError(f"overlapping atoms: {pair} are {distance:.3f} A apart")


def _by_moyo(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, symprec: float
) -> Iterator[_Standard]:
    cell = moyopy.Cell(lattice.tolist(), fractional.tolist(), numbers.tolist())
    setting = moyopy.Setting.standard()
    for factor in RETRIES:
        try:
            found = moyopy.MoyoDataset(cell, symprec=symprec * factor, setting=setting)
        except (ValueError, RuntimeError):  # moyopy found no consistent group at this tolerance
            continue
        except BaseException as error:
            if type(error).__name__ != "PanicException":  # what a panic in Rust becomes is no Exception
                raise
            continue
        group = space_group(found.number)
        inverse = np.linalg.inv(np.array(found.std_linear))
        shift = np.array(found.std_origin_shift)
        orbits = np.array(found.orbits)
        representative = np.flatnonzero(orbits == np.arange(len(orbits)))
        primitive_row = np.array(found.mapping_std_prim)
        # Primitive cell to conventional cell: a matrix of small fractions, so rounding it to 1/24 makes it
        # exact.
        linear = np.rint(24 * inverse @ np.array(found.prim_std_linear)) / 24
        origin = inverse @ (np.array(found.prim_std_origin_shift) - shift)
        primitive = found.prim_std_cell
        points = np.array(primitive.positions)[primitive_row[representative]] @ linear.T + origin
        sizes = [len(set(primitive_row[orbits == r].tolist())) for r in representative]
        yield _Standard(
            number=group.number,
            lattice=np.array(found.std_cell.basis),
            inverse=inverse,
            shift=shift,
            points=points,
            numbers=numbers[representative],
            sizes=np.array(sizes),
            symprec=found.symprec,
        )


def _by_spglib(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, symprec: float
) -> Iterator[_Standard]:
    import spglib

    cell = (lattice.tolist(), fractional.tolist(), numbers.tolist())
    for factor in RETRIES:
        with logged_warnings():
            try:
                first = spglib.get_symmetry_dataset(cell, symprec=symprec * factor)
                hall = None if first is None else hall_number(first.number)
                found = hall and spglib.get_symmetry_dataset(cell, symprec=symprec * factor, hall_number=hall)
            except (
                Exception
            ):  # spglib's own error classes differ between versions; all mean that it found nothing
                continue
        if not found:
            continue
        # One conventional atom for each orbit: the std atoms carry the row of their primitive atom, as the
        # input atoms do.
        std_row = np.asarray(found.std_mapping_to_primitive)
        in_row = np.asarray(found.mapping_to_primitive)
        orbits = np.asarray(found.crystallographic_orbits)
        representative = np.flatnonzero(orbits == np.arange(len(orbits)))
        atom = [int(np.flatnonzero(std_row == in_row[r])[0]) for r in representative]
        sizes = [len(set(in_row[orbits == r].tolist())) for r in representative]
        inverse = np.asarray(found.transformation_matrix)
        yield _Standard(
            number=int(found.number),
            lattice=np.asarray(found.std_lattice),
            inverse=inverse,
            shift=-np.linalg.solve(inverse, np.asarray(found.origin_shift)),
            points=np.asarray(found.std_positions)[atom],
            numbers=numbers[representative],
            sizes=np.array(sizes),
            symprec=symprec * factor,
        )


def _describe(s: _Standard, lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray) -> Crystal:
    group = space_group(s.number)
    cell = lattice_to_cell(cell_to_lattice(s.number, lattice_to_cell(s.lattice)))
    found = find_wyckoff(group, s.points, s.sizes, s.lattice, tolerance=max(s.symprec, 1e-3))
    order = sorted(
        range(len(found)), key=lambda r: (found[r][0].index, int(s.numbers[r]), found[r][1].tolist())
    )
    sites = tuple(Site(SYMBOLS[s.numbers[r]], found[r][0].letter, tuple(found[r][1].tolist())) for r in order)
    crystal = Crystal(s.number, tuple(cell.tolist()), sites)
    _verify(crystal, s, lattice, fractional, numbers)
    return crystal


def _verify(
    crystal: Crystal, s: _Standard, lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray
) -> None:
    """Compare the rebuilt crystal with the input in the cell that the symmetry program chose.

    Raises:
        StructureError: saying what differs.
    """
    group = crystal.group
    # Rows of the input's standard cell: its shape against the refined one, as the stretch that turns one
    # into the other.
    given = np.linalg.inv(s.inverse).T @ lattice
    inverse = np.linalg.inv(crystal.lattice)
    stretch = inverse @ (given @ given.T) @ inverse.T
    off = 0.5 * np.abs(np.linalg.eigvalsh(stretch) - 1).max() * float(max(crystal.cell[:3]))
    allowed = 3 * s.symprec + 1e-3
    if off > allowed:
        raise StructureError(f"the standard cell differs from the given one by {off:.3f} A")
    to_primitive = np.linalg.inv(group.primitive)
    x = (fractional - s.shift) @ s.inverse.T @ to_primitive
    symbols, y = crystal.positions(primitive=True)
    if len(numbers) % len(symbols):
        raise StructureError(
            f"the rebuilt primitive cell has {len(symbols)} atoms, the given cell {len(numbers)}"
        )
    difference = x[:, None] - y
    difference -= np.rint(difference)
    cartesian = difference @ crystal.primitive_lattice
    square = np.einsum("ijk,ijk->ij", cartesian, cartesian)
    rebuilt = np.array([SYMBOLS.index(symbol) for symbol in symbols])
    square[numbers[:, None] != rebuilt] = np.inf
    nearest = square.argmin(axis=1)
    worst = float(np.sqrt(square[np.arange(len(x)), nearest].max()))
    if not worst <= allowed:
        raise StructureError(f"an atom of the rebuilt crystal is {worst:.3f} A from its place")
    if (np.bincount(nearest, minlength=len(y)) != len(x) // len(y)).any():
        raise StructureError("the rebuilt crystal has other atoms than the given one")
