"""What an order means, beside its form: what is possible, what is known, which positions there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from markupsafe import Markup
from nicegui import ui

from crystalsmith.errors import CrystalsmithError
from crystalsmith.reports.words import NOTHING, formula_html, group_html
from crystalsmith.serving.pages.order_form import Filled
from crystalsmith.serving.pages.parts import button, element, html, table, text
from crystalsmith.symmetry import space_group

PHASES = 6
"""Known phases that are shown at first."""

LIKELY = 5
"""Arrangements that are shown."""

_MANY = 10**6
_MISSING = {
    "formula": "Type a formula to see what is possible and what is known of it.",
    "system": "Type elements, such as Cu-K-Si, to see what is known of them.",
    "space_group": "Type a space group: a number from 1 to 230, or a symbol such as Fm-3m.",
    "sites": "Say how many inequivalent sites each element has.",
    "wyckoff": "Say which element is on which letter.",
    "upload": "Choose the file of a crystal; its atoms stay where they are.",
    "add": "Say which atoms the host takes up.",
}


def show_meaning(place: ui.element, filled: Filled, found: Mapping[str, Any]) -> ui.element | None:
    """What an order means.

    Args:
        place: what it is written into; what was there goes.
        filled: what the form says.
        found: as ``answers.about_order`` gives it; empty while the form is not filled in.

    Returns:
        Where ``show_arrangements`` has its place; None where the order is not possible (yet).
    """
    place.clear()
    with place:
        if not found:
            text("p", _MISSING.get(filled.missing, "Something cannot be read yet."), "quiet")
            return None
        if not found["possible"]:
            text("h2", "Not possible")
            text("p", str(found["reason"]), "bad")
            return None
        text("h2", _title(found))
        least, most = found["atoms"]["least"], found["atoms"]["most"]
        cells = f"{least}" if least == most else f"{least} to {most}"
        text("p", f"{cells} atoms in the primitive cell.")
        for note in found["notes"]:
            text("p", str(note), "note small")
        if found["known_phases"]:
            _show_phases(found["kind"], found["known_phases"])
        elif found["kind"] in ("formula", "system"):
            text("p", "The model knows no phase of this: whatever is made will be new.", "quiet")
        ways = element("div", "stack tight")
        with ways:
            text("p", "Counting the ways to place the atoms …", "quiet")
    return ways


def show_silence(place: ui.element, words: str) -> None:
    """That there was no answer; the order may be possible all the same."""
    place.clear()
    with place:
        text("p", f"No answer: {words}", "quiet")


def show_arrangements(
    place: ui.element, found: Mapping[str, Any], use: Callable[[Mapping[str, str]], None]
) -> None:
    """How many ways there are to place the atoms, and the likeliest ones.

    Args:
        place: what it is written into; what was there goes.
        found: as ``answers.arrangements`` gives it.
        use: called with values of fields when one is chosen.
    """
    place.clear()
    with place:
        html(_ways(found["assignments"]), tag="p")
        if not found["likely"]:
            return
        text("h3", "Likeliest arrangements")
        for recipe in found["likely"][:LIKELY]:
            with element("div", "row ends close"):
                sites = _sites(recipe)
                html(
                    Markup("{} <span class='quiet'>{}</span>").format(
                        group_html(recipe["space_group"]), sites
                    ),
                    tag="span",
                )
                values = {
                    "kind": "wyckoff",
                    "space_group": str(recipe["symbol"]),
                    "wyckoff": ", ".join(f"{e}:{letter}" for e, letter in recipe["wyckoff"]),
                }
                name = f"Use {recipe['symbol']}, {sites}"
                button("Use", partial(use, values), "plain small", **{"aria-label": name})


def _title(found: Mapping[str, Any]) -> str:
    known = len(found["known_phases"])
    if found["kind"] not in ("formula", "system") or not known:
        return "Possible"
    return "Possible, one phase known" if known == 1 else f"Possible, {known} phases known"


def _ways(count: int | None) -> Markup:
    if count is None:
        return Markup("There are too many ways to place the atoms to count them.")
    if count == 1:
        return Markup("There is one way to place the atoms.")
    return Markup("There are {} ways to place the atoms.").format(_great(count))


def _great(count: int) -> Markup:
    if count < _MANY:
        return Markup(f"{count:,}")
    digits = str(count)
    return Markup("{}.{} × 10<sup>{}</sup>").format(digits[0], digits[1], len(digits) - 1)


def _show_phases(kind: str, phases: list[Mapping[str, Any]]) -> None:
    text("h3", "Known phases, most stable first")
    hull = Markup('<abbr title="energy above the convex hull of all known phases">above hull</abbr>, eV/atom')
    head = ["id" if kind == "formula" else "phase", "space group", "seen", "atoms", hull]
    rows = [
        [
            phase["id"] or NOTHING if kind == "formula" else formula_html(phase["formula"]),
            group_html(phase["space_group"]) if phase["space_group"] else NOTHING,
            NOTHING if phase["seen"] == "-" else phase["seen"],
            phase["atoms"] or NOTHING,
            "0" if phase["distance"] == "on it" else phase["distance"],
        ]
        for phase in phases
    ]
    table(head, rows[:PHASES], texts=3, caption="Known phases")
    if len(rows) > PHASES:
        with element("details"):
            text("summary", f"{len(rows) - PHASES} more")
            table(head, rows[PHASES:], texts=3, caption="More known phases")


def _sites(recipe: Mapping[str, Any]) -> str:
    """Such as ``Li 4c, Fe 4a, O 2 × 4c``."""
    counts = Counter(recipe["sites"])
    return ", ".join(
        site if number == 1 else f"{site.partition(' ')[0]} {number} × {site.partition(' ')[2]}"
        for site, number in counts.items()
    )


def show_positions(place: ui.element, group: str) -> None:
    """The Wyckoff positions of a space group, for people who write letters; nothing if it is none."""
    try:
        found = space_group(group.strip(), letters=True) if group.strip() else None
    except (CrystalsmithError, ValueError):
        found = None
    place.clear()
    if found is None:
        return
    rows = [
        [
            letter,
            position.multiplicity,
            position.site_symmetry,
            "fixed" if position.dof == 0 else f"{position.dof} free",
        ]
        for letter, position in found.wyckoff.items()
    ]
    with place, element("details"):
        summary = element("summary")
        with summary:
            html(Markup("Positions of {}").format(group_html(found.number)), tag="span")
        table(["letter", "atoms", "site symmetry", "coordinates"], rows, texts=1, caption="Wyckoff positions")
