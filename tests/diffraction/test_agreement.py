"""Figures of agreement between patterns whose likeness is known."""

import numpy as np
import pytest

from crystalsmith.diffraction import Pattern, radiation
from crystalsmith.diffraction.agreement import Curve, compare
from crystalsmith.diffraction.background import prepared
from crystalsmith.diffraction.peaks import PeakWidth
from crystalsmith.errors import PatternError
from profiles import HEIGHTS, PLACES, background, counted, profile

COPPER = radiation("CuKa")
X = np.arange(10, 85, 0.02)
NARROW, WIDE = PeakWidth(0.01), PeakWidth(0.06)


def calculated(places=PLACES, heights=HEIGHTS, width=NARROW, x=X, lines=COPPER):
    y = profile(x, lines, width, places, heights, mixing=0.0)
    return Curve.calculated(Pattern(x, y, np.ones_like(x), lines, "calculated"), width)


@pytest.fixture(scope="module")
def measured():
    return Curve.measured(prepared(counted(X, profile(X, COPPER, NARROW) + background(X), COPPER)))


def test_a_pattern_is_like_itself_whatever_its_scale_and_width():
    same = compare(calculated(), calculated(heights=[3 * h for h in HEIGHTS]))
    assert (same.similarity, same.r) == (pytest.approx(1), pytest.approx(0, abs=1e-6))
    assert same.scale == pytest.approx(1 / 3)
    wider = compare(calculated(), calculated(width=WIDE))
    assert wider.similarity > 0.995 and wider.r < 0.05
    assert (wider.shift, wider.stretch) == (0, 1)


def test_other_peaks_are_unlike():
    other = compare(calculated(), calculated(places=[p + 1.4 for p in PLACES]))
    assert other.similarity < 0.1 and other.r > 0.95


def test_half_of_the_peaks_missing_lies_between():
    half = compare(calculated(), calculated(places=PLACES[::2], heights=HEIGHTS[::2]))
    assert 0.6 < half.similarity < 0.95 and 0.3 < half.r < 0.95


def test_a_measured_pattern_is_shifted_onto_a_calculated_one(measured):
    there = compare(measured, calculated(places=[p + 0.12 for p in PLACES]))
    assert there.shift == pytest.approx(-0.12, abs=0.011)
    assert there.similarity > 0.95 and there.r < 0.25
    assert compare(calculated(places=[p + 0.12 for p in PLACES]), measured).shift == pytest.approx(
        0.12, abs=0.011
    )


def test_a_larger_cell_is_seen_through():
    sines = np.sin(np.radians(PLACES) / 2)
    larger = 2 * np.degrees(np.arcsin(sines / 1.02))
    plain = compare(calculated(), calculated(places=larger))
    fitted = compare(calculated(), calculated(places=larger), stretched=True)
    assert plain.similarity < 0.6 < 0.98 < fitted.similarity
    assert fitted.stretch == pytest.approx(1 / 1.02, abs=6e-4)


def test_only_common_angles_count():
    part = X[(X > 30) & (X < 60)]
    found = compare(calculated(), calculated(x=part))
    assert found.similarity == pytest.approx(1, abs=1e-3)
    assert found.two_theta[0] >= 30 and found.two_theta[-1] <= 60
    assert found.to_dict().keys() == {"similarity", "r", "scale", "shift", "stretch"}


def test_what_cannot_be_compared():
    low, high = X[X < 40], X[X > 45]
    with pytest.raises(PatternError, match="too few angles in common"):
        compare(calculated(x=low), calculated(x=high))
    with pytest.raises(PatternError, match="one wavelength"):
        compare(calculated(), calculated(lines=radiation("MoKa")))
