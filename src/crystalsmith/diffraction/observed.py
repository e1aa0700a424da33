"""A measured pattern as fits need it: on an even grid, its background gone, and blurred as far as wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crystalsmith.diffraction.profile import Grid
from crystalsmith.diffraction.radiation import Radiation

POINTS = 5.0
"""Points of the grid within a line's full width at half maximum, where the pattern has as many."""

_SIGMA = 2 * math.sqrt(2 * math.log(2.0))  # full width at half maximum of a Gaussian of standard deviation 1


@dataclass(frozen=True, eq=False)
class Observed:
    """Intensities without background on an even grid, the highest 1.

    Attributes:
        grid: angles.
        intensity, sigma: (N,).
        radiation: X-rays.
        width: full width of lines at half maximum at low angles, degrees, blurring included.
        broadening: what grows with tan(theta), degrees, blurring included.
        mixing: share of the Lorentzian from which fits begin.
        scale: what the pattern's intensities were divided by.
    """

    grid: Grid
    intensity: np.ndarray
    sigma: np.ndarray
    radiation: Radiation
    width: float
    broadening: float
    mixing: float
    scale: float

    @staticmethod
    def of(
        two_theta: np.ndarray,
        intensity: np.ndarray,
        sigma: np.ndarray,
        radiation: Radiation,
        width: float,
        broadening: float = 0.0,
        mixing: float = 0.4,
    ) -> Observed:
        """Bring a pattern whose background was taken away onto an even grid.

        Args:
            two_theta: (N,) degrees, increasing.
            intensity, sigma: (N,).
            radiation: X-rays.
            width: typical full width of a line at half maximum, degrees.
            broadening: what grows with tan(theta), degrees.
            mixing: share of the Lorentzian in lines, 0 to 1.
        """
        finest = float(np.median(np.diff(two_theta)))
        step = max(width / POINTS, finest)
        size = int((two_theta[-1] - two_theta[0]) / step) + 1
        grid = Grid(float(two_theta[0]), step, size)
        middle = np.asarray(grid.values())
        # Means over each point's surroundings, as differences of the integral.
        edges = np.append(middle - step / 2, middle[-1] + step / 2)
        points = np.gradient(two_theta)

        def mean(values: np.ndarray) -> np.ndarray:
            total = np.append(0.0, np.cumsum(values * points))
            ends = np.append(two_theta[0] - points[0] / 2, two_theta + points / 2)
            covered = np.clip(edges, ends[0], ends[-1])
            whole = np.diff(np.interp(covered, ends, total))
            return np.asarray(whole / np.maximum(np.diff(covered), 1e-9))

        y = mean(intensity)
        error = np.sqrt(np.maximum(mean(sigma**2), 0) * min(1.0, finest / step))
        scale = float(max(y.max(), 1e-300))
        return Observed(
            grid, y / scale, np.maximum(error / scale, 1e-6), radiation, width, broadening, mixing, scale
        )

    def blurred(self, width: float, strain: float) -> Observed:
        """The pattern seen with lines broader by a Gaussian, on as coarse a grid as that allows.

        Args:
            width: added full width at half maximum, degrees.
            strain: added relative standard deviation of the distances of lattice planes.
        """
        added = _SIGMA * 2 * math.degrees(strain)
        whole = math.hypot(self.width, width)
        step = max(whole / 4, self.grid.step)
        grid = Grid(self.grid.start, step, int((self.grid.stop - self.grid.start) / step) + 1)
        x, at = np.asarray(self.grid.values()), np.asarray(grid.values())
        spread = np.hypot(width, added * np.tan(np.radians(x) / 2)) / _SIGMA
        spread = np.maximum(spread, 0.3 * step)
        kernel = np.exp(-0.5 * ((at[:, None] - x) / spread) ** 2) / (math.sqrt(2 * math.pi) * spread)
        y = kernel @ (self.intensity * self.grid.step)
        error = np.sqrt((kernel**2) @ (self.sigma * self.grid.step) ** 2)
        highest = float(max(y.max(), 1e-300))
        return Observed(
            grid,
            y / highest,
            np.maximum(error / highest, 1e-6),
            self.radiation,
            whole,
            math.hypot(self.broadening, added),
            0.1,
            self.scale * highest,
        )
