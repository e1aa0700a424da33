"""Patterns of published crystals as they might have been measured, by another program than ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymatgen.analysis.diffraction.xrd import XRDCalculator

from crystalsmith.crystal import Crystal


def counts_of(crystal: Crystal, *, width: float = 0.15, zero: float = 0.03, seed: int = 0) -> np.ndarray:
    """(n, 2) degrees and counts: pymatgen's lines of Cu K-alpha 1 and 2, a background, noise."""
    x = np.arange(10.0, 80.0, 0.03)
    y = np.zeros_like(x)
    for line, weight in (("CuKa1", 1.0), ("CuKa2", 0.5)):
        found = XRDCalculator(line).get_pattern(crystal.to_structure(), two_theta_range=(8, 82))
        for angle, height in zip(found.x, found.y, strict=True):
            y += weight * height * np.exp(-4 * np.log(2) * ((x - angle - zero) / width) ** 2)
    y = 5000 * y / y.max() + 60 + 200 * np.exp(-x / 20)
    return np.column_stack([x, np.random.default_rng(seed).poisson(y)])


@pytest.fixture
def sample(known, tmp_path) -> Path:
    """A file of the pattern of rutile."""
    path = tmp_path / "sample.xy"
    np.savetxt(path, counts_of(known["rutile"]), fmt="%.4f")
    return path
