"""DFT for the crystals of a short list: inputs beside a run, and finished calculations back into it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith import __version__
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import named_crystals
from crystalsmith.dft.competing import (
    Missing,
    from_materials_project,
    missing_references,
    structures_of,
)
from crystalsmith.dft.finished import Collected, collect
from crystalsmith.dft.inputs import Inputs, write_inputs
from crystalsmith.dft.jobs import Subject, check_free
from crystalsmith.dft.places import WAITING
from crystalsmith.dft.reference import read_entries
from crystalsmith.dft.results import Result, to_csv
from crystalsmith.dft.settings import CODES, DftSettings
from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.shortlist import SHORTLIST, phase_label, read_shortlist, write_shortlist
from crystalsmith.discovery.summary import RunSummary
from crystalsmith.errors import ConfigError, DataError, OutputError
from crystalsmith.hull.elements import element_crystals
from crystalsmith.runs.addresses import shown
from crystalsmith.runs.atomic import write_whole, writing
from crystalsmith.runs.pool import Failed

if TYPE_CHECKING:
    from pymatgen.analysis.phase_diagram import PhaseDiagram

FOLDER = "dft"
"""Of a run, where its calculations are."""


def check_calculations(folder: Path) -> None:
    """Refuse to replace what a run's folder holds of calculations; inputs alone may be.

    Raises:
        OutputError: it holds some.
    """
    for code in CODES:
        check_free(folder / FOLDER / code, overwrite=True)


def subjects_of(candidates: Iterable[Candidate]) -> list[Subject]:
    """What DFT must know of candidates."""
    return [Subject(c.name, c.crystal, tuple(c.decomposition)) for c in candidates]


def stable_phases(diagram: PhaseDiagram) -> list[str]:
    """Names of the phases on a hull."""
    return sorted(phase_label(entry) for entry in diagram.stable_entries)


def competing(
    summary: RunSummary,
    references: Sequence[tuple[str, Crystal]],
    sources: Iterable[Any] = (),
    *,
    materials_project: bool = False,
) -> tuple[list[tuple[str, Crystal]], list[Missing]]:
    """All structures of competing phases that can be had, and the phases that none was found of.

    Args:
        summary: the short list and the potential's hull.
        references: structures at hand.
        sources: files that may bring more.
        materials_project: fetch what is missing then.

    Raises:
        HullError: the Materials Project cannot be asked.
    """
    subjects = subjects_of(summary.shortlist)
    stable = [] if summary.diagram is None else stable_phases(summary.diagram)
    found = list(references)

    def missing() -> list[Missing]:
        return missing_references(subjects, found, stable)

    found += structures_of(missing(), sources)
    if materials_project and missing():
        elements = sorted({element for s in subjects for element in s.crystal.counts})
        found += from_materials_project(missing(), elements)
    return found, missing()


def write_run_inputs(
    sources: Sequence[str | Path],
    output: str | Path,
    settings: DftSettings | None = None,
    *,
    references: Sequence[str | Path] = (),
    materials_project: bool = False,
    overwrite: bool = False,
) -> tuple[Inputs, dict[str, str]]:
    """Write DFT inputs for a run's short list, or for crystals of anywhere.

    Args:
        sources: folder of a run with a short list, alone; or anything that ``crystal.io`` reads.
        output: gets ``dft`` and, where it is not the run itself, a short list for ``collect_run``.
        settings: which codes, and how.
        references: structures of competing phases; all of them are calculated too.
        materials_project: fetch structures of competing phases that are missing.
        overwrite: replace inputs, but never calculations.

    Returns:
        What was written, and by name why members of the sources were left out.

    Raises:
        DataError: nothing can be read or calculated.
        HullError: the Materials Project cannot be asked.
        OutputError: there is another short list or there are inputs already.
    """
    settings, output = settings or DftSettings(), Path(output)
    paths = [str(source) for source in sources]
    summary, failed = _given(paths)
    if not summary.shortlist:
        raise DataError(f"{shown(paths[0])}: its short list is empty, so there is nothing to calculate")
    given = named_crystals(references) if references else {}
    at_hand = [(n, c) for n, c in given.items() if not isinstance(c, Failed)]
    at_hand = [*(summary.references or _elements(summary)), *at_hand]
    own = any(Path(path).resolve() == output.resolve() for path in paths)
    if not own and not overwrite and (output / SHORTLIST).exists():
        raise OutputError(f"{output} holds another short list; choose another folder or add --overwrite")
    for code in settings.code:
        check_free(output / FOLDER / code, overwrite=overwrite)
    found, missing = competing(summary, at_hand, materials_project=materials_project)
    inputs = write_inputs(
        subjects_of(summary.shortlist),
        output / FOLDER,
        settings,
        references=found,
        missing=missing,
        overwrite=overwrite,
    )
    if not own:
        write_shortlist(output / SHORTLIST, summary)
    failed |= {n: c.reason for n, c in given.items() if isinstance(c, Failed)}
    return inputs, failed


def _elements(summary: RunSummary) -> list[tuple[str, Crystal]]:
    """Known structures of a run's elements; earlier versions did not note their references."""
    if summary.diagram is None:
        return []
    own = set(summary.system)
    return [(name, c) for name, c in element_crystals() if set(c.counts) <= own]


def _given(paths: Sequence[str]) -> tuple[RunSummary, dict[str, str]]:
    """A run's summary, or one of crystals from anywhere in the order given; and what cannot be read."""
    runs = [Path(p) for p in paths if Path(p, SHORTLIST).is_file()]
    if runs and len(paths) > 1:
        raise DataError(f"{runs[0]} is a run with a short list of its own; give it alone")
    if runs:
        return read_shortlist(runs[0]), {}
    crystals = named_crystals(paths)
    good = {name: c for name, c in crystals.items() if not isinstance(c, Failed)}
    summary = RunSummary(
        system=tuple(sorted({element for c in good.values() for element in c.counts})),
        potential="",
        stages=(),
        shortlist=tuple(Candidate(name, {}, 0, (State("given", c),)) for name, c in good.items()),
        diagram=None,
        reference="",
        notes=(),
        arguments={"command": ["crystalsmith", "dft", "inputs", *map(shown, paths)]},
        versions={"crystalsmith": __version__},
        seconds=0.0,
    )
    return summary, {name: c.reason for name, c in crystals.items() if isinstance(c, Failed)}


@dataclass(frozen=True)
class CollectedRun:
    """Finished calculations of a run.

    Attributes:
        candidates: the short list with what DFT found, in its new order.
        found: what was read.
    """

    candidates: tuple[Candidate, ...]
    found: Collected

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types: the rows of all calculations in the new order, and notes."""
        order = {c.name: rank for rank, c in enumerate(self.candidates, start=1)}
        rows = sorted(self.found.results, key=lambda r: order[r.name])
        return {
            "results": [{"rank": order[r.name], "name": r.name, **r.to_dict()} for r in rows],
            "notes": list(self.found.notes),
        }


def collect_run(
    folder: str | Path,
    *,
    entries: str | Path | None = None,
    references: Sequence[str | Path] = (),
    codes: Sequence[str] = CODES,
) -> CollectedRun:
    """Read the finished calculations of a run and bring its files up to date.

    Writes ``dft.csv`` and ``dft/cif``, and anew the report, ``candidates.csv`` and ``shortlist.json``.

    Args:
        folder: of ``discover`` or of ``write_run_inputs``.
        entries: file of energies of competing phases by the same settings.
        references: folders of finished calculations of competing phases.
        codes: whose calculations count.

    Raises:
        ConfigError: no such folder of references.
        DataError: there is no such run, or nothing that belongs to it.
        OutputError: a file cannot be written.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; give that of crystalsmith discover or dft inputs")
    summary = read_shortlist(folder)
    places = [Path(name) for name in references]
    if absent := next((p for p in places if not p.is_dir()), None):
        raise ConfigError(f"--references {absent}: there is no such folder")
    known = [] if entries is None else read_entries(Path(entries))
    subjects = subjects_of(summary.shortlist)
    try:
        found = collect(folder / FOLDER, subjects, entries=known, references=places, codes=codes)
    except PermissionError as error:
        raise DataError(f"{error.filename} may not be read; mend its permissions") from None
    calculated = [r for r in found.results if r.problems != (WAITING,)]
    candidates = with_dft(summary.shortlist, calculated)
    _write(folder, replace(summary, shortlist=candidates), found)
    return CollectedRun(candidates, found)


def _write(folder: Path, summary: RunSummary, found: Collected) -> None:
    from crystalsmith.discovery.report import write_report

    with writing(folder):
        cifs = folder / FOLDER / "cif"
        cifs.mkdir(exist_ok=True)
        for result in found.results:
            if result.crystal is not None and result.energy is not None:
                write_whole(cifs / f"{result.name}-{result.code}.cif", result.crystal.to_cif(), durable=False)
        write_whole(folder / "dft.csv", to_csv(subjects_of(summary.shortlist), found.results))
    write_report(folder, summary)
    write_shortlist(folder / SHORTLIST, summary)


def with_dft(candidates: Sequence[Candidate], results: Iterable[Result]) -> tuple[Candidate, ...]:
    """The candidates with what DFT found, in their new order.

    Those with a DFT hull distance come first, the lowest at the top. The others follow in the order that
    they had, except that those of one composition are put in the order of their DFT energies. A candidate
    calculated with several codes shows the first with an energy.

    Args:
        candidates: by rank.
        results: of ``collect``; candidates without one keep what they have.
    """
    best: dict[str, Result] = {}
    for result in results:
        have = best.get(result.name)
        if have is None or (have.energy is None and result.energy is not None):
            best[result.name] = result
    filled = [replace(c, dft=best[c.name].to_dict()) if c.name in best else c for c in candidates]
    first = [c for c in filled if _value(c, "above_hull") is not None]
    rest = [c for c in filled if _value(c, "above_hull") is None]
    first.sort(key=lambda c: _value(c, "above_hull") or 0.0)
    return (*first, *_by_composition(rest))


def _by_composition(candidates: list[Candidate]) -> list[Candidate]:
    """Within the places that a composition holds, and per code, the lowest DFT energy comes first."""
    ordered = list(candidates)
    kinds = {
        (c.crystal.formula, (c.dft or {}).get("code"))
        for c in candidates
        if _value(c, "relative") is not None
    }
    for kind in kinds:
        places = [
            i
            for i, c in enumerate(candidates)
            if (c.crystal.formula, (c.dft or {}).get("code")) == kind and _value(c, "relative") is not None
        ]
        members = sorted((candidates[i] for i in places), key=lambda c: _value(c, "relative") or 0.0)
        for i, member in zip(places, members, strict=True):
            ordered[i] = member
    return ordered


def _value(c: Candidate, key: str) -> float | None:
    value = (c.dft or {}).get(key)
    return None if value is None else float(value)
