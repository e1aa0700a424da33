"""``report.html`` of a run: what was made, as tables and pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from crystalsmith.crystal.bonds import shortest_bonds
from crystalsmith.reports import render
from crystalsmith.reports.drawings import crystal_svg, pattern_svg
from crystalsmith.reports.viewers import MOST_ATOMS, Viewers
from crystalsmith.reports.words import chance, formula_html, group_html, lattice_html, number

if TYPE_CHECKING:
    from crystalsmith.generation.known import Novelty
    from crystalsmith.generation.results import Ranked, Results

DRAWN = 24
"""Crystals that are shown in full."""

LISTED = 500
"""Crystals in the table."""

_BONDS = 6  # pairs of elements whose shortest bond a card names


def shown_in_full(rows: Iterable[Ranked]) -> list[Ranked]:
    """The crystals that have a card of their own."""
    return list(islice((m for m in rows if not m.stands_behind), DRAWN))


def results_page(results: Results, *, title: str = "", facts: Mapping[str, Any] | None = None) -> str:
    """The page.

    Args:
        results: from ``write_results``.
        title: its heading; from the formulas where empty.
        facts: what it says of the run, by name.
    """
    viewers = Viewers()
    full = shown_in_full(results)
    cards = [
        {
            "made": m,
            "name": m.stem,
            "picture": viewers.picture(m.crystal, f"c{m.rank}-"),
            "pattern": pattern_svg(m.crystal),
            "facts": _facts(m),
        }
        for m in full
    ]
    pictures = {m.rank: _small(m, f"t{m.rank}-") for m in full}
    head, rows = _table(results, pictures)
    known = [m for m in results if m.novelty is not None]
    return render(
        Path(__file__).with_name("results.html"),
        title=title or _title(results),
        subtitle="",
        viewers=viewers,
        tiles=[
            (len(results), "crystals"),
            (sum(not m.stands_behind for m in results), "different ones"),
            *([(sum(bool(m.known_as) for m in known), "known already")] if known else []),
        ],
        head=head,
        rows=rows,
        listed=min(len(results), LISTED),
        total=len(results),
        cards=cards,
        place="all CIFs are in the folder cif" if results.files is None else "all are in crystals.parquet",
        known=_known_rows(results),
        facts=list((facts or {}).items()),
    )


def _known_rows(results: Results) -> list[dict[str, Any]]:
    """A row for each known phase."""
    return [
        {
            "phase": formula_html(phase.formula),
            "id": phase.id or "–",
            "group": group_html(phase.space_group) if phase.space_group else "–",
            "atoms": phase.atoms or "–",
            "above": phase.distance,
            "seen": phase.seen,
            "rank": phase.rank,
            "order": phase.order,
        }
        for phase in results.known_phases[:LISTED]
    ]


def _title(results: Results) -> str:
    formulas = list(dict.fromkeys(m.crystal.formula for m in results))
    return "Crystals of " + ", ".join(formulas[:4]) + (" and others" if len(formulas) > 4 else "")


def _small(made: Ranked, prefix: str) -> Markup:
    if made.crystal.n_atoms_conventional > MOST_ATOMS:
        return Markup()
    return crystal_svg(made.crystal, prefix, legend=False)


def _table(results: Results, pictures: Mapping[int, Markup]) -> tuple[list[str], list[dict[str, Any]]]:
    several = len({m.order.id for m in results}) > 1
    energies = any(m.energy is not None for m in results)
    scores = any(m.figure is not None for m in results)
    looked = any(m.novelty is not None for m in results)
    head = ["", "", "formula", "space group", "lattice (Å)", *(["order"] if several else [])]
    head += [*(["known as"] if looked else []), "remark", "atoms"]
    head += [*(["score"] if scores else []), *(["eV/atom"] if energies else [])]
    rows = []
    for m in list(results)[:LISTED]:
        text: list[Any] = [formula_html(m.crystal.formula), group_html(m.crystal.space_group)]
        text += [lattice_html(m.crystal), *([m.order.id] if several else [])]
        text += [*([formula_html(m.known_as)] if looked else []), m.remark]
        numbers = [m.crystal.n_atoms, *([number(m.figure, 2)] if scores else [])]
        numbers += [number(m.energy, 3)] if energies else []
        rows.append({"made": m, "picture": pictures.get(m.rank), "text": text, "numbers": numbers})
    return head, rows


def _facts(made: Ranked) -> list[tuple[str, Any]]:
    crystal, score = made.crystal, made.entry.score
    facts: list[tuple[str, Any]] = [
        ("Lattice", Markup("{} (Å)").format(lattice_html(crystal))),
        ("Atoms", f"{crystal.n_atoms} (primitive cell), {crystal.n_atoms_conventional} (conventional)"),
        ("Volume", f"{crystal.volume / crystal.n_atoms_conventional:.2f} Å³ per atom"),
    ]
    bonds = shortest_bonds(crystal)[:_BONDS]
    if bonds:
        words = ", ".join(f"{b.first}–{b.second} {b.length:.2f}" for b in bonds)
        facts.append(("Shortest bonds", f"{words} Å"))
    if made.novelty is not None:
        facts.append(("Known", novelty_html(made.novelty)))
    if made.figure is not None:
        facts.append(("Score", number(made.figure, 2)))
    if made.entry.p_right is not None:
        facts.append(("Right, as far as judges can tell", chance(made.entry.p_right)))
    if score is not None:
        facts.append(("Right, if its letters are", f"{100 * score.p_given_letters:.0f} %"))
    if made.energy is not None:
        facts.append(("Energy", f"{number(made.energy, 4)} eV/atom"))
    facts.append(("Made from", formula_html(made.entry.origin.words)))
    facts.append(("Order", f"{made.order.id}, crystal {made.entry.index}, seed {made.entry.seed}"))
    return facts


def novelty_html(found: Novelty) -> Markup:
    """How a crystal stands to what is known, for a page."""
    if not found.is_new:
        return formula_html(f"as {found.nearest}")
    words = Markup("not among {}").format(found.checked or "the phases at hand")
    if found.nearest:
        words += Markup("; of its formula: ") + formula_html(found.nearest)
    if found.prototype:
        words += Markup("; type of ") + formula_html(found.prototype)
    return words
