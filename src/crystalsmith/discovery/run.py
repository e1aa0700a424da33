"""A run of the funnel in a folder: begun, gone on with, and reported."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal.crystals import Crystals
from crystalsmith.crystal.io.parquet import FOLDER as SHARDS
from crystalsmith.discovery.calculations import FOLDER, check_calculations
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.clock import CLOCK
from crystalsmith.discovery.database import DATABASE, CrystalDatabase
from crystalsmith.discovery.funnel import run_stages
from crystalsmith.discovery.means import (
    Means,
    begin,
    check_needs,
    fetch_structures,
    identity_of,
    known_to,
    reference_hull,
)
from crystalsmith.discovery.orders import make_orders
from crystalsmith.discovery.results import summary_of, with_references, write_dft_inputs, write_results
from crystalsmith.discovery.settings import DiscoverySettings
from crystalsmith.discovery.shortlist import SHORTLIST
from crystalsmith.discovery.summary import RunSummary, StageCount
from crystalsmith.hull import Hull
from crystalsmith.runs.engines import Engine, check_engine, engine_of
from crystalsmith.runs.folder import RunFolder, RunKind, check_folder
from crystalsmith.runs.progress import Progress, silent

if TYPE_CHECKING:
    from crystalsmith.diffusion import Model

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
    hull = reference_hull(settings, hull, settings.system)
    model = load_model() if model is None else model  # type: ignore[assignment]
    assert model is not None
    asked = make_orders(settings, model)
    folder = Path(output)
    identity = identity_of(model, settings, hull, database, settings.system)
    check_folder(folder, DISCOVERY, identity, overwrite=overwrite)
    if overwrite:
        check_calculations(folder)
    means = Means(model, hull, known_to(model, settings, hull, settings.system))
    fetched = fetch_structures(settings, hull) if materials_project else []
    if database is not None:
        CrystalDatabase(database, "").load()  # one that cannot be used leaves no run behind
    with RunFolder.open(folder, DISCOVERY, identity, arguments=arguments, overwrite=overwrite) as run:
        name = str((run.earlier or {}).get("id") or uuid.uuid4().hex)
        if run.finished is None:
            run.write_manifest("running", id=name)
        place = database or str(folder / DATABASE)
        work = begin(means, settings, asked, folder, name, database=place, progress=progress)
        for text in work.notes:
            run.log.warning("%s", text)
        with engine_of(engine, workers, folder) as work.engine:
            (passage,) = run_stages([work], finished)
        summary = summary_of(passage, run.arguments)
        summary, missing = with_references(passage, summary, [*settings.known, *structures], fetched)
        write_results(folder, passage, summary)
        ending = write_dft_inputs(folder, summary, missing)
        run.write_manifest("finished", id=name, candidates=len(work.candidates), shortlist=len(passage.left))
        return Outcome(summary, work.candidates, folder, tuple(ending))
