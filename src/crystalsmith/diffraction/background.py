"""Patterns made ready for a fit: the background, how wide the peaks are, and which lines the tube sent."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from crystalsmith.diffraction.pattern import COPPER, FEWEST_POINTS, Pattern
from crystalsmith.diffraction.peaks import (
    Peak,
    PeakWidth,
    fitted_peaks,
    line_offsets,
    smoothed,
    usual_width,
    width_by_angle,
    width_of_highest,
)
from crystalsmith.diffraction.radiation import TUBES, Radiation, radiation
from crystalsmith.errors import PatternError

POINTS_IN_A_WIDTH = 6.0
"""Steps of the prepared grid in the width of the peaks, where the pattern was measured so finely."""

_FIRST_WIDTH = 0.3  # degrees, for Cu K-alpha: to begin with
_WIDEST = 2.0  # degrees
_CLIPPED = 4.0  # widths on either side that a background must span under a peak
_SMOOTH = 8.0  # widths over which a background may bend
_BENDS = 2.5  # degrees over which it may bend at least, however narrow the peaks are
_TOLD_APART = 0.5  # widths between two lines from which on the shape of peaks tells them from one
_DOUBT = 1.15  # how much better one set of lines must fit than another to be believed against what was said


@dataclass(frozen=True, eq=False)
class Prepared:
    """A pattern on even steps, without its background.

    Attributes:
        pattern: as measured, with the radiation that was found to be in it.
        two_theta: (M,) degrees, even steps.
        intensity: (M,) above the background; noise makes some of them negative.
        sigma: (M,) their standard uncertainties; huge where nothing was measured.
        background: (M,) what was subtracted.
        width: full width at half maximum of one line, by angle.
        mixing: of the peaks' profiles, 0 for Gaussians, 1 for Lorentzians.
        peaks: the strongest ones that stand alone, by angle.
        notes: sentences about what was found to be other than said.
    """

    pattern: Pattern
    two_theta: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    background: np.ndarray
    width: PeakWidth
    mixing: float
    peaks: tuple[Peak, ...]
    notes: tuple[str, ...] = ()

    @property
    def radiation(self) -> Radiation:
        """X-rays of the pattern."""
        return self.pattern.radiation

    @property
    def step(self) -> float:
        """Degrees from point to point."""
        return float(self.two_theta[1] - self.two_theta[0])

    @property
    def contrast(self) -> float:
        """How many standard deviations the strongest point rises above the background."""
        return float((self.intensity / self.sigma).max())


def prepared(pattern: Pattern, *, trust_radiation: bool = False) -> Prepared:
    """Subtract the background, learn the width of the peaks, and bring the points to even steps.

    Args:
        pattern: as measured.
        trust_radiation: keep the lines that the pattern states; otherwise a tube's second line that the
            peaks show (or do not show) is put right, with a note.

    Raises:
        PatternError: nothing rises above the background.
    """
    pattern = _trimmed(pattern)
    x, y, sigma, measured = _even(pattern, pattern.step)
    step = float(x[1] - x[0])
    width = _FIRST_WIDTH * max(pattern.radiation.wavelength / COPPER, 0.2)
    bends = _BENDS * min(pattern.radiation.wavelength / COPPER, 1.0)
    for _ in range(4):
        above = y - _valleys(y, width / step)
        above = np.where(smoothed(above, width / step) > 3 * _noise(sigma, width / step), above, 0.0)
        found = usual_width(above, int(_WIDEST / step))
        if found is None:
            raise PatternError(f"{pattern.name}: no peak rises above the background")
        width = found * step
    background = _background(x, y, sigma, width, bends)
    width = step * width_of_highest(y - background, sigma, width / step)
    if width > POINTS_IN_A_WIDTH * 1.5 * step:
        x, y, sigma, measured = _even(pattern, width / POINTS_IN_A_WIDTH)
        background = _background(x, y, sigma, width, bends)
    net = y - background
    if not (smoothed(net, 3.0) > 5 * smoothed(sigma, 3.0) / math.sqrt(3)).any():
        raise PatternError(f"{pattern.name}: no peak rises above the background")
    lines, notes, peaks, mixing = _lines(x, net, sigma, pattern.radiation, width, trust_radiation)
    sigma = np.where(measured, sigma, 10 * np.abs(y).max())
    return Prepared(
        pattern=replace(pattern, radiation=lines),
        two_theta=x,
        intensity=np.where(measured, net, 0.0),
        sigma=sigma,
        background=background,
        width=width_by_angle(peaks, width),
        mixing=mixing,
        peaks=tuple(sorted(peaks, key=lambda p: p.two_theta)),
        notes=tuple(notes),
    )


def _trimmed(pattern: Pattern) -> Pattern:
    """Without points at both ends that were not measured: the same lowest value again and again."""
    y = pattern.intensity
    lowest = y.min()
    above = np.flatnonzero(y > lowest)
    first, last = int(above[0]), int(above[-1])
    if first < 5 and len(y) - 1 - last < 5:
        return pattern
    if last - first + 1 < FEWEST_POINTS:
        return pattern
    return pattern.between(pattern.two_theta[first], pattern.two_theta[last])


def _even(pattern: Pattern, step: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Means over even steps: middles, intensities, uncertainties, and which steps were measured at all.

    What is measured is taken for a curve of straight pieces between its points; each new point is the mean
    of that curve over a step.
    """
    x, y, sigma = pattern.two_theta, pattern.intensity, pattern.sigma
    count = max(math.floor((x[-1] - x[0]) / step + 1e-6), FEWEST_POINTS // 2)
    edges = np.linspace(x[0], x[-1], count + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    size = edges[1] - edges[0]
    widths = np.gradient(x)

    def mean(values: np.ndarray) -> np.ndarray:
        pieces = np.concatenate([[0.0], np.cumsum((values[1:] + values[:-1]) / 2 * np.diff(x))])
        # Between two points the integral of a straight line is a parabola; its ends are enough for the mean.
        at = np.interp(edges, x, pieces)
        left = np.clip(np.searchsorted(x, edges, "right") - 1, 0, len(x) - 2)
        t = (edges - x[left]) / (x[left + 1] - x[left])
        bend = (values[left + 1] - values[left]) * (x[left + 1] - x[left]) * t * (t - 1) / 2
        return np.diff(at + bend) / size

    variance = mean(sigma**2 * widths) / size
    ahead = np.clip(np.searchsorted(x, middles), 1, len(x) - 1)
    gap = x[ahead] - x[ahead - 1]
    usual = max(float(np.median(np.diff(x))), size)
    return middles, mean(y), np.sqrt(np.maximum(variance, 1e-300)), gap < 8 * usual


def _background(x: np.ndarray, y: np.ndarray, sigma: np.ndarray, width: float, bends: float) -> np.ndarray:
    """(N,) the background of a pattern on even steps.

    Args:
        x: (N,) degrees.
        y: (N,) intensities.
        sigma: (N,) their uncertainties.
        width: of the peaks, in degrees.
        bends: degrees over which the background may bend, however narrow the peaks are.

    Valleys are found by clipping peaks (Ryan et al., Nucl. Instrum. Methods B 34 (1988) 396), and a smooth
    curve goes through the points that rise little above them (Eilers, Anal. Chem. 75 (2003) 3631).
    """
    step = float(x[1] - x[0])
    window = max(width / step, 2.0)
    curve, valleys = smoothed(y, window), _valleys(y, window)
    noise = _noise(sigma, window)
    # Nothing as narrow as a peak is here: slopes and humps too are background.
    quiet = _apart(np.abs(curve - smoothed(y, 5 * window)) < 2 * noise, 2 * window)
    free = quiet | _apart(curve - valleys < 3 * noise, window)
    stiffness = (max(_SMOOTH * width, bends) / step) ** 4 / 500
    base = valleys
    for _ in range(4):
        # Where peaks cover everything the valleys hold the curve, a little.
        weights = np.where(free, 1.0, 0.01) / noise**2 * float(np.median(noise)) ** 2
        base = _smooth(np.where(free, y, valleys), weights, stiffness)
        free = quiet | _apart(np.abs(curve - base) < 2.5 * noise, window)
    return np.minimum(base, curve + 3 * noise)


def _noise(sigma: np.ndarray, window: float) -> np.ndarray:
    """(N,) uncertainties of means over a window: of 1.5 times so many independent points under a Gaussian."""
    return np.maximum(smoothed(sigma, 4 * window) / math.sqrt(max(1.5 * window, 1.0)), 1e-300)


def _valleys(y: np.ndarray, window: float) -> np.ndarray:
    """(N,) a curve below peaks whose width is so many steps."""
    curve = smoothed(y, window)
    return _clipped(curve, min(max(round(_CLIPPED * window), 3), len(y) - 1))


def _apart(free: np.ndarray, window: float) -> np.ndarray:
    """Points that are free, and farther than a window from those that are not."""
    from scipy.ndimage import binary_erosion

    return binary_erosion(free, np.ones(2 * round(window) + 1), border_value=1)


def _clipped(curve: np.ndarray, points: int) -> np.ndarray:
    """A curve whose peaks narrower than twice so many points are cut off.

    The root of the root makes strong and weak peaks alike. Few reaches are tried, each 0.75 of the one
    before: every one of them lowers what is curved, and a hump of glass is to stay.
    """
    lowest = curve.min()
    low = np.sqrt(np.sqrt(curve - lowest + 1e-3 * (np.ptp(curve) + 1e-300)))
    while points:
        padded = np.pad(low, points, mode="reflect", reflect_type="odd")  # a slope goes on at the ends
        low = np.minimum(low, (padded[: -2 * points] + padded[2 * points :]) / 2)
        points = int(0.75 * points)
    return low**4 - 1e-3 * (np.ptp(curve) + 1e-300) + lowest


def _smooth(values: np.ndarray, weights: np.ndarray, stiffness: float) -> np.ndarray:
    """(N,) the curve with the least sum of weighted squared residuals and squared second differences."""
    from scipy.linalg import solveh_banded

    n = len(values)
    bands = np.zeros((3, n))
    bands[0] = 6
    bands[0, [0, -1]], bands[0, [1, -2]] = 1, 5
    bands[1] = -4
    bands[1, [0, -2]] = -2
    bands[2] = 1
    bands *= stiffness
    bands[0] += weights
    return np.asarray(solveh_banded(bands, weights * values, lower=True, check_finite=False))


def _lines(
    x: np.ndarray, net: np.ndarray, sigma: np.ndarray, stated: Radiation, width: float, trusted: bool
) -> tuple[Radiation, list[str], list[Peak], float]:
    """Which lines of a tube the peaks show; with notes, the peaks, and their mixing."""
    peaks, mixing, misfit = fitted_peaks(x, net, sigma, stated, width)
    other = _other_lines(stated)
    if trusted or other is None or len(peaks) < 4:
        return stated, [], peaks, mixing
    peaks2, mixing2, misfit2 = fitted_peaks(x, net, sigma, other, width)
    pair = max(stated, other, key=lambda r: len(r.wavelengths))
    apart = [line_offsets(pair, p.two_theta)[1] / p.width for p in (*peaks, *peaks2)]
    if len(peaks2) < 4 or misfit < _DOUBT * misfit2 or not np.nanmedian(apart) > _TOLD_APART:
        return stated, [], peaks, mixing
    seen = "the peaks show the second line too" if len(other.wavelengths) > 1 else "the peaks show one line"
    note = f"the pattern says {stated.name}, but {seen}: taken for {other.name}"
    return other, [note], peaks2, mixing2


def _other_lines(stated: Radiation) -> Radiation | None:
    """The same tube with both lines if one was stated, with one if both were; None for other radiation."""
    if stated.name in TUBES:
        return stated.principal
    if stated.name.endswith("1") and stated.name[:-1] in TUBES:
        both = radiation(stated.name[:-1])
        return replace(both, polarization=stated.polarization)
    return None
