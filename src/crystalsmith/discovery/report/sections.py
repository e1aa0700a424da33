"""Sections of the page that tell of the whole run: its figures, the funnel, the hull, how to repeat it."""

from __future__ import annotations

import json
from html import escape
from typing import Any

from crystalsmith.discovery.report.plots import figure_svg
from crystalsmith.discovery.report.words import (
    both_units,
    command_line,
    duration,
    formula_html,
    number,
)
from crystalsmith.discovery.summary import RunSummary
from crystalsmith.hull import KJ_PER_MOL

ON_HULL = 1e-6
"""eV per atom: what lies no higher is on the hull or below it."""


def heading(summary: RunSummary) -> str:
    """Title, what the run was, and its four most telling figures."""
    system = "-".join(summary.system)
    made = summary.stages[0].came if summary.stages else len(summary.shortlist)
    known = [c.above_hull for c in summary.shortlist if c.above_hull is not None]
    new = sum(c.novelty is not None and c.novelty.is_new for c in summary.shortlist)
    cells = [
        (f"{made:,}", "candidates made"),
        (f"{len(summary.shortlist)}", "on the short list"),
        (f"{new}", "of them not known"),
        (f"{sum(e <= ON_HULL for e in known)}", "on the hull or below it"),
    ]
    if known:
        cells.append((f"{number(min(known), 3)}", "lowest above the hull, eV/atom"))
    tiles = "".join(f"<li><b>{value}</b>{escape(what)}</li>" for value, what in cells)
    version = summary.versions.get("crystalsmith", "")
    words = [f"crystalsmith {version}".strip(), duration(summary.seconds)]
    if summary.potential:
        words.insert(0, f"energies of {summary.potential}")
    return (
        f"<h1>New crystals of {escape(system)}</h1>"
        f'<p class="quiet">{escape("; ".join(words))}</p><ul class="key">{tiles}</ul>' + notes(summary)
    )


def notes(summary: RunSummary) -> str:
    """What the reader must know."""
    if not summary.notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in summary.notes)
    return f'<div class="notes"><b>To bear in mind</b><ul>{items}</ul></div>'


def funnel(summary: RunSummary) -> str:
    """How many came to each stage and went on, and why the others left."""
    if not summary.stages:
        return ""
    most = max(max(s.came for s in summary.stages), 1)
    rows = []
    for stage in summary.stages:
        reasons = sorted(stage.reasons.items(), key=lambda item: (-item[1], item[0]))
        why = "<br>".join(f"{n:,} {escape(reason)}" for reason, n in reasons)
        rows.append(
            f'<tr><td class="text">{escape(stage.name)}</td><td class="number">{stage.came:,}</td>'
            f'<td class="number">{stage.went:,}</td>'
            f'<td class="bar"><span style="width:{100 * stage.went / most:.2f}%"></span></td>'
            f'<td class="number">{escape(duration(stage.seconds))}</td>'
            f'<td class="text"><small>{why}</small></td></tr>'
        )
    head = (
        '<th class="text">stage</th><th>came</th><th>went on</th><th></th><th>time</th>'
        '<th class="text">why the others left</th>'
    )
    return (
        f'<h2>The funnel</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def hull(summary: RunSummary) -> str:
    """The phase diagram with the new points, and its stable phases in figures."""
    head = "<h2>Phase diagram</h2>"
    words = f"<p>{escape(summary.reference)}</p>" if summary.reference else ""
    diagram = summary.diagram
    if diagram is None:
        return (
            f'{head}{words}<p class="quiet">No hull: energies of the reference phases are not at hand, so'
            " none of the crystals has an energy above it.</p>"
        )
    from crystalsmith.hull.pictures import DRAWN, draw_phase_diagram

    picture = ""
    points = [
        (c.crystal.formula, c.above_hull, c.crystal.formula)
        for c in summary.shortlist
        if c.above_hull is not None
    ]
    if len(diagram.elements) in DRAWN:
        svg = figure_svg(draw_phase_diagram(diagram, points), "hull-")
        picture = (
            f'<figure class="diagram">{svg}<figcaption>Blue: stable reference phases, with tie lines.'
            " Diamonds: the short list, coloured by energy above the hull; stars: on it or below it."
            f"</figcaption></figure>"
        )
    return head + words + picture + _stable_phases(diagram)


def _stable_phases(diagram: Any) -> str:
    from crystalsmith.discovery.shortlist import phase_label

    stable = sorted(diagram.stable_entries, key=lambda e: (len(e.composition), e.composition.reduced_formula))
    rows = "".join(
        f'<tr><td class="text">{formula_html(phase_label(e))}</td>'
        f'<td class="number">{both_units(float(diagram.get_form_energy_per_atom(e)))}</td></tr>'
        for e in stable
    )
    return (
        f"<details><summary>The {len(stable)} stable reference phases</summary><table><thead><tr>"
        '<th class="text">phase</th><th>formation energy<br><small>eV/atom</small></th></tr></thead>'
        f"<tbody>{rows}</tbody></table></details>"
    )


def units(summary: RunSummary) -> str:
    """What the energies mean."""
    scale = f"energies of {summary.potential}" if summary.potential else "energies"
    return (
        "<h2>What the figures mean</h2><p>Energy above the hull: how far a crystal lies above the lower"
        " convex hull of the reference phases alone; negative where it would be a new stable phase."
        f" Formation energy: relative to the elements. Both are {escape(scale)} at 0 K, without zero-point"
        " or thermal parts. DFT energies have a hull of their own."
        f" 1 eV/atom is {KJ_PER_MOL:.3f} kJ per mole of <em>atoms</em>; every kJ/mol of this page is per mole"
        " of atoms. Sultanov et al. (2023, Table 3) give kJ/mol without saying of what: their values are"
        f" of a size that fits per mole of atoms (Al<sub>3</sub>KPd<sub>6</sub>: −55.77 kJ/mol is"
        f" {number(-55.77 / KJ_PER_MOL, 3)} eV/atom), the unit of this page.</p>"
    )


def reproduction(summary: RunSummary) -> str:
    """Command, arguments, versions."""
    command = command_line(summary.arguments)
    rows = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in summary.versions.items())
    arguments = json.dumps(
        {k: v for k, v in summary.arguments.items() if k != "command"},
        indent=1,
        ensure_ascii=False,
        default=str,
    )
    return (
        "<h2>To reproduce it</h2>"
        + (f"<pre>{escape(command)}</pre>" if command else "")
        + f"<p>Reference: {escape(summary.reference or 'none')}.</p><dl>{rows}</dl>"
        + f"<details open><summary>Arguments</summary><pre>{escape(arguments)}</pre></details>"
    )
