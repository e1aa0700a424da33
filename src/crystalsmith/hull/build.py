"""Computing reference energies: single points of all phases, then relaxations, the smallest cells first.

A journal beside the output keeps every energy as it comes, so that an interrupted build goes on, and a
finished one can be given more time later.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata as packages
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith import __version__
from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset
from crystalsmith.errors import HullError, OutputError
from crystalsmith.hull.phases import Phase, References
from crystalsmith.runs.atomic import writing
from crystalsmith.runs.journal import append_journal, read_journal
from crystalsmith.runs.lock import FolderLock
from crystalsmith.runs.pool import Failed, parallel_map

ON_HULL = 1e-4
"""eV per atom above the data's own hull up to which a crystal counts as lying on it."""

MAX_CALLS = 8
"""Evaluations of the potential for the relaxation of a phase."""

SECONDS = 300.0
"""Time limit for one phase."""

FRESH = 5
"""Times as many evaluations for a crystal that is not known to be near its minimum."""

HOLE = 1.0
"""eV per atom by which no sound relaxation of a known crystal lowers its energy."""

_BATCH = 16


@dataclass(frozen=True)
class BuildSettings:
    """How reference energies are computed.

    Attributes:
        potential: as for ``relaxation.load_calculator``.
        max_above_hull: crystals farther above the data's own hull are left out (eV per atom); where the data
            do not say, they are taken.
        max_calls: evaluations for a relaxation; 1 leaves it at single points.
        minutes: time for relaxations; no limit if None.
        workers: processes; one for each core if None.
    """

    potential: str = "chgnet"
    max_above_hull: float = ON_HULL
    max_calls: int = MAX_CALLS
    minutes: float | None = None
    workers: int | None = None


@dataclass
class Progress:
    """How far a build is: ``stage`` is ``single points`` or ``relaxations``."""

    stage: str
    done: int
    total: int
    failed: int = 0


@dataclass
class _Journal:
    """Energies on disk: a line for the run, then one for each energy; later lines of a phase win."""

    path: Path
    energies: dict[int, tuple[float, int]] = field(default_factory=dict)
    tried: set[int] = field(default_factory=set)
    failures: dict[int, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, identity: dict[str, Any]) -> _Journal:
        journal = cls(path)
        found: list[Any] = []

        def take(row: Any, place: int) -> None:
            if found:
                journal._take(row)
            else:
                found.append(row)

        with writing(path):
            read_journal(path, take, advice="remove the file to begin anew")
            if not found:  # not even its first line got to the disk
                append_journal(path, [identity])
            elif found[0] != identity:
                raise HullError(
                    f"{path} is of another build (other crystals, potential or settings); remove it or choose"
                    " another output"
                )
        return journal

    def _take(self, row: dict[str, Any]) -> None:
        place = int(row["row"])
        if row.get("energy") is None:
            self.failures[place] = str(row["reason"])
        else:
            self.energies[place] = float(row["energy"]), int(row["calls"])
            if row.get("tried") or int(row["calls"]) > 1:
                self.tried.add(place)

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        with writing(self.path):
            append_journal(self.path, rows)
        for row in rows:
            self._take(row)


def build_references(
    dataset: Dataset,
    output: str | os.PathLike[str],
    settings: BuildSettings,
    on_progress: Callable[[Progress], None] | None = None,
) -> References:
    """Compute the energies of a data set's stable crystals and write them to a file.

    Args:
        dataset: crystals; those above the data's own hull are left out.
        output: file to write; ``OUTPUT.journal`` beside it holds what is done.
        settings: how.
        on_progress: told now and then.

    Raises:
        HullError: no crystals, or a journal of another build.
        RelaxationError: the potential cannot be loaded.
        OutputError: the files cannot be written, or another build is at work on them.
    """
    from crystalsmith.potentials import check_potential
    from crystalsmith.potentials.calculators import process_calculator

    check_potential(settings.potential)
    output = Path(output)
    if output.is_dir():
        raise OutputError(f"{output} is a folder; name a file to write")
    if not output.resolve().parent.is_dir():
        raise OutputError(f"cannot write {output}: there is no folder {output.parent}; make it first")
    rows = stable_rows(dataset, settings.max_above_hull)
    if not len(rows):
        raise HullError(
            f"no crystal lies within {settings.max_above_hull:g} eV/atom of the hull of its data;"
            " raise --above-hull"
        )
    identity = {
        "format": "crystalsmith.hull.journal",
        "potential": settings.potential,
        "package": _package(settings.potential),
        "crystals": _digest(dataset, rows),
        "max_calls": settings.max_calls,
    }
    # In a worker, a potential that cannot be loaded would count as a failure of every crystal.
    process_calculator(settings.potential)
    lock = FolderLock.take(output.with_name(output.name + ".lock"))
    try:
        journal = _Journal.open(output.with_name(output.name + ".journal"), identity)
        tell = on_progress or (lambda _: None)
        _single_points(dataset, rows, journal, settings, tell)
        if settings.max_calls > 1:
            _relaxations(dataset, rows, journal, settings, tell)
        references = _collect(dataset, rows, journal, settings, identity)
        references.save(output)
        return references
    finally:
        lock.release()
        lock.path.unlink(missing_ok=True)


def stable_rows(dataset: Dataset, max_above_hull: float) -> np.ndarray:
    """(n,) rows of the crystals on the data's own hull, the smallest cells first."""
    above = dataset.arrays["e_above_hull"]
    rows = np.flatnonzero(np.isnan(above) | (above <= max_above_hull))
    return np.asarray(rows[np.argsort(dataset.arrays["atoms"][rows], kind="stable")])


def _single_points(
    dataset: Dataset,
    rows: np.ndarray,
    journal: _Journal,
    settings: BuildSettings,
    tell: Callable[[Progress], None],
) -> None:
    todo = [int(r) for r in rows if int(r) not in journal.energies and int(r) not in journal.failures]
    batches = [todo[k : k + _BATCH] for k in range(0, len(todo), _BATCH)]
    count = len(rows) - len(todo)
    alone: list[list[int]] = []

    def take(done: list[tuple[int, Any, float]]) -> None:
        nonlocal count
        lines: list[dict[str, Any]] = []
        for place, result, _ in done:
            batch = batches[place]
            if isinstance(result, Failed):
                if len(batch) > 1:  # one crystal that hangs or kills its process must not cost the others
                    alone.extend([r] for r in batch)
                    continue
                result = [(None, result.reason)]
            for r, (energy, reason) in zip(batch, result, strict=True):
                lines.append({"row": r, "energy": energy, "calls": 1, "reason": reason})
        journal.append(lines)
        count += len(lines)
        tell(Progress("single points", count, len(rows), len(journal.failures)))

    while batches:
        parallel_map(
            partial(_energies, settings.potential),
            [_Rows(dataset, batch) for batch in batches],
            workers=settings.workers,
            chunk=1,
            seconds=SECONDS,
            on_done=take,
        )
        batches, alone = alone, []


class _OutOfTime(Exception):
    """Ends the relaxations of a build."""


def _relaxations(
    dataset: Dataset,
    rows: np.ndarray,
    journal: _Journal,
    settings: BuildSettings,
    tell: Callable[[Progress], None],
) -> None:
    todo = [int(r) for r in rows if int(r) in journal.energies and int(r) not in journal.tried]
    # Crystals that no calculation has been at before come first, and are relaxed to the end.
    fresh = np.isnan(dataset.arrays["e_above_hull"])
    todo.sort(key=lambda r: not fresh[r])
    first = sum(bool(fresh[r]) for r in todo)
    count = len(rows) - len(todo)
    began = time.monotonic()

    def take(done: list[tuple[int, Any, float]]) -> None:
        nonlocal count
        lines = []
        for place, result, _ in done:
            before = journal.energies[todo[place]][0]
            # A relaxation that fell into a hole of the potential proves nothing; nor does one that failed.
            sound = not isinstance(result, Failed) and math.isfinite(result[0])
            energy, calls = (min(before, result[0]), result[1]) if sound else (before, 1)
            lines.append({"row": todo[place], "energy": energy, "calls": calls, "tried": True})
        journal.append(lines)
        count += len(lines)
        tell(Progress("relaxations", count, len(rows), len(journal.failures)))
        late = settings.minutes is not None and time.monotonic() - began > 60 * settings.minutes
        if late and count >= len(rows) - len(todo) + first:
            raise _OutOfTime

    if settings.minutes == 0:
        todo = todo[:first]
    with contextlib.suppress(_OutOfTime):
        parallel_map(
            partial(_relax, settings.potential),
            [(settings.max_calls * (FRESH if fresh[r] else 1), _Rows(dataset, [r])) for r in todo],
            workers=settings.workers,
            chunk=4,
            seconds=SECONDS,
            on_done=take,
        )


class _Rows:
    """Rows of a data set that become crystals when they are asked for, on the way to a worker."""

    def __init__(self, dataset: Dataset | None, rows: Sequence[int]) -> None:
        self._dataset, self._rows = dataset, rows
        self._crystals: list[Crystal] = []

    @property
    def crystals(self) -> list[Crystal]:
        return [self._dataset[r] for r in self._rows] if self._dataset is not None else self._crystals

    def __reduce__(self) -> tuple[Any, ...]:
        return _rows_of, (self.crystals,)


def _rows_of(crystals: list[Crystal]) -> _Rows:
    rows = _Rows(None, ())
    rows._crystals = crystals
    return rows


def _energies(potential: str, rows: _Rows) -> list[tuple[float | None, str | None]]:
    from crystalsmith.potentials import single_points
    from crystalsmith.potentials.calculators import process_calculator

    found = single_points(rows.crystals, process_calculator(potential))
    return [(e.value if math.isfinite(e.value) else None, e.reason) for e in found]


def _relax(potential: str, work: tuple[int, _Rows]) -> tuple[float, int]:
    from crystalsmith.potentials import RelaxSettings, relax_symmetric
    from crystalsmith.potentials.calculators import process_calculator

    max_calls, rows = work
    settings = RelaxSettings(max_calls=max_calls, max_drop=HOLE)
    done = relax_symmetric(rows.crystals[0], process_calculator(potential), settings)
    return (done.energy if done.sound else math.nan), done.calls


def _collect(
    dataset: Dataset, rows: np.ndarray, journal: _Journal, settings: BuildSettings, identity: dict[str, Any]
) -> References:
    ids = dataset.ids
    phases = [
        Phase(ids[r], dataset[r].counts, energy, dataset[r].space_group, calls)
        for r in sorted(int(r) for r in rows)
        for energy, calls in ([journal.energies[r]] if r in journal.energies else [])
    ]
    if not phases:
        raise HullError(f"potential {settings.potential} gave no crystal an energy")
    return References.of(
        phases,
        {
            "potential": settings.potential,
            "package": identity["package"],
            "crystalsmith": __version__,
            "max_above_hull": settings.max_above_hull,
            "max_calls": settings.max_calls,
            "failed": len(journal.failures),
        },
    )


def _package(potential: str) -> str:
    from crystalsmith.potentials.calculators import package_of

    name = package_of(potential)
    try:
        return f"{name} {packages.version(name)}" if name else ""
    except packages.PackageNotFoundError:
        return name


def _digest(dataset: Dataset, rows: np.ndarray) -> str:
    ids = dataset.ids
    digest = hashlib.sha256()
    for r in rows:
        digest.update(f"{ids[int(r)]} {dataset[int(r)].formula}\n".encode())
    digest.update(dataset.arrays["cell"][rows].tobytes())
    return digest.hexdigest()[:16]
