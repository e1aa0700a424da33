"""An evaluation as one HTML page that opens offline: no scripts, no fonts, no files beside it."""

from __future__ import annotations

import json
import math
from html import escape
from typing import Any

from crystalsmith.evaluation.figures import Evaluation, Figure, rate_table
from crystalsmith.evaluation.plots import draw_plots

MOST_FAILURES, MOST_FAR = 20, 15
"""Rows of the lists of failures, and of crystals far from the reference, for each set."""

_STYLE = """
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #22252b; margin: 2.5rem auto;
  max-width: 76rem; padding: 0 1.5rem; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.4rem 0 .6rem; }
h3 { font-size: 1rem; margin: 0; } p { margin: .3rem 0; } .quiet { color: #5a6070; }
table { border-collapse: collapse; margin: .6rem 0; }
th, td { padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #e3e5ea; text-align: right;
  vertical-align: top; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
thead th { border-bottom: 2px solid #22252b; }
tr.group td { border-top: 1px solid #9aa0ac; } td small { color: #5a6070; white-space: nowrap; }
td.best { font-weight: 600; } td.best small { font-weight: 400; }
abbr { text-decoration: none; border-bottom: 1px dotted #9aa0ac; cursor: help; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(27rem, 1fr)); gap: 1.6rem 2rem; }
.plots figure { margin: 0; } .plots figure.wide { grid-column: 1 / -1; max-width: 56rem; }
.plots svg { width: 100%; height: auto; } pre { background: #f5f6f8; padding: .8rem 1rem; overflow-x: auto;
  font-size: .82rem; } .scroll { overflow-x: auto; }
"""


def to_html(evaluation: Evaluation, title: str = "Evaluation of crystals") -> str:
    """The page."""
    e = evaluation
    low, high = e.settings["reference_filter"]["space_groups"]
    most = e.settings["reference_filter"]["max_atoms"]
    kept = f"{e.reference_size:,} crystals"
    kept += "" if (low, high) == (1, 230) else f", space groups {low} to {high}"
    kept += "" if most is None else f", at most {most} atoms in the primitive cell"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">against {escape(e.reference)} ({kept}); '
        f"crystalsmith {escape(e.settings['versions']['crystalsmith'])}</p>",
        _figures(e),
        *(
            _bins(e, kind, words)
            for kind, words in (("freedom", "free parameters"), ("atoms", "atoms in the primitive cell"))
        ),
        '<h2>Plots</h2><div class="plots">',
        *(
            f"<figure{' class=wide' if heading == 'Elements covered' else ''}><h3>{escape(heading)}</h3>"
            f'{svg}<figcaption class="quiet">{escape(caption)}</figcaption></figure>'
            for heading, caption, svg in draw_plots(e)
        ),
        "</div>",
        _far(e),
        _failures(e),
        _notes(e),
        "<h2>What the figures mean</h2>",
        _table(["measure", "definition"], [[m.label, m.about] for m in e.measures()], text=True),
        "<h2>Settings</h2>",
        f"<pre>{escape(json.dumps(e.settings, indent=1, ensure_ascii=False))}</pre>",
        "<h2>Time</h2>",
        _table(
            ["step", "seconds", "computed", "from the cache"],
            [
                [name, f"{t['seconds']:.1f}", f"{t['computed']:.0f}", f"{t['cached']:.0f}"]
                for name, t in e.timings.items()
            ],
        ),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _figures(e: Evaluation) -> str:
    head = "".join(
        f"<th>{escape(c.name)}<br><small class=quiet>{c.size:,} crystals</small></th>" for c in e.columns
    )
    rows, group = [], ""
    for m in e.measures():
        figures = [c.figures.get(m.key) for c in e.columns]
        values = [f.value if f is not None else math.nan for f in figures]
        best = _best(values, m.higher_is_better)
        cells = "".join(
            f"<td{' class=best' if len(e.columns) > 1 and v == best else ''}>{_cell(f)}</td>"
            for f, v in zip(figures, values, strict=True)
        )
        unit = " (%)" if m.share else ""
        start = " class=group" if m.group != group else ""
        rows.append(
            f'<tr{start}><td><abbr title="{escape(m.about)}">{escape(m.label)}</abbr>{unit}</td>{cells}</tr>'
        )
        group = m.group
    note = "95 % bootstrap intervals; n is what a figure rests on. Hover over a name for its definition."
    if len(e.columns) > 1:
        note += " Bold: the best of the row."
    columns = "".join(f"<p class=quiet>{escape(c.name)}: {escape(c.note)}</p>" for c in e.columns if c.note)
    return (
        f"<h2>Figures</h2><div class=scroll><table><thead><tr><th></th>{head}</tr></thead><tbody>"
        + "".join(rows)
        + f"</tbody></table></div><p class=quiet>{note}</p>{columns}"
    )


def _best(values: list[float], higher: bool | None) -> float:
    known = [v for v in values if not math.isnan(v)]
    if higher is None or len(set(known)) < 2:
        return math.nan
    return max(known) if higher else min(known)


def _cell(figure: Figure | None) -> str:
    if figure is None or math.isnan(figure.value):
        return "-"
    value, bracket, interval = figure.text().partition(" [")
    shown = f"{value}<br><small>[{interval}" if bracket else f"{value}<br><small>"
    return f"{shown} n={figure.n:,}</small>"


def _bins(e: Evaluation, kind: str, words: str) -> str:
    columns = [c for c in e.columns if c.tables.get(kind)]
    if not columns:
        return ""
    head, rows = rate_table(columns, kind)
    return f"<h2>Match rate (%) and RMSE by {words}</h2>" + _table([words, *head], rows)


def _far(e: Evaluation) -> str:
    parts = []
    cutoffs = e.settings["coverage_cutoffs"]
    for c in e.columns:
        rows = [r for r in c.details if "d_structure" in r and math.isfinite(r["d_structure"])]
        missed = [
            r
            for r in rows
            if r["d_structure"] > cutoffs["structure"] or r["d_composition"] > cutoffs["composition"]
        ]
        if not missed:
            continue
        missed.sort(
            key=lambda r: (
                -max(r["d_structure"] / cutoffs["structure"], r["d_composition"] / cutoffs["composition"])
            )
        )
        table = _table(
            ["crystal", "formula", "space group", "atoms", "by structure", "by composition"],
            [
                [
                    f"{r['id']}_{r['index']}",
                    str(r.get("formula") or ""),
                    f"{r.get('space_group') or 0:.0f}",
                    f"{r.get('atoms') or 0:.0f}",
                    f"{r['d_structure']:.2f}",
                    f"{r['d_composition']:.1f}",
                ]
                for r in missed[:MOST_FAR]
            ],
        )
        parts.append(f"<p>{escape(c.name)}: {len(missed)} of {c.size}, the farthest first</p>{table}")
    return "<h2>Crystals that no reference covers</h2>" + "".join(parts) if parts else ""


def _failures(e: Evaluation) -> str:
    parts = []
    for c in e.columns:
        if c.failures:
            table = _table(
                ["crystal", "reason"],
                [[name, reason] for name, reason in c.failures[:MOST_FAILURES]],
                text=True,
            )
            more = len(c.failures) - MOST_FAILURES
            parts.append(
                f"<p>{escape(c.name)}: {len(c.failures)} of {c.size} count as failures</p>{table}"
                + (f"<p class=quiet>and {more} more; all are in the JSON file</p>" if more > 0 else "")
            )
    return "<h2>Failures</h2>" + "".join(parts) if parts else ""


def _notes(e: Evaluation) -> str:
    if not e.notes:
        return ""
    return "<h2>Notes</h2><ul>" + "".join(f"<li>{escape(n)}</li>" for n in e.notes) + "</ul>"


def _table(head: list[str], rows: list[list[Any]], text: bool = False) -> str:
    mark = ' class="text"' if text else ""
    first = "".join(f"<th{mark}>{escape(x)}</th>" for x in head)
    body = "".join(
        "<tr>" + "".join(f"<td{mark}>{escape(str(x))}</td>" for x in row) + "</tr>" for row in rows
    )
    return f"<div class=scroll><table><thead><tr>{first}</tr></thead><tbody>{body}</tbody></table></div>"
