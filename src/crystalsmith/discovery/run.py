"""A run of the funnel in a folder: begun, gone on with, and reported."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith import __version__
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.crystals import Crystals
from crystalsmith.crystal.io.parquet import FOLDER as SHARDS
from crystalsmith.crystal.io.parquet import write_shards
from crystalsmith.dft.competing import from_materials_project, missing_references
from crystalsmith.dft.inputs import write_inputs
from crystalsmith.dft.jobs import check_free
from crystalsmith.dft.settings import CODES
from crystalsmith.discovery.calculations import FOLDER, competing, stable_phases, subjects_of
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.clock import Clock
from crystalsmith.discovery.database import BACKENDS, CrystalDatabase
from crystalsmith.discovery.funnel import run_stages
from crystalsmith.discovery.orders import make_orders
from crystalsmith.discovery.report.table import SHARD_COLUMNS, shard_row
from crystalsmith.discovery.settings import DiscoverySettings
from crystalsmith.discovery.shortlist import SHORTLIST, write_shortlist
from crystalsmith.discovery.stages.hull import competing_phases
from crystalsmith.discovery.stages.work import Work
from crystalsmith.discovery.summary import RunSummary, StageCount
from crystalsmith.errors import DiscoveryError, HullError, OutputError
from crystalsmith.generation.known import KnownPhases
from crystalsmith.hull import Hull, shipped
from crystalsmith.hull.elements import element_crystals
from crystalsmith.orders.sources import learned_source
from crystalsmith.potentials import check_potential
from crystalsmith.potentials.calculators import module_of, package_of
from crystalsmith.runs.addresses import is_server, shown
from crystalsmith.runs.atomic import writing
from crystalsmith.runs.engines import Engine, check_engine, engine_of
from crystalsmith.runs.extras import EXTRAS, need
from crystalsmith.runs.folder import RunFolder, RunKind, check_folder
from crystalsmith.runs.progress import Progress, silent
from crystalsmith.runs.versions import versions

if TYPE_CHECKING:
    from crystalsmith.diffusion import Model

CLOCK, DATABASE = "clock.json", "crystals.db"

DISCOVERY = RunKind(
    "discovery",
    "run of discover",
    owned=(
        *("run.json", CLOCK, DATABASE, DATABASE + "-journal", "report.html", "candidates.csv", "dft.csv"),
        *(SHORTLIST, "cif/", "poscar/", f"{SHARDS}/", f"{FOLDER}/", "phonons/"),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes:
        summary: what the report shows.
        candidates: every candidate of the run, by name.
        folder: where it all is.
        notes: what the user should know in the end, a line each: what DFT inputs lack, above all.
    """

    summary: RunSummary
    candidates: Mapping[str, Candidate]
    folder: Path
    notes: tuple[str, ...] = ()

    @property
    def crystals(self) -> Crystals:
        """The short list by name, best first."""
        return Crystals({c.name: c.crystal for c in self.summary.shortlist})

    def _repr_html_(self) -> str:
        """What a notebook shows: the short list with pictures."""
        from crystalsmith.reports.notebook import crystals_html

        system = "-".join(self.summary.system)
        words = f"{len(self.summary.shortlist)} of {len(self.candidates)} candidates of {system} stand out"
        above = {"eV/atom above hull": [c.above_hull for c in self.summary.shortlist]}
        return crystals_html(self.crystals.to_dict(), words=words, more=above)

    def to_dataframe(self) -> Any:
        """The rows of ``candidates.csv``, as a ``pandas.DataFrame``."""
        import pandas as pd

        return pd.read_csv(self.folder / "candidates.csv")

    def __str__(self) -> str:
        near = [f"{c.crystal.formula} ({c.above_hull or 0:+.3f} eV/atom)" for c in self.summary.shortlist]
        return f"{self.summary.system}: {', '.join(near) or 'nothing near the hull'}; {self.folder}"

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types: the funnel's counts, the short list, and notes."""
        return {
            "folder": str(self.folder),
            "system": list(self.summary.system),
            "stages": [{**vars(s), "reasons": dict(s.reasons)} for s in self.summary.stages],
            "shortlist": [c.to_dict() for c in self.summary.shortlist],
            "notes": [*self.summary.notes, *self.notes],
            "seconds": self.summary.seconds,
        }


def discover_into(
    settings: DiscoverySettings,
    output: str | Path,
    *,
    model: Model | None = None,
    hull: Hull | None = None,
    database: str | None = None,
    structures: Sequence[str | Path] = (),
    materials_project: bool = False,
    arguments: Mapping[str, Any] | None = None,
    workers: int | None = None,
    engine: str | Engine | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    finished: Callable[[StageCount], None] = lambda count: None,
) -> Outcome:
    """Propose new crystals of a chemical system, or go on where an earlier process stopped.

    Args:
        settings: what is asked for.
        output: folder for the database and the report.
        model: network with its prior; the one that ships if None.
        hull: reference phases of the same potential; those that ship if None.
        database: URL of a PostgreSQL server in place of a file in the folder.
        structures: files that may hold structures of reference phases, for DFT inputs.
        materials_project: fetch structures of reference phases that are missing, for DFT inputs.
        arguments: how the run was started, for the report only.
        workers: processes; one for each core if None.
        engine: where they are, as for ``runs.engines.engine_of``.
        overwrite: remove what another run left in the folder.
        progress: told of progress.
        finished: told of every stage that is over.

    Raises:
        DiscoveryError: packages are missing, the database cannot be used, or the checkpoint has no prior.
        HullError: elements without a reference phase, or the Materials Project cannot be asked.
        OrderError: no order can be satisfied.
        OutputError: the folder cannot be written, holds other files or another run, or is in use.
        RelaxationError: the potential cannot be loaded.
        ConfigError: the engine is unknown or not installed.
        EngineError: its workers give no results.
    """
    from crystalsmith.diffusion import load_model

    check_needs(settings, database=database, materials_project=materials_project)
    check_engine(engine)
    settings.check_formulas()
    hull = Hull(shipped(settings.potential)) if hull is None else hull
    if missing := hull.missing(settings.system):
        raise HullError(
            f"no reference phase of {', '.join(missing)} alone by {settings.potential}; add some with"
            " --entries"
        )
    model = load_model() if model is None else model  # type: ignore[assignment]
    assert model is not None
    orders, notes = make_orders(settings, model)
    notes += hull.notes(settings.system)
    folder = Path(output)
    identity = _identity(model, settings, hull, database)
    check_folder(folder, DISCOVERY, identity, overwrite=overwrite)
    if overwrite:
        for code in CODES:
            check_free(folder / FOLDER / code, overwrite=True)
    known = _known(model, settings, hull)
    fetched = _fetch(settings, hull) if materials_project else []
    if database is not None:
        CrystalDatabase(database, "").load()  # one that cannot be used leaves no run behind
    with RunFolder.open(folder, DISCOVERY, identity, arguments=arguments, overwrite=overwrite) as run:
        for text in notes:
            run.log.warning("%s", text)
        name = str((run.earlier or {}).get("id") or uuid.uuid4().hex)
        store = CrystalDatabase(database or str(folder / DATABASE), name)
        candidates, failures = store.load()
        if run.finished is None:
            run.write_manifest("running", id=name)
        clock = Clock.open(folder / CLOCK, settings.minutes)
        with engine_of(engine, workers, folder) as running:
            work = Work(
                *(settings, model, orders, hull, known, store, clock, candidates, failures),
                folder=folder,
                engine=running,
                progress=progress,
            )
            counts, ranked = run_stages(work, finished)
        summary = _summary(work, counts, ranked, run.arguments, notes)
        summary, ending = _write(work, summary, fetched, structures)
        run.write_manifest("finished", id=name, candidates=len(candidates), shortlist=len(ranked))
        return Outcome(summary, work.candidates, folder, tuple(ending))


def check_needs(
    settings: DiscoverySettings, *, database: str | None = None, materials_project: bool = False
) -> None:
    """Refuse to begin without the packages that a run will need, all of them at once.

    Raises:
        DiscoveryError: names what is missing and how to install it.
        RelaxationError: the potential is unknown.
    """
    modules = [module_of(settings.potential)]
    modules += EXTRAS["parquet"] if settings.format == "parquet" else ()
    modules += EXTRAS["phonons"] if settings.phonons else ()
    modules += ["mp_api"] if materials_project else []
    modules += BACKENDS if is_server(database) else ()
    need("discover", *filter(None, modules), error=DiscoveryError)
    check_potential(settings.potential)


def _known(model: Model, settings: DiscoverySettings, hull: Hull) -> KnownPhases:
    from crystalsmith.prior import KnownCrystals, Prototypes

    prototypes = None
    if learned_source(model) is not None:
        prototypes = Prototypes(KnownCrystals.read(model.occupations))
    return KnownPhases(prototypes, hull.phases(settings.system), settings.known, set(settings.system))


def _fetch(settings: DiscoverySettings, hull: Hull) -> list[tuple[str, Crystal]]:
    """Structures of the hull's phases, before anything is done, for the network may fail."""
    stable = stable_phases(hull.diagram(settings.system))
    wanted = missing_references([], _elements(settings), stable)
    return from_materials_project(wanted, settings.system)


def _elements(settings: DiscoverySettings) -> list[tuple[str, Crystal]]:
    own = set(settings.system)
    return [(name, c) for name, c in element_crystals() if set(c.counts) <= own]


def _identity(model: Model, settings: DiscoverySettings, hull: Hull, database: str | None) -> dict[str, Any]:
    """What makes two runs the same, in plain JSON types."""
    digest = hashlib.sha256()
    for phase in hull.phases(settings.system):
        digest.update(f"{phase.id} {phase.formula} {phase.energy:.6f}\n".encode())
    return {
        "version": __version__,
        "checkpoint": model.hash,
        "references": digest.hexdigest()[:16],
        "database": shown(database or DATABASE),
        **json.loads(json.dumps(settings.identity())),
    }


def _summary(
    work: Work,
    counts: Sequence[StageCount],
    ranked: Sequence[str],
    arguments: Mapping[str, Any],
    notes: Sequence[str],
) -> RunSummary:
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
        stages=tuple(counts),
        shortlist=tuple(work.candidates[n] for n in ranked),
        diagram=Hull(hull.references, [*hull.more, *found]).diagram(settings.system),
        reference=reference,
        notes=tuple(notes),
        arguments=dict(arguments),
        versions={**versions(package_of(settings.potential)), "checkpoint": work.model.hash[:16]},
        seconds=sum(work.clock.seconds.values()),
    )


def _write(
    work: Work,
    summary: RunSummary,
    fetched: Sequence[tuple[str, Crystal]],
    structures: Sequence[str | Path],
) -> tuple[RunSummary, list[str]]:
    """Write the results; the summary with the structures of competing phases, and what DFT inputs lack."""
    from crystalsmith.discovery.report import write_report

    made = [(p.id, work.candidates[p.id].crystal) for p in competing_phases(work)]
    sources = [*work.settings.known, *structures]
    references, missing = competing(summary, [*_elements(work.settings), *made, *fetched], sources)
    summary = replace(summary, references=tuple(references))
    folder, notes = work.folder, []
    with writing(folder):
        write_shortlist(folder / SHORTLIST, summary)
        write_report(folder, summary)
    if work.settings.format == "parquet":
        write_shards(folder, map(shard_row, work.candidates.values()), SHARD_COLUMNS)
    if summary.shortlist:
        try:
            for code in CODES:
                check_free(folder / FOLDER / code, overwrite=True)
        except OutputError:
            notes.append(f"{folder / FOLDER} holds calculations and is left as it is")
        else:
            inputs = write_inputs(
                subjects_of(summary.shortlist),
                folder / FOLDER,
                references=references,
                missing=missing,
                overwrite=True,
            )
            notes += inputs.lines()
    return summary, notes
