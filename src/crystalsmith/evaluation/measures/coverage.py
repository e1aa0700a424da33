"""Coverage: how much of the reference the crystals cover, and how many of them are covered by it.

As CDVAE (Xie et al., ICLR 2022) computes it: a crystal is covered when its nearest neighbour by structure
lies within one cut-off and its nearest neighbour by composition within the other; the two neighbours need not
be the same crystal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

STRUCTURE_CUTOFF, COMPOSITION_CUTOFF = 0.4, 10.0
"""Cut-offs of the published MP-20 figures: CrystalNN fingerprints, standardised Magpie vectors."""


_BLOCK = 20_000_000  # distances held at once


@dataclass(frozen=True, eq=False)
class Nearest:
    """Euclidean distances to the nearest of the other set.

    Attributes:
        structure, composition: (n,) for the crystals, from the reference; inf for failures.
        reference_structure, reference_composition: (m,) for the reference, from the crystals.
    """

    structure: np.ndarray
    composition: np.ndarray
    reference_structure: np.ndarray
    reference_composition: np.ndarray


def nearest(
    structure: np.ndarray,
    composition: np.ndarray,
    reference_structure: np.ndarray,
    reference_composition: np.ndarray,
) -> Nearest:
    """Distances between crystals (n, 61), (n, 132) and the reference (m, 61), (m, 132).

    Rows of NaN are failures: they are far from everything.
    """
    there = np.isfinite(structure).all(1) & np.isfinite(composition).all(1)
    known = np.isfinite(reference_structure).all(1) & np.isfinite(reference_composition).all(1)
    result = [np.full(len(x), np.inf) for x in (there, there, known, known)]
    if there.any() and known.any():
        result[0][there], result[2][known] = _both(structure[there], reference_structure[known])
        result[1][there], result[3][known] = _both(composition[there], reference_composition[known])
    return Nearest(*result)


def _both(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each row of x to the nearest of y, and the other way round.

    Block by block, since all distances of 100 000 crystals from as many would take 80 GB. The nearest are
    found by matrix products, and their distances then computed without the products' rounding.
    """
    square = (y**2).sum(1)
    to_y = np.empty(len(x), dtype=np.int64)
    to_x, best = np.zeros(len(y), dtype=np.int64), np.full(len(y), np.inf)
    step = max(1, _BLOCK // len(y))
    for start in range(0, len(x), step):
        part = x[start : start + step]
        d = (part**2).sum(1)[:, None] + square - 2 * part @ y.T
        to_y[start : start + step] = d.argmin(1)
        row = d.argmin(0)
        value = d[row, np.arange(len(y))]
        closer = value < best
        best[closer], to_x[closer] = value[closer], row[closer] + start
    return np.linalg.norm(x - y[to_y], axis=1), np.linalg.norm(y - x[to_x], axis=1)


def precision(
    near: Nearest,
    structure_cutoff: float = STRUCTURE_CUTOFF,
    composition_cutoff: float = COMPOSITION_CUTOFF,
) -> np.ndarray:
    """(n,) whether each crystal is covered; the mean is COV-P, failures counted as misses."""
    return (near.structure <= structure_cutoff) & (near.composition <= composition_cutoff)


def recall(
    near: Nearest,
    structure_cutoff: float = STRUCTURE_CUTOFF,
    composition_cutoff: float = COMPOSITION_CUTOFF,
) -> np.ndarray:
    """(m,) whether each crystal of the reference is covered; the mean is COV-R."""
    return (near.reference_structure <= structure_cutoff) & (near.reference_composition <= composition_cutoff)
