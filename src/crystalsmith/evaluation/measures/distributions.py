"""Wasserstein distances between what crystals are and what the reference is, one number each."""

from __future__ import annotations

import numpy as np

QUANTITIES = {
    "density": ("density", "g/cm3"),
    "elements": ("number of elements", ""),
    "group": ("space group", "number"),
    "freedom": ("free parameters", ""),
}
"""What is compared: key, name and unit."""


def wasserstein(x: np.ndarray, y: np.ndarray) -> float:
    """First Wasserstein distance of two samples (n,), (m,); NaN values are left out, NaN if none is left."""
    from scipy.stats import wasserstein_distance

    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    return float(wasserstein_distance(x, y)) if len(x) and len(y) else float("nan")


def densities(numbers: list[np.ndarray], volumes: np.ndarray) -> np.ndarray:
    """(n,) mass densities in g/cm3 of cells with these atomic numbers and volumes (Angstrom^3)."""
    from ase.data import atomic_masses

    masses = np.array([atomic_masses[z].sum() for z in numbers])
    return np.asarray(masses / volumes * 1.66053907)
