"""The pictures of a data set's statistics."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal import SYMBOLS
from crystalsmith.data.counts import LATTICE_SYSTEMS, Statistics, lattice_system, statistics
from crystalsmith.data.dataset import Dataset
from crystalsmith.errors import DataError
from crystalsmith.pictures.plotting import BAR, INK, LINE, STYLE, new_figure, percent, periodic_table
from crystalsmith.runs.atomic import replacing
from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# One hue for each lattice system, told apart also by the colour-blind and by their brightness.
_SYSTEM_COLORS = dict(
    zip(
        LATTICE_SYSTEMS,
        ("#8c8c8c", "#b07aa1", "#e15759", "#f2a541", "#59a14f", "#3aa6a6", "#2f5d9b"),
        strict=True,
    )
)


def draw_statistics(
    dataset: Dataset, folder: str | os.PathLike[str], formats: Sequence[str] = ("png", "svg")
) -> list[Path]:
    """Draw lattice systems, space groups, elements and inequivalent sites per element, one picture each.

    Args:
        dataset: any data set that is not empty.
        folder: made if missing; pictures of the same names are replaced.
        formats: file types, png and svg.

    Returns:
        The files written.

    Raises:
        DataError: the data set is empty, or the folder cannot be written.
    """
    from matplotlib import rc_context

    counts = statistics(dataset)
    folder = Path(folder)
    paths = []
    drawings = {
        "lattice_systems": _lattice_systems,
        "space_groups": _space_groups,
        "elements": _elements,
        "sites_per_element": _sites_per_element,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with rc_context(STYLE):
            for name, draw in drawings.items():
                figure = draw(counts)
                paths += [_write(figure, folder / f"{name}.{suffix}") for suffix in formats]
    except OSError as error:
        raise DataError(f"cannot write pictures to {folder}: {error.strerror or error}") from None
    return paths


def _write(figure: Figure, path: Path) -> Path:
    suffix = path.suffix.removeprefix(".")
    # Without the date the same data set gives the same file.
    metadata = {"Date": None} if suffix == "svg" else None
    with replacing(path) as partial:
        figure.savefig(partial, format=suffix, dpi=150, metadata=metadata, facecolor="white")
    return path


def _lattice_systems(s: Statistics) -> Figure:
    figure, axes = new_figure(7, 4.2, "Lattice systems", f"{s.structures:,} structures")
    systems = list(s.lattice_systems)
    values = [s.lattice_systems[x] for x in systems]
    bars = axes.bar(systems, values, width=0.72, color=[_SYSTEM_COLORS[x] for x in systems])
    labels = [f"{value:,}\n{percent(value, s.structures)}" for value in values]
    axes.bar_label(bars, labels, padding=3, fontsize=9)
    axes.set_ylim(0, max(values) * 1.17)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0)
    axes.set_xticks(range(len(systems)), systems, fontsize=9.5, color=INK)
    return figure


def _space_groups(s: Statistics) -> Figure:
    from matplotlib.patches import Patch
    from matplotlib.patheffects import withStroke

    present = int((s.space_groups > 0).sum())
    figure, axes = new_figure(
        11, 4.6, "Space groups", f"{s.structures:,} structures in {present} of 230 space groups"
    )
    numbers = np.arange(1, 231)
    counts = s.space_groups[1:]
    colors = [_SYSTEM_COLORS[lattice_system(int(n))] for n in numbers]
    axes.bar(numbers, counts, width=1.0, color=colors)
    axes.set_xlim(0, 231)
    axes.set_ylim(0, counts.max() * 1.16)
    axes.set_xlabel("space-group number")
    axes.set_ylabel("structures")
    axes.set_xticks([1, 16, 75, 143, 168, 195, 230])
    axes.yaxis.grid(color=LINE, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    # Names over the bars that stand out of their neighbourhood, so that no name runs into another bar or
    # name.
    height = np.pad(counts, 7)
    for n in numbers.tolist():
        if counts[n - 1] > 0.12 * counts.max() and counts[n - 1] == height[n - 1 : n + 14].max():
            label = f"{space_group(n).symbol.replace('_', '')}\n{n}"
            axes.annotate(
                label,
                (n, counts[n - 1]),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=8,
                path_effects=[withStroke(linewidth=3, foreground="white")],
            )
    handles = [Patch(color=_SYSTEM_COLORS[x], label=x) for x in LATTICE_SYSTEMS if s.lattice_systems[x]]
    axes.legend(
        handles=handles,
        ncols=len(handles),
        loc="lower right",
        bbox_to_anchor=(1, 1.0),
        frameon=False,
        fontsize=8.5,
        handlelength=1,
        handleheight=1,
        columnspacing=1.2,
    )
    return figure


def _elements(s: Statistics) -> Figure:

    most = int(s.structures_with.argmax())
    name = SYMBOLS[most]
    subtitle = (
        f"share of {s.structures:,} structures that hold the element; {name} is in "
        f"{percent(s.structures_with[most], s.structures)} and is "
        f"{percent(s.atoms_of[most], s.atoms)} of all atoms"
    )
    figure, axes = new_figure(11, 6.3, "Elements", subtitle)
    periodic_table(axes, s.structures_with / s.structures)
    return figure


def _sites_per_element(s: Statistics) -> Figure:
    shown = 10
    counts = s.sites_of_an_element
    total = int(counts.sum())
    values = [int(x) for x in counts[1 : shown + 1]]
    values += [0] * (shown - len(values)) + [int(counts[shown + 1 :].sum())]
    labels = [*map(str, range(1, shown + 1)), f"> {shown}"]
    last = max(i for i, value in enumerate(values) if value) + 1
    title = "Inequivalent sites per element"
    figure, axes = new_figure(7, 4.2, title, f"{total:,} elements in {s.structures:,} structures")
    bars = axes.bar(labels[:last], values[:last], width=0.78, color=BAR)
    axes.bar_label(bars, [percent(v, total) for v in values[:last]], padding=3, fontsize=9)
    axes.set_ylim(0, max(values) * 1.1)
    axes.set_yticks([])
    axes.tick_params(axis="x", length=0, labelcolor=INK)
    axes.set_xlabel("inequivalent sites that one element occupies in a structure")
    return figure
