"""Radiation by name, wavelength and energy."""

import numpy as np
import pytest

from crystalsmith.diffraction import Radiation, radiation
from crystalsmith.errors import PatternError


@pytest.mark.parametrize(
    ("text", "name", "lines"),
    [
        ("CuKa", "CuKa", 2),
        ("Cu", "CuKa", 2),
        ("cu k-alpha", "CuKa", 2),
        ("Cu Kα1", "CuKa1", 1),
        (r"Cu K\a~1~", "CuKa1", 1),
        (r"Cu K\a", "CuKa", 2),
        ("CuKa1+2", "CuKa", 2),
        ("Mo K-alpha2", "MoKa2", 1),
        ("AgKa1", "AgKa1", 1),
        ("co", "CoKa", 2),
        ("1.5418", "CuKa", 2),
        ("1.54184", "CuKa", 2),
        (1.5406, "CuKa1", 1),
        ("1.54", "CuKa", 2),
        ("0.71", "MoKa", 2),
        ("0.71073", "MoKa", 2),
        ("1.5400", "1.54", 1),
        ("0.4991", "0.4991", 1),
        ("1.5406,1.5444", "CuKa", 2),
        ("1.54056:1, 1.54439:0.5", "CuKa", 2),
        ("0.5:9,0.25:1", "0.5:9,0.25:1", 2),
    ],
)
def test_names(text, name, lines):
    found = radiation(text)
    assert (found.name, len(found.wavelengths)) == (name, lines)
    assert sum(found.weights) == pytest.approx(1)
    assert radiation(found) is found


def test_lines_have_their_wavelengths_and_weights():
    assert radiation("CuKa").wavelengths == pytest.approx((1.54059, 1.54443), abs=1e-5)
    assert radiation("CuKa").weights == pytest.approx((2 / 3, 1 / 3))
    assert radiation("CuKa").mean == pytest.approx(1.5418, abs=1e-4)
    assert radiation("CuKa").principal.name == "CuKa1"
    assert radiation("20 keV").wavelength == pytest.approx(0.61992, abs=1e-5)
    assert radiation("8047.8 eV").name == "CuKa1"
    assert radiation("0.5:9,0.25:1").weights == pytest.approx((0.9, 0.1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Xy",
        "CuKb",
        "0",
        "-1.5",
        "nan",
        "inf",
        "15.4",
        "0.001",
        "1.5,",
        "1.5406,1.5406",
        "1.5:0",
        "0.5,0.25",
        "0 keV",
        "a:b",
        "1.5406:2,1.5444",
        "Cu" * 500,
    ],
)
def test_nonsense_is_refused(text):
    with pytest.raises(PatternError) as caught:
        radiation(text)
    assert len(str(caught.value)) < 400


def test_a_radiation_checks_itself():
    for lines, weights in [((), ()), ((1.5,), (1.0, 1.0)), ((1.5,), (0.0,)), ((1.5,), (float("nan"),))]:
        with pytest.raises(PatternError):
            Radiation("x", lines, weights)
    with pytest.raises(PatternError):
        Radiation("x", (1.5,), polarization=1.5)


def test_angles_and_distances_are_inverse():
    copper = radiation("CuKa1")
    d = np.array([3.0, 1.0, 0.5])
    angles = copper.two_theta(d)
    assert copper.d(angles[:2]) == pytest.approx(d[:2])
    assert np.isnan(angles[2])
    assert angles[0] == pytest.approx(29.755, abs=2e-3)  # by hand: 2 asin(1.540593 / 6)


def test_polarization():
    angles = np.array([20.0, 90.0])
    tube = radiation("CuKa").lorentz_polarization(angles)
    ring = radiation("0.5").lorentz_polarization(angles)
    assert tube[0] / tube[1] == pytest.approx((1 + 0.883022) / 1 * 0.353553 / (0.030154 * 0.984808), rel=1e-4)
    assert ring[1] / ring[0] > tube[1] / tube[0]  # at 90 degrees a tube loses half, a synchrotron little
    behind = radiation("CuKa").behind_monochromator(26.4)
    assert behind.polarization == pytest.approx(0.8023, abs=1e-4)
