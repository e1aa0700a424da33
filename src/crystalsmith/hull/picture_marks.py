"""What phase diagrams have in common: points, names set as formulas, the colours of energies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.pictures.plotting import INK, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from pymatgen.core import Composition

TOP = 0.1
"""eV per atom above the hull at which the colours end, or less if no crystal is so high."""

STABLE = 1e-6
"""eV per atom: what is this near to the hull is on it."""

_COLORS = ["#1f7a4d", "#7fb04a", "#e8b73a", "#d9662b", "#8e2f3c"]


@dataclass(frozen=True)
class Mark:
    """A new crystal in a diagram.

    Attributes:
        formula: reduced.
        fractions: of the atoms, one for each element of the diagram.
        above_hull: eV per atom.
        label: may be empty.
    """

    formula: str
    fractions: tuple[float, ...]
    above_hull: float
    label: str


def mark_of(formula: str | Composition, above_hull: float, label: str, elements: Sequence[str]) -> Mark:
    """A new crystal as a mark; fractions of elements that the diagram lacks are left out."""
    from pymatgen.core import Composition

    composition = Composition(formula)
    fractions = tuple(float(composition.get_atomic_fraction(e)) for e in elements)
    return Mark(composition.reduced_formula, fractions, float(above_hull), str(label))


def typeset(formula: str) -> str:
    """A formula with its numbers lowered."""
    return re.sub(r"(\d+(?:\.\d+)?)", r"$_{\1}$", formula)


def color_scale(marks: Sequence[Mark]) -> Any:
    """A ScalarMappable from green (0) to red, its upper end no higher than ``TOP``."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    highest = max((m.above_hull for m in marks), default=TOP)
    colors = LinearSegmentedColormap.from_list("above", _COLORS)
    return ScalarMappable(Normalize(0.0, min(TOP, max(highest, 0.02)), clip=True), colors)


def scatter_marks(axes: Axes, places: np.ndarray, marks: Sequence[Mark], scale: Any) -> None:
    """Draw the new crystals at ``places`` (n, 2), the lowest on top: stars on the hull or below, diamonds."""
    order = sorted(range(len(marks)), key=lambda i: -marks[i].above_hull)
    for i in order:
        stable = marks[i].above_hull <= STABLE
        axes.scatter(
            places[i, 0],
            places[i, 1],
            marker="*" if stable else "D",
            s=170 if stable else 46,
            color=[scale.to_rgba(marks[i].above_hull)],
            edgecolors="white",
            linewidths=0.9,
            zorder=6,
        )


def label_marks(axes: Axes, places: np.ndarray, marks: Sequence[Mark], taken: np.ndarray) -> list[np.ndarray]:
    """Write the labels of the lowest mark at each place where there is room for it.

    Args:
        axes: equal scales are not needed; room is measured in points on the page.
        places: (n, 2) of the marks.
        marks: what they are.
        taken: (m, 2) places of labels that stand already.

    Returns:
        Places on the page of these labels and of the new ones.
    """
    to_page = axes.transData.transform
    stand = [to_page(p) for p in taken]
    for i in sorted(range(len(marks)), key=lambda i: marks[i].above_hull):
        label = marks[i].label
        here = to_page(places[i])
        room = np.array([9.0 * len(label), 22.0])
        if not label or any((np.abs(here - other) < room).all() for other in stand):
            continue
        axes.annotate(
            typeset(label),
            places[i],
            xytext=(7, 5),
            textcoords="offset points",
            fontsize=8.5,
            color=INK,
            zorder=7,
            path_effects=halo(),
        )
        stand.append(here)
    return stand


def color_bar(figure: Figure, axes: Axes, scale: Any) -> None:
    """The legend of the colours."""
    extend = "max" if scale.norm.vmax >= TOP - 1e-12 else "neither"
    bar = figure.colorbar(scale, ax=axes, shrink=0.62, aspect=22, pad=0.02, extend=extend)
    bar.set_label("above the hull (eV/atom)", color=QUIET, fontsize=9)
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0, labelsize=8.5)


def phase_names(entries: Sequence[Any]) -> list[str]:
    """The reduced formula of each reference phase; elements without a number, oxygen as ``O``."""
    return [
        e.composition.elements[0].symbol if len(e.composition) == 1 else e.composition.reduced_formula
        for e in entries
    ]


def halo() -> list[Any]:
    """Path effects that keep letters readable on lines."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=2.2, foreground="white")]
