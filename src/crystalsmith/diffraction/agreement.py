"""How alike two powder patterns are, whatever their scales, widths, steps and zero points."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crystalsmith.diffraction.background import Prepared
from crystalsmith.diffraction.pattern import COPPER, Pattern
from crystalsmith.diffraction.peaks import PeakWidth, smoothed
from crystalsmith.diffraction.radiation import Radiation
from crystalsmith.errors import PatternError

LARGEST_SHIFT = 0.3
"""Degrees of 2 theta that a zero point may be off, for Cu K-alpha; in proportion for other wavelengths."""

LARGEST_STRETCH = 0.04
"""By how much all lengths of one crystal may be wrong (relative) against another."""

_LEAST_COMMON = 0.3  # of the shorter range: two patterns that share less are not compared
_NOISE = 2.0  # standard deviations of the noise below which an intensity counts for nothing


@dataclass(frozen=True, eq=False)
class Curve:
    """A pattern without background, to be compared.

    Attributes:
        two_theta: (N,) degrees, increasing.
        intensity: (N,) above the background.
        sigma: (N,) uncertainties.
        width: full width at half maximum by angle.
        radiation: X-rays.
        name: for messages.
        shifts: whether its zero point may be off; that of a calculated pattern is not.
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    width: PeakWidth
    radiation: Radiation
    name: str
    shifts: bool

    @classmethod
    def measured(cls, prepared: Prepared) -> Curve:
        """Of a pattern that was made ready."""
        p = prepared
        return cls(p.two_theta, p.intensity, p.sigma, p.width, p.radiation, p.pattern.name, True)

    @classmethod
    def calculated(cls, pattern: Pattern, width: PeakWidth) -> Curve:
        """Of a pattern without noise or background, all of whose points are exact."""
        exact = np.full_like(pattern.intensity, 1e-3 * pattern.intensity.max())
        return cls(pattern.two_theta, pattern.intensity, exact, width, pattern.radiation, pattern.name, False)


@dataclass(frozen=True, eq=False)
class Agreement:
    """What two patterns have in common.

    Attributes:
        similarity: cosine between the roots of the intensities; 1 for the same pattern, near 0 for patterns
            without a common peak.
        r: weighted profile R factor of the second on the first with the scale fitted, 0 for the same.
        scale: of the second.
        shift: degrees by which the second was shifted.
        stretch: factor by which all lengths of the second crystal were multiplied.
        two_theta, first, second: (N,) the two on common points, the second as it was compared.
    """

    similarity: float
    r: float
    scale: float
    shift: float
    stretch: float
    two_theta: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def to_dict(self) -> dict[str, float]:
        """The figures."""
        keys = ("similarity", "r", "scale", "shift", "stretch")
        return {key: round(float(getattr(self, key)), 6) for key in keys}


def compare(first: Curve, second: Curve, stretched: bool = False) -> Agreement:
    """Compare two patterns over the angles that both have, at the larger of their widths.

    Args:
        first: the reference, on whose points they are compared.
        second: the other one; its scale is fitted, and its zero point if either of the two was measured.
        stretched: fit one factor of all lengths of the second too, as between a measured and a computed cell.

    Raises:
        PatternError: they were measured with different X-rays, or have too few angles in common.
    """
    if not math.isclose(first.radiation.wavelength, second.radiation.wavelength, rel_tol=2e-4):
        raise PatternError(
            f"{first.name} is of {first.radiation.name} and {second.name} of {second.radiation.name};"
            " patterns are compared at one wavelength"
        )
    low = max(first.two_theta[0], second.two_theta[0])
    high = min(first.two_theta[-1], second.two_theta[-1])
    shorter = min(np.ptp(first.two_theta), np.ptp(second.two_theta))
    if high - low < _LEAST_COMMON * shorter:
        raise PatternError(
            f"{first.name} ({first.two_theta[0]:.1f} to {first.two_theta[-1]:.1f} degrees) and {second.name}"
            f" ({second.two_theta[0]:.1f} to {second.two_theta[-1]:.1f}) have too few angles in common"
        )
    kept = (first.two_theta >= low) & (first.two_theta <= high)
    x = first.two_theta[kept]
    one = _broadened(first.two_theta, first.intensity, first.width, second.width)[kept]
    sigma = np.maximum(first.sigma[kept], 0.01 * one.max())
    noise = _NOISE * first.sigma[kept]
    other = _broadened(second.two_theta, second.intensity, second.width, first.width)
    largest = LARGEST_SHIFT * first.radiation.wavelength / COPPER
    shifts = np.linspace(-largest, largest, 61) if first.shifts or second.shifts else np.zeros(1)
    stretches = 1 + np.linspace(-LARGEST_STRETCH, LARGEST_STRETCH, 161) if stretched else np.ones(1)

    def moved(shift: float, stretch: float) -> np.ndarray:
        sine = np.sin(np.radians(x - shift) / 2) * stretch
        places = 2 * np.degrees(np.arcsin(np.clip(sine, -1, 1)))
        return np.interp(places, second.two_theta, other)

    def likeness(shift: float, stretch: float) -> float:
        return _cosine(one, moved(shift, stretch), noise)

    best = (likeness(0.0, 1.0), 0.0, 1.0)
    for _ in range(2 if stretched else 1):
        ways = [(best[1], s) for s in stretches] + [(t, best[2]) for t in shifts]
        best = max([best, *((likeness(*way), *way) for way in ways)], key=lambda found: found[0])
    two = moved(best[1], best[2])
    weight = sigma**-2
    scale = float((weight * one * two).sum() / max((weight * two * two).sum(), 1e-300))
    r = math.sqrt(float((weight * (one - scale * two) ** 2).sum() / max((weight * one * one).sum(), 1e-300)))
    return Agreement(best[0], r, scale, float(best[1]), float(best[2]), x, one, scale * two)


def _broadened(x: np.ndarray, y: np.ndarray, width: PeakWidth, other: PeakWidth) -> np.ndarray:
    """Intensities as a Gaussian makes them as wide as the other pattern's, where they are narrower."""
    middle = float(x[len(x) // 2])
    missing = float(other(middle)) ** 2 - float(width(middle)) ** 2
    if missing <= 0:
        return y
    return smoothed(y, math.sqrt(missing) / float(np.median(np.diff(x))))


def _cosine(one: np.ndarray, two: np.ndarray, noise: np.ndarray) -> float:
    """Between the roots of what rises above the noise of the first; 0 where nothing does."""
    first = np.sqrt(np.where(one > noise, one, 0.0))
    scale = max(float(one.max()), 1e-300) / max(float(two.max()), 1e-300)
    second = np.sqrt(np.where((two * scale > noise) | (one > noise), np.maximum(two, 0), 0.0))
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norm if norm > 0 else 0.0
