"""The records of patterns and of lists of peaks."""

import numpy as np
import pytest

from crystalsmith.diffraction import Pattern, PeakList, radiation
from crystalsmith.diffraction.pattern import counting_sigma
from crystalsmith.errors import PatternError

COPPER = radiation("CuKa")
X = np.linspace(10, 60, 501)
Y = 100 + 900 * np.exp(-(((X - 30) / 0.2) ** 2))


def test_a_pattern_keeps_its_own_arrays():
    x = X.copy()
    pattern = Pattern.of(x, Y, COPPER)
    x[0] = -1
    assert pattern.two_theta[0] == 10
    with pytest.raises(ValueError):
        pattern.intensity[0] = 0
    assert pattern.step == pytest.approx(0.1)
    assert pattern.q == pytest.approx(2 * np.pi / pattern.d)
    assert pattern.d[200] == pytest.approx(2.97626, abs=1e-4)
    assert (pattern.between(20, 40).two_theta[[0, -1]] == pytest.approx([20, 40])) and len(X) == 501


@pytest.mark.parametrize(
    ("x", "y", "word"),
    [
        (X[:20], Y[:20], "20 points"),
        (X[::-1], Y, "increase"),
        (np.repeat(X[:300], 2), np.repeat(Y[:300], 2), "increase"),
        (X - 10, Y, "Q or d"),
        (X * 100, Y, "hundredths"),
        (X / 50, Y, "covers"),
        (X, Y[:-1], "intensities"),
        (X, np.full_like(Y, 7.0), "the same"),
        (X, np.where(X > 40, np.nan, Y), "finite"),
        (np.stack([X, X]), Y, "finite"),
    ],
)
def test_what_is_no_pattern(x, y, word):
    with pytest.raises(PatternError, match=word):
        Pattern.of(x, y, COPPER, np.ones(np.shape(y)))


def test_sigma_must_be_positive():
    with pytest.raises(PatternError, match="positive"):
        Pattern.of(X, Y, COPPER, np.zeros_like(Y))


def test_counts_have_the_root_and_scaled_counts_the_scaled_root():
    counts = np.random.default_rng(0).poisson(Y).astype(float)
    assert counting_sigma(counts) == pytest.approx(np.sqrt(counts))
    scaled = counting_sigma(counts / 1000)
    assert scaled[10] == pytest.approx(np.sqrt(counts[10]) / 1000, rel=0.15)
    assert (counting_sigma(np.where(X > 20, Y, 0.0) / 7) > 0).all()


def test_peaks_are_sorted_and_make_a_pattern():
    peaks = PeakList(np.array([2.0, 3.0, 1.5]), np.array([50.0, 100.0, 25.0]), COPPER)
    assert peaks.d.tolist() == [3.0, 2.0, 1.5] and peaks.intensity.tolist() == [100.0, 50.0, 25.0]
    pattern = peaks.pattern(width=0.2)
    assert len(pattern.radiation.wavelengths) == 1
    for place, height in zip(peaks.two_theta, peaks.intensity, strict=True):
        near = np.abs(pattern.two_theta - place) < 0.011
        assert pattern.intensity[near].max() == pytest.approx(height, rel=0.02)
    half = np.interp(peaks.two_theta[0] + 0.1, pattern.two_theta, pattern.intensity)
    assert half == pytest.approx(50, rel=0.03)


@pytest.mark.parametrize(
    ("d", "intensity", "word"),
    [
        ([3, 2], [1, 1], "2 peaks"),
        ([3, 2, 0], [1, 1, 1], "positive"),
        ([3, 2, 1], [1, -1, 1], "negative"),
        ([3, 2, 1], [0, 0, 0], "zero"),
        ([3, 2, 1], [1, 1], "intensities"),
        ([3, 2, np.inf], [1, 1, 1], "finite"),
    ],
)
def test_what_is_no_list_of_peaks(d, intensity, word):
    with pytest.raises(PatternError, match=word):
        PeakList(np.array(d, float), np.array(intensity, float), COPPER)


def test_peaks_out_of_reach():
    with pytest.raises(PatternError, match="reached"):
        PeakList(np.array([0.6, 0.5, 0.4]), np.ones(3), COPPER).pattern()
