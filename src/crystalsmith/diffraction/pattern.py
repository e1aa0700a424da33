"""The record of one powder pattern, and of one list of peaks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crystalsmith.diffraction.radiation import Radiation
from crystalsmith.errors import PatternError

FEWEST_POINTS = 50
"""Of a pattern; what has fewer is a list of peaks, or a piece of a pattern."""

FEWEST_DEGREES = 5.0
"""Between the first and the last point of a pattern, for Cu K-alpha; in proportion for other wavelengths."""

FEWEST_PEAKS = 3
"""Of a list of peaks."""

COPPER = 1.540593
"""K-alpha 1 of copper in Angstrom, for which ranges of angles are usually stated."""


@dataclass(frozen=True, eq=False)
class Pattern:
    """A powder pattern as measured: the background is in it.

    Attributes:
        two_theta: (N,) degrees, increasing, between 0 and 180.
        intensity: (N,) counts or any other unit.
        sigma: (N,) standard uncertainty of each intensity, in the same unit, positive.
        radiation: X-rays with which it was measured.
        name: for messages and titles.

    Raises:
        PatternError: the arrays do not fit each other, hold values that are not finite or angles that no
            pattern has, or are too few or all the same.
    """

    two_theta: np.ndarray
    intensity: np.ndarray
    sigma: np.ndarray
    radiation: Radiation
    name: str = "pattern"

    def __post_init__(self) -> None:
        for key in ("two_theta", "intensity", "sigma"):
            object.__setattr__(self, key, _fixed(getattr(self, key), f"{self.name}: {key}"))
        x, y, sigma = self.two_theta, self.intensity, self.sigma
        if not len(x) == len(y) == len(sigma):
            raise PatternError(f"{self.name}: {len(x)} angles, {len(y)} intensities, {len(sigma)} sigmas")
        if len(x) < FEWEST_POINTS:
            raise PatternError(
                f"{self.name} has {len(x)} points; a pattern needs {FEWEST_POINTS} (is it a list of peaks?)"
            )
        if (np.diff(x) <= 0).any():
            raise PatternError(f"{self.name}: its angles do not increase from point to point")
        if x[0] <= 0 or x[-1] >= 180:
            raise PatternError(
                f"{self.name}: angles 2 theta lie between 0 and 180 degrees; these go from {x[0]:g} to"
                f" {x[-1]:g} (are they Q or d, or hundredths of degrees?)"
            )
        least = FEWEST_DEGREES * min(self.radiation.wavelength / COPPER, 1.0)
        if x[-1] - x[0] < least:
            raise PatternError(
                f"{self.name} covers {x[-1] - x[0]:.3g} degrees of 2 theta; {least:.2g} are needed"
            )
        if not (sigma > 0).all():
            raise PatternError(f"{self.name}: standard uncertainties must be positive")
        if not y.max() > y.min():
            raise PatternError(f"{self.name}: all its intensities are the same")

    @classmethod
    def of(
        cls,
        two_theta: Sequence[float] | np.ndarray,
        intensity: Sequence[float] | np.ndarray,
        radiation: Radiation,
        sigma: Sequence[float] | np.ndarray | None = None,
        name: str = "pattern",
    ) -> Pattern:
        """A pattern whose uncertainties are estimated where they are not given.

        Whole numbers are taken for counts; of anything else the noise is estimated from the scatter of
        neighbouring points and shared out as counting would.
        """
        y = np.asarray(intensity, float)
        return cls(
            np.asarray(two_theta, float),
            y,
            counting_sigma(y) if sigma is None else np.asarray(sigma, float),
            radiation,
            name,
        )

    @property
    def d(self) -> np.ndarray:
        """(N,) distances of lattice planes in Angstrom, by the principal line; they decrease."""
        return self.radiation.d(self.two_theta)

    @property
    def q(self) -> np.ndarray:
        """(N,) momentum transfer 2 pi / d in 1/Angstrom, by the principal line."""
        return 2 * np.pi / self.d

    @property
    def step(self) -> float:
        """The median distance of neighbouring points in degrees."""
        return float(np.median(np.diff(self.two_theta)))

    def between(self, low: float, high: float) -> Pattern:
        """The points from ``low`` to ``high`` degrees.

        Raises:
            PatternError: too few remain.
        """
        kept = (self.two_theta >= low) & (self.two_theta <= high)
        return replace(
            self, two_theta=self.two_theta[kept], intensity=self.intensity[kept], sigma=self.sigma[kept]
        )


@dataclass(frozen=True, eq=False)
class PeakList:
    """Peaks with their places and intensities, without a profile.

    Attributes:
        d: (N,) distances of lattice planes in Angstrom, decreasing.
        intensity: (N,) integrated intensities, or heights, in any unit; not negative.
        radiation: X-rays with which they were measured; a list of d has the one that was asked for.
        name: for messages and titles.

    Raises:
        PatternError: the arrays do not fit each other, are not finite, too few, or not positive.
    """

    d: np.ndarray
    intensity: np.ndarray
    radiation: Radiation
    name: str = "peaks"

    def __post_init__(self) -> None:
        for key in ("d", "intensity"):
            object.__setattr__(self, key, _fixed(getattr(self, key), f"{self.name}: {key}"))
        if len(self.d) != len(self.intensity):
            raise PatternError(f"{self.name}: {len(self.d)} peaks and {len(self.intensity)} intensities")
        if len(self.d) < FEWEST_PEAKS:
            raise PatternError(f"{self.name} has {len(self.d)} peaks; {FEWEST_PEAKS} are needed at least")
        if not (self.d > 0).all():
            raise PatternError(f"{self.name}: distances of lattice planes must be positive")
        if not (self.intensity >= 0).all() or not self.intensity.max() > 0:
            raise PatternError(f"{self.name}: intensities of peaks must not be negative, nor all zero")
        order = np.argsort(-self.d, kind="stable")
        object.__setattr__(self, "d", _fixed(self.d[order], "d"))
        object.__setattr__(self, "intensity", _fixed(self.intensity[order], "intensity"))

    @property
    def two_theta(self) -> np.ndarray:
        """(N,) degrees of the principal line, increasing; NaN where it cannot reach the distance."""
        return self.radiation.two_theta(self.d)

    def pattern(self, width: float = 0.1, step: float = 0.02, margin: float = 2.0) -> Pattern:
        """A pattern with a Gaussian for each peak, for methods that need a profile.

        Args:
            width: full width at half maximum in degrees.
            step: of its points, in degrees.
            margin: degrees before the first and behind the last peak.

        Raises:
            PatternError: none or few of the peaks can be reached with this radiation.
        """
        places = self.two_theta
        seen = np.isfinite(places)
        if seen.sum() < FEWEST_PEAKS:
            raise PatternError(
                f"{self.name}: {seen.sum()} of its peaks can be reached with {self.radiation.name}"
            )
        places, heights = places[seen], self.intensity[seen]
        low, high = max(places.min() - margin, step), min(places.max() + margin, 180 - step)
        x = np.arange(low, high + step / 2, step)
        y = np.zeros_like(x)
        for place, height in zip(places, heights, strict=True):
            y += height * np.exp(-4 * np.log(2) * ((x - place) / width) ** 2)
        # A hundredth of the strongest peak: heights of a list are no better than that.
        sigma = np.full_like(x, 0.01 * y.max())
        return Pattern(x, y, sigma, replace(self.radiation.principal), self.name)


def counting_sigma(intensity: np.ndarray) -> np.ndarray:
    """(N,) standard uncertainties of intensities (N,) of unknown unit.

    Counts have the root of themselves. Anything else is taken for counts times a factor, which the scatter
    of each point about the mean of its neighbours gives (its median, so that peaks do not count).
    """
    y = np.asarray(intensity, float)
    if not np.isfinite(y).all() or len(y) < 3:
        return np.ones_like(y)  # the pattern's own checks say what is wrong
    level = np.maximum(y, 0)
    if (y >= 0).all() and (y == np.round(y)).all() and y.max() >= 100:
        return np.sqrt(np.maximum(y, 1))
    scatter = np.abs(y[1:-1] - (y[:-2] + y[2:]) / 2)
    spread = np.median(scatter) / (
        0.6745 * np.sqrt(1.5)
    )  # of a Gaussian: median to sigma, and of three points
    typical = max(float(np.median(level)), 1e-3 * float(np.ptp(y)))
    factor = max(spread**2 / typical, 1e-8 * float(np.ptp(y)))
    return np.sqrt(factor * np.maximum(level, 0.1 * typical)) + 1e-6 * float(np.ptp(y)) + 1e-300


def _fixed(values: np.ndarray, what: str) -> np.ndarray:
    """A copy that cannot be changed.

    Raises:
        PatternError: not a row of finite numbers.
    """
    try:
        array = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise PatternError(f"{what}: these are no numbers") from None
    if array.ndim != 1 or not np.isfinite(array).all():
        raise PatternError(f"{what}: these are not finite numbers, one after the other")
    array.setflags(write=False)
    return array
