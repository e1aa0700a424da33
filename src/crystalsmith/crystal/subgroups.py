"""A crystal described in the subgroups of its space group that keep the translations of a given cell.

Atoms that are added to a crystal, or displaced in it, may have less symmetry than it has itself; each
subgroup, up to those that the crystal's own operations turn into each other, is one way in which they can.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache

import moyopy
import numpy as np

from crystalsmith.crystal.crystal import Crystal, wrap
from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.crystal.standardize import crystal_from_arrays
from crystalsmith.errors import CrystalsmithError, StructureError

MOST = 400
"""Subgroups that are looked for; the largest ones where there are more."""

_MARKER = "Og"  # no crystal holds it
_CLEAR = 0.25  # Angstrom between a marker and other atoms
_TRIES = 200


def in_subgroups(crystal: Crystal, most: int = MOST, symprec: float = 0.01) -> list[Crystal]:
    """The same atoms in every subgroup that keeps the lattice translations of the crystal's primitive cell.

    Args:
        crystal: what to describe. One in P1 may have more symmetry than its group says, also translations
            within its cell: so the subgroups with fewer translations than the atoms themselves have are
            reached.
        most: subgroups, the largest first.
        symprec: Angstrom within which the atoms have a symmetry.

    Returns:
        Descriptions in the standard settings, that in the full group first. Subgroups that an operation of
        the crystal turns into each other are there once.

    Raises:
        StructureError: its symmetry cannot be determined.
    """
    return list(_in_subgroups(crystal, most, symprec))


@lru_cache(maxsize=256)
def _in_subgroups(crystal: Crystal, most: int, symprec: float) -> tuple[Crystal, ...]:
    symbols, fractional = crystal.positions(primitive=True)
    numbers = np.array([NUMBERS[s] for s in symbols])
    lattice = crystal.primitive_lattice
    rotations, translations = operations(lattice, fractional, numbers, symprec)
    table = _products(rotations, translations)
    result = []
    for subgroup in _subgroups(table, most):
        rows = sorted(subgroup)
        if len(rows) == len(table) == len(crystal.group.rotations):
            result.append(crystal)
            continue
        try:
            result.append(
                _described(
                    lattice, fractional, numbers, rotations[rows], translations[rows], len(symbols), symprec
                )
            )
        except CrystalsmithError:  # a program that does not find this subgroup finds the others
            continue
    if not result:
        raise StructureError("the symmetry of the crystal cannot be described in any of its subgroups")
    return tuple(result)


def operations(
    lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray, symprec: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (n, 3, 3) and translations (n, 3) of atoms in a cell, the identity first."""
    try:
        found = moyopy.MoyoDataset(
            moyopy.Cell(lattice.tolist(), fractional.tolist(), numbers.tolist()), symprec=symprec
        ).operations
    except (ValueError, RuntimeError) as error:
        raise StructureError(f"no symmetry was found: {error}") from None
    rotations, translations = np.rint(np.array(found.rotations)).astype(int), np.array(found.translations)
    still = np.abs(rotations - np.eye(3)).sum((1, 2)) + np.abs(translations - translations.round()).sum(1)
    order = np.argsort(still, kind="stable")
    return rotations[order], translations[order] - np.floor(translations[order] + 1e-6)


def _products(rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """(n, n) which operation the product of two is."""
    n = len(rotations)
    table = np.zeros((n, n), dtype=int)
    for a in range(n):
        turned = rotations[a] @ rotations
        moved = translations @ rotations[a].T + translations[a]
        for b in range(n):
            same = np.flatnonzero((rotations == turned[b]).all((1, 2)))
            away = translations[same] - moved[b]
            off = np.abs(away - away.round()).max(1)
            k = int(off.argmin()) if len(off) else -1
            if k < 0 or off[k] > 0.05:
                raise StructureError("the operations of the crystal are no group within the tolerance")
            table[a, b] = same[k]
    return table


def _subgroups(table: np.ndarray, most: int) -> Iterator[frozenset[int]]:
    """Subgroups of a finite group up to conjugation, the largest first.

    Found downwards, through the largest subgroups of each: those that no other one holds.
    """
    n = len(table)
    inverse = table.argmin(1)  # the product that is the identity, row 0
    cyclic = {_closed(table, (g,)) for g in range(n)}
    every = set(cyclic)
    waiting = deque(cyclic)
    while waiting and len(every) < 20 * most:
        own = waiting.popleft()
        for other in cyclic:
            if other <= own:
                continue
            joined = _closed(table, own | other)
            if joined not in every:
                every.add(joined)
                waiting.append(joined)
    every.add(frozenset(range(n)))
    seen: set[frozenset[int]] = set()
    given = 0
    for subgroup in sorted(every, key=lambda s: (-len(s), sorted(s))):
        if subgroup in seen:
            continue
        seen |= {frozenset(int(table[table[g, s], inverse[g]]) for s in subgroup) for g in range(n)}
        yield subgroup
        given += 1
        if given == most:
            return


def _closed(table: np.ndarray, generators: Sequence[int] | frozenset[int]) -> frozenset[int]:
    """The subgroup that some elements generate."""
    found = {0, *generators}
    waiting = list(found)
    while waiting:
        new = set(table[np.ix_(waiting, list(found))].ravel().tolist())
        new |= set(table[np.ix_(list(found), waiting)].ravel().tolist())
        waiting = list(new - found)
        found |= new
    return frozenset(found)


def _described(
    lattice: np.ndarray,
    fractional: np.ndarray,
    numbers: np.ndarray,
    rotations: np.ndarray,
    translations: np.ndarray,
    atoms: int,
    symprec: float,
) -> Crystal:
    """Atoms in the subgroup of these operations: a marker that has no more symmetry says where it is."""
    rng = np.random.default_rng(0)
    for _ in range(_TRIES):
        point = rng.random(3)
        markers = wrap(rotations @ point + translations)
        every = np.concatenate([fractional, markers])
        if _clear(lattice, every, len(fractional)):
            break
    marked = np.concatenate([numbers, np.full(len(markers), NUMBERS[_MARKER])])
    found = crystal_from_arrays(lattice, every, marked, symprec)
    sites = tuple(site for site in found.sites if site.element != _MARKER)
    result = Crystal(found.space_group, found.cell, sites)
    if result.n_atoms != atoms or found.n_atoms != atoms + len(markers):
        raise StructureError("the subgroup has other translations than it should have")
    return result


def _clear(lattice: np.ndarray, fractional: np.ndarray, first: int) -> bool:
    """Whether no marker, from row ``first`` on, is near another atom."""
    away = fractional[first:, None] - fractional
    cartesian = (away - away.round()) @ lattice
    distance = np.sqrt(np.square(cartesian).sum(2))
    distance[np.arange(len(away)), first + np.arange(len(away))] = math.inf
    return bool(distance.min() > _CLEAR)
