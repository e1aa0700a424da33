"""Parts of the pages of runs: funnel, phase diagram, notes, files, status."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from nicegui import ui

from crystalsmith.reports.words import duration, formula_html, group_html
from crystalsmith.serving.opened import Opened, Step
from crystalsmith.serving.pages import figures
from crystalsmith.serving.pages.parts import element, html, link, tag, text
from crystalsmith.serving.pages.plot import Plot
from crystalsmith.symmetry import space_group

KINDS = {
    "generation": "generate",
    "relaxation": "relax",
    "solution": "solve",
    "discovery": "discover",
    "systems": "discover",
    "rediscovery": "rediscover",
    "phonons": "phonons",
    "evaluation": "evaluate",
    "hull": "hull",
    "training": "train",
    "prior": "train-prior",
    "unknown": "other",
}
"""What kinds of run are called here: by their commands."""

STATUS = {"finished": "good", "running": "now", "interrupted": "bad"}
"""Classes of the words for how a run stands."""

FILE_WORDS = {
    "report.html": "Report",
    "crystals.csv": "Table",
    "relaxed.csv": "Table",
    "candidates.csv": "Table",
    "crystals.extxyz": "extxyz",
    "relaxed.extxyz": "extxyz",
    "results.json": "JSON",
    "shortlist.json": "Short list",
    "systems.csv": "Table",
    "systems.json": "JSON",
    "run.log": "Log",
    "manifest.json": "Manifest",
    "crystals.png": "Picture",
}
"""What files are called."""

_GROUP = re.compile(r"([A-Z][-\w/]*) \((\d{1,3})\)")

MOST_REASONS = 5
"""Reasons of a step that are named."""


def kind_words(kind: str) -> str:
    """What a kind of run is called."""
    return KINDS.get(kind, kind)


def status_tag(status: str) -> Markup:
    """How a run stands."""
    return (
        tag("" if status == "unknown" else status, STATUS.get(status, ""))
        if status != "unknown"
        else Markup()
    )


def funnel(steps: Sequence[Step]) -> ui.html:
    """Steps from the top, each with a bar as long as its share of the first, and why the others left."""
    most = max((step.came for step in steps), default=0) or 1
    rows = []
    for step in steps:
        reasons = sorted(((n, why) for why, n in step.reasons.items() if n), reverse=True)
        named = ", ".join(f"{n:,} {why}" for n, why in reasons[:MOST_REASONS])
        rest = sum(n for n, _ in reasons[MOST_REASONS:])
        words = named + (f", {rest:,} for other reasons" if rest else "")
        took = (
            Markup(' <small class="quiet">{}</small>').format(duration(step.seconds)) if step.seconds else ""
        )
        rows.append(
            Markup(
                '<li><div class="row ends"><span class="step">{name}{took}</span>'
                '<span class="number">{went:,} <small class="quiet">of {came:,}</small></span></div>'
                '<div class="bars" aria-hidden="true">'
                '<span class="came" style="width:{came_share:.2f}%"></span>'
                '<span class="went" style="width:{went_share:.2f}%"></span></div>{lost}</li>'
            ).format(
                name=step.name[:1].upper() + step.name[1:],
                took=took,
                went=step.went,
                came=step.came,
                came_share=100 * step.came / most,
                went_share=100 * step.went / most,
                lost=Markup('<small class="quiet">left: {}</small>').format(words) if words else "",
            )
        )
    return html(Markup().join(rows), tag="ol", classes="funnel")


def typeset(words: str) -> Markup:
    """Words with formulas, and with space groups as ``P4_2/mnm (136)``, set as such."""
    shown, end = Markup(), 0
    for found in _GROUP.finditer(words):
        group = int(found[2])
        if 1 <= group <= 230 and found[1] == space_group(group).symbol:
            shown += formula_html(words[end : found.start()]) + group_html(group)
            end = found.end()
    return shown + formula_html(words[end:])


def notes(words: Sequence[str], most: int = 8) -> None:
    """What the reader should know."""
    if not words:
        return
    with element("ul", "note notes"):
        for note in words[:most]:
            text("li", note)
        if len(words) > most:
            text("li", f"and {len(words) - most} more in run.log")


def files(opened: Opened, run_id: str, known: Sequence[str]) -> None:
    """Links to the files of a run that are given out; ``known`` are their names."""
    with element("div", "row tight"):
        for name in known:
            if name in opened.files:
                address = f"/api/v1/runs/{run_id}/files/{name}"
                made = link(FILE_WORDS.get(name, name), address, "cs small")
                if name.endswith(".html"):
                    made.props.update({"target": "_blank", "rel": "noopener"})
                else:
                    made.props.update({"download": ""})


def ago(seconds: float) -> str:
    """How long ago a time was, in a few words."""
    past = max(time.time() - seconds, 0.0)
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if past >= length:
            n = int(past // length)
            return f"{n} {unit}{'s' if n > 1 else ''} ago"
    return "just now"


def draw_diagram(diagram: Mapping[str, Any], *, height: int = 520) -> Plot:
    """A phase diagram and what is to be said of it.

    Args:
        diagram: of ``serving.diagram``.
        height: in pixels.
    """
    plot = Plot(figures.diagram_figure(diagram, height=height), figures.spoken_diagram(diagram))
    for note in diagram["notes"]:
        text("p", note, "quiet small")
    return plot
