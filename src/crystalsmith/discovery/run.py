"""A run of the funnel in a folder: begun, gone on with, and reported."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith import __version__
from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.clock import Clock
from crystalsmith.discovery.database import CrystalDatabase, shown
from crystalsmith.discovery.funnel import Funnel, Tell
from crystalsmith.discovery.novelty import KnownPhases
from crystalsmith.discovery.orders import make_orders
from crystalsmith.discovery.settings import DiscoverySettings
from crystalsmith.discovery.summary import RunSummary, StageCount
from crystalsmith.discovery.vibrations import vibrate
from crystalsmith.errors import DiscoveryError, HullError, OutputError
from crystalsmith.generation.manifest import versions
from crystalsmith.hull import Hull
from crystalsmith.hull.elements import element_crystals
from crystalsmith.orders.sources import learned_source
from crystalsmith.runs.atomic import TEMPORARY, write_whole, writing
from crystalsmith.runs.lock import LOCK, FolderLock

if TYPE_CHECKING:
    from crystalsmith.crystal import Crystal
    from crystalsmith.diffusion import Model

RUN, CLOCK, DATABASE = "run.json", "clock.json", "crystals.db"
FORMAT = "crystalsmith.discovery"

OWN = (
    RUN,
    CLOCK,
    DATABASE,
    DATABASE + "-journal",
    "report.html",
    "candidates.csv",
    "shortlist.json",
    "cif",
    "dft",
    "phonons",
)
"""Files and folders of a run; ``overwrite`` removes these and no others."""


@dataclass(frozen=True)
class Outcome:
    """A finished run.

    Attributes:
        summary: what the report shows.
        candidates: every candidate of the run, by name.
        folder: where it all is.
    """

    summary: RunSummary
    candidates: Mapping[str, Candidate]
    folder: Path


def discover(
    model: Model,
    settings: DiscoverySettings,
    hull: Hull,
    folder: str | Path,
    *,
    database: str | None = None,
    arguments: Mapping[str, Any] | None = None,
    workers: int | None = None,
    overwrite: bool = False,
    tell: Tell = lambda stage, done, total: None,
    finished: Callable[[StageCount], None] = lambda count: None,
    note: Callable[[str], None] = lambda text: None,
) -> Outcome:
    """Propose new crystals of a chemical system, or go on where an earlier process stopped.

    With more than one worker the calling script needs the usual ``if __name__ == "__main__"`` guard.

    Args:
        model: network with its prior.
        settings: what is asked for.
        hull: reference phases of the same potential.
        folder: for the database and the report.
        database: URL of a PostgreSQL server in place of a file in the folder.
        arguments: how the run was started, for the report only.
        workers: processes; one for each core if None.
        overwrite: remove what another run left in the folder.
        tell: told of progress.
        finished: told of every stage that is over.
        note: told what the user should know.

    Raises:
        DiscoveryError: the database cannot be used, or the checkpoint has no prior.
        HullError: elements without a reference phase.
        OrderError: no order can be satisfied.
        OutputError: the folder cannot be written, holds other files or another run, or is in use.
        PhononError: phonopy is not installed.
        RelaxationError: the potential cannot be loaded.
    """
    from crystalsmith.phonons import check_installed
    from crystalsmith.potentials import check_potential
    from crystalsmith.prior import KnownCrystals, Prototypes

    check_potential(settings.potential)
    if settings.phonons:
        check_installed()
    missing = hull.missing(settings.system)
    if missing:
        raise HullError(
            f"no reference phase of {', '.join(missing)} alone by {settings.potential}; add some with"
            " --entries"
        )
    folder = Path(folder)
    prototypes = None
    if learned_source(model) is not None:
        prototypes = Prototypes(KnownCrystals.read(model.occupations))
    known = KnownPhases(prototypes, hull.phases(settings.system), settings.known)
    orders, notes = make_orders(settings, model)
    notes += hull.notes(settings.system)
    with writing(folder):
        if folder.exists() and not folder.is_dir():
            raise OutputError(f"{folder} is a file; choose a folder with -o")
        folder.mkdir(parents=True, exist_ok=True)
    lock = FolderLock.take(folder / LOCK)
    try:
        identity = _identity(model, settings, hull, database)
        run = _open(folder, identity, arguments or {}, overwrite)
        for text in notes:
            note(text)
        store = CrystalDatabase(database or str(folder / DATABASE), run["id"])
        candidates, failures = store.load()
        # Last, so that a database that cannot be used leaves no run behind.
        with writing(folder / RUN):
            write_whole(folder / RUN, json.dumps(run, indent=1) + "\n")
        funnel = Funnel(
            settings=settings,
            model=model,
            orders=orders,
            hull=hull,
            known=known,
            database=store,
            clock=Clock.open(folder / CLOCK, settings.minutes),
            candidates=candidates,
            failures=failures,
            vibrate=lambda f, names, over, say: vibrate(f, names, over, say, folder / "phonons"),
            workers=workers,
            tell=tell,
            finished=finished,
        )
        counts, ranked = funnel.run()
        summary = _summary(funnel, counts, ranked, run, notes)
        _write(folder, summary, funnel)
        return Outcome(summary, funnel.candidates, folder)
    finally:
        lock.release()


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


def _open(
    folder: Path, identity: Mapping[str, Any], arguments: Mapping[str, Any], overwrite: bool
) -> dict[str, Any]:
    """The description of the run in a folder, a new one if there was none."""
    file = folder / RUN
    if overwrite:
        _clear(folder)
    elif file.exists():
        run = _read(file)
        for key in {**identity, **run["identity"]}:
            before, now = run["identity"].get(key), identity.get(key)
            if before != now:
                raise OutputError(
                    f"folder {folder} belongs to a run with another {key.replace('_', ' ')}:"
                    f" {before!s:.40} there, {now!s:.40} now; choose another one with -o or add --overwrite"
                )
        return run
    else:
        foreign = sorted(
            p.name for p in folder.iterdir() if p.name != LOCK and not p.name.endswith(TEMPORARY)
        )
        if foreign:
            raise OutputError(
                f"folder {folder} holds files that no run of this kind wrote, such as {foreign[0]}; choose"
                " another one with -o"
            )
    return {
        "format": FORMAT,
        "id": uuid.uuid4().hex,
        "identity": dict(identity),
        "arguments": dict(arguments),
        "versions": versions(),
    }


def _read(file: Path) -> dict[str, Any]:
    try:
        run = json.loads(file.read_text(encoding="utf-8"))
        if run["format"] == FORMAT and run["id"] and isinstance(run["identity"], dict):
            return dict(run)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DiscoveryError(f"{file} is damaged or of another program; choose another folder or add --overwrite")


def _clear(folder: Path) -> None:
    import shutil

    with writing(folder):
        for name in OWN:
            path = folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def _summary(
    funnel: Funnel,
    counts: Sequence[StageCount],
    ranked: Sequence[str],
    run: Mapping[str, Any],
    notes: list[str],
) -> RunSummary:
    settings, hull = funnel.settings, funnel.hull
    reference = hull.references.note if hull.references is not None else "the entries given"
    more = [p for p in hull.more if p.elements <= set(settings.system)]
    if more:
        reference += f"; {len(more)} entries of the user's"
    found = funnel.competing_phases
    if found:
        reference += f"; {len(found)} relaxed crystals of the subsystems, made in this run"
    reference += f"; novelty against {funnel.known.checked}" if funnel.known.checked else ""
    return RunSummary(
        system=settings.system,
        potential=settings.potential,
        stages=tuple(counts),
        shortlist=tuple(funnel.candidates[n] for n in ranked),
        diagram=Hull(hull.references, [*hull.more, *found]).diagram(settings.system),
        reference=reference,
        notes=tuple(notes),
        arguments=dict(run["arguments"]),
        versions={**run["versions"], "checkpoint": funnel.model.hash[:16]},
        seconds=sum(funnel.clock.seconds.values()),
    )


def _write(folder: Path, summary: RunSummary, funnel: Funnel) -> None:
    from crystalsmith.dft import write_qe, write_vasp
    from crystalsmith.discovery.report import write_report
    from crystalsmith.discovery.shortlist import write_shortlist

    with writing(folder):
        write_shortlist(folder / "shortlist.json", summary)
        write_report(folder, summary)
        if summary.shortlist:
            competing = _competing_crystals(funnel)
            write_vasp(folder / "dft", summary.shortlist, competing, overwrite=True)
            write_qe(folder / "dft", summary.shortlist, competing, overwrite=True)


def _competing_crystals(funnel: Funnel) -> list[tuple[str, Crystal]]:
    """What a DFT hull of the short list needs as well, as far as its atoms are known here."""
    own = set(funnel.settings.system)
    elements = [(name, c) for name, c in element_crystals() if set(c.counts) <= own]
    return [*elements, *((p.id, funnel.candidates[p.id].crystal) for p in funnel.competing_phases)]
