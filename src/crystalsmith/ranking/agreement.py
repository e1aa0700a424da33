"""Agreement: how many of a crystal's drafts came out alike.

A model draws likely crystals often. So the share of drafts like this one estimates its probability, and costs
nothing but a comparison of fingerprints.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.ranking.fingerprint import differences, fingerprint

LIKE = 0.06
"""Difference of fingerprints at which a draft counts as half alike."""

SAME = 0.025
"""Difference of fingerprints below which two drafts are one structure, with one energy."""


def draft_differences(crystals: Sequence[Crystal]) -> np.ndarray:
    """(n, n) differences of the fingerprints of n crystals, infinite between different compositions."""
    result = np.full((len(crystals),) * 2, np.inf)
    alike: dict[tuple[tuple[str, int], ...], list[int]] = defaultdict(list)
    for i, crystal in enumerate(crystals):
        alike[tuple(sorted(crystal.counts.items()))].append(i)
    for rows in alike.values():
        result[np.ix_(rows, rows)] = differences([fingerprint(crystals[i]) for i in rows])
    return result


def agreements(difference: np.ndarray) -> np.ndarray:
    """(n,) share of the n drafts that are like each one, in (0, 1].

    Args:
        difference: (n, n) from ``draft_differences``.
    """
    return np.asarray((1 / (1 + (difference / LIKE) ** 2)).mean(1))


def same_structures(difference: np.ndarray, figures: Sequence[float]) -> list[int]:
    """The draft that stands for each one: itself, or a better one of the same structure.

    Args:
        difference: (n, n) from ``draft_differences``.
        figures: (n,) higher is better.
    """
    stands = list(range(len(figures)))
    kept: list[int] = []
    for i in sorted(stands, key=lambda i: (-figures[i], i)):
        near = [k for k in kept if difference[i, k] < SAME]
        if near:
            stands[i] = min(near, key=lambda k: difference[i, k])
        else:
            kept.append(i)
    return stands
