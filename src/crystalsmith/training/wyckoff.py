"""Frequencies of Wyckoff positions in a data set: letters are drawn from them where an order names sites."""

from __future__ import annotations

import numpy as np

from crystalsmith.data import Dataset
from crystalsmith.symmetry import tables

ORBIT_BINS = (1, 2, 3, 4, 6)
"""Upper bounds of the bins of orbits per crystal; one more bin holds the rest."""


def count_wyckoff(dataset: Dataset) -> np.ndarray:
    """(1731, 6) how often each Wyckoff position occurs, by orbits in the crystal (1, 2, 3, 4, 5-6, more)."""
    orbits = np.diff(dataset.arrays["start"])
    column = np.searchsorted(ORBIT_BINS, np.repeat(orbits, orbits))
    counts = np.zeros((len(tables().dof), len(ORBIT_BINS) + 1), dtype=np.int32)
    np.add.at(counts, (dataset.arrays["wyckoff"].astype(int), column), 1)
    return counts
