"""Bootstrap intervals, 95 %, seeded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

LEVEL = 0.95
RESAMPLES = 1000


def mean_interval(
    values: np.ndarray, groups: Sequence[str] | None = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Percentile interval of a mean.

    Args:
        values: (n,) one for each crystal; n may be 0.
        groups: (n,) names; crystals of one name (samples for one order) are drawn together, since they are
            not independent.
        resamples: how many draws.
        seed: of the draws.

    Returns:
        Lower and upper end; NaN for no values.
    """
    values = np.asarray(values, dtype=float)
    if not len(values):
        return float("nan"), float("nan")
    if groups is None:
        total, count = values, np.ones(len(values))
    else:
        place = np.unique(np.asarray(groups), return_inverse=True)[1]
        total, count = np.bincount(place, weights=values), np.bincount(place).astype(float)
    rng = np.random.default_rng(seed)
    n = len(total)
    means = np.empty(resamples)
    for k in range(resamples):
        drawn = rng.integers(0, n, n)
        means[k] = total[drawn].sum() / count[drawn].sum()
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def distance_interval(
    statistic: Callable[[np.ndarray], float],
    n: int,
    value: float,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> tuple[float, float]:
    """Normal interval of a distance between two distributions: value +- 1.96 bootstrap errors, not below 0.

    Not the percentile interval: a resampled set is always farther from the reference than the set itself, so
    that interval would lie above the value.

    Args:
        statistic: the distance for rows (n,) drawn from the crystals.
        n: number of crystals.
        value: the distance of the whole set.
        resamples: how many draws.
        seed: of the draws.
    """
    if n < 2 or not np.isfinite(value):
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    error = float(np.std([statistic(rng.integers(0, n, n)) for _ in range(resamples)], ddof=1))
    return max(0.0, value - 1.96 * error), value + 1.96 * error
