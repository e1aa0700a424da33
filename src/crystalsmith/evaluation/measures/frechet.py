"""The Frechet distance between two sets of vectors, each taken for a normal distribution.

The paper, section 5.2: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)). The trace of the root is the sum of the
singular values of A1^T A2 where S = A A^T, which needs no root of a matrix and is exact for singular S.
"""

from __future__ import annotations

import numpy as np

from crystalsmith.errors import EvaluationError


def frechet_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Frechet distance of two samples (n, d) and (m, d), not negative.

    Raises:
        EvaluationError: fewer than two vectors, another length, or values that are not finite.
    """
    for z in (x, y):
        if z.ndim != 2 or len(z) < 2:
            raise EvaluationError("a Frechet distance needs at least two vectors on either side")
        if not np.isfinite(z).all():
            raise EvaluationError("a Frechet distance needs finite vectors")
    if x.shape[1] != y.shape[1]:
        raise EvaluationError(f"vectors of lengths {x.shape[1]} and {y.shape[1]} cannot be compared")
    return gaussian_distance(*moments(x), *moments(y))


def moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean (d,) and unbiased covariance (d, d) of vectors (n, d)."""
    return x.mean(0), np.cov(x, rowvar=False).reshape(x.shape[1], x.shape[1])


def gaussian_distance(m1: np.ndarray, s1: np.ndarray, m2: np.ndarray, s2: np.ndarray) -> float:
    """Frechet distance of two normal distributions, means (d,) and covariances (d, d)."""
    overlap = np.linalg.svd(_factor(s1).T @ _factor(s2), compute_uv=False).sum()
    return max(0.0, float(((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * overlap))


def _factor(s: np.ndarray) -> np.ndarray:
    """A (d, d) with A A^T = s; rounding noise below zero is zero."""
    value, vector = np.linalg.eigh((s + s.T) / 2)
    return np.asarray(vector * np.sqrt(np.clip(value, 0, None)))
