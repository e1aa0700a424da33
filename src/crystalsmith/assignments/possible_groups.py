"""Which space groups can hold a composition."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from crystalsmith.assignments.counting import count_assignments


def possible_groups(counts: tuple[int, ...]) -> np.ndarray:
    """(231,) boolean: which space groups can hold atoms in these numbers, entry 0 unused.

    Args:
        counts: atoms of each element in the primitive cell, in any order.
    """
    return _possible(tuple(sorted(counts)))


@lru_cache(maxsize=1 << 16)
def _possible(counts: tuple[int, ...]) -> np.ndarray:
    result = np.array([False, *(count_assignments(g, counts, False) > 0 for g in range(1, 231))])
    result.setflags(write=False)
    return result
