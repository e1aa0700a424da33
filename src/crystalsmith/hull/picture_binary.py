"""The phase diagram of two elements: formation energy against composition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.hull.picture_marks import (
    Mark,
    color_bar,
    color_scale,
    label_marks,
    phase_names,
    scatter_marks,
    typeset,
)
from crystalsmith.pictures.plotting import BAR, INK, LINE, QUIET, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pymatgen.analysis.phase_diagram import PhaseDiagram

HIGHEST = 0.5
"""eV per atom above the hull: known phases higher than this are not shown."""


def draw_binary(diagram: PhaseDiagram, marks: Sequence[Mark], elements: Sequence[str]) -> Figure:
    """The figure; see ``draw_phase_diagram``."""
    figure, axes = new_figure(7.6, 4.6, "", "")
    axes.set_title("")
    second = elements[1]

    def share(entry: object) -> float:
        return float(entry.composition.get_atomic_fraction(second))  # type: ignore[attr-defined]

    stable = sorted(diagram.stable_entries, key=share)
    x = np.array([share(e) for e in stable])
    y = np.array([diagram.get_form_energy_per_atom(e) for e in stable])
    others = [e for e in diagram.unstable_entries if (diagram.get_e_above_hull(e) or 0.0) < HIGHEST]
    axes.axhline(0.0, color=LINE, linewidth=0.8, zorder=1)
    axes.plot(x, y, color=BAR, linewidth=1.6, zorder=3)
    axes.scatter(
        [share(e) for e in others],
        [diagram.get_form_energy_per_atom(e) for e in others],
        s=16,
        facecolors="white",
        edgecolors="#9aa0ac",
        linewidths=0.9,
        zorder=2,
    )
    axes.scatter(x, y, s=34, color=BAR, edgecolors="white", linewidths=0.8, zorder=4)
    places = np.array(
        [[m.fractions[1], float(np.interp(m.fractions[1], x, y)) + m.above_hull] for m in marks]
    ).reshape(-1, 2)
    scale = color_scale(marks)
    scatter_marks(axes, places, marks, scale)
    lowest = min(float(y.min()), float(places[:, 1].min(initial=0.0)))
    shown = [*y, *places[:, 1], *(diagram.get_form_energy_per_atom(e) for e in others)]
    highest = max(0.0, float(np.max(shown)))
    span = max(highest - lowest, 0.05)
    axes.set_ylim(lowest - 0.16 * span, highest + 0.1 * span)
    axes.set_xlim(-0.03, 1.03)
    for name, px, py in zip(phase_names(stable), x, y, strict=True):
        axes.annotate(
            typeset(name),
            (px, py),
            xytext=(0, -8),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=9,
            color=INK,
            zorder=7,
        )
    label_marks(axes, places, marks, np.column_stack([x, y]))
    axes.set_xlabel(f"fraction of {second} in {elements[0]}$_{{1-x}}${second}$_x$")
    axes.set_ylabel("formation energy (eV/atom)")
    axes.tick_params(length=0, labelcolor=QUIET)
    axes.yaxis.grid(color=LINE, linewidth=0.5, alpha=0.7)
    if marks:
        color_bar(figure, axes, scale)
    return figure
