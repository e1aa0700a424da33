"""Peaks of a pattern: where they are, how wide, and whether each is one line or the pair of a tube."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crystalsmith.diffraction.radiation import Radiation

MOST_FITTED = 24
"""Peaks that are fitted to learn the width; the strongest ones that stand alone."""

_FWHM_OF_SIGMA = 2 * math.sqrt(2 * math.log(2))
_SEEN = 5.0  # standard deviations of the noise that a peak must rise above its surroundings
_FAR = 25.0  # standard deviations, for the width of a peak without a fit
_ALONE = 2.5  # widths to the next peak of a tenth of the height, for a fit of one peak
_FLOOR = 0.02  # of a peak's height: profiles of one peak are no better than this


@dataclass(frozen=True)
class Peak:
    """One peak.

    Attributes:
        two_theta: degrees, of the principal line.
        height: above the background.
        width: full width at half maximum of one line, in degrees.
        area: integrated intensity of all lines together, height times degrees.
    """

    two_theta: float
    height: float
    width: float
    area: float


@dataclass(frozen=True)
class PeakWidth:
    """Full width at half maximum by angle: width^2 = constant + slope tan^2(theta), in degrees^2.

    The first part is of the instrument and small crystals at low angles, the second of strain and of
    wavelengths that are not sharp; both are not negative.
    """

    constant: float
    slope: float = 0.0

    def __call__(self, two_theta: np.ndarray | float) -> np.ndarray:
        """Degrees at angles 2 theta in degrees."""
        return np.sqrt(self.constant + self.slope * np.tan(np.radians(two_theta) / 2) ** 2)


def pseudo_voigt(offset: np.ndarray, width: float | np.ndarray, mixing: float | np.ndarray) -> np.ndarray:
    """A peak of height 1.

    Args:
        offset: degrees from its middle.
        width: full width at half maximum in degrees.
        mixing: 0 for a Gaussian, 1 for a Lorentzian.
    """
    square = (offset / width) ** 2
    return mixing / (1 + 4 * square) + (1 - mixing) * np.exp(-4 * math.log(2) * square)


def line_offsets(radiation: Radiation, two_theta: float) -> np.ndarray:
    """(lines,) degrees from a peak of the principal line to those of all lines; NaN out of reach."""
    sine = math.sin(math.radians(two_theta) / 2) * np.array(radiation.wavelengths) / radiation.wavelength
    return 2 * np.degrees(np.arcsin(np.where(sine < 1, sine, np.nan))) - two_theta


def smoothed(values: np.ndarray, points: float) -> np.ndarray:
    """Values on even steps under a Gaussian whose full width at half maximum is so many points."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(values, max(points / _FWHM_OF_SIGMA, 1e-3), mode="nearest")


def seen_peaks(net: np.ndarray, sigma: np.ndarray, points: float) -> np.ndarray:
    """Indices of peaks in a net pattern on even steps, strongest first.

    Args:
        net: (N,) intensities above the background.
        sigma: (N,) their uncertainties.
        points: width of a peak in steps.
    """
    from scipy.signal import find_peaks

    window = max(points / 2, 1.0)
    curve = smoothed(net, window)
    # A Gaussian mean over so many points lowers independent noise by the root of 1.5 times their number.
    noise = smoothed(sigma, 4 * window) / math.sqrt(max(1.5 * window, 1.0))
    found, _ = find_peaks(curve / noise, height=_SEEN, prominence=_SEEN, distance=max(window / 2, 1.0))
    return found[np.argsort(-curve[found], kind="stable")]


def usual_width(net: np.ndarray, most: int) -> float | None:
    """The full width of the strongest peaks, in steps, from how a net pattern resembles itself when shifted.

    Noise does not resemble itself, however little it is shifted, so that this holds for weak patterns too.

    Args:
        net: (N,) intensities above the background, on even steps.
        most: the largest width to look for, in steps.

    Returns:
        None where the pattern does not resemble itself at all.
    """
    reach = min(2 * most, len(net) - 2)
    likeness = np.array([np.dot(net[: len(net) - k], net[k:]) for k in range(reach + 1)])
    # Noise is in the first one alone; a parabola through its neighbours stands for it.
    likeness[0] = likeness[1] + (likeness[1] - likeness[2]) / 3
    if likeness[0] <= 0:
        return None
    below = np.flatnonzero(likeness < likeness[0] / 2)
    if not len(below):
        return float(most)
    k = int(below[0])
    half = k - 1 + (likeness[k - 1] - likeness[0] / 2) / (likeness[k - 1] - likeness[k])
    # Half of the likeness is lost at 0.71 widths for Gaussians, at one width for Lorentzians.
    return float(np.clip(1.2 * half, 1.5, most))


def width_of_highest(net: np.ndarray, sigma: np.ndarray, points: float) -> float:
    """The width at half of their height of peaks far above the noise, in steps, if that is below ``points``.

    Where all peaks stand close together a pattern resembles itself farther than one peak is wide.
    """
    from scipy.signal import find_peaks, peak_widths

    curve = smoothed(net, points / 6)
    noise = float(np.median(sigma)) / math.sqrt(max(points / 4, 1.0))
    found, facts = find_peaks(curve, height=_FAR * noise, prominence=_FAR * noise)
    found = found[facts["prominences"] > 0.5 * curve[found]]  # not a shoulder
    if len(found) < 2:
        return points
    highest = found[np.argsort(-curve[found])][:8]
    return min(points, float(np.median(peak_widths(curve, highest, rel_height=0.5)[0])))


def fitted_peaks(
    two_theta: np.ndarray, net: np.ndarray, sigma: np.ndarray, radiation: Radiation, width: float
) -> tuple[list[Peak], float, float]:
    """Fit the strongest peaks that stand alone, each with all lines of the radiation.

    Args:
        two_theta: (N,) degrees, even steps.
        net: (N,) intensities above the background.
        sigma: (N,) their uncertainties.
        radiation: the lines of each peak.
        width: degrees, to begin with.

    Returns:
        The peaks; the median mixing of their profiles (0 Gaussian, 1 Lorentzian); and the sum of the squared
        residuals over their uncertainties, divided by the number of points.
    """
    step = float(two_theta[1] - two_theta[0])
    found = seen_peaks(net, sigma, width / step)
    peaks: list[Peak] = []
    mixings: list[float] = []
    misfits: list[float] = []
    for index in _alone(two_theta, net, found, width)[:MOST_FITTED]:
        fit = _fit_one(two_theta, net, sigma, radiation, int(index), width)
        if fit is not None:
            peaks.append(fit[0])
            mixings.append(fit[1])
            misfits.append(fit[2])
    if not peaks:
        return [], 0.5, math.inf
    return peaks, float(np.median(mixings)), float(np.median(misfits))


def width_by_angle(peaks: Sequence[Peak], otherwise: float) -> PeakWidth:
    """The width that the peaks have in common: least squares of its square, outliers left out twice."""
    from scipy.optimize import nnls

    if not peaks:
        return PeakWidth(otherwise**2)
    places = np.array([p.two_theta for p in peaks])
    squares = np.array([p.width for p in peaks]) ** 2
    heights = np.sqrt(np.array([p.height for p in peaks]))
    kept = np.ones(len(peaks), bool)
    middle = float(np.median(squares))
    parts = np.array([middle, 0.0])
    for _ in range(3):
        if kept.sum() < 3 or np.ptp(places[kept]) < 10:
            return PeakWidth(middle)
        columns = np.stack([np.ones_like(places), np.tan(np.radians(places) / 2) ** 2], 1)
        weights = heights[kept] / squares[kept].clip(1e-2 * middle)  # relative errors are alike
        parts, _ = nnls(columns[kept] * weights[:, None], squares[kept] * weights)
        ratio = squares / np.maximum(columns @ parts, 1e-12)
        kept = (ratio > 0.4) & (ratio < 2.5)
        middle = float(np.median(squares[kept])) if kept.any() else middle
    # Of a pattern whose low angles are empty the constant may come out as nothing at all.
    return PeakWidth(float(max(parts[0], 0.1 * middle)), float(parts[1]))


def _alone(two_theta: np.ndarray, net: np.ndarray, found: np.ndarray, width: float) -> np.ndarray:
    """Those of the peaks, strongest first, beside which no other is a tenth as high."""
    places, heights = two_theta[found], net[found]
    alone = []
    for k, (place, height) in enumerate(zip(places, heights, strict=True)):
        near = (np.abs(places - place) < _ALONE * width) & (np.arange(len(found)) != k)
        inside = two_theta[0] + 1.5 * width < place < two_theta[-1] - 1.5 * width
        # The second line of a tube lies to the right and is seen as a peak of its own where it is apart.
        second = (places > place) & (places - place < 0.006 * math.tan(math.radians(place) / 2) * 57.3)
        if inside and not (near & ~second & (heights > 0.1 * height)).any():
            alone.append(found[k])
    return np.array(alone, int)


def _fit_one(
    two_theta: np.ndarray, net: np.ndarray, sigma: np.ndarray, radiation: Radiation, index: int, width: float
) -> tuple[Peak, float, float] | None:
    """One peak with its lines; with its mixing and the mean squared residual; None if it cannot be fitted."""
    from scipy.optimize import least_squares

    place = float(two_theta[index])
    offsets = line_offsets(radiation, place)
    reach = np.nanmax(offsets, initial=0.0)
    part = (two_theta > place - 2.5 * width) & (two_theta < place + 2.5 * width + reach)
    x, y = two_theta[part], net[part]
    top = float(net[index])
    noise = np.hypot(sigma[part], _FLOOR * top)
    weights = np.array(radiation.weights) / radiation.weights[0]
    lines = [(o, w) for o, w in zip(offsets, weights, strict=True) if math.isfinite(o)]

    def shape(middle: float, fwhm: float, mixing: float) -> np.ndarray:
        return np.sum([w * pseudo_voigt(x - middle - o, fwhm, mixing) for o, w in lines], axis=0)

    def residuals(values: np.ndarray) -> np.ndarray:
        height, middle, fwhm, mixing, base = values
        return (top * (height * shape(middle, fwhm, mixing) + base) - y) / noise

    step = float(two_theta[1] - two_theta[0])
    least, most = min(step, width / 3), 2.5 * width
    if len(x) < 7:
        return None
    fit = least_squares(
        residuals,
        [0.9, place, max(0.8 * width, 1.01 * least), 0.5, 0.0],
        bounds=([0.0, place - width, least, 0.0, -0.3], [3.0, place + width, most, 1.0, 0.3]),
        loss="soft_l1",
        max_nfev=40,
    )
    height, middle, fwhm, mixing, _ = fit.x
    if height < 0.3 or not 1.05 * least < fwhm < 0.95 * most:
        return None
    one = fwhm * (mixing * math.pi / 2 + (1 - mixing) * math.sqrt(math.pi / math.log(2)) / 2)
    area = height * top * one * sum(w for _, w in lines)
    return Peak(middle, height * top, fwhm, area), mixing, float(np.mean(residuals(fit.x) ** 2))
