"""Compositions of a chemical system, drawn by what similar systems do.

A known crystal with as many elements lends its ratio to the elements asked for, in every matching, with a
weight that falls with their dissimilarity as in ``prior.prototypes`` but more slowly; a ratio also has a
small weight for being frequent among all crystals of so many elements. Where oxidation states allow, only
charge-neutral compositions are drawn; systems without anions make phases of any ratio.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations

import numpy as np

from crystalsmith.crystal.chemistry import oxidation_states
from crystalsmith.crystal.elements import ELECTRONEGATIVITY, period_and_group
from crystalsmith.crystal.properties import dissimilarity
from crystalsmith.prior.known import Known, KnownCrystals

_WIDTH, _POWER = 0.6, 3.0
_FREQUENCY = 1.0  # weight of all ratios by frequency together
_MOST_ELEMENTS = 6
_ANION = 2.53  # Pauling's electronegativity: selenium has 2.55, phosphorus 2.19

Key = tuple[int, ...]


@lru_cache(maxsize=65536)
def is_neutral(elements: Key, ratio: Key) -> bool:
    """Whether common oxidation states of the atoms can add up to nothing; those of an element may differ.

    Args:
        elements: atomic numbers.
        ratio: atoms of each.
    """
    if len(elements) != len(ratio):
        raise ValueError(f"{len(elements)} elements with {len(ratio)} numbers of atoms")
    if not elements:
        return True
    rest = _charges(elements[:-1], ratio[:-1])
    return not rest.isdisjoint([-charge for charge in _charges(elements[-1:], ratio[-1:])])


@lru_cache(maxsize=65536)
def _charges(elements: Key, ratio: Key) -> frozenset[int]:
    """All that their oxidation states can add up to; nothing where an element has none."""
    if len(elements) > 1:
        last = _charges(elements[-1:], ratio[-1:])
        return frozenset(a + b for a in _charges(elements[:-1], ratio[:-1]) for b in last)
    found = {0}
    for z, n in zip(elements, ratio, strict=True):
        states = oxidation_states()[z]
        if not states:
            return frozenset()
        for _ in range(n):
            found = {a + s for a in found for s in states}
    return frozenset(found)


def is_ionic(elements: Key) -> bool:
    """Whether one element is an anion (nitrogen, oxygen, a halogen, sulphur or selenium) of another one.

    Tin, antimony, silicon and the like have negative oxidation states too, but with metals they mostly make
    phases of any ratio.
    """
    states = [oxidation_states()[z] for z in elements]
    return any(
        _ANION < ELECTRONEGATIVITY[a] < 9
        and period_and_group(a)[1] > 14
        and min(own, default=0) < 0
        # Of something less electronegative with a positive state.
        and any(
            ELECTRONEGATIVITY[c] < ELECTRONEGATIVITY[a] and max(other, default=0) > 0
            for c, other in zip(elements, states, strict=True)
        )
        for a, own in zip(elements, states, strict=True)
    )


class Compositions:
    """Draws ratios for the elements of a system.

    Args:
        known: crystals to learn from.
    """

    def __init__(self, known: KnownCrystals | Sequence[Known]) -> None:
        known = known if isinstance(known, KnownCrystals) else KnownCrystals.of(known)
        self._seen: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}
        for n, _, rows in known.by_number_of_elements():
            ratio = known.atoms[rows] // np.gcd.reduce(known.atoms[rows], axis=1, keepdims=True)
            both, times = np.unique(np.column_stack([known.element[rows], ratio]), axis=0, return_counts=True)
            self._seen[n] = both[:, :n], both[:, n:], times
        self.probabilities = lru_cache(maxsize=64)(self._probabilities)

    def _probabilities(self, elements: Key, max_atoms: int) -> dict[Key, float]:
        """Probability of each ratio of at most so many atoms, all elements in it; empty if there is none.

        Args:
            elements: atomic numbers, at most ``_MOST_ELEMENTS``.
            max_atoms: largest smallest formula unit.
        """
        n = len(elements)
        nothing = np.zeros((0, n), int), np.zeros((0, n), int), np.zeros(0, int)
        theirs, ratios, times = self._seen.get(n, nothing)
        kept = ratios.sum(1) <= max_atoms
        theirs, ratios, times = theirs[kept], ratios[kept], times[kept]
        weight = _lent(elements, theirs, ratios) if n <= _MOST_ELEMENTS else {}
        patterns: Counter[Key] = Counter()
        for ratio, number in zip(np.sort(ratios, axis=1).tolist(), times.tolist(), strict=True):
            patterns[tuple(ratio)] += number
        if not patterns and n <= max_atoms:
            patterns[(1,) * n] = 1
        whole = sum(patterns.values())
        for pattern, number in patterns.items():
            orders = set(permutations(pattern)) if n <= _MOST_ELEMENTS else {pattern}
            for one in orders:
                weight[one] = weight.get(one, 0.0) + _FREQUENCY * number / whole / len(orders)
        if is_ionic(elements):
            weight = {r: w for r, w in weight.items() if is_neutral(elements, r)} or weight
        norm = sum(weight.values())
        return {r: w / norm for r, w in sorted(weight.items())}


def _lent(elements: Key, theirs: np.ndarray, ratios: np.ndarray) -> dict[Key, float]:
    """What known crystals lend to each ratio, in every matching of their elements with these.

    Args:
        elements: (n,) atomic numbers.
        theirs: (k, n) those of the crystals.
        ratios: (k, n) atoms of each.
    """
    asked, n = np.array(elements), len(elements)
    numbers = np.unique(ratios)
    places = np.searchsorted(numbers, ratios)
    lent, turned = [], []
    for order in permutations(range(n)):
        d = dissimilarity()[asked[None, :], theirs[:, order]].sum(1)
        lent.append((1 + d / (2 * _POWER * _WIDTH**2)) ** -_POWER)
        turned.append(places[:, order])
    weights, rows = np.concatenate(lent), np.concatenate(turned)
    codes = rows @ len(numbers) ** np.arange(n)  # one whole number for each ratio
    _, first, which = np.unique(codes, return_index=True, return_inverse=True)
    # Summed in the order of the rows, as bincount does, and kept in the order in which ratios appear: sums
    # of floating-point numbers, and with them what a seed draws, hang on it.
    sums = np.bincount(which, weights)
    appear = np.argsort(first)
    found = numbers[rows[first[appear]]].tolist()
    return {tuple(ratio): weight for ratio, weight in zip(found, sums[appear].tolist(), strict=True)}
