"""A run of ``solve`` in a folder: from a pattern to ranked structures and a verdict.

Every step keeps what it found in a journal of its own, so that a run that was stopped anywhere goes on where
it stopped: cells of indexing, candidates and what judges say of them, fits, refinements, Rietveld
refinements. Results, CIFs and the page are made of them when the run ends.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith import __version__
from crystalsmith.crystal.crystals import Crystals
from crystalsmith.diffraction import Pattern, PeakList
from crystalsmith.errors import ConfigError, OrderError
from crystalsmith.orders import Order, sort_out
from crystalsmith.potentials import check_potential
from crystalsmith.runs.engines import Engine, Local, check_engine, engine_of
from crystalsmith.runs.extras import need
from crystalsmith.runs.folder import RunFolder, RunKind
from crystalsmith.runs.progress import Progress, silent
from crystalsmith.runs.stop import stop_signals
from crystalsmith.solving import rietveld
from crystalsmith.solving.answers import (
    Answer,
    answers_of,
    energies_in,
    judged,
    leading,
    more_symmetric,
    refine_by_rietveld,
    refinements_in,
    with_energies,
    worth_refining,
)
from crystalsmith.solving.assigned import assigned
from crystalsmith.solving.candidates import make_candidates
from crystalsmith.solving.cells import Cell
from crystalsmith.solving.explained import convincing_cells
from crystalsmith.solving.fitting import Observation, fit_all, refine_all
from crystalsmith.solving.kept import Kept
from crystalsmith.solving.lowered import lowered
from crystalsmith.solving.outputs import KEPT, OWNED, named, write_outputs
from crystalsmith.solving.question import formulas, orders_of
from crystalsmith.solving.searched import found_cells
from crystalsmith.solving.settings import SolveSettings
from crystalsmith.solving.standing import PATTERN, STANDING, Standing
from crystalsmith.solving.starts import from_many_starts
from crystalsmith.solving.trials import Fitted, Trial, allowed, fits_in, trials_of
from crystalsmith.solving.twins import exchanged, twins_of
from crystalsmith.solving.verdict import Verdict, judge, settled

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.generation.journal import Entry
    from crystalsmith.prototypes import Library
    from crystalsmith.ranking import Ladder

CELLS, FITS, REFINED, ENERGIES = "cells.jsonl", "fits.jsonl", "refined.jsonl", "energies.jsonl"
RIETVELD = "rietveld.jsonl"
"""Journals of a run beside those of its candidates, ``crystals.jsonl`` and ``scores.jsonl``."""

ROUNDS = (0.1, 0.2, 0.5, 1.0)
"""Parts of the candidates after which a run looks whether one of them is the answer."""

SURE, LIKELY = 0.95, 0.5
"""Probability of one structure from which on no more candidates are made, and none are looked for from many
starts."""

SOLUTION = RunKind(
    "solution",
    "a structure solved from a pattern",
    owned=(
        *("crystals.jsonl", "scores.jsonl", CELLS, FITS, REFINED, ENERGIES, RIETVELD),
        *(PATTERN, STANDING, *OWNED),
    ),
    another={
        "pattern": "another pattern",
        "settings": "other settings",
        "orders": "other orders",
        "prototypes": "other prototypes or known crystals",
    },
)


@dataclass(frozen=True)
class Solution:
    """What came of a run.

    Attributes:
        folder: with all files.
        manifest: how it ended.
        observation: the pattern as it was looked at.
        answers: distinct structures, the likeliest first; see ``places.placed``.
        verdict: how sure they are.
        cells: that were given, indexed, or found by candidates that were wrong otherwise.
        tried: candidates that were fitted, with the cells that they were tried on.
        notes: what the user should know, one line each.
        seconds: that this call took.
    """

    folder: Path
    manifest: Mapping[str, Any]
    observation: Observation
    answers: tuple[Answer, ...]
    verdict: Verdict
    cells: tuple[Cell, ...]
    tried: int
    notes: tuple[str, ...]
    seconds: float

    @cached_property
    def crystals(self) -> Crystals:
        """The structures by the names of their files, the likeliest first."""
        return Crystals({answer.stem: answer.crystal for answer in self.answers})

    @property
    def best(self) -> Answer | None:
        """The likeliest structure."""
        return self.answers[0] if self.answers else None

    def _repr_html_(self) -> str:
        """What a notebook shows: the verdict, and the structures with pictures."""
        from crystalsmith.reports.notebook import crystals_html

        chances = {"right, %": [100 * answer.p for answer in self.answers]}
        return crystals_html(self.crystals.to_dict(), words=self.verdict.words, more=chances)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, as ``results.json`` has it."""
        return {
            "folder": str(self.folder),
            "verdict": self.verdict.words,
            "p_none": self.verdict.none,
            "caveat": self.verdict.caveat,
            "pattern": self.observation.to_dict(),
            "cells": [cell.to_dict() for cell in self.cells],
            "candidates_tried": self.tried,
            "candidates": [answer.to_dict() for answer in self.answers],
            "notes": list(self.notes),
        }

    def to_dataframe(self) -> Any:
        """A row for each structure, as a ``pandas.DataFrame``."""
        import pandas as pd

        return pd.DataFrame([answer.row() for answer in self.answers])


def solve_into(
    pattern: str | os.PathLike[str] | Pattern | PeakList,
    output: str | os.PathLike[str],
    settings: SolveSettings,
    *,
    model: AnyModel | None = None,
    arguments: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
) -> Solution:
    """Solve a structure in a folder, or go on with it.

    Args:
        pattern: a file, a pattern or a list of peaks.
        output: the folder.
        settings: what is known, and how.
        model: the generator; the one that ships if None.
        arguments: how the run was started, for the manifest only.
        overwrite: replace another run in the folder.
        progress: told how it goes.

    Raises:
        PatternError: the file is no pattern, or nothing rises above its background.
        OrderError: no crystal can be made of what is known, such as a formula that cannot fill the cell.
        ConfigError: settings that do not suit the model, packages that are not installed, or an engine that
            there is not.
        EngineError: its workers give no results.
        OutputError: the folder cannot be written, holds other files or another run, or is in use.
        RelaxationError: a potential that cannot be loaded.
    """
    from crystalsmith.generation.library import library_of
    from crystalsmith.ranking import Ladder

    if settings.index:
        need("indexing", "rietx")
    if settings.potential is not None:
        check_potential(settings.potential)
    check_engine(settings.engine)
    formulas(settings)  # refused before anything is read
    observation = Observation.read(pattern, settings)
    if model is None:
        from crystalsmith.diffusion import load_model

        model = load_model()
    statistics = getattr(model, "statistics", None)
    if statistics is None or model.method == "paper":
        raise ConfigError("solving needs a model of the default method, which knows compositions")
    ladder = Ladder.of(model, None, None, 1, sorts=True)
    library = library_of(model, settings.prototypes, settings.known)
    work = _Work(observation, settings, model, ladder, library, progress)
    work.orders(work.given)  # a formula that cannot fill the cell is refused here
    identity = work.identity()
    with (
        stop_signals(),
        RunFolder.open(
            Path(output), SOLUTION, identity, arguments=arguments, overwrite=overwrite, packages=("rietx",)
        ) as folder,
    ):
        began = folder.seconds
        work.begin(folder)
        with engine_of(settings.engine, settings.workers, folder.path, unset=1) as work.engine:
            answers, verdict, cells, tried = work.carry_out()
        answers = named(answers[:KEPT], model)
        notes = tuple(dict.fromkeys(work.notes))
        for note in notes:
            folder.log.warning("%s", note)
        manifest = folder.finished or folder.write_manifest(
            "finished", verdict=verdict.words, candidates=tried, structures=len(answers)
        )
        solution = Solution(
            folder.path,
            manifest,
            observation,
            tuple(answers),
            verdict,
            tuple(cells),
            tried,
            notes,
            folder.seconds - began,
        )
        write_outputs(folder, solution, settings)
        return solution


@dataclass
class _Work:
    """The steps of a run."""

    observation: Observation
    settings: SolveSettings
    model: Any
    ladder: Ladder | None
    library: Library | None
    progress: Progress
    engine: Engine = field(default_factory=Local)

    def __post_init__(self) -> None:
        self.notes: list[str] = [*self.observation.notes]
        values = self.settings.cell
        self.given = [Cell(tuple(values))] if values is not None else []

    def begin(self, folder: RunFolder) -> None:
        """The folder is ours."""
        self.folder = folder
        self.standing = Standing(folder, self.observation)
        self.standing.write_pattern()

    def identity(self) -> dict[str, Any]:
        """What makes two runs the same."""
        return {
            "version": __version__,
            "checkpoint": self.model.hash,
            "pattern": self.observation.hash,
            "settings": self.settings.identity(),
            "prototypes": None if self.library is None else self.library.hash,
            "rietx": rietveld.installed() and self.settings.rietveld > 0,
        }

    def freely(self, atoms: int | None) -> bool:
        """Whether candidates for a cell that is given are made on cells of their own too."""
        settings = self.settings
        return bool(self.given and atoms and settings.formula and settings.space_group is None)

    def orders(
        self,
        cells: Sequence[Cell],
        count: int | None = None,
        prefix: str = "",
        settings: SolveSettings | None = None,
    ) -> list[Order]:
        """Orders for candidates on these cells, or on their own."""
        found = orders_of(settings or self.settings, cells, self.model.statistics.atomic_volume, count)
        checked = sort_out(found, self.model)
        self.notes += [note for note in checked.notes if note not in self.notes]
        return [o.renamed(f"{prefix}{o.id}") for o in checked.orders] if prefix else checked.orders

    def carry_out(self) -> tuple[list[Answer], Verdict, list[Cell], int]:
        """All steps: rounds of ever more candidates until one is the answer, then the last refinements."""
        cells = self.given or self.indexed()
        fits, refined = (fits_in(self.folder.path / name) for name in (FITS, REFINED))
        trials: dict[str, Trial] = {}
        order: list[Trial] = []
        answers: list[Answer] = []
        low: set[str] = set()  # trials that were tried with less symmetry
        far: list[Trial] = []  # looked for from many starts
        found: list[Cell] = []  # of candidates that are wrong, but whose lines are not, or of the lines alone
        made: list[tuple[Entry, float | None]] = []
        size: int | None = None
        number = 0

        def answered(fresh: Sequence[Trial]) -> bool:
            """Whether one of the answers is the answer, with more trials."""
            nonlocal trials, order, answers
            trials |= {t.key: t for t in fresh}
            fit_all(self.observation, fresh, fits, self.progress, self.settings.tolerance)
            order = leading(list(trials.values()), fits.found)
            tell = partial(self.stand, order, far, fits, refined, len(trials), number)
            tell({})
            answers = self.answers(order, far, fits, refined, tell)
            return ended(answers)

        for number, part in enumerate(ROUNDS, start=1):
            made = self.made(max(1, round(part * self.settings.candidates)), cells, found, size)
            size = size or atoms_of(made)  # of the first round: orders of the next ones go on with it
            cells = [*cells, *(cell for cell in found if cell not in cells)]
            if answered([t for t in trials_of(made, cells, bool(self.given)) if t.key not in trials]):
                break
            fresh = allowed(lowered(order, fits.found, refined.found, low), self.settings, self.given)
            low |= {t.lowered_from for t in fresh}
            if fresh and answered(fresh):
                break
            if not self.given and not found:
                # Lines are searched once: later candidates hardly change what volumes are possible.
                look = found_cells if number == 1 else convincing_cells
                found = look(self.observation, list(trials.values()), fits.found)
                if not found:
                    if answered(assigned(self.observation, order, trials)):
                        break
                    found = convincing_cells(self.observation, list(trials.values()), fits.found)
            if ended(answers, LIKELY):
                continue
            far = from_many_starts(
                self.observation, order, far, fits, refined, self.progress, self.settings, self.ladder
            )
            if answered([]):
                break
        order = [*order, *(t for t in far if t.key in refined.found)]
        is_open = not self.given and self.settings.atoms is None and self.settings.z is None
        for more in (more_symmetric, partial(exchanged, ladder=self.ladder, smaller=is_open)):
            if fresh := allowed(more(answers), self.settings, self.given):
                fit_all(self.observation, fresh, fits, self.progress, self.settings.tolerance)
                self.refine(fresh, fits, refined)
                order = [*order, *fresh]
                answers = answers_of(order, fits.found, refined.found)
        if made and not trials:
            self.notes.append("no candidate has a lattice that can be strained to the cell")
        if self.settings.potential is not None:
            self.progress("energies", 0, 1)
            energies = energies_in(self.folder.path / ENERGIES)
            answers = with_energies(answers, energies, self.settings.potential)
            self.progress("energies", 1, 1)
        verdict, answers = judged(answers, self.by_rietx(answers))
        if answers and any(cell.source == "indexed" for cell in cells):
            self.notes.append(_whose_cell(answers[0].trial.cell))
        return answers, verdict, cells, len(trials)

    def answers(
        self,
        order: Sequence[Trial],
        far: Sequence[Trial],
        fits: Kept[Fitted],
        refined: Kept[Fitted],
        tell: Callable[[Mapping[str, Fitted]], None],
    ) -> list[Answer]:
        """Answers after the best trials were refined, with those looked for from many starts."""
        self.refine(worth_refining(order, fits.found, self.settings.refine), fits, refined, tell)
        carried = [t for t in far if t.key in refined.found]
        return answers_of([*order, *carried], fits.found, refined.found)

    def refine(
        self,
        trials: Sequence[Trial],
        fits: Kept[Fitted],
        refined: Kept[Fitted],
        tell: Callable[[Mapping[str, Fitted]], None] = lambda newest: None,
    ) -> None:
        """Free the coordinates of trials that were fitted; ``tell`` hears of each block."""
        refine_all(self.observation, trials, fits.found, refined, self.progress, self.ladder, tell)

    def stand(
        self,
        order: Sequence[Trial],
        far: Sequence[Trial],
        fits: Kept[Fitted],
        refined: Kept[Fitted],
        tried: int,
        number: int,
        newest: Mapping[str, Fitted],
    ) -> None:
        """Tell those that look at the folder how the run stands."""
        carried = [t for t in far if t.key in refined.found]
        found = [Answer(t, fits.found[t.key], refined.found.get(t.key)) for t in (*order, *carried)]
        self.standing.tell(found, tried, number, newest)

    def made(
        self, count: int, cells: Sequence[Cell], found: Sequence[Cell], atoms: int | None = None
    ) -> list[tuple[Entry, float | None]]:
        """So many candidates for the cell that is given or for cells of their own, and more on indexed ones.

        From the round on in which candidates have shown what the cell is, half are made for it. If a cell is
        given, as many as in the first round are made on cells of their own after it, with as many atoms: what
        has more symmetry than the cell is brought onto it, and is tried with less.
        """
        indexed = [cell for cell in cells if cell not in found]
        first = max(1, round(ROUNDS[0] * self.settings.candidates))
        on_found = (count - first) // 2 if found else 0
        orders = self.orders(self.given, count - on_found)
        if self.freely(atoms):
            free = replace(self.settings, cell=None, z=None, atoms=atoms, max_atoms=None)
            orders = [*orders, *self.orders([], first, "free-", free)]
        if indexed and not self.given:
            orders = [*orders, *self.on_cells(indexed, max(1, count // 2), "indexed")]
        if on_found:
            orders = [*orders, *self.on_cells(found, on_found, "found")]
        return make_candidates(
            self.folder.path,
            orders,
            self.settings,
            self.model,
            self.ladder,
            self.library,
            self.engine,
            self.progress,
        )

    def indexed(self) -> list[Cell]:
        """Cells by indexing, from the journal where they stand there."""
        if not self.settings.index:
            return []
        from crystalsmith.solving.indexing import index

        found: list[Any] = []
        journal = self.folder.journal(CELLS).read(lambda row, place: found.append(row))
        if not found:
            self.progress("indexing", 0, 1)
            formula = self.settings.formula
            cells = index(
                self.observation.pattern, self.observation.width, self.settings.index_seconds, formula
            )
            row: dict[str, Any] = {"cells": [], "reason": ""}
            if isinstance(cells, str):
                row["reason"] = cells
            else:
                row["cells"] = [cell.to_dict() for cell in cells]
            journal.append([row])
            found.append(row)
            self.progress("indexing", 1, 1)
        if found[0]["reason"]:
            self.notes.append(f"indexing found no cell: {found[0]['reason']}")
        return [Cell.from_dict(cell) for cell in found[0]["cells"]]

    def on_cells(self, cells: Sequence[Cell], count: int, source: str) -> list[Order]:
        """Orders for so many candidates on cells that were indexed or found."""
        try:
            return self.orders(cells, count, f"{source}-")
        except OrderError as error:
            self.notes.append(f"no {source} cell suits the composition: {error}")
            return []

    def by_rietx(self, answers: Sequence[Answer]) -> Mapping[str, rietveld.Refined | str]:
        """The best of the best refined by rietx, where it is installed."""
        rows = refinements_in(self.folder.path / RIETVELD)
        if not self.settings.rietveld:
            return rows.found
        if not rietveld.installed():
            self.notes.append(
                "no final Rietveld refinement: rietx is not installed (pip install 'crystalsmith[powder]')"
            )
            return rows.found
        refine_by_rietveld(self.observation, answers[: self.settings.rietveld], rows, self.progress)
        return rows.found


def atoms_of(made: Sequence[tuple[Entry, float | None]]) -> int | None:
    """Atoms in the primitive cell of most candidates; None where there are no candidates."""
    sizes = Counter(entry.crystal.n_atoms for entry, _ in made if entry.crystal is not None)
    return min(sizes, key=lambda n: (-sizes[n], n)) if sizes else None


def ended(answers: Sequence[Answer], sure: float = SURE) -> bool:
    """Whether one of them is the answer, or several that X-rays hardly tell apart are, so that no more
    candidates are made."""
    p = judge([a.evidence for a in answers]).p
    likeliest = max(range(len(p)), key=p.__getitem__, default=0)
    if not p or not settled(answers[likeliest].evidence):
        return False
    return p[likeliest] + sum(p[k] for k in twins_of(answers, likeliest)) >= sure


def _whose_cell(source: str) -> str:
    """Which way to the cell won, in a sentence."""
    if source == "indexed":
        return "indexing won: the first structure has a cell that it found"
    return "the generator won: the first structure has a cell of a candidate, not one of indexing"
