"""Known crystals that lend their assignments: those with the same numbers beside similar elements.

A known crystal with as many atoms (or sites) of each element, in any assignment of its elements to those that
are asked for, is a prototype. Its weight falls with the dissimilarity d of the elements, summed over them, as
(1 + d / (2 k h^2))^-k.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, lru_cache
from itertools import permutations, product

import numpy as np

from crystalsmith.assignments import Assignment, canonical
from crystalsmith.crystal.properties import dissimilarity
from crystalsmith.prior.known import Known, KnownCrystals

# Between the best points of a coarse grid, by the likelihood of 400 crystals of mp20_val.
WIDTH, POWER = 0.4, 3.0

MOST_MATCHES = 5040
"""Ways to match elements; compositions with more of them have no prototypes."""

MOST_LENT = 2000
"""Matches that lend; those of the largest weight where there are more."""

MERGED = 0.1
"""What a crystal of whose elements two are taken for one weighs beside others.

By the likelihood of 250 crystals of mp20_val and of 150 large ones, which is flat there; without such
crystals it is 0.08 nats lower, given the numbers of atoms alone."""

MOST_MERGED = 200
"""Of these, how many lend at most."""

Key = tuple[int, ...]
Match = tuple[tuple[int, ...], ...]
"""For each element asked for, which of a crystal's elements stand for it: one, or two."""

_NONE = np.zeros(0, dtype=int)


class Prototypes:
    """Known crystals by what they have in numbers.

    Args:
        known: the crystals.
    """

    def __init__(self, known: KnownCrystals | Sequence[Known]) -> None:
        self.known = known if isinstance(known, KnownCrystals) else KnownCrystals.of(known)
        self.units = lru_cache(maxsize=256)(self._units)
        self.by_atoms = lru_cache(maxsize=256)(self._assignments_by_atoms)
        self.by_sites = lru_cache(maxsize=256)(self._assignments_by_sites)

    @cached_property
    def _by_atoms(self) -> dict[Key, np.ndarray]:
        return self._index(lambda crystals, rows: self.known.atoms[rows])

    @cached_property
    def _by_ratio(self) -> dict[Key, np.ndarray]:
        def ratio(crystals: np.ndarray, rows: np.ndarray) -> np.ndarray:
            atoms = self.known.atoms[rows]
            return np.asarray(atoms // np.gcd.reduce(atoms, axis=1, keepdims=True))

        return self._index(ratio)

    @cached_property
    def _by_sites(self) -> dict[Key, np.ndarray]:
        # The group goes in front as a negative number, so that it stays there when the rest is sorted.
        return self._index(
            lambda crystals, rows: np.column_stack(
                [-self.known.space_group[crystals], self.known.sites[rows]]
            )
        )

    def _index(self, numbers: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> dict[Key, np.ndarray]:
        """Crystals by the sorted numbers that a function of crystals (n,) and their rows (n, E) gives."""
        result: dict[Key, np.ndarray] = {}
        for _, crystals, rows in self.known.by_number_of_elements():
            keys = np.sort(numbers(crystals, rows), axis=1)
            order = np.lexsort(keys.T)
            new = np.flatnonzero((np.diff(keys[order], axis=0) != 0).any(1)) + 1
            firsts = keys[order[np.concatenate([[0], new])]]
            for key, part in zip(firsts.tolist(), np.split(crystals[order], new), strict=True):
                result[tuple(key)] = part
        return result

    def __len__(self) -> int:
        return len(self.known)

    def _units(self, elements: Key, ratio: Key) -> dict[int, float]:
        """Weight of each number of formula units in the primitive cell."""
        rows = self._by_ratio.get(tuple(sorted(ratio)), _NONE)
        result: dict[int, float] = defaultdict(float)
        for weight, i, _ in self._matches(elements, ratio, rows, self.known.atoms):
            own = self.known.atoms[self.known.start[i] : self.known.start[i + 1]]
            result[int(np.gcd.reduce(own))] += weight
        return dict(result)

    def of_composition(self, elements: Key, counts: Key) -> list[int]:
        """Crystals of exactly these elements, cations first, in this ratio."""
        divisor = math.gcd(*counts)
        ratio = tuple(n // divisor for n in counts)
        found = []
        for i in self._by_ratio.get(tuple(sorted(ratio)), _NONE).tolist():
            rows = slice(int(self.known.start[i]), int(self.known.start[i + 1]))
            atoms = self.known.atoms[rows]
            if (
                tuple(self.known.element[rows].tolist()) == elements
                and tuple((atoms // np.gcd.reduce(atoms)).tolist()) == ratio
            ):
                found.append(i)
        return found

    def matches_by_atoms(
        self, elements: Key, counts: Key, groups: Collection[int] | None = None
    ) -> list[tuple[float, int, tuple[int, ...]]]:
        """(weight, crystal, which of its elements stands for each one asked for) of all with these atoms.

        Of these space groups alone where they are given; the heaviest first.
        """
        rows = self._by_atoms.get(tuple(sorted(counts)), _NONE)
        if groups is not None:
            rows = rows[np.isin(self.known.space_group[rows], list(groups))]
        return self._matches(elements, counts, rows, self.known.atoms)

    def matches_by_sites(
        self, space_group: int, elements: Key, sites: Key
    ) -> list[tuple[float, int, tuple[int, ...]]]:
        """The same of all in a space group with these numbers of sites of the elements."""
        rows = self._by_sites.get((-space_group, *sorted(sites)), _NONE)
        return self._matches(elements, sites, rows, self.known.sites)

    def merged_by_atoms(
        self, elements: Key, counts: Key, groups: Collection[int] | None = None
    ) -> list[tuple[float, int, Match]]:
        """(weight, crystal, which of its elements stand for each) of those with one element more.

        Arguments as of ``matches_by_atoms``; the heaviest first. An element has none: a compound of two with
        one in place of both has more symmetry nearly always.
        """

        def rows(numbers: Key) -> np.ndarray:
            found = self._by_atoms.get(tuple(sorted(numbers)), _NONE)
            return found if groups is None else found[np.isin(self.known.space_group[found], list(groups))]

        return self._merged(elements, counts, rows, self.known.atoms)

    def merged_by_sites(self, space_group: int, elements: Key, sites: Key) -> list[tuple[float, int, Match]]:
        """The same of those in a space group, by their numbers of sites."""

        def rows(numbers: Key) -> np.ndarray:
            return self._by_sites.get((-space_group, *sorted(numbers)), _NONE)

        return self._merged(elements, sites, rows, self.known.sites)

    def _assignments_by_atoms(self, elements: Key, counts: Key) -> dict[tuple[int, Assignment], float]:
        """Weight of each (space group, canonical assignment) that makes a composition."""
        found = self.matches_by_atoms(elements, counts)
        return self._lent([*map(as_match, found), *self.merged_by_atoms(elements, counts)])

    def _assignments_by_sites(
        self, space_group: int, elements: Key, sites: Key
    ) -> dict[tuple[int, Assignment], float]:
        """Weight of each (space group, canonical assignment) with these numbers of sites in a group."""
        found = self.matches_by_sites(space_group, elements, sites)
        return self._lent([*map(as_match, found), *self.merged_by_sites(space_group, elements, sites)])

    def _lent(self, matches: Sequence[tuple[float, int, Match]]) -> dict[tuple[int, Assignment], float]:
        result: dict[tuple[int, Assignment], float] = defaultdict(float)
        crystals = {i: self.known[i] for i in {i for _, i, _ in matches}}
        for weight, i, match in matches:
            k = crystals[i]
            result[(k.space_group, tuple(joined(k.assignment, own) for own in match))] += weight
        merged: dict[tuple[int, Assignment], float] = defaultdict(float)
        for (group, assignment), weight in result.items():
            merged[(group, canonical(group, assignment))] += weight
        return dict(merged)

    def _merged(
        self, elements: Key, numbers: Key, rows_of: Callable[[Key], np.ndarray], numbers_of: np.ndarray
    ) -> list[tuple[float, int, Match]]:
        """Matches of crystals with one element more, of which these functions of their numbers tell."""
        found: list[tuple[float, int, Match]] = []
        for e, n in enumerate(numbers if len(numbers) > 1 else ()):
            for part in range(1, n // 2 + 1):
                split = (*numbers[:e], part, n - part, *numbers[e + 1 :])
                rows = rows_of(split)
                if not len(rows):
                    continue
                twice = (*elements[: e + 1], *elements[e:])
                for weight, i, match in self._matches(twice, split, rows, numbers_of, MOST_MERGED):
                    if part == n - part and match[e] > match[e + 1]:
                        continue  # the same with the two the other way round
                    own = (*((m,) for m in match[:e]), match[e : e + 2], *((m,) for m in match[e + 2 :]))
                    found.append((MERGED * weight, i, own))
        return sorted(found, key=lambda m: -m[0])[:MOST_MERGED]

    def _matches(
        self, elements: Key, numbers: Key, rows: np.ndarray, numbers_of: np.ndarray, most: int = MOST_LENT
    ) -> list[tuple[float, int, tuple[int, ...]]]:
        """(weight, crystal, which of its elements stands for each one asked for) of every match."""
        sizes = tuple(sorted(numbers))
        if not len(rows) or math.prod(math.factorial(sizes.count(n)) for n in set(sizes)) > MOST_MATCHES:
            return []
        # Elements asked for and those of the crystals, both by their numbers.
        asked = sorted(range(len(numbers)), key=lambda e: numbers[e])
        places = self.known.start[rows][:, None] + np.arange(len(numbers))
        orders = np.argsort(numbers_of[places], axis=1, kind="stable")
        theirs = np.take_along_axis(self.known.element[places], orders, 1)
        z = np.array([elements[e] for e in asked])
        changes = np.array(_changes(sizes))
        d = np.stack([dissimilarity()[z[None, :], theirs[:, change]].sum(1) for change in changes])
        weights = (1 + d / (2 * POWER * WIDTH**2)) ** -POWER
        # By weight, then by crystal and change, so that the choice does not hang on rounding alone.
        best = np.argsort(-weights.T.ravel(), kind="stable")[:most]
        crystal, change = np.divmod(best, len(changes))
        match = np.empty((len(best), len(asked)), dtype=int)
        match[:, asked] = np.take_along_axis(orders[crystal], changes[change], 1)
        return list(
            zip(
                weights[change, crystal].tolist(),
                rows[crystal].tolist(),
                map(tuple, match.tolist()),
                strict=True,
            )
        )


def as_match(found: tuple[float, int, Key]) -> tuple[float, int, Match]:
    """A match by single elements, as one in which several may stand for one."""
    return found[0], found[1], tuple((m,) for m in found[2])


def joined(slots: Assignment, own: Key) -> Key:
    """Positions of some elements together, ascending."""
    return slots[own[0]] if len(own) == 1 else tuple(sorted(p for m in own for p in slots[m]))


def _changes(sizes: Key) -> list[list[int]]:
    """All ways to match elements with those of a crystal that have the same numbers; sizes ascend."""
    blocks = [[k for k, n in enumerate(sizes) if n == size] for size in sorted(set(sizes))]
    return [[k for block in choice for k in block] for choice in product(*(permutations(b) for b in blocks))]
