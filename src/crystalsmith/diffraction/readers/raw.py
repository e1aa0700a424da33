"""What a file of any format holds, before it is a pattern or a list of peaks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from crystalsmith.diffraction.pattern import FEWEST_PEAKS, FEWEST_POINTS, Pattern, PeakList
from crystalsmith.diffraction.radiation import Radiation, radiation
from crystalsmith.errors import PatternError

Axis = Literal["2theta", "q", "d"]

_UNSAID = 15.0  # an axis that ends below, and of which nothing is said, may as well be Q or d
_SMALL = 5.0  # Angstrom: distances in a list of peaks rarely begin above five times that
_MOST_BELOW_ZERO = 0.1  # of the largest intensity: noise of a subtracted background goes no deeper
_MANY = 300  # points: no list of peaks is so long


@dataclass(frozen=True, eq=False)
class Raw:
    """Columns of a file.

    Attributes:
        x: (N,) the abscissa.
        y: (N,) the intensities.
        sigma: (N,) their uncertainties, where the file gives them.
        axis: what the abscissa is; None where the file does not say.
        radiation: X-rays that the file names.
        peaks: a list of peaks (True), a pattern (False), or whatever it looks like (None).
    """

    x: np.ndarray
    y: np.ndarray
    sigma: np.ndarray | None = None
    axis: Axis | None = None
    radiation: Radiation | None = None
    peaks: bool | None = None


def finished(raw: Raw, name: str, stated: Radiation | None, axis: Axis | None) -> Pattern | PeakList:
    """The pattern or list of peaks of a file.

    Args:
        raw: what the file holds.
        name: for messages.
        stated: X-rays that somebody named, in place of those of the file.
        axis: what the abscissa is, in place of what the file says.

    Raises:
        PatternError: the axis or the wavelength is not known, or it is no pattern.
    """
    raw = _sane(raw, name)
    peaks = _looks_like_peaks(raw.x) if raw.peaks is None else raw.peaks
    axis = axis or raw.axis or _guessed_axis(raw.x, name)
    lines = stated or raw.radiation
    if lines is None:
        if not (peaks and axis == "d"):
            raise PatternError(
                f"{name} does not say its wavelength; give the radiation: CuKa (or another tube), CuKa1, or"
                " a wavelength in Angstrom such as 0.4991"
            )
        lines = radiation("CuKa1")  # distances are what they are: any radiation shows the same ones
    if peaks:
        return _peak_list(raw, name, lines, axis)
    return _pattern(raw, name, lines, axis)


def _sane(raw: Raw, name: str) -> Raw:
    """Without rows that are not finite.

    Raises:
        PatternError: nothing, or mostly nothing, is left, or intensities are negative.
    """
    kept = np.isfinite(raw.x) & np.isfinite(raw.y)
    if raw.sigma is not None:
        kept &= np.isfinite(raw.sigma)
    if kept.sum() < max(FEWEST_PEAKS, len(kept) / 2):
        raise PatternError(f"{name} holds {int(kept.sum())} rows of two numbers; it is no powder pattern")
    y = raw.y[kept]
    if y.max() <= 0 or y.min() < -_MOST_BELOW_ZERO * y.max():
        raise PatternError(
            f"{name} has negative intensities, down to {y.min():g}; counts are never negative"
            " (is the second column the intensity?)"
        )
    sigma = None if raw.sigma is None else raw.sigma[kept]
    return replace(raw, x=raw.x[kept], y=y, sigma=sigma)


def _looks_like_peaks(x: np.ndarray) -> bool:
    """Whether the distances of neighbours change from one to the next as those of peaks do."""
    if len(x) < FEWEST_POINTS:
        return True
    if len(x) >= _MANY:
        return False
    steps = np.maximum(np.abs(np.diff(x)), 1e-9)
    return bool(np.median(np.abs(np.diff(np.log(steps)))) > 0.4)


def _guessed_axis(x: np.ndarray, name: str) -> Axis:
    """2 theta, where the numbers cannot be anything else.

    Raises:
        PatternError: they could be Q or d.
    """
    if x.max() <= _UNSAID or (x[0] > x[-1] and x.min() < _SMALL):
        raise PatternError(
            f"{name} does not say what its first column is, from {x.min():g} to {x.max():g}:"
            " it may be 2 theta, Q or d; give the axis: 2theta, q or d"
        )
    return "2theta"


def _peak_list(raw: Raw, name: str, lines: Radiation, axis: Axis) -> PeakList:
    if not (raw.x > 0).all():
        raise PatternError(f"{name}: places of peaks must be positive")
    if axis == "2theta" and raw.x.max() >= 180:
        raise PatternError(f"{name}: an angle 2 theta of {raw.x.max():g} degrees is none; they end at 180")
    d = raw.x if axis == "d" else 2 * np.pi / raw.x if axis == "q" else lines.d(raw.x)
    return PeakList(d, np.maximum(raw.y, 0), lines, name)


def _pattern(raw: Raw, name: str, lines: Radiation, axis: Axis) -> Pattern:
    x, y, sigma = _ordered(raw, name)
    if axis != "2theta":
        with np.errstate(divide="ignore", invalid="ignore"):
            x = lines.two_theta(x if axis == "d" else 2 * np.pi / x)
    seen = np.isfinite(x) & (x > 0) & (x < 180)
    beyond = int((~seen).sum())
    if axis == "2theta" and (raw.x >= 180).any():
        raise PatternError(
            f"{name}: an angle 2 theta of {raw.x.max():g} degrees is none; they end at 180"
            " (are they hundredths of degrees?)"
        )
    if seen.sum() < FEWEST_POINTS:
        raise PatternError(
            f"{name}: {beyond} of {len(x)} points lie where {lines.name} reaches no reflection; is that the"
            " wavelength, and the first column what was said?"
        )
    x, y = x[seen], y[seen]
    sigma = None if sigma is None else sigma[seen]
    if x[0] > x[-1]:
        x, y, sigma = x[::-1], y[::-1], None if sigma is None else sigma[::-1]
    return Pattern.of(x, y, lines, _believable(sigma, y), name)


def _ordered(raw: Raw, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Columns with an increasing abscissa; points at the same place are averaged.

    Raises:
        PatternError: the abscissa goes up and down.
    """
    x, y, sigma = raw.x, raw.y, raw.sigma
    steps = np.diff(x)
    if (steps <= 0).all() and (steps < 0).any():
        x, y, sigma = x[::-1], y[::-1], None if sigma is None else sigma[::-1]
        steps = np.diff(x)
    if (steps < 0).any():
        at = int(np.flatnonzero(steps < 0)[0])
        raise PatternError(
            f"{name}: its first column goes up and down (from {x[at]:g} to {x[at + 1]:g} in row {at + 2});"
            " it must increase (are there several scans in the file?)"
        )
    if (steps > 0).all():
        return x, y, sigma
    places, first, counts = np.unique(x, return_index=True, return_counts=True)
    y = np.add.reduceat(y, first) / counts
    if sigma is not None:
        sigma = np.sqrt(np.add.reduceat(sigma**2, first)) / counts
    return places, y, sigma


def _believable(sigma: np.ndarray | None, y: np.ndarray) -> np.ndarray | None:
    """Uncertainties of a file, zeros among them mended; None where they cannot be that."""
    if sigma is None or (sigma < 0).any():
        return None
    positive = sigma > 0
    if positive.sum() < 0.5 * len(sigma):
        return None
    # A column that is as large as the intensities is a calculated pattern, or anything else.
    if (
        np.median(sigma[positive]) > 0.7 * np.median(np.abs(y[positive]))
        and np.corrcoef(sigma, y)[0, 1] > 0.9
    ):
        return None
    return np.where(positive, sigma, np.median(sigma[positive]))
