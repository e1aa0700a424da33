"""The conventional cells in which a space group's standard setting can describe a given lattice.

A cell from indexing or from a paper may have its axes in another order than the standard setting of the space
group, and one lattice has many cells even in the standard setting (axes exchanged, other cell choices of a
monoclinic group). All of them of moderate shape are listed; which of them a crystal's sites suit is told by
known arrangements, or left open.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product

import numpy as np

from crystalsmith.crystal.crystal import ANGLE_TOLERANCE, LENGTH_TOLERANCE, fit_cell
from crystalsmith.errors import CrystalsmithError, OrderError
from crystalsmith.runs.warned import logged_warnings
from crystalsmith.symmetry import (
    cell_to_lattice,
    lattice_family,
    lattice_to_cell,
    space_group,
    strain_mask,
)

MOST = 60
"""Cells of one group that are looked at, the most compact ones."""

_WIDEST = 1.7  # sum of squared lengths beside that of the most compact cell
# A group of every Bravais lattice, by family.
_LATTICES = ((221, 229, 225), (166, 191), (123, 139), (47, 65, 71, 69), (10, 12), (1,))
_RHOMBOHEDRAL = frozenset((146, 148, 155, 160, 161, 166, 167))


@dataclass(frozen=True)
class GivenCell:
    """A cell that is known of a crystal.

    Attributes:
        cell: a, b, c (Angstrom), alpha, beta, gamma (degrees).
        primitive: whether it is a primitive cell, in any choice; else the conventional one, with its axes in
            any order and, for rhombohedral lattices, in either kind of axes.
        slack: how far a length may be, relative, and an angle, in radians, from what a family demands; 0.1 %
            and 0.1 degree where that is less.

    Raises:
        OrderError: it is no cell.
    """

    cell: tuple[float, ...]
    primitive: bool = False
    slack: float = 0.0

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "cell", fit_cell(1, self.cell))
        except CrystalsmithError as error:
            raise OrderError(str(error)) from None

    @property
    def volume(self) -> float:
        """Angstrom^3 of the cell that was given."""
        return float(abs(np.linalg.det(cell_to_lattice(1, np.array(self.cell)))))

    def primitive_volume(self, number: int) -> float:
        """Angstrom^3 of the primitive cell, if the space group is this one."""
        kept = self.primitive or self._rhombohedral(number)
        return self.volume / (1 if kept else len(space_group(number).centring))

    def settings(self, number: int) -> tuple[tuple[float, ...], ...]:
        """Conventional cells of a space group's standard setting that describe this lattice.

        Returns:
            The given cell itself first where it is one, then the more compact ones; empty where the lattice
            is not of the group's family.
        """
        return _settings(self, lattice_family(number), _centring(number), number in _RHOMBOHEDRAL)

    @property
    def freedom(self) -> int:
        """Strains that the lattice's shape leaves free: 1 for a cubic one, 6 for a triclinic one."""
        return next(
            int(strain_mask(groups[0]).sum())
            for groups in _LATTICES
            if any(self.settings(number) for number in (groups if self.primitive else groups[:1]))
        )

    def _rhombohedral(self, number: int) -> bool:
        """Whether this is a conventional cell in rhombohedral axes, of a group that can have such."""
        a, b, c, alpha, beta, gamma = self.cell
        lengths = max(a, b, c) - min(a, b, c) <= self._length * a
        angles = max(alpha, beta, gamma) - min(alpha, beta, gamma) <= self._angle
        return number in _RHOMBOHEDRAL and lengths and angles

    @property
    def _length(self) -> float:
        return max(LENGTH_TOLERANCE, self.slack)

    @property
    def _angle(self) -> float:
        """Degrees."""
        return max(ANGLE_TOLERANCE, math.degrees(self.slack))

    def _fitted(self, number: int, cell: Sequence[float]) -> tuple[float, ...]:
        """A cell made exact for a group's family; empty where it is of another."""
        own = lattice_to_cell(cell_to_lattice(number, np.array(cell)))
        away = np.abs(own - cell)
        if (away[:3] > self._length * own[:3]).any() or (away[3:] > self._angle).any():
            return ()
        try:
            return fit_cell(number, own.tolist() if self.slack else cell)
        except CrystalsmithError:
            return ()


def _centring(number: int) -> tuple[tuple[float, ...], ...]:
    """The primitive vectors of a group in its conventional cell, hashable."""
    return tuple(tuple(float(x) for x in row) for row in space_group(number).primitive)


@lru_cache(maxsize=4096)
def _settings(
    given: GivenCell, family: str, centring: tuple[tuple[float, ...], ...], rhombohedral: bool
) -> tuple[tuple[float, ...], ...]:
    number = {"triclinic": 1, "monoclinic": 3, "orthorhombic": 16, "tetragonal": 75, "hexagonal": 143}.get(
        family, 195
    )
    base = cell_to_lattice(1, np.array(given.cell))
    primitive = given.primitive or (rhombohedral and given._rhombohedral(146))
    reduced = _reduced(base)
    # How many cells of the given lattice make a conventional one.
    wanted = round(1 / abs(np.linalg.det(np.array(centring)))) if primitive else 1
    found: dict[tuple[float, ...], float] = {}
    for triple in _triples(reduced, family, min(wanted, 3) if wanted > 1 else 1, given):
        number_of = np.rint(triple @ np.linalg.inv(reduced))
        if round(abs(np.linalg.det(number_of))) != wanted:
            continue
        if primitive:
            own = np.array(centring) @ number_of
            if not np.allclose(own, own.round(), atol=1e-6):
                continue
        # Rounded, as that makes one cell of several that differ in the last digits.
        cell = given._fitted(number, _rounded(lattice_to_cell(triple).tolist()))
        if cell:
            found.setdefault(_rounded(cell), float((triple**2).sum()))
    if not found:
        return ()
    least = min(found.values())
    kept = sorted((size, cell) for cell, size in found.items() if size <= _WIDEST * least)
    result = [cell for _, cell in kept[:MOST]]
    own = () if primitive else given._fitted(number, given.cell)
    return (own, *(c for c in result if c != _rounded(own))) if own else tuple(result)


def reduced_cell(lattice: np.ndarray) -> list[float]:
    """Niggli's reduced cell of a lattice (3, 3), rows: a, b, c (Angstrom), alpha, beta, gamma (degrees)."""
    return [float(x) for x in lattice_to_cell(_reduced(lattice))]


def _reduced(lattice: np.ndarray) -> np.ndarray:
    """A basis of short vectors, rows, of the same lattice."""
    import spglib

    with logged_warnings():
        found = spglib.niggli_reduce(lattice)
    return lattice if found is None else np.asarray(found)


def _rounded(cell: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(x, 7) for x in cell)


def _triples(reduced: np.ndarray, family: str, reach: int, given: GivenCell) -> list[np.ndarray]:
    """(3, 3) bases, rows a, b, c, of a family's shape from short vectors of a lattice."""
    steps = np.array([k for k in product(range(-reach, reach + 1), repeat=3) if k > (0, 0, 0)])
    vectors = steps @ reduced
    lengths = np.linalg.norm(vectors, axis=1)
    cosine = (vectors @ vectors.T) / np.outer(lengths, lengths)
    slack = math.sin(math.radians(given._angle))
    square = np.abs(cosine) < slack
    alike = np.abs(lengths[:, None] - lengths) <= 2 * given._length * np.minimum(lengths[:, None], lengths)
    n = len(vectors)
    found: list[np.ndarray] = []
    if family == "triclinic":
        short = np.argsort(lengths, kind="stable")[:10]
        for a, b, c in permutations(short.tolist(), 3):
            for up, on in product((1, -1), repeat=2):
                found.append(np.array([vectors[a], up * vectors[b], on * vectors[c]]))
        return found
    if family == "monoclinic":
        for b in range(n):
            plane = [k for k in np.flatnonzero(square[b]).tolist() if k != b]
            for a, c in permutations(plane, 2):
                # beta is obtuse in the standard setting.
                sign = -1.0 if cosine[a, c] > 0 else 1.0
                if abs(cosine[a, c]) < math.cos(math.radians(45)):
                    found.append(np.array([vectors[a], vectors[b], sign * vectors[c]]))
        return found
    if family == "hexagonal":
        sixty = np.abs(np.abs(cosine) - 0.5) < slack
        for c in range(n):
            plane = np.flatnonzero(square[c]).tolist()
            for a, b in permutations(plane, 2):
                if sixty[a, b] and alike[a, b]:
                    sign = -1.0 if cosine[a, b] > 0 else 1.0
                    for way in (1.0, -1.0):
                        found.append(np.array([vectors[a], sign * vectors[b], way * vectors[c]]))
        return found
    for c in range(n):
        plane = np.flatnonzero(square[c]).tolist()
        for a, b in permutations(plane, 2):
            if not square[a, b]:
                continue
            if family == "tetragonal" and not alike[a, b]:
                continue
            if family == "cubic" and not (alike[a, b] and alike[a, c]):
                continue
            found.append(np.array([vectors[a], vectors[b], vectors[c]]))
    return found
