"""What a run leaves for people and programs: CIFs, tables, results.json, pdCIFs, inputs and a page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal.io.cif import crystal_to_cif
from crystalsmith.generation.known import known_of
from crystalsmith.runs.csv_text import csv_text
from crystalsmith.runs.folder import RunFolder
from crystalsmith.solving.pdcif import pdcif
from crystalsmith.solving.profile import profile_of

if TYPE_CHECKING:
    from rich.table import Table

    from crystalsmith.diffusion import AnyModel
    from crystalsmith.solving.answers import Answer
    from crystalsmith.solving.run import Solution
    from crystalsmith.solving.settings import SolveSettings

RESULTS, TABLE, PAGE = "results.json", "candidates.csv", "report.html"
CIFS, PROFILES, INPUTS = "cif", "pdcif", "inputs"
OWNED = (RESULTS, TABLE, PAGE, f"{CIFS}/[0-9]*_*.cif", f"{PROFILES}/[0-9]*_*.cif", f"{INPUTS}/[0-9]*_*/")
"""Files of a run beside its journals, as patterns."""

COLUMNS = (
    *("rank", "p", "formula", "space_group", "symbol", "atoms", "lattice", "misfit", "misfit_as_generated"),
    *("rwp_net", "overlap", "rietveld_rwp", "rietveld_gof", "r_bragg", "zero_shift", "texture", "score"),
    *("origin", "cell_from", "alike", "energy", "known_as", "candidate", "file"),
)

KEPT = 50
"""Structures that get files and rows."""

GO_ON = 3
"""Structures that get inputs for other refinement programs."""

LOOKED_UP = 20
"""Structures that are looked up among what is known."""

_SHOWN = 10  # rows on the terminal


def named(answers: Collection[Answer], model: AnyModel | None) -> list[Answer]:
    """The answers, the first of them with what is known of them."""
    elements = {site.element for a in answers for site in a.crystal.sites}
    known = known_of(model, elements)
    return [replace(a, novelty=known.judge(a.crystal)) if a.rank <= LOOKED_UP else a for a in answers]


def write_outputs(folder: RunFolder, solution: Solution, settings: SolveSettings) -> None:
    """Write all files but the journals and the manifest.

    Raises:
        OutputError: one cannot be written.
    """
    from crystalsmith.solving.page import page

    answers = solution.answers
    names = {f"{a.stem}.cif" for a in answers}
    for part in (CIFS, PROFILES):
        for file in folder.path.glob(f"{part}/[0-9]*_*.cif"):
            if file.name not in names:
                file.unlink()
    for answer in answers:
        folder.write(f"{CIFS}/{answer.stem}.cif", _cif(answer), durable=False)
        profile = profile_of(answer, solution.observation)
        if profile is not None:
            text = pdcif(answer, solution.observation, profile)
            folder.write(f"{PROFILES}/{answer.stem}.cif", text, durable=False)
    _write_inputs(folder, solution)
    folder.write(TABLE, csv_text((a.row() for a in answers), COLUMNS))
    text = json.dumps(solution.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    folder.write(RESULTS, text + "\n")
    folder.write(PAGE, page(solution, settings))


def _write_inputs(folder: RunFolder, solution: Solution) -> None:
    """Where GSAS-II, TOPAS and FullProf begin with the first structures."""
    from crystalsmith.diffraction.writers import Start, refinement_inputs

    wanted = {a.stem: a for a in solution.answers[:GO_ON]}
    for old in folder.path.glob(f"{INPUTS}/[0-9]*_*"):
        if old.name not in wanted:
            shutil.rmtree(old)
    for stem, answer in wanted.items():
        start = Start.of(answer.crystal, solution.observation.prepared, answer.best_fit.zero)
        for name, text in refinement_inputs(start, stem).items():
            folder.write(f"{INPUTS}/{stem}/{name}", text, durable=False)


def _cif(answer: Answer) -> str:
    """The structure with its figures as tags of our own."""
    facts: dict[str, Any] = {"probability": f"{answer.p:.4f}", "misfit": f"{answer.best_fit.misfit:.5f}"}
    if answer.final is not None:
        facts["rietveld_rwp"] = f"{answer.final.rwp:.5f}"
    return crystal_to_cif(answer.crystal, **facts)


def answer_table(solution: Solution) -> Table:
    """The table that a run prints."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("", "right"):
        table.add_column(heading, justify="right")
    for heading in ("formula", "space group", "lattice (A)"):
        table.add_column(heading)
    for heading in ("misfit", "Rwp", "GoF"):
        table.add_column(heading, justify="right")
    for heading in ("known as", "made from"):
        table.add_column(heading)
    for answer in solution.answers[:_SHOWN]:
        final = answer.final
        table.add_row(
            str(answer.rank),
            f"{100 * answer.p:.0f} %",
            answer.crystal.formula,
            f"{answer.crystal.group.symbol} ({answer.crystal.space_group})",
            answer.row()["lattice"],
            f"{answer.best_fit.misfit:.2f}",
            "-" if final is None else f"{100 * final.rwp:.1f} %",
            "-" if final is None else f"{final.gof:.2f}",
            answer.known_as,
            answer.trial.entry.origin.words,
        )
    return table


def verdict_words(solution: Solution) -> str:
    """The verdict in a sentence."""
    verdict, answers = solution.verdict, solution.answers
    if not answers:
        return "none fits: no candidate could be made and fitted"
    but = f"; {verdict.caveat}" if verdict.caveat else ""
    if verdict.words == "one answer":
        return f"one answer: {_name(answers[0])}, right with a probability of {100 * answers[0].p:.0f} %{but}"
    if verdict.words == "none fits":
        return (
            f"none fits: with a probability of {100 * verdict.none:.0f} % the structure is not among the"
            f" {len(answers)} found; the nearest is {_name(answers[0])}"
        )
    several = [a for a in answers if a.p >= 0.2 * answers[0].p]
    shown = ", ".join(f"{_name(a)} {100 * a.p:.0f} %" for a in several[:4])
    return (
        f"several fit equally: {shown}" + (f" and {len(several) - 4} more" if len(several) > 4 else "") + but
    )


def _name(answer: Answer) -> str:
    return f"{answer.crystal.formula} in {answer.crystal.group.symbol} ({answer.crystal.space_group})"


def last_line(solution: Solution, folder: Path) -> str:
    """Where everything is."""
    return (
        f"{solution.tried} candidates fitted in {solution.seconds:.0f} s; {len(solution.answers)} structures,"
        f" {RESULTS}, {PAGE} and CIFs are in {folder}"
    )
