"""``report.html`` of a run: the verdict, the pattern beside what was calculated, and each structure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from crystalsmith.crystal.bonds import shortest_bonds
from crystalsmith.generation.results_page import novelty_html
from crystalsmith.reports import render
from crystalsmith.reports.viewers import Viewers
from crystalsmith.reports.words import (
    cell_parameters,
    duration,
    formula_html,
    group_html,
    lattice_html,
    number,
)
from crystalsmith.solving.answers import density
from crystalsmith.solving.outputs import verdict_words
from crystalsmith.solving.profile import profile_of, profile_svg

if TYPE_CHECKING:
    from crystalsmith.solving.answers import Answer
    from crystalsmith.solving.run import Solution
    from crystalsmith.solving.settings import SolveSettings

DRAWN = 8
"""Structures that are shown in full."""

LISTED = 20
"""Structures in the table."""

_BONDS = 8  # pairs of elements whose shortest distance a card names

_WORDS = {"one answer": "good", "several fit equally": "", "none fits": "bad"}


def page(solution: Solution, settings: SolveSettings) -> str:
    """The page.

    Args:
        solution: what came of the run.
        settings: what was asked.
    """
    viewers = Viewers()
    return render(
        Path(__file__).with_name("solution.html"),
        title=f"Structure from {solution.observation.source}",
        subtitle=verdict_words(solution),
        viewers=viewers,
        tiles=_tiles(solution),
        tone=_WORDS[solution.verdict.words],
        notes=solution.notes,
        head=_HEAD,
        rows=[_row(answer) for answer in solution.answers[:LISTED]],
        total=len(solution.answers),
        cards=[_card(answer, solution, viewers) for answer in solution.answers[:DRAWN]],
        cells=[_cell(cell) for cell in solution.cells],
        asked=_asked(solution, settings),
    )


def _tiles(solution: Solution) -> list[tuple[str, str]]:
    best = solution.best
    tiles = [(solution.verdict.words, "verdict")]
    if best is not None:
        tiles.append((f"{100 * best.p:.0f} %", "probability of the first"))
        if best.final is not None:
            tiles.append((f"{100 * best.final.rwp:.1f} %", "Rwp of its Rietveld refinement"))
        else:
            tiles.append((f"{best.best_fit.misfit:.2f}", "misfit of the first"))
    tiles += [(f"{solution.tried:,}", "candidates fitted"), (str(len(solution.answers)), "structures")]
    return tiles


_HEAD = [
    *("", "formula", "space group", "lattice (Å)", "known as", "made from", "right", "misfit"),
    *("as generated", "Rwp", "GoF"),
]


def _row(answer: Answer) -> list[Any]:
    final = answer.final
    name: Any = formula_html(answer.crystal.formula)
    if answer.rank <= DRAWN:
        name = Markup('<a href="#s{}">{}</a>').format(answer.rank, name)
    return [
        answer.rank,
        name,
        group_html(answer.crystal.space_group),
        lattice_html(answer.crystal),
        formula_html(answer.known_as),
        formula_html(answer.trial.entry.origin.words),
        f"{100 * answer.p:.1f} %",
        number(answer.best_fit.misfit, 2),
        number(answer.fit.misfit, 2),
        "–" if final is None else f"{100 * final.rwp:.1f} %",
        "–" if final is None else number(final.gof, 2),
    ]


def _card(answer: Answer, solution: Solution, viewers: Viewers) -> dict[str, Any]:
    profile = profile_of(answer, solution.observation)
    drawing = Markup()
    if profile is not None:
        drawing = profile_svg(profile, f"pattern of {solution.observation.source} and {answer.stem}")
    return {
        "answer": answer,
        "picture": viewers.picture(answer.crystal, f"s{answer.rank}-"),
        "profile": drawing,
        "by": "rietx" if answer.final is not None else "our fit",
        "facts": _facts(answer),
        "sites": _sites(answer),
        "distances": _distances(answer),
    }


def _facts(answer: Answer) -> list[tuple[str, Any]]:
    crystal, fit, final = answer.crystal, answer.best_fit, answer.final
    facts: list[tuple[str, Any]] = [
        ("Right, as far as can be told", f"{100 * answer.p:.1f} %"),
        ("Lattice", Markup("{} (Å)").format(_lattice(answer))),
        ("Volume", f"{crystal.volume:.2f} Å³, {density(crystal):.2f} g/cm³"),
        ("Atoms", f"{crystal.n_atoms} (primitive cell), {crystal.n_atoms_conventional} (conventional)"),
        ("Misfit", f"{fit.misfit:.2f} ({answer.fit.misfit:.2f} with coordinates as generated)"),
        ("R of the profile", f"{100 * (fit.rwp or 0.0):.1f} % without background"),
    ]
    if final is not None:
        bragg = "" if final.r_bragg is None else f", R(Bragg) {100 * final.r_bragg:.1f} %"
        words = f"Rwp {100 * final.rwp:.2f} %, Rp {100 * final.rp:.2f} %, expected {100 * final.rexp:.2f} %"
        facts.append(("Rietveld", f"{words}, GoF {final.gof:.2f}{bragg}; {final.status}"))
        facts.append(("Zero shift", f"{final.shift:.3f}°"))
    else:
        if isinstance(answer.rietveld, str):
            facts.append(("Rietveld", f"none: {answer.rietveld}"))
        facts.append(("Zero shift", f"{fit.zero:.3f}°"))
    if abs(fit.texture - 1) > 0.02:
        plane = " ".join(map(str, fit.axis))
        facts.append(("Preferred orientation", f"March r {fit.texture:.2f} by ({plane})"))
    if answer.energy is not None:
        facts.append(("Energy", f"{number(answer.energy, 4)} eV/atom"))
    known = "not looked up" if answer.novelty is None else novelty_html(answer.novelty)
    facts.append(("Known", known))
    facts.append(("Made from", formula_html(answer.trial.entry.origin.words)))
    facts.append(("Cell from", _CELL_WORDS.get(answer.trial.cell, answer.trial.cell)))
    if answer.alike > 1:
        facts.append(("Found", f"{answer.alike} times among the best fits"))
    return facts


_CELL_WORDS = {
    "generated": "the candidate's own, strained to the pattern",
    "given": "what was given",
    "indexed": "indexing",
    "found": "another candidate, which explained where the lines are",
}


def _lattice(answer: Answer) -> Markup:
    """The cell, with standard uncertainties where there are some."""
    final = answer.final
    if final is None or not final.uncertainties:
        return lattice_html(answer.crystal)
    free = {name for name, _ in cell_parameters(answer.crystal)} | {"alpha", "beta", "gamma"}
    errors = "; ".join(
        f"{name} ±{value:.4f}" for name, value in sorted(final.uncertainties.items()) if name in free
    )
    return Markup("{}<br><small>{}</small>").format(lattice_html(answer.crystal), errors)


def _sites(answer: Answer) -> list[tuple[str, ...]]:
    from crystalsmith.reports.words import site_rows

    rows = site_rows(answer.crystal)
    final = answer.final
    if final is None:
        return [(*row, "") for row in rows]
    return [(*row, f"{b:.2f}") for row, b in zip(rows, final.displacements, strict=True)]


def _distances(answer: Answer) -> list[tuple[str, str]]:
    return [(f"{b.first}–{b.second}", f"{b.length:.3f}") for b in shortest_bonds(answer.crystal)[:_BONDS]]


def _cell(cell: Any) -> list[Any]:
    figures = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in cell.figures)
    shown = (
        " ".join(f"{x:.4f}" for x in cell.values[:3]) + "  " + " ".join(f"{x:.2f}" for x in cell.values[3:])
    )
    return [cell.source, cell.system, shown, f"{cell.volume:.1f}", figures]


def _asked(solution: Solution, settings: SolveSettings) -> list[tuple[str, Any]]:
    seen = solution.observation.to_dict()
    shown = {k: v for k, v in settings.identity().items() if v not in (None, [], False)}
    facts: list[tuple[str, Any]] = [
        (
            "Pattern",
            f"{seen['name']}, {seen['points']} points, {seen['two_theta'][0]:g} to"
            f" {seen['two_theta'][1]:g}° 2θ, {seen['radiation']}; lines {seen['width']:.3f}° wide",
        ),
        ("Asked", ", ".join(f"{k.replace('_', ' ')} {_shown(v)}" for k, v in shown.items())),
        ("Time", duration(solution.seconds)),
    ]
    return facts


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
