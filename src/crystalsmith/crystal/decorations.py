"""The same arrangement of atoms with some elements dealt out anew: all ways that symmetry tells apart.

Elements that take each other's places count as one; the crystal of that one element has more symmetry and
often a smaller cell. Its positions in a cell of as many atoms as before, or fewer, are coloured with the
elements in every way that keeps the formula, in every such cell (Hart and Forcade, Phys. Rev. B 77, 224115
(2008)), and of those that an operation turns into each other one is kept.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.crystal.standardize import crystal_from_arrays
from crystalsmith.crystal.subgroups import operations
from crystalsmith.errors import CrystalsmithError
from crystalsmith.symmetry import hermite_forms

MOST_COLOURINGS = 20_000
"""In all cells together; there are no decorations where there are more."""

MOST_ATOMS = 30
"""In the primitive cell."""


def decorations(
    crystal: Crystal,
    classes: Mapping[str, Sequence[str]],
    most: int,
    symprec: float = 0.1,
    smaller: bool = False,
) -> list[Crystal]:
    """The crystal with elements that may take each other's places dealt out in other ways.

    Args:
        crystal: whose positions are kept, but for what breaks the symmetry of the one element by less than
            ``symprec``.
        classes: for each element those whose places it may take, itself included.
        most: decorations, those with most symmetry first.
        symprec: Angstrom.
        smaller: primitive cells of fewer atoms are looked at too.

    Returns:
        Crystals of as many atoms in the primitive cell or fewer, the given one among them; none where no
        elements are alike or there are too many ways.
    """
    counts = crystal.counts
    groups = sorted({tuple(group) for group in classes.values()})
    shared = [g for g in groups if sum(e in counts for e in g) > 1]
    if not shared or crystal.n_atoms > MOST_ATOMS:
        return []
    symbols, fractional = crystal.positions(primitive=True)
    merged = [classes[s][0] for s in symbols]
    numbers = np.array([NUMBERS[s] for s in merged])
    try:
        parent = crystal_from_arrays(crystal.primitive_lattice, fractional, numbers, symprec)
        own, places = parent.positions(primitive=True)
        kinds = np.array([NUMBERS[s] for s in own])
        turns, shifts = operations(parent.primitive_lattice, places, kinds, 0.01)
    except CrystalsmithError:
        return []
    index = crystal.n_atoms // parent.n_atoms
    sizes = [n for n in range(1, index + 1) if all(m * n % index == 0 for m in counts.values())]
    ways = math.prod(_ways([counts[e] for e in group if e in counts]) for group in shared)
    every = [_distinct_cells(hermite_forms(n), turns) for n in (sizes if smaller else [index])]
    if ways * sum(map(len, every)) > MOST_COLOURINGS:
        return []
    found: list[tuple[int, Crystal]] = []
    for matrix in itertools.chain(*every):
        own_size = round(abs(np.linalg.det(matrix)))
        atoms, maps, moves = _permutations(matrix, places, turns, shifts)
        elements = [s for s in own for _ in range(own_size)]
        fewer = {e: m * own_size // index for e, m in counts.items()}
        lattice = matrix @ parent.primitive_lattice
        for symmetry, colour in _unlike(_colourings(elements, classes, fewer), maps, moves):
            try:
                one = crystal_from_arrays(lattice, atoms, colour, 0.01)
            except CrystalsmithError:  # no description could be verified
                continue
            if one.n_atoms == len(atoms):
                found.append((symmetry, one))
    found.sort(key=lambda one: -one[0])
    return [one for _, one in found][:most]


def _ways(counts: Sequence[int]) -> int:
    """In which so many of each can be dealt out."""
    return math.factorial(sum(counts)) // math.prod(math.factorial(n) for n in counts)


def _distinct_cells(forms: np.ndarray, turns: np.ndarray) -> list[np.ndarray]:
    """Of sublattices (m, 3, 3) one of each that a rotation turns into each other."""
    inverse = np.linalg.inv(forms)
    kept: list[np.ndarray] = []
    left = np.ones(len(forms), bool)
    for k, form in enumerate(forms):
        if left[k]:
            kept.append(form)
            for turn in turns:
                ratio = form @ turn.T @ inverse
                left &= np.abs(ratio - np.rint(ratio)).max((1, 2)) > 1e-6
    return kept


def _permutations(
    matrix: np.ndarray, places: np.ndarray, turns: np.ndarray, shifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Atoms of a supercell, and what operations make of them.

    Args:
        matrix: (3, 3) the supercell's vectors in units of the primitive ones.
        places: (n, 3) fractional coordinates in the primitive cell.
        turns, shifts: (g, 3, 3) and (g, 3) its operations.

    Returns:
        (n k, 3) fractional coordinates in the supercell, images of an atom together; (h, n k) which atom each
        operation that keeps the supercell brings each one to; and which of them are translations.
    """
    inverse = np.linalg.inv(matrix)
    index = round(abs(np.linalg.det(matrix)))
    a, d, f = np.diag(matrix)  # a Hermite form: these are all translations
    cells = np.array([(i, j, k) for i in range(a) for j in range(d) for k in range(f)])
    atoms = (places[:, None] + cells).reshape(-1, 3)
    turned = matrix @ turns.transpose(0, 2, 1) @ inverse
    keeps = np.abs(turned - np.rint(turned)).max((1, 2)) < 1e-6
    moved = atoms @ turns[keeps].transpose(0, 2, 1) + shifts[keeps][:, None]
    every = (moved[:, None] + cells[:, None]).reshape(-1, len(atoms), 3) @ inverse
    own = atoms @ inverse
    maps = np.empty(every.shape[:2], int)
    for k, one in enumerate(every):
        away = one[:, None] - own
        maps[k] = np.abs(away - np.rint(away)).max(2).argmin(1)
    still = (turns[keeps] == np.eye(3)).all((1, 2)).repeat(index)
    return own, maps, still


def _colourings(
    elements: Sequence[str], classes: Mapping[str, Sequence[str]], counts: Mapping[str, int]
) -> np.ndarray:
    """(m, n) atomic numbers of all ways to deal out so many atoms of each element."""
    rows = np.array([[NUMBERS[e] for e in elements]])
    members: dict[str, list[int]] = {}
    for k, e in enumerate(elements):
        members.setdefault(classes[e][0], []).append(k)
    for first, spots in members.items():
        parts: list[list[tuple[str, tuple[int, ...]]]] = [[]]
        for element in classes[first]:
            grown = []
            for part in parts:
                taken = {k for _, chosen in part for k in chosen}
                free = [k for k in spots if k not in taken]
                grown += [[*part, (element, c)] for c in itertools.combinations(free, counts.get(element, 0))]
            parts = grown
        blocks = []
        for part in parts:
            block = rows.copy()
            for element, chosen in part:
                block[:, list(chosen)] = NUMBERS[element]
            blocks.append(block)
        rows = np.concatenate(blocks)
    return rows


def _unlike(colours: np.ndarray, maps: np.ndarray, translations: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """One of the colourings that operations turn into each other, with how many operations keep it; those
    that a translation keeps are of a smaller cell."""
    names, code = np.unique(colours, return_inverse=True)
    code = code.reshape(colours.shape)
    weight = np.array([len(names) ** k for k in range(colours.shape[1])], float)
    if weight.sum() * len(names) > 2**53:  # sums would no longer be exact
        return []
    own = code @ weight
    lowest, kept, smaller = own.copy(), np.zeros(len(own), int), np.zeros(len(own), bool)
    for row, still in zip(maps, translations, strict=True):
        turned = code[:, row] @ weight
        np.minimum(lowest, turned, out=lowest)
        same = turned == own
        kept += same
        if still and (row != np.arange(len(row))).any():
            smaller |= same
    first = np.flatnonzero((own == lowest) & ~smaller)
    return [(int(kept[k]), colours[k]) for k in first]
