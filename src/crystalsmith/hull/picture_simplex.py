"""The phase diagrams of three and four elements: a triangle, and a tetrahedron seen in projection."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.hull.picture_marks import (
    Mark,
    color_bar,
    color_scale,
    halo,
    label_marks,
    phase_names,
    scatter_marks,
    typeset,
)
from crystalsmith.pictures.plotting import BAR, INK, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pymatgen.analysis.phase_diagram import PhaseDiagram

_TRIANGLE = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.5 * 3**0.5]])
# A regular tetrahedron turned so that no edge hides another, then seen from the front.
_TETRAHEDRON = np.array([[0.0, 0.18], [1.0, 0.06], [0.63, -0.22], [0.52, 0.86]])
_BEHIND = (0, 1)  # the edge of the tetrahedron that its front corner hides
_TIE, _FRAME = "#a9b6c8", "#5a6070"


def draw_ternary(diagram: PhaseDiagram, marks: Sequence[Mark], elements: Sequence[str]) -> Figure:
    """The figure; see ``draw_phase_diagram``."""
    return _draw(diagram, marks, elements, _TRIANGLE, (7.4, 5.6))


def draw_quaternary(diagram: PhaseDiagram, marks: Sequence[Mark], elements: Sequence[str]) -> Figure:
    """The figure; see ``draw_phase_diagram``."""
    return _draw(diagram, marks, elements, _TETRAHEDRON, (7.8, 6.4))


def _draw(
    diagram: PhaseDiagram,
    marks: Sequence[Mark],
    elements: Sequence[str],
    corners: np.ndarray,
    size: tuple[float, float],
) -> Figure:
    figure, axes = new_figure(*size, "", "")
    axes.set_title("")
    axes.set_axis_off()
    axes.set_aspect("equal")

    def place(entries: Sequence[Any]) -> np.ndarray:
        fractions = [[float(e.composition.get_atomic_fraction(x)) for x in elements] for e in entries]
        return np.array(fractions).reshape(-1, len(elements)) @ corners

    stable = sorted(diagram.stable_entries, key=lambda e: str(e.composition.reduced_formula))
    known = place(stable)
    for start, end in tie_lines(diagram):
        axes.plot(*place([start, end]).T, color=_TIE, linewidth=0.9, zorder=2)
    for i, j in combinations(range(len(elements)), 2):
        behind = len(corners) == 4 and (i, j) == _BEHIND
        width = 0.9 if behind else 1.4
        axes.plot(
            *corners[[i, j]].T, color=_FRAME, linewidth=width, linestyle="--" if behind else "-", zorder=3
        )
    axes.scatter(known[:, 0], known[:, 1], s=36, color=BAR, edgecolors="white", linewidths=0.8, zorder=4)
    points = np.array([m.fractions for m in marks]).reshape(-1, len(elements)) @ corners
    scale = color_scale(marks)
    low, high = corners.min(axis=0), corners.max(axis=0)
    axes.set_xlim(low[0] - 0.13, high[0] + 0.13)
    axes.set_ylim(low[1] - 0.09, high[1] + 0.09)
    scatter_marks(axes, points, marks, scale)
    if marks:
        color_bar(figure, axes, scale)
    figure.draw_without_rendering()  # the layout moves the axes, and room for labels is measured on the page
    taken = label_marks(axes, points, marks, corners)
    _name_phases(axes, stable, known, corners, taken)
    return figure


def tie_lines(diagram: PhaseDiagram) -> list[tuple[Any, Any]]:
    """Pairs of stable phases that stand in equilibrium, each once: the edges of the hull's facets."""
    pairs = {tuple(sorted(pair)) for facet in diagram.facets for pair in combinations(facet, 2)}
    entries = diagram.qhull_entries
    return [(entries[i], entries[j]) for i, j in sorted(pairs)]


def _name_phases(
    axes: Axes, entries: Sequence[Any], places: np.ndarray, corners: np.ndarray, taken: list[np.ndarray]
) -> None:
    """Names of stable phases, away from the middle; those of the elements are large and always shown.

    Args:
        axes: where to write.
        entries: the phases.
        places: (n, 2) of them, in data coordinates.
        corners: (elements, 2) of the diagram.
        taken: places on the page that have a label already, grown by this.
    """
    centre = corners.mean(axis=0)
    to_page = axes.transData.transform
    stand = taken
    order = sorted(range(len(entries)), key=lambda i: len(entries[i].composition))
    for i in order:
        element = len(entries[i].composition) == 1
        name = phase_names([entries[i]])[0]
        here, page = places[i], to_page(places[i])
        room = np.array([7.5 * len(name), 12.0])
        if not element and any((np.abs(page - other) < room).all() for other in stand):
            continue
        stand.append(page)
        away = here - centre
        length = float(np.linalg.norm(away))
        away = np.array([0.0, -1.0]) if length < 0.05 else away / length
        axes.annotate(
            typeset(name),
            here,
            xytext=((15 if element else 11) * float(away[0]), (15 if element else 11) * float(away[1])),
            textcoords="offset points",
            ha="right" if away[0] < -0.35 else "left" if away[0] > 0.35 else "center",
            va="top" if away[1] < -0.35 else "bottom" if away[1] > 0.35 else "center",
            fontsize=13 if element else 9,
            fontweight="bold" if element else "normal",
            color=INK,
            zorder=7,
            annotation_clip=False,
            path_effects=halo(),
        )
