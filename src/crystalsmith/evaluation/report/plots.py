"""The plots of an evaluation, as SVG text."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup

from crystalsmith.evaluation.figures import Column, Evaluation
from crystalsmith.evaluation.measures.distributions import QUANTITIES
from crystalsmith.pictures.plotting import (
    INK,
    LINE,
    QUIET,
    SERIES,
    STYLE,
    new_figure,
    periodic_table,
    table_place,
)
from crystalsmith.reports.drawings import inline_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_REFERENCE = LINE


def draw_plots(evaluation: Evaluation) -> list[tuple[str, str, Markup]]:
    """Heading, caption and drawing of every plot that the evaluation has something for, a wide one last."""
    from matplotlib import rc_context

    plots = []
    with rc_context({**STYLE, "svg.fonttype": "path"}):
        for name in QUANTITIES:
            plots.append(_plot(_distribution, evaluation, name))
        if any(c.tables.get("freedom") for c in evaluation.columns):
            plots.append(_plot(_match_rates, evaluation, "freedom"))
            plots.append(_plot(_match_rates, evaluation, "atoms"))
        if any("d_structure" in row for c in evaluation.columns for row in c.details[:1]):
            plots.append(_plot(_distances, evaluation, "d_structure"))
            plots.append(_plot(_distances, evaluation, "d_composition"))
        for column in evaluation.columns[:1]:
            plots.append(_plot(_elements, evaluation, column.name))
    return plots


def _plot(
    draw: Callable[[Evaluation, str], tuple[str, str, Figure]], evaluation: Evaluation, name: str
) -> tuple[str, str, Markup]:
    heading, caption, figure = draw(evaluation, name)
    return heading, caption, inline_figure(figure, f"{draw.__name__.strip('_')}-{name}-")


def _color(evaluation: Evaluation, column: Column) -> str:
    return SERIES[evaluation.columns.index(column) % len(SERIES)]


def _finish(axes: Axes, y: str) -> None:
    axes.set_ylabel(y)
    axes.yaxis.grid(color=LINE, linewidth=0.8)
    axes.tick_params(axis="y", length=0)
    axes.legend(
        frameon=False, fontsize=8.5, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=5, borderpad=0
    )


def _distribution(evaluation: Evaluation, name: str) -> tuple[str, str, Figure]:
    from matplotlib.ticker import MaxNLocator

    label, unit = QUANTITIES[name]
    figure, axes = new_figure(6.4, 3.4, "", "")
    reference = evaluation.reference_quantities[name]
    reference = reference[np.isfinite(reference)]
    values = [c.quantities[name][np.isfinite(c.quantities[name])] for c in evaluation.columns]
    everything = np.concatenate([reference, *values])
    if name == "density":
        edges = np.linspace(0, max(1.0, float(np.quantile(everything, 0.995))), 41)
    elif name == "group":
        edges = np.array([0.5, 2.5, 15.5, 74.5, 142.5, 167.5, 194.5, 230.5])
    else:
        top = int(np.quantile(everything, 0.995)) if len(everything) else 1
        first = 1 if name == "elements" else 0
        edges = np.arange(first - 0.5, max(top, first) + 1.5)
    places = np.arange(len(edges)) if name == "group" else edges
    shares = [np.histogram(np.clip(x, edges[0], edges[-1]), edges)[0] / max(len(x), 1) for x in values]
    base = np.histogram(np.clip(reference, edges[0], edges[-1]), edges)[0] / max(len(reference), 1)
    axes.stairs(base, places, fill=True, color=_REFERENCE, label=evaluation.reference)
    for column, share in zip(evaluation.columns, shares, strict=True):
        axes.stairs(share, places, color=_color(evaluation, column), linewidth=1.7, label=column.name)
    if name == "group":
        systems = [
            "triclinic",
            "mono-\nclinic",
            "ortho-\nrhombic",
            "tetra-\ngonal",
            "trigonal",
            "hexa-\ngonal",
            "cubic",
        ]
        axes.set_xticks(np.arange(7) + 0.5, systems, fontsize=8.5)
        axes.tick_params(axis="x", length=0)
        label = "crystal system of the space group"
    else:
        axes.set_xlabel(label + (f" ({unit})" if unit else ""))
        axes.set_xlim(edges[0], edges[-1])
        if name != "density":
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _finish(axes, "share of crystals")
    return label[0].upper() + label[1:], "Grey: the reference.", figure


def _match_rates(evaluation: Evaluation, kind: str) -> tuple[str, str, Figure]:
    columns = [c for c in evaluation.columns if c.tables.get(kind)]
    rows = columns[0].tables[kind]
    kept = [k for k, _ in enumerate(rows) if any(c.tables[kind][k].n for c in columns)]
    figure, axes = new_figure(6.4, 3.4, "", "")
    width = 0.8 / len(columns)
    for j, column in enumerate(columns):
        here = [column.tables[kind][k] for k in kept]
        x = np.arange(len(kept)) + (j - (len(columns) - 1) / 2) * width
        value = np.nan_to_num([r.match for r in here]) * 100
        ends = np.array([[r.match - r.low, r.high - r.match] for r in here]).T * 100
        color = _color(evaluation, column)
        if column.samples > 1:
            best = np.nan_to_num([r.match_best for r in here]) * 100
            axes.bar(
                x, best, width * 0.9, color=color, alpha=0.3, label=f"{column.name}, best of {column.samples}"
            )
        axes.bar(x, value, width * 0.9, color=color, label=column.name)
        axes.errorbar(
            x, value, np.nan_to_num(np.clip(ends, 0, None)), fmt="none", ecolor=INK, elinewidth=0.8, capsize=2
        )
    words = {"freedom": "free parameters of the target", "atoms": "atoms in the target's primitive cell"}
    axes.set_xticks(
        np.arange(len(kept)), [f"{rows[k].label}\n({columns[0].tables[kind][k].n})" for k in kept]
    )
    axes.tick_params(axis="x", length=0, labelsize=8.5)
    axes.set_xlabel(f"{words[kind]} (number of targets)")
    axes.set_ylim(0, 105)
    _finish(axes, "match rate (%)")
    return f"Match rate by {words[kind]}", "Bars: 95 % intervals.", figure


def _distances(evaluation: Evaluation, key: str) -> tuple[str, str, Figure]:
    structure = key == "d_structure"
    cutoff = evaluation.settings["coverage_cutoffs"]["structure" if structure else "composition"]
    figure, axes = new_figure(6.4, 3.4, "", "")
    for column in evaluation.columns:
        d = np.sort([row.get(key, np.inf) for row in column.details])
        axes.step(
            d,
            np.arange(1, len(d) + 1) / len(d),
            where="post",
            color=_color(evaluation, column),
            linewidth=1.7,
            label=column.name,
        )
    axes.axvline(cutoff, color=QUIET, linewidth=1, linestyle="--")
    axes.set_xlim(0, 2.5 * cutoff)
    axes.set_ylim(0, 1.02)
    axes.set_xlabel(f"distance to the nearest reference, {'CrystalNN' if structure else 'scaled Magpie'}")
    _finish(axes, "share of crystals within")
    heading = "Distance by structure" if structure else "Distance by composition"
    return heading, f"Dashed: the cut-off of COV-P, {cutoff:g}.", figure


def _elements(evaluation: Evaluation, name: str) -> tuple[str, str, Figure]:
    from matplotlib.patches import Rectangle

    column = next(c for c in evaluation.columns if c.name == name)
    figure, axes = new_figure(9.6, 5.4, "", "")
    periodic_table(axes, column.elements / max(column.size - len(column.failures), 1))
    missing = np.flatnonzero((column.elements == 0) & (evaluation.reference_elements > 0))
    frame: dict[str, Any] = {"fill": False, "edgecolor": "#c44e52", "linewidth": 1.6}
    for z in missing:
        x, y = table_place(int(z))
        axes.add_patch(Rectangle((x + 0.05, y + 0.05), 0.9, 0.9, **frame))
    covered = int(((column.elements > 0) & (evaluation.reference_elements > 0)).sum())
    total = int((evaluation.reference_elements > 0).sum())
    caption = (
        f"Share of crystals of {name} that hold the element; {covered} of {total} elements of the reference"
    )
    return "Elements covered", caption + (", red frames: missing." if len(missing) else "."), figure
