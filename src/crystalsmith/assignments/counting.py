"""How many assignments make a composition: exact, without listing them.

Positions with freedom can be taken by any element any number of times, so elements are independent there and
a generating function counts. Positions without freedom are shared; those of one size are interchangeable, so
all that matters is how many of each size are left. Assignments up to equivalence follow by Burnside's lemma:
the mean, over the normaliser's permutations, of the number of assignments that each leaves as they are, which
are assignments of its cycles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import product
from math import comb, prod

from crystalsmith.assignments.positions import positions_of


@lru_cache(maxsize=65536)
def count_assignments(space_group: int, counts: tuple[int, ...], distinct: bool = True) -> int:
    """Number of assignments that make a composition.

    Args:
        space_group: 1 to 230.
        counts: atoms of each element in the primitive cell.
        distinct: count equivalent ones once.
    """
    p = positions_of(space_group)
    moves = p.permutations if distinct else p.permutations[:1]
    total = sum(_count(*_cycles(p.size, p.fixed, move), counts) for move in moves)
    assert total % len(moves) == 0
    return total // len(moves)


def _cycles(
    size: Sequence[int], fixed: Sequence[bool], move: Sequence[int]
) -> tuple[tuple[tuple[int, int], ...], tuple[int, ...]]:
    """Cycles of a permutation: (size, number) of those of fixed positions, sizes of those with freedom."""
    taken: Counter[int] = Counter()
    free, seen = [], set()
    for start in range(len(size)):
        length, p = 0, start
        while p not in seen:
            seen.add(p)
            p = move[p]
            length += 1
        if length:
            if fixed[start]:
                taken[length * size[start]] += 1
            else:
                free.append(length * size[start])
    return tuple(sorted(taken.items())), tuple(sorted(free))


@lru_cache(maxsize=4096)
def ways_of_free(sizes: tuple[int, ...], most: int) -> tuple[int, ...]:
    """(most + 1,) in how many ways positions with freedom, of these sizes, make 0, 1, ... atoms."""
    ways = [1] + [0] * most
    for m in sizes:
        for n in range(m, most + 1):
            ways[n] += ways[n - m]
    return tuple(ways)


@lru_cache(maxsize=65536)
def _count(fixed: tuple[tuple[int, int], ...], free: tuple[int, ...], counts: tuple[int, ...]) -> int:
    sizes = [size for size, _ in fixed]
    ways = ways_of_free(free, max(counts, default=0))
    # From the number of positions left of each size to the ways so far.
    states: dict[tuple[int, ...], int] = {tuple(number for _, number in fixed): 1}
    for n in counts:
        after: dict[tuple[int, ...], int] = {}
        for left, so_far in states.items():
            for take in product(*(range(k + 1) for k in left)):
                rest = n - sum(a * s for a, s in zip(take, sizes, strict=True))
                if rest < 0 or not ways[rest]:
                    continue
                chosen = prod(comb(k, a) for k, a in zip(left, take, strict=True))
                key = tuple(k - a for k, a in zip(left, take, strict=True))
                after[key] = after.get(key, 0) + so_far * chosen * ways[rest]
        states = after
    return sum(states.values())


@lru_cache(maxsize=4096)
def count_in_all(space_group: int, elements: int, max_atoms: int) -> int:
    """Number of distinct assignments of so many elements, all of them present, in cells up to a size.

    Args:
        space_group: 1 to 230.
        elements: how many.
        max_atoms: largest primitive cell.
    """
    p = positions_of(space_group)
    total = 0
    for move in p.permutations:
        fixed, free = _cycles(p.size, p.fixed, move)
        # Inclusion and exclusion: assignments of at most k of the elements.
        for k in range(elements + 1):
            sign = -1 if (elements - k) % 2 else 1
            total += sign * comb(elements, k) * _up_to(fixed, free, k, max_atoms)
    assert total % len(p.permutations) == 0
    return total // len(p.permutations)


def _up_to(fixed: tuple[tuple[int, int], ...], free: tuple[int, ...], elements: int, most: int) -> int:
    """Assignments of up to ``most`` atoms of any of the elements, none of them needed."""
    ways = [1] + [0] * most
    for size, number in fixed:
        for _ in range(number):
            for n in range(most, size - 1, -1):
                ways[n] += elements * ways[n - size]
    for size in free:
        for _ in range(elements):
            for n in range(size, most + 1):
                ways[n] += ways[n - size]
    return sum(ways)
