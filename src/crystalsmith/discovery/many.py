"""Many chemical systems in one folder: some at a time go through the funnel together, each as it would alone.

What a system becomes hangs on its own orders and seeds, so neither the other systems nor their order show in
it. The same work on shared subsystems is done for each of them: batches, whose members show in the last
digits, would have to be made up of several systems.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith import __version__
from crystalsmith.discovery.calculations import check_calculations
from crystalsmith.discovery.database import DATABASE, CrystalDatabase
from crystalsmith.discovery.funnel import Passage, run_stages
from crystalsmith.discovery.means import Means, begin, check_needs, identity_of, known_to, reference_hull
from crystalsmith.discovery.orders import make_orders
from crystalsmith.discovery.report.index import DATA, TABLE, totals, write_index
from crystalsmith.discovery.report.row import FAILED, FOLDER, RUNNING, SystemRow
from crystalsmith.discovery.report.writer import PAGE
from crystalsmith.discovery.results import summary_of, with_references, write_results
from crystalsmith.discovery.run import DISCOVERY
from crystalsmith.discovery.settings import DiscoverySettings
from crystalsmith.discovery.shortlist import read_shortlist
from crystalsmith.discovery.stages.work import Work
from crystalsmith.discovery.summary import RunSummary
from crystalsmith.discovery.systems import System, check_systems
from crystalsmith.errors import DiscoveryError, EngineError, OrderError, OutputError
from crystalsmith.hull import Hull
from crystalsmith.runs.atomic import TEMPORARY, write_whole, writing
from crystalsmith.runs.engines import Engine, check_engine, engine_of
from crystalsmith.runs.folder import RunFolder, RunKind, check_folder
from crystalsmith.runs.manifest import MANIFEST
from crystalsmith.runs.progress import Progress, silent

if TYPE_CHECKING:
    from crystalsmith.diffusion import Model

LIST, JOURNAL = "systems.txt", "systems.jsonl"

SYSTEMS = RunKind(
    "systems",
    "run of discover over a list of systems",
    owned=(LIST, JOURNAL, TABLE, DATA, PAGE, DATABASE, f"{DATABASE}-journal", f"{FOLDER}/"),
)

LEAST, MOST = 4, 32
"""Systems that are at work at once: so few that all their candidates are held, and some for every four slots,
so that workers whose system has come to the end of a stage have others' candidates."""

SELDOM = 20
"""The index is written again when this many times as long as that took has passed."""

_OF_ALL = (OutputError, DiscoveryError, EngineError, MemoryError, OSError)
"""Errors that are not of one system: the others would meet them too."""


@dataclass(frozen=True)
class Campaign:
    """A finished run over many systems.

    Attributes:
        rows: how each system stands, in the order of the list.
        folder: where it all is.
    """

    rows: tuple[SystemRow, ...]
    folder: Path

    @property
    def failures(self) -> dict[str, str]:
        """Why nothing came of systems, by name."""
        return {row.system: row.failure for row in self.rows if row.status == FAILED}

    def summary(self, system: str) -> RunSummary:
        """What the page of a system shows, its short list among it.

        Raises:
            DataError: nothing came of it, or it is not in the list.
        """
        return read_shortlist(self.folder / FOLDER / system)

    def to_dataframe(self) -> Any:
        """The rows of ``systems.csv``, as a ``pandas.DataFrame``."""
        import pandas as pd

        return pd.read_csv(self.folder / TABLE, keep_default_na=False, na_values=[""])

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        return {
            "folder": str(self.folder),
            "totals": totals(self.rows),
            "systems": [row.to_dict() for row in self.rows],
        }

    def _repr_html_(self) -> str:
        """What a notebook shows: the table."""
        from crystalsmith.reports.notebook import frame_html

        return frame_html(str(self), self.to_dataframe())

    def __str__(self) -> str:
        found = totals(self.rows)
        failed = f", {found[FAILED]:,} failed" if found.get(FAILED) else ""
        return (
            f"{found['systems']:,} systems{failed}: {found['candidates']:,} candidates,"
            f" {found['near']:,} near the hull, {found['new']:,} on short lists and not known; {self.folder}"
        )


def discover_systems_into(
    systems: Sequence[tuple[str, System]],
    settings: DiscoverySettings,
    output: str | Path,
    *,
    model: Model | None = None,
    hull: Hull | None = None,
    database: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    workers: int | None = None,
    engine: str | Engine | None = None,
    overwrite: bool = False,
    progress: Progress = silent,
    finished: Callable[[SystemRow], None] = lambda row: None,
) -> Campaign:
    """Search many chemical systems, or go on where an earlier process stopped; more may have been added.

    Systems that failed are tried again, but for those of which nothing can be made.

    Args:
        systems: as ``systems.read_systems`` gives them.
        settings: what is asked for in each; its own system does not count. The time is for all together.
        output: folder for the database, the index and the reports.
        model, hull, database, arguments, workers, engine, overwrite, progress: as for ``discover_into``.
        finished: told of every system that is over.

    Raises:
        DiscoveryError: as ``discover_into``; a system is given twice; or the list lacks systems of the run.
        HullError: elements without a reference phase.
        OutputError, RelaxationError, ConfigError, EngineError: as ``discover_into``.
    """
    from crystalsmith.diffusion import load_model

    if settings.formulas:
        raise DiscoveryError("formulas are of one system; leave --formulas out with a list of systems")
    check_needs(settings, database=database)
    check_engine(engine)
    hull = reference_hull(settings, hull, ())
    check_systems(systems, hull)
    model = load_model() if model is None else model  # type: ignore[assignment]
    assert model is not None
    if model.prior is None:
        make_orders(replace(settings, system=systems[0][1]), model)  # says so
    folder = Path(output)
    elements = sorted({element for _, system in systems for element in system})
    identity = _identity(model, settings, hull, database)
    check_folder(folder, SYSTEMS, identity, overwrite=overwrite)
    for own in folder.glob(f"{FOLDER}/*") if overwrite else ():
        check_calculations(own)
    means = Means(model, hull, known_to(model, settings, hull, elements))
    if database is not None:
        CrystalDatabase(database, "").load()  # one that cannot be used leaves no run behind
    with RunFolder.open(folder, SYSTEMS, identity, arguments=arguments, overwrite=overwrite) as run:
        asked = {"-".join(system): system for _, system in systems}
        _note_list(run, asked)
        name = str((run.earlier or {}).get("id") or uuid.uuid4().hex)
        done: dict[str, tuple[SystemRow, float]] = {}
        journal = run.journal(JOURNAL).read(lambda row, place: _take(done, row))
        campaign = _Work(run, journal, means, settings, asked, done, name, progress)
        campaign.place = database or str(folder / DATABASE)
        if campaign.waiting:
            run.write_manifest("running", id=name, systems=len(asked))
            progress("systems", len(campaign.over), len(asked))
            with engine_of(engine, workers, folder) as running:
                while campaign.waiting:
                    campaign.go_on(running, finished)
        rows = campaign.rows()
        write_index(folder, rows, campaign.facts())
        found = totals(rows)
        run.write_manifest("finished", id=name, systems=len(rows), candidates=found["candidates"])
        return Campaign(tuple(rows), folder)


def _identity(model: Model, settings: DiscoverySettings, hull: Hull, database: str | None) -> dict[str, Any]:
    """What makes two runs the same; systems may be added later."""
    alone = identity_of(model, settings, hull, database, ())
    references = "" if hull.references is None else hull.references.note
    told = {"references": references, "entries": len(hull.more)}
    return {key: value for key, value in alone.items() if key not in ("system", "references")} | told


def _note_list(run: RunFolder, asked: Mapping[str, System]) -> None:
    """Keep the list, which may have grown.

    Raises:
        DiscoveryError: it lacks systems that the run has.
    """
    path = run.path / LIST
    earlier = path.read_text(encoding="utf-8").split() if path.exists() else []
    if lacking := [name for name in earlier if name not in asked]:
        raise DiscoveryError(
            f"{run.path} holds {len(lacking)} systems that the list lacks, such as {lacking[0]}; systems may"
            " be added, not taken out"
        )
    run.write(LIST, "".join(f"{name}\n" for name in asked))


def _take(done: dict[str, tuple[SystemRow, float]], row: Any) -> None:
    """Note a system that is over; one that may come to something when it is tried again is not."""
    name = str(row["system"])
    done.pop(name, None)
    if not row.get("again"):
        done[name] = SystemRow.from_dict(row), float(row["seconds"])


@dataclass
class _Work:
    """The systems in hand, those that are over and those that wait.

    Attributes:
        run: the folder.
        journal: a line for each system that is over.
        means: what all share.
        settings: of each but for the system and the time.
        asked: elements by name, in order.
        over: rows and seconds of the systems that are over.
        name: of the run in the database; those of systems begin with it.
        progress: told of progress.
        place: file or URL of the database.
    """

    run: RunFolder
    journal: Any
    means: Means
    settings: DiscoverySettings
    asked: Mapping[str, System]
    over: dict[str, tuple[SystemRow, float]]
    name: str
    progress: Progress
    place: str = ""
    _running: frozenset[str] = frozenset()
    _next_index: float = 0.0

    @property
    def waiting(self) -> list[str]:
        """Names of the systems that are not over, in order."""
        return [name for name in self.asked if name not in self.over]

    def rows(self) -> list[SystemRow]:
        """How each system stands."""
        rest = {name: SystemRow(name, RUNNING) for name in self._running}
        return [
            self.over[name][0] if name in self.over else rest.get(name, SystemRow(name))
            for name in self.asked
        ]

    def facts(self) -> dict[str, str]:
        """What the index says of the whole."""
        return {
            "version": f"crystalsmith {__version__}",
            "potential": f"energies of {self.settings.potential}",
            "near": f"near the hull: up to {self.settings.max_above_hull:g} eV/atom",
        }

    def go_on(self, engine: Engine, finished: Callable[[SystemRow], None]) -> None:
        """Take the next systems through all stages."""
        waiting = self.waiting
        group = waiting[: max(LEAST, min(MOST, engine.slots // 4))]
        self._running = frozenset(group)
        self._write_index()
        works = []
        for name in group:
            settings = replace(self.settings, system=self.asked[name], minutes=self._share(len(waiting)))
            try:
                asked = make_orders(settings, self.means.model)
            except (OrderError, DiscoveryError) as error:
                finished(self._lost(name, error))
            else:
                works.append(self._begin(name, settings, asked, engine))
        for passage in run_stages(works, excused=_excused):
            name = passage.work.settings.name
            try:
                if passage.error is not None:
                    raise passage.error
                finished(self._finish(passage))
            except Exception as error:
                if not _excused(error):
                    raise
                finished(self._lost(name, error, passage.work))
        self._running = frozenset()

    def _begin(self, name: str, settings: DiscoverySettings, asked: Any, engine: Engine) -> Work:
        folder = self.run.path / FOLDER / name
        with writing(folder):
            fresh = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            for stale in () if fresh else (*folder.glob("*" + TEMPORARY), *folder.glob("*/*" + TEMPORARY)):
                stale.unlink(missing_ok=True)
        own = f"{self.name}-{name}"
        work = begin(
            *(self.means, settings, asked, folder, own),
            database=self.place,
            fresh=fresh,
            progress=self.progress,
        )
        work.engine = engine
        return work

    def _share(self, left: int) -> float | None:
        """Minutes for each of the systems that are left."""
        if self.settings.minutes is None:
            return None
        spent = sum(seconds for _, seconds in self.over.values()) / 60
        return max((self.settings.minutes - spent) / left, 1e-9)

    def _finish(self, passage: Passage) -> SystemRow:
        work = passage.work
        folder = work.folder
        summary = summary_of(passage, self.run.arguments)
        summary, _ = with_references(passage, summary)
        write_results(folder, passage, summary)
        manifest = {
            "kind": DISCOVERY.name,
            "format": DISCOVERY.format,
            "status": "finished",
            "run": identity_of(
                self.means.model, work.settings, self.means.hull, f"../../{DATABASE}", work.settings.system
            ),
            "versions": dict(summary.versions),
            "arguments": self.run.arguments,
            "id": work.database.run,
            "candidates": len(work.candidates),
            "shortlist": len(passage.left),
            "timings": {"seconds": round(summary.seconds, 3), "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z")},
        }
        with writing(folder):
            text = json.dumps(manifest, indent=1, ensure_ascii=False, default=str)
            write_whole(folder / MANIFEST, text + "\n")
        return self._note(SystemRow.of(summary), summary.seconds)

    def _lost(self, name: str, error: Exception, work: Work | None = None) -> SystemRow:
        """Note why nothing came of a system; without work none of its orders can be met, now or later."""
        reason = " ".join(f"{error}".split())[:300] or type(error).__name__
        self.run.log.warning("%s failed", name, exc_info=error)
        seconds = 0.0 if work is None else sum(work.clock.seconds.values())
        made = None if work is None else len(work.candidates)
        return self._note(SystemRow(name, FAILED, made, failure=reason), seconds, again=work is not None)

    def _note(self, row: SystemRow, seconds: float, again: bool = False) -> SystemRow:
        told = {"failure": row.failure or None, "seconds": seconds, "again": again}
        self.journal.append([{**row.to_dict(), **told}])
        self.over[row.system] = row, seconds
        self._write_index()
        self.progress("systems", len(self.over), len(self.asked))
        return row

    def _write_index(self) -> None:
        """So seldom that it takes little of the time, however many systems there are."""
        began = time.monotonic()
        if began >= self._next_index:
            write_index(self.run.path, self.rows(), self.facts())
            ended = time.monotonic()
            self._next_index = ended + SELDOM * (ended - began)


def _excused(error: Exception) -> bool:
    return not isinstance(error, _OF_ALL)
