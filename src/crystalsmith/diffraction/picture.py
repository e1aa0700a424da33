"""Pictures of powder patterns: several above each other, or one against another with the difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.errors import PatternError
from crystalsmith.pictures.plotting import BAR, INK, LINE, QUIET, SERIES, STYLE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
"""Endings of pictures."""

_MOST = 8  # patterns above each other


@dataclass(frozen=True, eq=False)
class Trace:
    """One line of a picture.

    Attributes:
        name: stands beside it.
        two_theta: (N,) degrees.
        intensity: (N,) any unit.
        background: (N,) drawn too, where it is known.
        ticks: (M,) degrees of reflections, drawn below it.
    """

    name: str
    two_theta: np.ndarray
    intensity: np.ndarray
    background: np.ndarray | None = None
    ticks: np.ndarray | None = None


def draw_traces(traces: Sequence[Trace], title: str, subtitle: str) -> Figure:
    """Patterns above each other, each as high as the next.

    Raises:
        PatternError: none, or more than can be told apart.
    """
    from matplotlib import rc_context

    if not 1 <= len(traces) <= _MOST:
        raise PatternError(f"{len(traces)} patterns cannot be drawn on one picture; 1 to {_MOST} can")
    with rc_context(STYLE):
        figure, axes = new_figure(11, 3.2 + 1.1 * len(traces), title, subtitle)
        for k, trace in enumerate(traces):
            lift = len(traces) - 1 - k
            color = BAR if len(traces) == 1 else SERIES[k % len(SERIES)]
            low, high = float(trace.intensity.min()), float(trace.intensity.max())
            unit = 0.86 / max(high - low, 1e-300)
            axes.plot(trace.two_theta, lift + (trace.intensity - low) * unit, color=color, linewidth=0.9)
            if trace.background is not None:
                axes.plot(trace.two_theta, lift + (trace.background - low) * unit, color=INK, linewidth=0.8)
            if trace.ticks is not None:
                _draw_ticks(axes, trace.ticks, lift - 0.035, 0.05, color)
            if len(traces) == 1:
                break
            axes.text(
                0.995, lift + 0.9, trace.name, color=color, ha="right", va="top",
                transform=axes.get_yaxis_transform(), fontweight="bold",
            )  # fmt: skip
        axes.set_yticks([])
        _finish(axes, [t.two_theta for t in traces], -0.12, len(traces))
    return figure


def draw_comparison(
    two_theta: np.ndarray,
    first: Trace,
    second: Trace,
    title: str,
    subtitle: str,
) -> Figure:
    """One pattern as points, another as a line on it, their difference below, and ticks of reflections.

    Args:
        two_theta: (N,) degrees that both have.
        first: what was measured; its intensities on these angles.
        second: what was calculated, scaled to the first.
        title: headline.
        subtitle: below it.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure, axes = new_figure(11, 5.2, title, subtitle)
        unit = 1 / max(float(first.intensity.max()), float(second.intensity.max()), 1e-300)
        one, two = first.intensity * unit, second.intensity * unit
        axes.plot(two_theta, one, color=INK, linewidth=0, marker=".", markersize=2.4, label=first.name)
        axes.plot(two_theta, two, color=SERIES[1], linewidth=1.0, label=second.name)
        rows = [
            (trace, color) for trace, color in ((first, INK), (second, SERIES[1])) if trace.ticks is not None
        ]
        for k, (trace, color) in enumerate(rows):
            assert trace.ticks is not None
            _draw_ticks(axes, trace.ticks, -0.055 - 0.05 * k, 0.04, color)
        difference = one - two
        base = -0.13 - 0.05 * len(rows) - float(difference.max(initial=0.0))
        axes.axhline(base, color=LINE, linewidth=0.8)
        axes.plot(two_theta, base + difference, color=QUIET, linewidth=0.8, label="difference")
        axes.set_yticks([])
        axes.legend(loc="upper right", frameon=False, fontsize=9)
        _finish(axes, [two_theta], base + float(difference.min(initial=0.0)) - 0.03, 1.03)
    return figure


def draw_mirrored(first: Trace, second: Trace, title: str, subtitle: str) -> Figure:
    """Two patterns, the second downwards, each as high as the other.

    Args:
        first: upwards.
        second: downwards.
        title: headline.
        subtitle: below it.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure, axes = new_figure(11, 5.2, title, subtitle)
        for trace, sign, color in ((first, 1, BAR), (second, -1, SERIES[1])):
            height = trace.intensity / max(float(trace.intensity.max()), 1e-300)
            axes.plot(trace.two_theta, sign * (0.07 + height), color=color, linewidth=0.9, label=trace.name)
            if trace.ticks is not None:
                _draw_ticks(axes, trace.ticks, 0.03 * sign, 0.04, color)
        axes.axhline(0, color=LINE, linewidth=0.8)
        axes.set_yticks([])
        axes.legend(loc="upper right", frameon=False, fontsize=9)
        _finish(axes, [first.two_theta, second.two_theta], -1.12, 1.12)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all, the same bytes for the same picture.

    Raises:
        PatternError: its ending is none of ``FORMATS``.
        OutputError: it cannot be written.
    """
    from matplotlib import rc_context

    from crystalsmith.runs.atomic import replacing, writing

    form = path.suffix.lower()
    if form not in FORMATS:
        raise PatternError(f"{path} is no {', '.join(FORMATS[:-1])} or {FORMATS[-1]} file")
    undated = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}.get(form)
    with writing(path), replacing(path) as partial, rc_context(STYLE):
        figure.savefig(partial, format=form[1:], dpi=160, facecolor="white", metadata=undated)


def _draw_ticks(axes: Axes, places: np.ndarray, base: float, height: float, color: str) -> None:
    places = places[np.isfinite(places)]
    axes.vlines(places, base - height / 2, base + height / 2, color=color, linewidth=0.7)


def _finish(axes: Axes, angles: Sequence[np.ndarray], low: float, high: float) -> None:
    axes.set_ylim(low, high)
    axes.set_xlim(min(float(x[0]) for x in angles), max(float(x[-1]) for x in angles))
    axes.set_xlabel("2 theta / degrees")
    axes.set_ylabel("intensity")
