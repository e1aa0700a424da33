"""Reflections of a crystal one by one, and the peaks that a measured pattern shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.diffraction.background import Prepared
from crystalsmith.diffraction.pattern import COPPER, PeakList
from crystalsmith.diffraction.peaks import seen_peaks, smoothed
from crystalsmith.diffraction.profile import Grid
from crystalsmith.diffraction.radiation import Radiation
from crystalsmith.diffraction.simulation import Simulator, batch_of
from crystalsmith.errors import PatternError

USUAL_RANGE = (5.0, 90.0)
"""Degrees of 2 theta for Cu K-alpha; other wavelengths show the same distances of lattice planes."""


@dataclass(frozen=True)
class Line:
    """One peak or reflection.

    Attributes:
        two_theta: degrees, of the principal line.
        d: distance of lattice planes in Angstrom.
        intensity: of the strongest, in percent; all lines of the radiation together.
        index: Miller indices, if it is a crystal's reflection.
        multiplicity: reflections that fall together by symmetry, 0 if it is a peak.
    """

    two_theta: float
    d: float
    intensity: float
    index: tuple[int, int, int] | None = None
    multiplicity: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain data, rounded to what a pattern can tell."""
        facts: dict[str, Any] = {
            "two_theta": round(self.two_theta, 4),
            "d": round(self.d, 5),
            "intensity": round(self.intensity, 3),
        }
        if self.index is not None:
            facts |= dict(zip("hkl", self.index, strict=True)) | {"multiplicity": self.multiplicity}
        return facts


def usual_range(radiation: Radiation) -> tuple[float, float]:
    """First and last angle of a simulated pattern, in whole tenths of degrees."""
    sines = np.sin(np.radians(USUAL_RANGE) / 2) * radiation.wavelength / COPPER
    low, high = 2 * np.degrees(np.arcsin(np.minimum(sines, np.sin(np.radians(80)))))
    return max(round(float(low), 1), 0.1), round(float(high), 1)


def reflections(crystal: Crystal, radiation: Radiation, two_theta: tuple[float, float]) -> list[Line]:
    """Reflections of a crystal by angle, the strongest 100; without those that symmetry extinguishes.

    Args:
        crystal: any.
        radiation: X-rays.
        two_theta: first and last angle in degrees.

    Raises:
        PatternError: an impossible range, or none lies in it.
    """
    low, high = two_theta
    if not 0 <= low < high < 180:
        raise PatternError(f"there is no pattern from {low:g} to {high:g} degrees of 2 theta")
    batch = batch_of([crystal])
    simulator = Simulator.of(batch, radiation.principal, Grid(low, high - low, 2), margin=0.01)
    _, place, strength = (x[0].numpy() for x in simulator.lines(batch))
    multiplicity = simulator.reflections.multiplicity[0].numpy()
    index = simulator.reflections.indices[0].numpy()
    kept = np.flatnonzero((multiplicity > 0) & (place >= low) & (place <= high))
    if not len(kept) or not strength[kept].max() > 0:
        raise PatternError(
            f"{crystal.formula} has no reflection from {low:g} to {high:g} degrees with {radiation.name}"
        )
    kept = kept[np.lexsort((-strength[kept], place[kept].round(5)))]
    rotations = crystal.group.rotations
    d, relative = radiation.d(place), 100 * strength / strength[kept].max()
    return [
        Line(
            float(place[k]),
            float(d[k]),
            float(relative[k]),
            _usual(index[k], rotations),
            int(multiplicity[k]),
        )
        for k in kept
    ]


def _usual(index: np.ndarray, rotations: np.ndarray) -> tuple[int, int, int]:
    """Of the indices that symmetry makes equal those that people write: few minus signs, large ones first."""
    alike = np.rint(index @ rotations).astype(int)
    rows = {(int(a), int(b), int(c)) for a, b, c in np.concatenate([alike, -alike])}
    return max(rows, key=lambda row: (-sum(x < 0 for x in row), row))


def peaks_in(prepared: Prepared) -> list[Line]:
    """Peaks of a measured pattern by angle, the highest 100; second lines of a tube are left out."""
    x, step = prepared.two_theta, prepared.step
    width = float(prepared.width(float(np.median(x))))
    curve = smoothed(prepared.intensity, width / step / 2)
    lines: list[tuple[float, float]] = []
    ratio = 0.0
    if len(prepared.radiation.weights) > 1:
        ratio = prepared.radiation.weights[1] / prepared.radiation.weights[0]
    for k in seen_peaks(prepared.intensity, prepared.sigma, width / step):
        if not 0 < k < len(x) - 1:
            continue
        left, middle, right = curve[k - 1 : k + 2]
        bend = left - 2 * middle + right
        place = float(x[k] + step * (0.5 * (left - right) / bend if bend < 0 else 0.0))
        if not _is_second(place, float(middle), lines, prepared.radiation, ratio):
            lines.append((place, float(middle)))
    lines.sort()
    highest = max((height for _, height in lines), default=1.0)
    return [Line(p, float(prepared.radiation.d(np.array(p))), 100 * h / highest) for p, h in lines]


def _is_second(
    place: float, height: float, stronger: Sequence[tuple[float, float]], radiation: Radiation, ratio: float
) -> bool:
    """Whether a peak stands where the second line of a stronger one must stand, and is no higher."""
    if not ratio:
        return False
    sine = np.sin(np.radians(place) / 2) * radiation.wavelengths[0] / radiation.wavelengths[1]
    first = 2 * np.degrees(np.arcsin(sine))
    apart = place - first
    return any(abs(p - first) < 0.25 * apart + 0.01 and height < 1.4 * ratio * h for p, h in stronger)


def lines_of(peaks: PeakList) -> list[Line]:
    """A list of peaks, the strongest 100; those out of reach of its radiation are left out."""
    places = peaks.two_theta
    highest = peaks.intensity.max()
    rows = zip(places, peaks.d, peaks.intensity, strict=True)
    return [Line(float(p), float(d), float(100 * i / highest)) for p, d, i in rows if np.isfinite(p)]
