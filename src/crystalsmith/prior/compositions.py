"""Compositions of a chemical system, drawn by what similar systems do.

A known crystal with as many elements lends its ratio to the elements asked for, in every matching, with a
weight that falls with their dissimilarity as in ``prior.prototypes`` but more slowly; a ratio also has a
small weight for being frequent among all crystals of so many elements. Where oxidation states allow, only
charge-neutral compositions are drawn; systems without anions make phases of any ratio.
"""

from __future__ import annotations

from collections import Counter, defaultdict
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
    sums = {0}
    for z, n in zip(elements, ratio, strict=True):
        states = oxidation_states()[z]
        if not states:
            return False
        own = {0}
        for _ in range(n):
            own = {a + s for a in own for s in states}
        sums = {a + b for a in sums for b in own}
    return 0 in sums


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
        weight: dict[Key, float] = defaultdict(float)
        patterns: Counter[Key] = Counter()
        if n <= _MOST_ELEMENTS:
            asked = np.array(elements)
            for order in permutations(range(n)):
                d = dissimilarity()[asked[None, :], theirs[:, order]].sum(1)
                lent = (1 + d / (2 * _POWER * _WIDTH**2)) ** -_POWER
                for w, ratio in zip(lent.tolist(), ratios[:, order].tolist(), strict=True):
                    weight[tuple(ratio)] += w
        for ratio, number in zip(np.sort(ratios, axis=1).tolist(), times.tolist(), strict=True):
            patterns[tuple(ratio)] += number
        if not patterns and n <= max_atoms:
            patterns[(1,) * n] = 1
        whole = sum(patterns.values())
        for pattern, number in patterns.items():
            orders = set(permutations(pattern)) if n <= _MOST_ELEMENTS else {pattern}
            for one in orders:
                weight[one] += _FREQUENCY * number / whole / len(orders)
        if is_ionic(elements):
            neutral = {r: w for r, w in weight.items() if is_neutral(elements, r)}
            weight = defaultdict(float, neutral or weight)
        norm = sum(weight.values())
        return {r: w / norm for r, w in sorted(weight.items())}
