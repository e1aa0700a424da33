"""Computing reference energies: single points of all phases, then relaxations, the smallest cells first.

A journal beside the output keeps every energy as it comes, so that an interrupted build goes on, and a
finished one can be given more time later.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from crystalsmith import __version__
from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset, concatenate
from crystalsmith.data.build import build
from crystalsmith.errors import HullError, OutputError
from crystalsmith.hull.elements import element_dataset
from crystalsmith.hull.materials_project import fetch_system
from crystalsmith.hull.phases import Phase, References
from crystalsmith.hull.settings import BuildSettings
from crystalsmith.hull.system import parse_system
from crystalsmith.potentials import Energy, Outcome, RelaxSettings, energies_of_many, relax_many
from crystalsmith.potentials.calculators import check_potential, package_of, process_calculator
from crystalsmith.runs.addresses import shown
from crystalsmith.runs.engines import Engine, check_engine, engine_of
from crystalsmith.runs.folder import Journal
from crystalsmith.runs.lock import FolderLock
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.progress import Progress, silent
from crystalsmith.runs.versions import versions

logger = logging.getLogger(__name__)

SECONDS = 300.0
"""Time limit for one phase."""

FRESH = 5
"""Times as many evaluations for a crystal that is not known to be near its minimum."""

HOLE = 1.0
"""eV per atom by which no sound relaxation of a known crystal lowers its energy."""


@dataclass
class _Energies:
    """Energies on disk: a line for the run, then one for each energy; later lines of a phase win."""

    journal: Journal
    energies: dict[int, tuple[float, int]] = field(default_factory=dict)
    tried: set[int] = field(default_factory=set)
    failures: dict[int, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, identity: dict[str, Any]) -> _Energies:
        found = cls(Journal(path, "remove the file to begin anew"))
        first: list[Any] = []
        found.journal.read(lambda row, _: found._take(row) if first else first.append(row))
        if not first:  # not even its first line got to the disk
            found.journal.append([identity])
        elif first[0] != identity:
            raise HullError(
                f"{path} is of another build (other crystals, potential or settings); remove it or choose"
                " another output"
            )
        return found

    def _take(self, row: Mapping[str, Any]) -> None:
        place = int(row["row"])
        if row.get("energy") is None:
            self.failures[place] = str(row["reason"])
        else:
            self.energies[place] = float(row["energy"]), int(row["calls"])
            if row.get("tried") or int(row["calls"]) > 1:
                self.tried.add(place)

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.journal.append(rows)
        for row in rows:
            self._take(row)


def build_references(
    dataset: Dataset,
    output: str | os.PathLike[str],
    settings: BuildSettings | None = None,
    progress: Progress = silent,
    start: Sequence[References] = (),
) -> References:
    """Compute the energies of a data set's stable crystals and write them to a file.

    Args:
        dataset: crystals; those above the data's own hull are left out.
        output: file to write; ``OUTPUT.journal`` beside it holds what is done.
        settings: how.
        progress: told of the stages ``single points`` and ``relaxations``.
        start: references that are there already, of the same potential: crystals of the same id, formula and
            space group are not computed again, and all of them go into the file.

    Returns:
        The references; ``failures`` of their metadata says why crystals got no energy.

    Raises:
        HullError: no crystals, a start of another potential, or a journal of another build.
        RelaxationError: the potential cannot be loaded.
        ConfigError: an engine that there is not.
        EngineError: its workers give no results.
        OutputError: the files cannot be written, or another build is at work on them.
    """
    settings, output = settings or BuildSettings(), Path(output)
    check_potential(settings.potential)
    check_engine(settings.engine)
    if output.is_dir():
        raise OutputError(f"{output} is a folder; name a file to write")
    if not output.resolve().parent.is_dir():
        raise OutputError(f"cannot write {output}: there is no folder {output.parent}; make it first")
    start = check_start(start, settings.potential)
    there = {_key(phase) for references in start for phase in references}
    stable = stable_rows(dataset, settings.max_above_hull)
    rows = np.array([r for r in stable.tolist() if _crystal_key(dataset, r) not in there], dtype=np.int64)
    if not len(stable) and not there:
        raise HullError(
            f"no crystal lies within {settings.max_above_hull:g} eV/atom of the hull of its data;"
            " raise --above-hull"
        )
    package = package_of(settings.potential)
    identity = {
        "format": "crystalsmith.hull.journal",
        "potential": settings.potential,
        "package": f"{package} {versions(package).get(package, '')}".strip(),
        "crystals": _digest(dataset, rows),
        "max_calls": settings.max_calls,
    }
    if not len(rows):  # nothing to compute
        merged = merge(start)
        merged.save(output)
        return merged
    # In a worker, a potential that cannot be loaded would count as a failure of every crystal.
    process_calculator(settings.potential)
    lock = FolderLock.take(output.with_name(output.name + ".lock"))
    try:
        found = _Energies.open(output.with_name(output.name + ".journal"), identity)
        with engine_of(settings.engine, settings.workers, _scratch(output)) as engine:
            _single_points(dataset, rows, found, settings, engine, progress)
            if settings.max_calls > 1:
                _relaxations(dataset, rows, found, settings, engine, progress)
        own = _collect(dataset, rows, found, settings, identity)
        if not len(own) and not start:
            reason = next(iter(found.failures.values()), "none was asked for")
            raise HullError(f"potential {settings.potential} gave no crystal an energy: {reason}")
        references = merge([*start, own])
        references.save(output)
        return references
    finally:
        lock.release()
        lock.path.unlink(missing_ok=True)


def check_start(start: Sequence[References], potential: str) -> Sequence[References]:
    """References that a build goes on from.

    Raises:
        HullError: of another potential.
    """
    for references in start:
        if references.potential != potential:
            raise HullError(
                f"energies of {references.potential} cannot stand beside those of {potential}; give files of"
                f" one potential, or --potential {references.potential}"
            )
    return start


def merge(parts: Sequence[References]) -> References:
    """References of one potential in one; of the same crystal the lowest energy counts.

    Raises:
        HullError: none, or of several potentials.
    """
    if not parts:
        raise HullError("no references to put together; give files of hull build")
    check_start(parts, parts[0].potential)
    if len(parts) == 1:
        return parts[0]
    phases: dict[tuple[str, str, int], Phase] = {}
    for phase in (phase for part in parts for phase in part):
        key = _key(phase)
        if key not in phases or phase.energy < phases[key].energy:
            phases[key] = phase
    told = ("package", "crystalsmith", "max_above_hull", "max_calls", "parts", "failed", "failures")
    each = [{"phases": len(p), **{k: p.metadata[k] for k in told if k in p.metadata}} for p in parts]
    # A file that was put together itself stands for its parts.
    flat = [own for part in each for own in part.pop("parts", [part])]
    failures = {k: v for part in parts for k, v in part.metadata.get("failures", {}).items()}
    metadata = {
        "potential": parts[0].potential,
        "package": parts[-1].metadata.get("package", ""),
        "crystalsmith": __version__,
        "failed": sum(int(part.metadata.get("failed", 0)) for part in parts),
        "failures": dict(islice(failures.items(), 10)),
        "parts": [{k: v for k, v in part.items() if k != "failures"} for part in flat],
    }
    return References.of(list(phases.values()), metadata)


def _key(phase: Phase) -> tuple[str, str, int]:
    return phase.id, phase.formula, phase.space_group


def _crystal_key(dataset: Dataset, row: int) -> tuple[str, str, int]:
    crystal = dataset[row]
    return " ".join(dataset.ids[row].split()), crystal.formula, crystal.space_group


def load_phases(
    sources: Iterable[str | os.PathLike[str]],
    *,
    materials_project: str | None = None,
    max_above_hull: float,
    elements: bool = True,
    workers: int | None = None,
    engine: str | Engine = "local",
    optional: bool = False,
) -> Dataset:
    """Crystals whose energies shall be the references of a hull.

    Args:
        sources: files of data build, or structures in any form that it reads.
        materials_project: a system whose phases are fetched there.
        max_above_hull: of those, eV per atom.
        elements: add the known structures of the elements, which a hull cannot do without.
        workers: processes that read.
        engine: where they are.
        optional: nothing but the elements will do.

    Raises:
        HullError: no source, or none that could be fetched.
        DataError: a source that cannot be read.
    """
    parts = [_read(source, workers, engine) for source in sources]
    if materials_project is not None:
        parts.append(fetch_system(parse_system(materials_project), max_above_hull))
    if not parts and not optional:
        raise HullError("nothing to compute: give a SOURCE or --materials-project SYSTEM")
    return concatenate([*parts, *([element_dataset()] if elements else [])])


def _read(source: str | os.PathLike[str], workers: int | None, engine: str | Engine) -> Dataset:
    if Path(source).suffix == ".safetensors":
        return Dataset.open(source)
    with TemporaryDirectory() as folder:
        built = build([source], Path(folder) / "phases.safetensors", workers=workers, engine=engine)
        for reason, number in built.dropped.items():
            where = shown(os.fspath(source))
            logger.warning("%s: left out %d: %s (%s)", where, number, reason, built.examples.get(reason, ""))
        return Dataset.open(built.path).subset()


def _scratch(output: Path) -> Path:
    """Of an engine."""
    return output.with_name(output.name + ".engine")


def stable_rows(dataset: Dataset, max_above_hull: float) -> np.ndarray:
    """(n,) rows of the crystals on the data's own hull, the smallest cells first."""
    above = dataset.arrays["e_above_hull"]
    rows = np.flatnonzero(np.isnan(above) | (above <= max_above_hull))
    return np.asarray(rows[np.argsort(dataset.arrays["atoms"][rows], kind="stable")])


def _crystals(dataset: Dataset, rows: Sequence[int]) -> dict[str, Crystal]:
    return {str(r): dataset[r] for r in rows}


def _single_points(
    dataset: Dataset,
    rows: np.ndarray,
    found: _Energies,
    settings: BuildSettings,
    engine: Engine,
    progress: Progress,
) -> None:
    todo = [r for r in rows.tolist() if r not in found.energies and r not in found.failures]
    before = len(rows) - len(todo)

    def take(energies: Mapping[str, Energy]) -> None:
        found.append(
            [
                {
                    "row": int(name),
                    "energy": e.value if math.isfinite(e.value) else None,
                    "calls": 1,
                    "reason": e.reason,
                }
                for name, e in energies.items()
            ]
        )

    energies_of_many(
        _crystals(dataset, todo),
        settings.potential,
        engine=engine,
        seconds=SECONDS,
        on_done=take,
        progress=lambda stage, done, _: progress(stage, before + done, len(rows)),
    )


def _relaxations(
    dataset: Dataset,
    rows: np.ndarray,
    found: _Energies,
    settings: BuildSettings,
    engine: Engine,
    progress: Progress,
) -> None:
    todo = [r for r in rows.tolist() if r in found.energies and r not in found.tried]
    began = time.monotonic()
    left = len(todo)

    def take(name: str, outcome: Outcome | Failed, seconds: float) -> None:
        nonlocal left
        energy, calls = found.energies[int(name)][0], 1
        # What does not count (a hole of the potential, say) leaves the single point as it was.
        result = None if isinstance(outcome, Failed) else outcome.result
        if result is not None:
            energy, calls = min(energy, result.energy), result.calls
        found.append([{"row": int(name), "energy": energy, "calls": calls, "tried": True}])
        left -= 1

    def late() -> bool:
        return settings.minutes is not None and time.monotonic() - began >= 60 * settings.minutes

    # Crystals that no calculation has been at before come first, and are relaxed to the end.
    unknown = np.isnan(dataset.arrays["e_above_hull"])
    for fresh in (True, False):
        relax_many(
            _crystals(dataset, [r for r in todo if unknown[r] == fresh]),
            settings.potential,
            RelaxSettings(
                only="symmetric",
                max_calls=settings.max_calls * (FRESH if fresh else 1),
                max_drop=HOLE,
                seconds=SECONDS,
            ),
            stage="relaxations",
            engine=engine,
            on_done=take,
            progress=lambda stage, done, _: progress(stage, len(rows) - left, len(rows)),
            over=(lambda: False) if fresh else late,
        )


def _collect(
    dataset: Dataset, rows: np.ndarray, found: _Energies, settings: BuildSettings, identity: dict[str, Any]
) -> References:
    ids = dataset.ids
    phases = [
        Phase(ids[r], dataset[r].counts, energy, dataset[r].space_group, calls)
        for r in sorted(int(r) for r in rows)
        for energy, calls in ([found.energies[r]] if r in found.energies else [])
    ]
    return References.of(
        phases,
        {
            "potential": settings.potential,
            "package": identity["package"],
            "crystalsmith": __version__,
            "max_above_hull": settings.max_above_hull,
            "max_calls": settings.max_calls,
            "failed": len(found.failures),
            # The first ones only: a file of references is for all.
            "failures": {ids[r]: reason for r, reason in islice(found.failures.items(), 10)},
        },
    )


def _digest(dataset: Dataset, rows: np.ndarray) -> str:
    ids = dataset.ids
    digest = hashlib.sha256()
    for r in rows:
        digest.update(f"{ids[int(r)]} {dataset[int(r)].formula}\n".encode())
    digest.update(dataset.arrays["cell"][rows].tobytes())
    return digest.hexdigest()[:16]
