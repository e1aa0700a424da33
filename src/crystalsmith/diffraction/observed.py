"""A measured pattern as fits need it: on an even grid, its background gone, and blurred as far as wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from crystalsmith.diffraction.profile import Grid
from crystalsmith.diffraction.radiation import Radiation

POINTS = 4.5
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
        if np.abs(np.diff(two_theta) - finest).max() < 0.05 * finest:
            grid, y, error = _blocks(two_theta, intensity, sigma, max(1, round(width / POINTS / finest)))
        else:
            grid, y, error = _means(two_theta, intensity, sigma, max(width / POINTS, finest))
        scale = float(max(y.max(), 1e-300))
        error = np.maximum(error / scale, 1e-6)
        return Observed(grid, y / scale, error, radiation, width, broadening, mixing, scale)

    def up_to(self, two_theta: float) -> Observed:
        """The pattern up to an angle, degrees."""
        size = int((two_theta - self.grid.start) / self.grid.step + 1e-9) + 1
        if not 1 < size < self.grid.size:
            return self
        grid = replace(self.grid, size=size)
        return replace(self, grid=grid, intensity=self.intensity[:size], sigma=self.sigma[:size])

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
        reach = math.ceil(4 * float(spread.max()) / self.grid.step)
        middle = np.rint((at - self.grid.start) / self.grid.step).astype(int)
        rows = middle[:, None] + np.arange(-reach, reach + 1)
        inside = (rows >= 0) & (rows < self.grid.size)
        rows = np.clip(rows, 0, self.grid.size - 1)
        own = spread[rows]
        kernel = np.exp(-0.5 * ((at[:, None] - x[rows]) / own) ** 2) / (math.sqrt(2 * math.pi) * own)
        kernel *= self.grid.step * inside
        y = (kernel * self.intensity[rows]).sum(1)
        error = np.sqrt(((kernel * self.sigma[rows]) ** 2).sum(1))
        highest = float(max(y.max(), 1e-300))
        return Observed(
            grid,
            y / highest,
            np.maximum(error / highest, 1e-6),
            self.radiation,
            whole,
            math.hypot(self.broadening, added),
            0.0,
            self.scale * highest,
        )


def _blocks(
    x: np.ndarray, y: np.ndarray, sigma: np.ndarray, size: int
) -> tuple[Grid, np.ndarray, np.ndarray]:
    """Means of so many neighbours each, on even steps: noise stays independent from point to point."""
    count = len(x) // size
    rows = slice(0, count * size)
    middle = np.linspace(x[0], x[-1], len(x))[rows].reshape(count, size).mean(1)
    error = np.sqrt((sigma[rows] ** 2).reshape(count, size).sum(1)) / size
    step = float(middle[-1] - middle[0]) / (count - 1)
    return Grid(float(middle[0]), step, count), y[rows].reshape(count, size).mean(1), error


def _means(
    x: np.ndarray, y: np.ndarray, sigma: np.ndarray, step: float
) -> tuple[Grid, np.ndarray, np.ndarray]:
    """Means over even steps of points that do not lie evenly; where there are none, nothing is known."""
    grid = Grid(float(x[0]), step, int((x[-1] - x[0]) / step) + 1)
    middle = np.asarray(grid.values())
    edges = np.append(middle - step / 2, middle[-1] + step / 2)
    widths = np.gradient(x)
    ends = np.append(x[0] - widths[0] / 2, x + widths / 2)
    covered = np.clip(edges, ends[0], ends[-1])

    def mean(values: np.ndarray) -> np.ndarray:
        total = np.append(0.0, np.cumsum(values * widths))
        return np.asarray(np.diff(np.interp(covered, ends, total)) / np.maximum(np.diff(covered), 1e-9))

    error = np.sqrt(np.maximum(mean(sigma**2 * widths) / step, 0))
    near = np.clip(np.searchsorted(x, middle), 1, len(x) - 1)
    away = np.minimum(np.abs(x[near] - middle), np.abs(x[near - 1] - middle))
    unknown = away > 4 * max(step, float(np.median(widths)))
    return grid, np.where(unknown, 0.0, mean(y)), np.where(unknown, 10 * np.abs(y).max(), error)
