"""An evaluation as one HTML page that opens offline."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crystalsmith.evaluation.figures import Column, Evaluation, Figure, rate_table
from crystalsmith.evaluation.report.plots import draw_plots
from crystalsmith.reports import render
from crystalsmith.reports.words import formula_html

MOST_FAILURES, MOST_FAR = 20, 15
"""Rows of the lists of failures, and of crystals far from the reference, for each set."""

BINS = {"freedom": "free parameters", "atoms": "atoms in the primitive cell"}
"""Tables of match rates and what they are by."""


def to_html(evaluation: Evaluation, title: str = "Evaluation of crystals") -> str:
    """The page."""
    e = evaluation
    rated = ((kind, words, [c for c in e.columns if c.tables.get(kind)]) for kind, words in BINS.items())
    rates = [(words, *rate_table(columns, kind)) for kind, words, columns in rated if columns]
    return render(
        Path(__file__).with_name("page.html"),
        title=title,
        subtitle=f"against {e.reference} ({e.kept})",
        columns=e.columns,
        figures=list(_figures(e)),
        rates=[(words, [words, *head], rows) for words, head, rows in rates],
        plots=draw_plots(e),
        far=[_far(e, c, rows) for c in e.columns if (rows := _missed(e, c))],
        failures=[_failures(c) for c in e.columns if c.failures],
        notes=e.notes,
        definitions=[(m.label, m.about) for m in e.measures()],
        settings=json.dumps(e.settings, indent=1, ensure_ascii=False),
        timings=[
            (name, f"{t['seconds']:.1f}", f"{t['computed']:.0f}", f"{t['cached']:.0f}")
            for name, t in e.timings.items()
        ],
    )


def _figures(e: Evaluation) -> Iterator[dict[str, Any]]:
    """Rows of the table."""
    group = ""
    for m in e.measures():
        figures = [c.figures.get(m.key) for c in e.columns]
        values = [math.nan if f is None else f.value for f in figures]
        best = _best(values, m.higher_is_better) if len(values) > 1 else math.nan
        cells = [_cell(f, v == best) for f, v in zip(figures, values, strict=True)]
        yield {"measure": m, "first": m.group != group, "cells": cells}
        group = m.group


def _best(values: list[float], higher: bool | None) -> float:
    known = [v for v in values if not math.isnan(v)]
    if higher is None or len(set(known)) < 2:
        return math.nan
    return max(known) if higher else min(known)


def _cell(figure: Figure | None, best: bool) -> dict[str, Any]:
    if figure is None or math.isnan(figure.value):
        return {"value": "-", "about": "", "best": False}
    value, bracket, interval = figure.text().partition(" [")
    about = f"{bracket.strip()}{interval} n={figure.n:,}".strip()
    return {"value": value, "about": about, "best": best}


def _missed(e: Evaluation, column: Column) -> list[dict[str, Any]]:
    """Crystals beyond one of the cut-offs, the farthest first."""
    cutoffs = e.settings["coverage_cutoffs"]

    def beyond(row: dict[str, Any]) -> float:
        return max(float(row[f"d_{name}"]) / cutoffs[name] for name in ("structure", "composition"))

    rows = [r for r in column.details if "d_structure" in r and math.isfinite(r["d_structure"])]
    return sorted((r for r in rows if beyond(r) > 1), key=beyond, reverse=True)


def _far(e: Evaluation, column: Column, missed: list[dict[str, Any]]) -> tuple[str, list[tuple[Any, ...]]]:
    rows = [
        (
            f"{r['id']}_{r['index']}",
            formula_html(r.get("formula") or ""),
            f"{r.get('space_group') or 0:.0f}",
            f"{r.get('atoms') or 0:.0f}",
            f"{r['d_structure']:.2f}",
            f"{r['d_composition']:.1f}",
        )
        for r in missed[:MOST_FAR]
    ]
    return f"{column.name}: {len(missed)} of {column.size}, the farthest first", rows


def _failures(column: Column) -> tuple[str, list[tuple[str, str]], int]:
    words = f"{column.name}: {len(column.failures)} of {column.size} count as failures"
    return words, column.failures[:MOST_FAILURES], len(column.failures) - MOST_FAILURES
