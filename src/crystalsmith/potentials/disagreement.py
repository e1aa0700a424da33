"""Where two potentials disagree on crystals of one formula: holes of one of them show against the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

HOLE = 0.05
"""eV per atom by which a potential lies below the other where a crystal is in doubt: wrong crystals that
CHGNet places within a few meV of the right one are 0.04 to 0.13 higher by ``7net-0``."""


def disagreement(first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray) -> np.ndarray:
    """How much lower than the second potential the first one holds each crystal, by the rest of the pool.

    Potentials differ by references of the elements, which crystals of one formula have in common; the median
    of the pool takes it away. What is left over is of the crystal itself.

    Args:
        first: (n,) energies of crystals of one formula, eV per atom; NaN where there is none.
        second: (n,) those of the other potential.

    Returns:
        (n,) eV per atom, positive where the first is lower than the rest of the pool lets one expect: above
        ``HOLE`` its energy is not to be believed. NaN where an energy is missing; zero of less than three.
    """
    a, b = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    lower = b - a
    told = np.isfinite(lower)
    result = np.where(told, 0.0, np.nan)
    if told.sum() >= 3:  # of two neither is the rest
        result[told] = lower[told] - np.median(lower[told])
    return result
