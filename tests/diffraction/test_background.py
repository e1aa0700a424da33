"""Backgrounds, widths and lines of patterns whose truth is known."""

import numpy as np
import pytest

from crystalsmith.diffraction import Pattern, radiation
from crystalsmith.diffraction.background import prepared
from crystalsmith.diffraction.peaks import PeakWidth, fitted_peaks, usual_width, width_by_angle
from crystalsmith.errors import PatternError
from profiles import HEIGHTS, PLACES, background, counted, profile

COPPER = radiation("CuKa")
X = np.arange(8, 90, 0.02)
WIDTH = PeakWidth(0.01, 0.02)


def made(lines=COPPER, width=WIDTH, x=X, scale=1.0):
    return counted(x, scale * (profile(x, lines, width) + background(x)), lines)


@pytest.fixture(scope="module")
def ready():
    return prepared(made())


def test_the_background_is_found(ready):
    truth = background(ready.two_theta)
    off = np.abs(ready.background - truth)
    assert np.median(off) < 4 and off.max() < 45  # noise of one point is 12; the highest peak is 5,000
    assert ready.notes == ()


def test_the_net_pattern_keeps_its_area(ready):
    net = profile(ready.two_theta, COPPER, WIDTH)
    assert ready.intensity.sum() == pytest.approx(net.sum(), rel=0.06)  # tails of Lorentzians are lost
    residual = (ready.intensity - net) / ready.sigma
    assert np.std(residual) < 1.6 and ready.contrast > 20


def test_the_width_and_the_peaks_are_found(ready):
    angles = np.array([20.0, 50.0, 80.0])
    assert ready.width(angles) == pytest.approx(WIDTH(angles), rel=0.12)
    assert ready.mixing == pytest.approx(0.4, abs=0.25)
    heights = dict(zip(PLACES, HEIGHTS, strict=True))
    assert len(ready.peaks) >= 8
    for peak in ready.peaks:
        place = min(PLACES, key=lambda p: abs(p - peak.two_theta))
        assert peak.two_theta == pytest.approx(place, abs=0.02)
        assert peak.height == pytest.approx(heights[place], rel=0.2)
        assert peak.area == pytest.approx(1.5 * 1.25 * heights[place] * WIDTH(place), rel=0.25)


@pytest.mark.parametrize("width", [0.05, 0.2, 0.6])
def test_narrow_and_wide_peaks(width):
    ready = prepared(made(width=PeakWidth(width**2)))
    assert ready.width(50) == pytest.approx(width, rel=0.15)
    assert 0.02 <= ready.step + 1e-9 <= max(width / 5, 0.021)


@pytest.mark.parametrize(("said", "true"), [("CuKa1", "CuKa"), ("CuKa", "CuKa1"), ("MoKa1", "MoKa1")])
def test_a_second_line_is_seen_whatever_the_pattern_says(said, true):
    pattern = made(radiation(true), PeakWidth(0.004))
    lied = Pattern(X, pattern.intensity, pattern.sigma, radiation(said), "made")
    ready = prepared(lied)
    assert ready.radiation.name == true
    assert len(ready.notes) == (said != true)
    assert prepared(lied, trust_radiation=True).radiation.name == said


def test_uneven_steps_scaled_intensities_and_dead_ends_change_little(ready):
    rng = np.random.default_rng(3)
    x = np.sort(X + rng.uniform(-0.005, 0.005, len(X)))
    pattern = counted(x, profile(x, COPPER, WIDTH) + background(x), COPPER)
    dead = np.where((x < 10) | (x > 88), 0, pattern.intensity)
    other = prepared(Pattern.of(x, dead * 1e-4, COPPER, np.sqrt(np.maximum(dead, 1)) * 1e-4))
    assert other.two_theta[0] >= 10 and other.two_theta[-1] <= 88
    net = profile(other.two_theta, COPPER, WIDTH)
    assert other.intensity.sum() * 1e4 == pytest.approx(net.sum(), rel=0.06)  # tails of Lorentzians are lost
    assert other.width(40) == pytest.approx(ready.width(40), rel=0.1)


def test_a_gap_counts_for_nothing():
    kept = (X < 35) | (X > 36)
    pattern = made()
    holed = Pattern(X[kept], pattern.intensity[kept], pattern.sigma[kept], COPPER, "holed")
    ready = prepared(holed)
    inside = (ready.two_theta > 35.1) & (ready.two_theta < 35.9)
    assert inside.sum() > 10
    outside = (ready.two_theta < 34.9) | (ready.two_theta > 36.1)
    assert (ready.sigma[inside] > 100 * ready.sigma[outside].max()).all()
    assert (ready.intensity[inside] == 0).all()


def test_noise_alone_is_refused():
    with pytest.raises(PatternError, match="rises above"):
        prepared(counted(X, np.full_like(X, 200.0), COPPER))


def test_usual_width_of_a_comb():
    x = np.arange(4000)
    comb = sum(np.exp(-4 * np.log(2) * ((x - c) / 14) ** 2) for c in range(100, 4000, 300))
    noisy = comb + np.random.default_rng(0).normal(0, 0.2, len(x))
    assert usual_width(noisy, 200) == pytest.approx(14, rel=0.3)


def test_width_by_angle_holds_against_outliers():
    pattern = made()
    peaks, _, _ = fitted_peaks(X, profile(X, COPPER, WIDTH), pattern.sigma, COPPER, 0.15)
    spoiled = [*peaks, *(type(p)(p.two_theta, p.height / 4, 4 * p.width, p.area) for p in peaks[:2])]
    assert width_by_angle(spoiled, 1.0)(45) == pytest.approx(WIDTH(45), rel=0.08)
    assert width_by_angle([], 0.3)(45) == pytest.approx(0.3)
