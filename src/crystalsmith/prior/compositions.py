"""Compositions of a chemical system, drawn by what similar systems do.

A known crystal with as many elements lends its ratio to the elements asked for, in every matching, with a
weight that falls with their dissimilarity as in ``prior.prototypes`` but more slowly; a ratio also has a
small weight for being frequent among all crystals of so many elements. Where oxidation states allow, only
charge-neutral compositions are drawn; systems without anions make intermetallic phases of any ratio.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import permutations

import numpy as np

from crystalsmith.crystal.chemistry import oxidation_states
from crystalsmith.crystal.properties import dissimilarity
from crystalsmith.prior.known import Known

_WIDTH, _POWER = 0.6, 3.0
_FREQUENCY = 1.0  # weight of all ratios by frequency together
_MOST_ELEMENTS = 6

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
    """Whether the elements have both common negative and positive oxidation states."""
    states = [oxidation_states()[z] for z in elements]
    return any(
        min(a, default=0) < 0 < max(b, default=0)
        for i, a in enumerate(states)
        for j, b in enumerate(states)
        if i != j
    )


class Compositions:
    """Draws ratios for the elements of a system.

    Args:
        known: crystals to learn from.
    """

    def __init__(self, known: Sequence[Known]) -> None:
        self._seen: dict[int, Counter[tuple[Key, Key]]] = defaultdict(Counter)
        for k in known:
            counts = k.counts
            units = math.gcd(*counts)
            ratio = tuple(n // units for n in counts)
            self._seen[len(ratio)][(k.elements, ratio)] += 1
        self.probabilities = lru_cache(maxsize=64)(self._probabilities)

    def _probabilities(self, elements: Key, max_atoms: int) -> dict[Key, float]:
        """Probability of each ratio of at most so many atoms, all elements in it; empty if there is none.

        Args:
            elements: atomic numbers, at most ``_MOST_ELEMENTS``.
            max_atoms: largest smallest formula unit.
        """
        n = len(elements)
        seen = self._seen.get(n, Counter())
        weight: dict[Key, float] = defaultdict(float)
        patterns: Counter[Key] = Counter()
        if seen and n <= _MOST_ELEMENTS:
            kept = [(z, r) for z, r in seen if sum(r) <= max_atoms]
            theirs = np.array([z for z, _ in kept], dtype=int).reshape(len(kept), n)
            asked = np.array(elements)
            for order in permutations(range(n)):
                d = dissimilarity()[asked[None, :], theirs[:, order]].sum(1)
                lent = (1 + d / (2 * _POWER * _WIDTH**2)) ** -_POWER
                for w, (_, ratio) in zip(lent.tolist(), kept, strict=True):
                    weight[tuple(ratio[k] for k in order)] += w
        for (_, ratio), times in seen.items():
            if sum(ratio) <= max_atoms:
                patterns[tuple(sorted(ratio))] += times
        if not patterns and n <= max_atoms:
            patterns[(1,) * n] = 1
        whole = sum(patterns.values())
        for pattern, times in patterns.items():
            orders = set(permutations(pattern)) if n <= _MOST_ELEMENTS else {pattern}
            for ratio in orders:
                weight[ratio] += _FREQUENCY * times / whole / len(orders)
        if is_ionic(elements):
            neutral = {r: w for r, w in weight.items() if is_neutral(elements, r)}
            weight = defaultdict(float, neutral or weight)
        norm = sum(weight.values())
        return {r: w / norm for r, w in sorted(weight.items())}
