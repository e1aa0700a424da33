"""Known crystals that lend their assignments: those with the same numbers beside similar elements.

A known crystal with as many atoms (or sites) of each element, in any assignment of its elements to those that
are asked for, is a prototype. Its weight falls with the dissimilarity d of the elements, summed over them, as
(1 + d / (2 k h^2))^-k.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import permutations, product
from typing import TypeVar

import numpy as np

from crystalsmith.assignments import Assignment, canonical
from crystalsmith.crystal.properties import dissimilarity
from crystalsmith.prior.known import Known

# Best likelihood of the assignments of held-out crystals; flat around it.
WIDTH, POWER = 0.3, 3.0

MOST_MATCHES = 5040
"""Ways to match elements; compositions with more of them have no prototypes."""

Key = tuple[int, ...]
T = TypeVar("T")


class Prototypes:
    """Known crystals by what they have in numbers.

    Args:
        known: the crystals.
    """

    def __init__(self, known: Sequence[Known]) -> None:
        self.known = list(known)
        self._by_atoms: dict[Key, list[int]] = defaultdict(list)
        self._by_ratio: dict[Key, list[int]] = defaultdict(list)
        self._by_sites: dict[tuple[int, Key], list[int]] = defaultdict(list)
        self._counts = [k.counts for k in self.known]
        for i, (k, counts) in enumerate(zip(self.known, self._counts, strict=True)):
            units = math.gcd(*counts)
            self._by_atoms[tuple(sorted(counts))].append(i)
            self._by_ratio[tuple(sorted(n // units for n in counts))].append(i)
            self._by_sites[(k.space_group, tuple(sorted(k.sites)))].append(i)
        self.units = lru_cache(maxsize=256)(self._units)
        self.by_atoms = lru_cache(maxsize=256)(self._assignments_by_atoms)
        self.by_sites = lru_cache(maxsize=256)(self._assignments_by_sites)

    def __len__(self) -> int:
        return len(self.known)

    def _units(self, elements: Key, ratio: Key) -> dict[int, float]:
        """Weight of each number of formula units in the primitive cell."""
        result: dict[int, float] = defaultdict(float)
        rows = self._by_ratio.get(tuple(sorted(ratio)), [])
        for weight, i, _ in self._matches(elements, ratio, rows, lambda i: self._counts[i]):
            result[math.gcd(*self._counts[i])] += weight
        return dict(result)

    def _assignments_by_atoms(self, elements: Key, counts: Key) -> dict[tuple[int, Assignment], float]:
        """Weight of each (space group, canonical assignment) that makes a composition."""
        rows = self._by_atoms.get(tuple(sorted(counts)), [])
        return self._lent(self._matches(elements, counts, rows, lambda i: self._counts[i]))

    def _assignments_by_sites(
        self, space_group: int, elements: Key, sites: Key
    ) -> dict[tuple[int, Assignment], float]:
        """Weight of each (space group, canonical assignment) with these numbers of sites in a group."""
        rows = self._by_sites.get((space_group, tuple(sorted(sites))), [])
        return self._lent(self._matches(elements, sites, rows, lambda i: self.known[i].sites))

    def _lent(
        self, matches: Sequence[tuple[float, int, tuple[int, ...]]]
    ) -> dict[tuple[int, Assignment], float]:
        result: dict[tuple[int, Assignment], float] = defaultdict(float)
        for weight, i, match in matches:
            k = self.known[i]
            result[(k.space_group, tuple(k.assignment[m] for m in match))] += weight
        merged: dict[tuple[int, Assignment], float] = defaultdict(float)
        for (group, assignment), weight in result.items():
            merged[(group, canonical(group, assignment))] += weight
        return dict(merged)

    def _matches(
        self, elements: Key, numbers: Key, rows: Sequence[int], numbers_of: Callable[[int], Key]
    ) -> list[tuple[float, int, tuple[int, ...]]]:
        """(weight, crystal, which of its elements stands for each one asked for) of every match."""
        sizes = tuple(sorted(numbers))
        if not rows or math.prod(math.factorial(sizes.count(n)) for n in set(sizes)) > MOST_MATCHES:
            return []
        # Elements asked for and those of the crystals, both by their numbers.
        asked = sorted(range(len(numbers)), key=lambda e: numbers[e])
        orders = [sorted(range(len(sizes)), key=numbers_of(i).__getitem__) for i in rows]
        theirs = np.array([[self.known[i].elements[e] for e in o] for i, o in zip(rows, orders, strict=True)])
        z = np.array([elements[e] for e in asked])
        result = []
        for change in _changes(sizes):
            d = dissimilarity()[z[None, :], theirs[:, change]].sum(1)
            weights = (1 + d / (2 * POWER * WIDTH**2)) ** -POWER
            for weight, i, order in zip(weights.tolist(), rows, orders, strict=True):
                match = [0] * len(asked)
                for place, e in enumerate(asked):
                    match[e] = order[change[place]]
                result.append((weight, i, tuple(match)))
        return result


def _changes(sizes: Key) -> list[list[int]]:
    """All ways to match elements with those of a crystal that have the same numbers; sizes ascend."""
    blocks = [[k for k, n in enumerate(sizes) if n == size] for size in sorted(set(sizes))]
    return [[k for block in choice for k in block] for choice in product(*(permutations(b) for b in blocks))]
