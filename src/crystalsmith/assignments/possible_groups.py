"""Which space groups can hold a composition.

Whether any assignment exists hangs on little: which numbers of atoms the positions with freedom make, and how
many positions without freedom there are of each size that those do not make. Most of the 230 groups share
that with others, so that one look serves them all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from crystalsmith.assignments.positions import positions_of

_MOST = 1000
"""Numbers of atoms of one element that the tables reach; larger ones have tables of their own."""


@dataclass(frozen=True)
class _Supply:
    """What a space group has to fill cells with.

    Attributes:
        free: sizes of positions with freedom that no smaller ones add up to.
        fixed: (size, number) of those without, of the sizes that the free ones do not make.
    """

    free: tuple[int, ...]
    fixed: tuple[tuple[int, int], ...]


def possible_groups(counts: tuple[int, ...]) -> np.ndarray:
    """(231,) boolean: which space groups can hold atoms in these numbers, entry 0 unused.

    Args:
        counts: atoms of each element in the primitive cell, in any order.
    """
    return _possible(tuple(sorted(n for n in counts if n)))


def is_possible(space_group: int, counts: tuple[int, ...]) -> bool:
    """Whether any assignment makes a composition of the primitive cell.

    Args:
        space_group: 1 to 230.
        counts: atoms of each element in the primitive cell, in any order.
    """
    return bool(possible_groups(counts)[space_group])


@lru_cache(maxsize=1 << 16)
def _possible(counts: tuple[int, ...]) -> np.ndarray:
    kinds, kind = _kinds()
    by_free, at_all = _tables(max(_MOST, *counts) if counts else _MOST)
    own = list(counts)
    good = np.asarray(by_free[:, own].all(1))
    for k in np.flatnonzero(np.asarray(at_all[:, own].all(1)) & ~good):
        good[k] = _fits(kinds[k], counts)
    result = np.array([False, *good[kind]])
    result.setflags(write=False)
    return result


def _supply(space_group: int) -> _Supply:
    p = positions_of(space_group)
    free: list[int] = []
    for size in sorted({s for s, fixed in zip(p.size, p.fixed, strict=True) if not fixed}):
        if not _reach(tuple(free), size)[size]:
            free.append(size)
    made = _reach(tuple(free), max(p.size))
    fixed = Counter(s for s, f in zip(p.size, p.fixed, strict=True) if f and not made[s])
    return _Supply(tuple(free), tuple(sorted(fixed.items())))


@lru_cache(maxsize=1)
def _kinds() -> tuple[list[_Supply], np.ndarray]:
    """The different supplies, and (230,) which of them each space group has."""
    all_groups = [_supply(g) for g in range(1, 231)]
    kinds = list(dict.fromkeys(all_groups))
    return kinds, np.array([kinds.index(s) for s in all_groups])


@lru_cache(maxsize=4)
def _tables(most: int) -> tuple[np.ndarray, np.ndarray]:
    """(supplies, most + 1) numbers of atoms that positions with freedom make, and that all positions make."""
    kinds, _ = _kinds()
    by_free = np.array([_reach(s.free, most) for s in kinds])
    rows: list[np.ndarray] = []
    for s in kinds:
        row = _reach(s.free, most).copy()
        for size, number in s.fixed:
            for _ in range(number):
                row[size:] |= row[:-size].copy()
        rows.append(row)
    return by_free, np.array(rows)


@lru_cache(maxsize=1024)
def _reach(sizes: tuple[int, ...], most: int) -> np.ndarray:
    """(most + 1,) boolean: numbers that sizes add up to, each taken any number of times."""
    result = np.zeros(most + 1, dtype=bool)
    result[0] = True
    for size in sizes:
        for n in range(size, most + 1):
            result[n] |= result[n - size]
    return result


def _fits(supply: _Supply, counts: tuple[int, ...]) -> bool:
    """Whether the elements can share the positions without freedom."""
    states = {tuple(number for _, number in supply.fixed)}
    for n in counts:
        states = {
            tuple(a - b for a, b in zip(left, take, strict=True))
            for left in states
            for take in _takes(supply, n)
            if all(b <= a for a, b in zip(left, take, strict=True))
        }
    return bool(states)


@lru_cache(maxsize=1 << 16)
def _takes(supply: _Supply, n: int) -> tuple[tuple[int, ...], ...]:
    """Positions without freedom, of each size, that an element of n atoms may take; no more than needed."""
    made = _reach(supply.free, max(n, _MOST))

    def enough() -> Iterator[tuple[int, ...]]:
        for take in product(*(range(number + 1) for _, number in supply.fixed)):
            rest = n - sum(k * size for k, (size, _) in zip(take, supply.fixed, strict=True))
            if rest >= 0 and made[rest]:
                yield take

    found = list(enough())
    return tuple(
        take
        for take in found
        if not any(o != take and all(a <= b for a, b in zip(o, take, strict=True)) for o in found)
    )
