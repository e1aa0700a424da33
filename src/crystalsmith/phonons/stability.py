"""When a crystal counts as dynamically stable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.phonons.bandpath import BandPath, name_of

STABLE, UNSTABLE, OPEN = "stable", "unstable", "open"


@dataclass(frozen=True)
class Stability:
    """Whether all modes are real.

    Attributes:
        verdict: ``stable``, ``unstable``, or ``open``: no imaginary mode fits into the supercell, but the
            interpolation between those that fit has one, and only a larger supercell can tell.
        imaginary: modes of the supercell below the tolerance, of three for each of its atoms.
        lowest: lowest frequency of a mode of the supercell, THz; imaginary ones are negative.
        lowest_q: its q point, in fractions of the reciprocal primitive cell.
        lowest_name: name of that point, "" if it has none.
        interpolated: lowest frequency on the band path and an interpolated mesh, THz.
        interpolated_q: its q point.
    """

    verdict: str
    imaginary: int
    lowest: float
    lowest_q: tuple[float, float, float]
    lowest_name: str
    interpolated: float
    interpolated_q: tuple[float, float, float]


def judge(
    crystal: Crystal,
    path: BandPath,
    exact_q: np.ndarray,
    exact: np.ndarray,
    between_q: np.ndarray,
    between: np.ndarray,
    tolerance: float,
) -> Stability:
    """The verdict on a set of frequencies.

    At q points that fit into the supercell its force constants are exact, so a frequency below
    ``-tolerance`` there condemns the crystal. Between them they are interpolated: a frequency below
    ``-tolerance`` leaves the verdict open. Closer to Gamma than half the way to the nearest other q point
    that fits, interpolated acoustic branches often dip below zero where the force constants are cut off;
    they are the slopes of long waves, that is elastic constants, which the Born criteria judge, and do not
    count here.

    Args:
        crystal: n atoms in the primitive cell.
        path: for the names of special points.
        exact_q: (m, 3) that fit into the supercell, in fractions of the reciprocal primitive cell.
        exact: (m, 3n) THz.
        between_q: (k, 3) any others.
        between: (k, 3n) THz.
        tolerance: THz, positive.
    """
    reciprocal = np.linalg.inv(crystal.primitive_lattice).T  # rows, 1/Angstrom
    steps = _distance_to_gamma(exact_q, reciprocal)
    reach = steps[steps > 1e-6].min(initial=np.inf) / 2
    counted = _distance_to_gamma(between_q, reciprocal) > reach
    worst = int(exact.min(axis=1).argmin())
    imaginary = int((exact < -tolerance).sum())
    low = np.where(counted, between.min(axis=1), np.inf)
    if not counted.any():  # a supercell of one cell: nothing between is known
        low = between.min(axis=1)
    dip = int(low.argmin())
    verdict = UNSTABLE if imaginary else OPEN if low[dip] < -tolerance else STABLE
    return Stability(
        verdict=verdict,
        imaginary=imaginary,
        lowest=round(float(exact[worst].min()), 6),
        lowest_q=_point(exact_q[worst]),
        lowest_name=name_of(exact_q[worst], path, crystal),
        interpolated=round(float(low[dip]), 6),
        interpolated_q=_point(between_q[dip]),
    )


def _distance_to_gamma(q: np.ndarray, reciprocal: np.ndarray) -> np.ndarray:
    """(k,) 1/Angstrom (without 2 pi) to the nearest point of the reciprocal lattice."""
    near = q - np.rint(q)
    shifts = np.stack(np.meshgrid(*[np.arange(-1, 2)] * 3, indexing="ij"), -1).reshape(-1, 3)
    return np.linalg.norm((near[:, None] + shifts) @ reciprocal, axis=-1).min(axis=1)


def _point(q: Any) -> tuple[float, float, float]:
    a, b, c = (round(float(x), 6) + 0.0 for x in q)
    return a, b, c
