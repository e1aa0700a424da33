"""How this project's plots look: colours, a bare figure, the periodic table as a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#22252b"
QUIET = "#5a6070"
LINE = "#d5d8de"
BAR = "#3b6ea8"
SERIES = ("#3b6ea8", "#e0802f", "#4f9d69", "#a05195", "#c44e52", "#7f6a4f", "#2aa198", "#8c8c8c")
"""Colours of sets that stand beside each other, told apart also by the colour-blind."""

STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": QUIET,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "svg.hashsalt": "crystalsmith",
    "svg.fonttype": "none",
}


def new_figure(width: float, height: float, title: str, subtitle: str) -> tuple[Figure, Axes]:
    """A figure (inches) and its axes, without a window system."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from crystalsmith.pictures.shown import ShownFigure

    figure = ShownFigure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15))
    axes = figure.add_subplot()
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=24)
    axes.text(0, 1.015, subtitle, transform=axes.transAxes, color=QUIET, va="bottom", ha="left")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_axisbelow(True)
    return figure, axes


def percent(part: float, whole: float) -> str:
    """A share in percent, as short as it may be."""
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 10 else f"{share:.1f} %" if share >= 0.1 or not share else "<0.1 %"


def table_place(z: int) -> tuple[float, float]:
    """Column and row of an element in the long periodic table; lanthanides and actinides below it."""
    for first, row in ((57, 7.4), (89, 8.4)):
        if first <= z <= first + 14:
            return z - first + 2, row
    row = sum(z > end for end in (2, 10, 18, 36, 54, 86))
    start = (0, 2, 10, 18, 36, 54, 86)[row]
    offset = z - start - 1
    if row == 0:
        return (0.0 if z == 1 else 17.0), row
    if row <= 2:
        return offset + (10 if offset >= 2 else 0), row
    return offset - (14 if row >= 5 and offset >= 17 else 0), row


def periodic_table(axes: Axes, share: np.ndarray) -> None:
    """Draw shares (119,) by atomic number as colours and percentages; zeros stay white."""
    from ase.data import chemical_symbols
    from matplotlib.colors import LinearSegmentedColormap, LogNorm
    from matplotlib.patches import Rectangle

    colors = LinearSegmentedColormap.from_list("share", ["#eef3f9", "#9dbfe0", "#3b6ea8", "#16324f"])
    norm = LogNorm(1e-3, 1, clip=True)
    for z in range(1, 119 if share[104:].any() else 104):
        x, y = table_place(z)
        value = float(share[z])
        face = colors(norm(value)) if value else "#ffffff"
        axes.add_patch(
            Rectangle((x + 0.03, y + 0.03), 0.94, 0.94, facecolor=face, edgecolor=LINE, linewidth=0.6)
        )
        # Not of the page's colours, which change in the dark: those of the cells do not.
        ink = "#fefefe" if value and norm(value) > 0.55 else "#23262c" if value else "#a5abb5"
        name = chemical_symbols[z]
        axes.text(
            x + 0.5, y + 0.42, name, ha="center", va="center", color=ink, fontsize=11, fontweight="bold"
        )
        if value:
            axes.text(x + 0.5, y + 0.76, percent(value, 1), ha="center", va="center", color=ink, fontsize=6.8)
    axes.set_xlim(0, 18)
    axes.set_ylim(9.4, 0)
    axes.set_aspect("equal")
    axes.axis("off")
