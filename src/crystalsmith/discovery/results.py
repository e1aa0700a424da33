"""The end of a run: its summary, and the files that are made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io.parquet import write_shards
from crystalsmith.dft.competing import Missing
from crystalsmith.dft.inputs import write_inputs
from crystalsmith.discovery.calculations import FOLDER, check_calculations, competing, subjects_of
from crystalsmith.discovery.funnel import Passage
from crystalsmith.discovery.means import known_elements
from crystalsmith.discovery.report.table import SHARD_COLUMNS, shard_row
from crystalsmith.discovery.shortlist import SHORTLIST, write_shortlist
from crystalsmith.discovery.stages.hull import competing_phases
from crystalsmith.discovery.summary import RunSummary
from crystalsmith.errors import OutputError
from crystalsmith.hull import Hull
from crystalsmith.potentials.calculators import package_of
from crystalsmith.runs.atomic import writing
from crystalsmith.runs.versions import versions


def summary_of(passage: Passage, arguments: Mapping[str, Any]) -> RunSummary:
    """A run that went through all stages, in numbers.

    Args:
        passage: the run.
        arguments: how it was started.
    """
    work = passage.work
    settings, hull = work.settings, work.hull
    reference = hull.references.note if hull.references is not None else "the entries given"
    more = [p for p in hull.more if p.elements <= set(settings.system)]
    if more:
        reference += f"; {len(more)} entries of the user's"
    found = competing_phases(work)
    if found:
        reference += f"; {len(found)} relaxed crystals of the subsystems, made in this run"
    reference += f"; novelty against {work.known.checked}" if work.known.checked else ""
    return RunSummary(
        system=settings.system,
        potential=settings.potential,
        stages=tuple(passage.counts),
        shortlist=tuple(work.candidates[n] for n in passage.left),
        diagram=Hull(hull.references, [*hull.more, *found]).diagram(settings.system),
        reference=reference,
        notes=tuple(work.notes),
        arguments=dict(arguments),
        versions={**versions(package_of(settings.potential)), "checkpoint": work.model.hash[:16]},
        seconds=sum(work.clock.seconds.values()),
    )


def write_results(folder: Path, passage: Passage, summary: RunSummary) -> None:
    """Write the short list, the report and, where they are wanted, all candidates."""
    from crystalsmith.discovery.report import write_report

    with writing(folder):
        write_shortlist(folder / SHORTLIST, summary)
        write_report(folder, summary)
    if passage.work.settings.format == "parquet":
        write_shards(folder, map(shard_row, passage.work.candidates.values()), SHARD_COLUMNS)


def with_references(
    passage: Passage,
    summary: RunSummary,
    sources: Sequence[str | Path] = (),
    fetched: Sequence[tuple[str, Crystal]] = (),
) -> tuple[RunSummary, list[Missing]]:
    """The summary with structures of competing phases, and those that none was found of.

    Args:
        passage: the run.
        summary: of it.
        sources: files that may hold some.
        fetched: structures at hand.
    """
    work = passage.work
    made = [(p.id, work.candidates[p.id].crystal) for p in competing_phases(work)]
    references, missing = competing(summary, [*known_elements(work.settings), *made, *fetched], sources)
    return replace(summary, references=tuple(references)), missing


def write_dft_inputs(folder: Path, summary: RunSummary, missing: Sequence[Missing]) -> list[str]:
    """Write inputs of the short list; what the user must know of them, a line each."""
    if not summary.shortlist:
        return []
    try:
        check_calculations(folder)
    except OutputError:
        return [f"{folder / FOLDER} holds calculations and is left as it is"]
    inputs = write_inputs(
        subjects_of(summary.shortlist),
        folder / FOLDER,
        references=summary.references,
        missing=missing,
        overwrite=True,
    )
    return inputs.lines()
