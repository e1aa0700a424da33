"""A pattern beside what was calculated for it, and its drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

if TYPE_CHECKING:
    from crystalsmith.solving.answers import Answer
    from crystalsmith.solving.fitting import Observation

_WIDTH, _HEIGHT = 1060, 330
_TOP, _TICKS, _DIFFERENCE, _BOTTOM = 10.0, 232.0, 252.0, 306.0  # of the picture's parts, from above
_BEND = 0.15  # pixels that a straight line may miss


@dataclass(frozen=True, eq=False)
class Profile:
    """A pattern beside what was calculated for it.

    Attributes:
        two_theta, observed, calculated, background, sigma: (n,) degrees and intensities.
        ticks: (m,) degrees at which reflections of the first line stand, shifted as the pattern is.
    """

    two_theta: np.ndarray
    observed: np.ndarray
    calculated: np.ndarray
    background: np.ndarray
    sigma: np.ndarray
    ticks: np.ndarray


def profile_of(answer: Answer, observation: Observation) -> Profile | None:
    """The profile of the last fit of an answer; None where nobody kept it."""
    final, fit = answer.final, answer.best_fit
    if final is not None:
        return Profile(
            final.two_theta,
            final.observed,
            final.calculated,
            final.background,
            final.sigma,
            reflection_angles(answer, observation),
        )
    if fit.profile is None:
        return None
    ready = observation.prepared
    lines = reflection_angles(answer, observation)
    return Profile(
        ready.two_theta,
        ready.intensity + ready.background,
        fit.profile + ready.background,
        ready.background,
        ready.sigma,
        lines,
    )


def reflection_angles(answer: Answer, observation: Observation) -> np.ndarray:
    """(m,) degrees at which an answer's reflections of the first line stand."""
    crystal, radiation = answer.crystal, observation.pattern.radiation
    x = observation.prepared.two_theta
    shortest = float(radiation.d(np.array([x[-1]]))[0])
    inverse = np.linalg.inv(crystal.lattice).T
    reach = np.ceil(np.linalg.norm(crystal.lattice, axis=1) / shortest).astype(int)
    axes = [np.arange(-n, n + 1) for n in reach]
    indices = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    indices = indices[(indices != 0).any(1)]
    length = np.linalg.norm(indices @ inverse, axis=1)
    near = length <= 1 / shortest
    indices, length = indices[near], length[near]
    group = crystal.group
    # A reflection is there unless an operation maps it onto itself with another phase.
    there = np.ones(len(indices), bool)
    for rotation, translation in zip(group.rotations, group.translations, strict=True):
        same = (indices @ rotation == indices).all(1)
        phase = indices @ translation
        there &= ~(same & (np.abs(phase - np.rint(phase)) > 1e-3))
    for shift in group.centring:
        phase = indices @ shift
        there &= np.abs(phase - np.rint(phase)) < 1e-3
    shift = answer.best_fit.zero if answer.final is None else answer.final.shift
    angles = radiation.two_theta(1 / np.unique(np.round(length[there], 6)))
    return np.asarray(angles[np.isfinite(angles)]) + shift


def profile_svg(profile: Profile, title: str, *, height: int = _HEIGHT) -> Markup:
    """Observed, calculated, difference and ticks as one drawing."""
    x, top = profile.two_theta, float(np.max([profile.observed.max(), profile.calculated.max()]))
    low = float(min(profile.observed.min(), profile.background.min()))
    scale = height / _HEIGHT
    ticks_at, difference_at, bottom = (v * scale for v in (_TICKS, _DIFFERENCE, _BOTTOM))
    left = (x - x[0]) / (x[-1] - x[0]) * _WIDTH

    def y(values: np.ndarray) -> np.ndarray:
        return np.asarray(ticks_at - 8 - (values - low) / max(top - low, 1e-300) * (ticks_at - 8 - _TOP))

    difference = profile.observed - profile.calculated
    middle = (difference_at + bottom - 14) / 2 + 4
    per = (ticks_at - 8 - _TOP) / max(top - low, 1e-300)
    reach = (bottom - difference_at) / 2
    below = middle - np.clip(difference * per, -reach, reach)
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f'<path class="axis" d="M0 {bottom:.1f}H{_WIDTH}"/>',
        f'<path class="axis" d="M0 {middle:.1f}H{_WIDTH}"/>',
        f'<path class="observed" d="{_path(left, y(profile.observed))}"/>',
        f'<path class="ground" d="{_path(left, y(profile.background))}"/>',
        f'<path class="calculated" d="{_path(left, y(profile.calculated))}"/>',
        f'<path class="difference" d="{_path(left, below)}"/>',
    ]
    places = (profile.ticks - x[0]) / (x[-1] - x[0]) * _WIDTH
    marks = "".join(f"M{p:.1f} {ticks_at:.1f}v9" for p in places if 0 <= p <= _WIDTH)
    parts.append(f'<path class="ticks" d="{marks}"/>')
    for tick in _scale(float(x[0]), float(x[-1])):
        place = (tick - x[0]) / (x[-1] - x[0]) * _WIDTH
        anchor = "start" if place < 15 else "end" if place > _WIDTH - 15 else "middle"
        parts.append(
            f'<path class="axis" d="M{place:.1f} {bottom:.1f}v4"/>'
            f'<text x="{place:.1f}" y="{bottom + 17:.1f}" text-anchor="{anchor}">{tick:g}°</text>'
        )
    parts.append("</svg>")
    return Markup("".join(parts))


def _scale(low: float, high: float) -> list[float]:
    """Round angles, about ten."""
    rough = (high - low) / 10
    power = 10 ** np.floor(np.log10(rough))
    step = next(float(s * power) for s in (1, 2, 5, 10) if s * power >= rough)
    first = int(np.ceil(low / step))
    return [round(k * step, 6) for k in range(first, int(high / step) + 1)]


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """A line through points, without those that a straight line would not miss."""
    kept = _needed(x, y)
    return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x[kept], y[kept], strict=True))


def _needed(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(n,) whether a point is needed: greedily, from each kept point as far as a straight line goes."""
    kept = np.zeros(len(x), bool)
    kept[[0, -1]] = True
    start = 0
    low, high = -np.inf, np.inf
    for i in range(1, len(x)):
        run = max(x[i] - x[start], 1e-9)
        slope = (y[i] - y[start]) / run
        if not low <= slope <= high:
            kept[i - 1] = True
            start = i - 1
            low, high = -np.inf, np.inf
            run = max(x[i] - x[start], 1e-9)
        low = max(low, (y[i] - _BEND - y[start]) / run)
        high = min(high, (y[i] + _BEND - y[start]) / run)
    return kept
