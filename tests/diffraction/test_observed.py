"""Patterns on even grids, and figures of how far calculated ones are from them."""

import numpy as np
import pytest
import torch

from crystalsmith.diffraction import radiation
from crystalsmith.diffraction.misfit import measures
from crystalsmith.diffraction.observed import Observed

COPPER = radiation("CuKa1")


def _peaks(x: np.ndarray, width: float = 0.2) -> np.ndarray:
    places, heights = np.array([20.0, 31.0, 44.0, 58.0]), np.array([1.0, 0.6, 0.3, 0.2])
    return (heights * np.exp(-4 * np.log(2) * ((x[:, None] - places) / width) ** 2)).sum(1)


def test_even_points_are_taken_together_and_noise_falls_as_it_should():
    x = np.arange(10, 70, 0.01)
    noise = np.random.default_rng(0).normal(size=len(x))
    found = Observed.of(x, 100 * _peaks(x) + noise, np.ones_like(x), COPPER, 0.2)
    size = round(found.grid.step / 0.01)
    assert size >= 3
    rest = found.intensity * found.scale - 100 * _peaks(np.asarray(found.grid.values()))
    flat = _peaks(np.asarray(found.grid.values()), 1.0) < 1e-3
    assert np.std(rest[flat]) == pytest.approx(1 / np.sqrt(size), rel=0.1)
    assert found.sigma * found.scale == pytest.approx(1 / np.sqrt(size), rel=1e-6)
    assert found.intensity.max() == 1.0


def test_uneven_points_keep_area_and_gaps_say_nothing():
    random = np.random.default_rng(1)
    x = np.sort(random.uniform(10, 70, 6000))
    x = x[(x < 48) | (x > 52)]
    found = Observed.of(x, _peaks(x), np.full_like(x, 0.01), COPPER, 0.2)
    at = np.asarray(found.grid.values())
    gap = (at > 48.5) & (at < 51.5)
    assert (found.sigma[gap] > 5).all() and (found.sigma[~gap & (at < 47)] < 1).all()
    near = (at > 30) & (at < 32)
    area = (found.intensity[near] * found.scale).sum() * found.grid.step
    assert area == pytest.approx(0.6 * 0.2 * np.sqrt(np.pi / (4 * np.log(2))), rel=0.05)


def test_blurring_keeps_area_and_broadens():
    x = np.arange(10, 70, 0.02)
    sharp = Observed.of(x, _peaks(x), np.full_like(x, 0.01), COPPER, 0.2)
    wide = sharp.blurred(0.3, 0.003)
    assert wide.grid.step > sharp.grid.step and wide.width == pytest.approx(np.hypot(0.2, 0.3))
    areas = [(o.intensity * o.scale).sum() * o.grid.step for o in (sharp, wide)]
    assert areas[1] == pytest.approx(areas[0], rel=0.01)
    at = np.asarray(wide.grid.values())
    row = (at > 54) & (at < 62)
    tangent = np.tan(np.radians(58) / 2)
    expected = np.hypot(wide.width, wide.broadening * tangent)
    above = (wide.intensity[row] > wide.intensity[row].max() / 2).sum() * wide.grid.step
    assert above == pytest.approx(expected, abs=2 * wide.grid.step)


def _figures(counts: float, change) -> dict[str, float]:
    x = np.arange(10, 70, 0.02)
    clean = _peaks(x)
    y = np.random.default_rng(2).poisson(counts * (clean + 0.05)) / counts - 0.05
    sigma = np.sqrt((clean + 0.05) / counts)
    observed, sigma, calculated = (torch.tensor(v) for v in (y, sigma, change(x, clean)))
    found = measures(observed, sigma, calculated[None], torch.zeros(1, len(x)))
    return {k: float(v[0]) for k, v in found._asdict().items()}


@pytest.mark.parametrize("counts", [300, 3000, 1e6])
def test_the_truth_has_no_misfit_whatever_the_noise(counts):
    found = _figures(counts, lambda x, y: y)
    assert abs(found["misfit"]) < 0.08
    assert found["missing"] < 0.01 and found["overlap"] > 0.9


def test_no_lines_at_all_and_wrong_ones():
    assert _figures(1e4, lambda x, y: 0 * y)["misfit"] == pytest.approx(1.0, abs=0.01)
    assert _figures(1e4, lambda x, y: np.roll(y, 150))["misfit"] > 0.8


def test_a_foreign_line_counts_little_and_is_named():
    def without(x, y):
        return np.where(x > 56, 0.0, y)

    found = _figures(1e4, without)
    assert found["misfit"] < 0.35 and found["missing"] < 0.01
    assert found["foreign"] == pytest.approx(0.2 / 2.1, abs=0.03)
