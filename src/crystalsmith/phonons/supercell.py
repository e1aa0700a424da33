"""The supercell in which atoms are displaced: the smallest that is large enough and keeps the symmetry."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.errors import PhononError
from crystalsmith.symmetry import hermite_forms


@dataclass(frozen=True)
class Supercell:
    """A supercell of a crystal's primitive cell.

    Attributes:
        matrix: (3, 3) whole numbers; the supercell's lattice is ``matrix @ crystal.primitive_lattice``, rows.
        n_atoms: atoms in it.
        shortest: its shortest translation in Angstrom: how far an atom is from its own image.
        halves: every q point with coordinates 0 and 1/2 (of the primitive reciprocal cell) is commensurate,
            so that all instabilities that double the cell are seen without interpolation.
        cut: the cap on atoms kept ``shortest`` below the length asked for.
    """

    matrix: tuple[tuple[int, int, int], ...]
    n_atoms: int
    shortest: float
    halves: bool
    cut: bool


def choose_supercell(crystal: Crystal, length: float = 10.0, max_atoms: int = 200) -> Supercell:
    """The supercell of the rule.

    Only superlattices that the point group maps onto themselves are looked at: others would need more
    displacements and blur the symmetry of the force constants. Of those with no translation shorter than
    ``length`` and at most ``max_atoms`` atoms, the smallest that holds the 2 x 2 x 2 primitive cells is
    taken; where there is none, the smallest of all; and where the cap leaves none of them either, the one
    with the longest shortest translation, which may be a tenth shorter if it holds the 2 x 2 x 2 cells.

    Args:
        crystal: n atoms in the primitive cell.
        length: Angstrom.
        max_atoms: cap.

    Raises:
        PhononError: not even the primitive cell is within the cap, or a length that is not positive.
    """
    if not 0 < length < math.inf:
        raise PhononError(f"a supercell of length {length} A is none; give a positive number of Angstrom")
    n = crystal.n_atoms
    if n > max_atoms:
        raise PhononError(
            f"the primitive cell has {n} atoms, more than the cap of {max_atoms}; raise the cap"
        )
    lattice = crystal.primitive_lattice
    rotations = _rotations(crystal)
    largest = max_atoms // n
    for factor in (2, 1):
        found = _smallest(lattice, rotations, length, factor, largest)
        if found is not None:
            return _describe(found, lattice, n, cut=False)
    halves, any_ = (_longest(lattice, rotations, factor, largest) for factor in (2, 1))
    # A little longer is not worth losing the halves.
    best = halves if _shortest(halves @ lattice) * 1.1 >= _shortest(any_ @ lattice) else any_
    return _describe(best, lattice, n, cut=True)


def _describe(matrix: np.ndarray, lattice: np.ndarray, n: int, cut: bool) -> Supercell:
    from pymatgen.core import Lattice

    reduced = Lattice(matrix @ lattice).get_lll_reduced_lattice().matrix
    matrix = np.rint(reduced @ np.linalg.inv(lattice)).astype(int)
    if np.linalg.det(matrix) < 0:
        matrix = -matrix
    rows = tuple((int(a), int(b), int(c)) for a, b, c in matrix)
    count = n * round(abs(np.linalg.det(matrix)))
    return Supercell(rows, count, _shortest(matrix @ lattice), bool((matrix % 2 == 0).all()), cut)


def _rotations(crystal: Crystal) -> np.ndarray:
    """(g, 3, 3) whole numbers: row vectors in fractions of the primitive cell are turned by ``v @ r``."""
    primitive = crystal.group.primitive
    turned = primitive @ crystal.group.rotations.transpose(0, 2, 1) @ np.linalg.inv(primitive)
    return np.unique(np.rint(turned).astype(int), axis=0)


def _smallest(
    lattice: np.ndarray, rotations: np.ndarray, length: float, factor: int, largest: int
) -> np.ndarray | None:
    """(3, 3) the superlattice of fewest cells, all of whose vectors are multiples of ``factor``."""
    volume = abs(np.linalg.det(lattice))
    # No lattice is denser than fcc, which fixes the least volume that a shortest vector needs.
    least = math.ceil(length**3 / math.sqrt(2) / volume / factor**3 - 1e-9)
    for candidates in _sublattices(rotations, max(least, 1), largest // factor**3):
        lengths = [_shortest(matrix @ lattice) for matrix in candidates * factor]
        if max(lengths) >= length * (1 - 1e-9):
            return candidates[int(np.argmax(lengths))] * factor
    return None


def _longest(lattice: np.ndarray, rotations: np.ndarray, factor: int, largest: int) -> np.ndarray:
    """(3, 3) the superlattice of longest shortest vector within the cap, or the lattice itself."""
    best, longest = np.eye(3, dtype=int), _shortest(lattice)
    for candidates in _sublattices(rotations, 1, largest // factor**3):
        for matrix in candidates * factor:
            shortest = _shortest(matrix @ lattice)
            if shortest > longest * (1 + 1e-9):
                best, longest = matrix, shortest
    return best


def _sublattices(rotations: np.ndarray, first: int, last: int) -> Iterator[np.ndarray]:
    """(m, 3, 3) Hermite forms of the invariant sublattices, index by index; indices without any are left
    out."""
    for index in range(first, last + 1):
        found = hermite_forms(index)
        inverse = np.rint(np.linalg.inv(found) * index).astype(int)  # the adjoint, which is whole
        for rotation in rotations:
            kept = ((found @ rotation @ inverse) % index == 0).all(axis=(1, 2))
            found, inverse = found[kept], inverse[kept]
        if len(found):
            yield found


def _shortest(lattice: np.ndarray) -> float:
    """Shortest vector of a lattice, in its unit."""
    from crystalsmith.crystal.distance import shortest_distance

    return shortest_distance(lattice, np.zeros((1, 3)))
