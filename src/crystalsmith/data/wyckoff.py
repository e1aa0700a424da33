"""Frequencies of Wyckoff positions in a data set: letters are drawn from them where an order names sites."""

from __future__ import annotations

import numpy as np

from crystalsmith.data.dataset import Dataset
from crystalsmith.symmetry import tables

SITE_BINS = (1, 2, 3, 4, 5, 7)
"""Smallest number of sites (orbits) of each bin: 1, 2, 3, 4, 5-6 and 7 or more."""


def site_bin(n_sites: int | np.ndarray) -> np.ndarray:
    """Index into ``SITE_BINS`` for numbers of sites (any shape)."""
    return np.searchsorted(SITE_BINS, n_sites, side="right") - 1


def count_wyckoff(dataset: Dataset) -> np.ndarray:
    """(1731, 6) how often each Wyckoff position occurs, by the bin of the number of sites in the crystal."""
    orbits = np.diff(dataset.arrays["start"])
    counts = np.zeros((len(tables().dof), len(SITE_BINS)), dtype=np.int32)
    np.add.at(counts, (dataset.arrays["wyckoff"].astype(int), site_bin(np.repeat(orbits, orbits))), 1)
    return counts
