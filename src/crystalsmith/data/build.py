"""Turn sources of structures into one training file: in parallel, and going on where a killed run stopped."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path

from crystalsmith.crystal import SYMBOLS, Crystal
from crystalsmith.crystal.io.parsers import parse
from crystalsmith.crystal.io.records import Item, Record
from crystalsmith.crystal.io.sources import Source, open_source
from crystalsmith.data.dataset import VERSION, Dataset, concatenate, pack
from crystalsmith.errors import CrystalsmithError, DataError, StructureError
from crystalsmith.runs.atomic import write_whole
from crystalsmith.runs.engines import Engine, check_engine, engine_of
from crystalsmith.runs.lock import LOCK, FolderLock
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.progress import Progress, silent

CHUNK = 256
"""Structures per part file of an unfinished build."""

SECONDS = 120.0
"""Time for one structure; what takes longer is left out."""

_PART_FILE = re.compile(r"\.lock|\.?(job\.json|\d{6}\.safetensors)(\.\d+)?(\.tmp|\.partial)?")


@dataclass(frozen=True)
class BuildReport:
    """What became of the structures.

    Attributes:
        path: the file written.
        kept: structures in it.
        dropped: reason -> how many.
        examples: reason -> identifier and message of the first one.
    """

    path: Path
    kept: int
    dropped: dict[str, int]
    examples: dict[str, str]

    @property
    def total(self) -> int:
        """Structures read."""
        return self.kept + sum(self.dropped.values())


@dataclass(frozen=True)
class _Settings:
    symprec: float
    max_atoms: int | None
    max_z: int | None


def build(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    symprec: float = 0.1,
    workers: int | None = None,
    engine: str | Engine | None = None,
    progress: Progress = silent,
    max_atoms: int | None = None,
    max_z: int | None = None,
) -> BuildReport:
    """Write one training file from sources.

    Part files are kept in ``<out>.parts`` until the end: the same call after an interruption uses them.

    Args:
        sources: one or several files or folders, see ``open_source``.
        out: the file to write; an existing one is replaced when the build is complete.
        symprec: tolerance (Angstrom) of the symmetry search.
        workers: processes; as many as this process may use cores if not given.
        engine: where they are, as for ``runs.engines.engine_of``.
        progress: told how many structures are done.
        max_atoms: drop structures with more atoms in the primitive cell.
        max_z: drop structures with elements beyond this atomic number.

    Raises:
        DataError: a source is missing, empty or not recognised, nothing could be kept, or the file cannot be
            written.
        ConfigError: an engine that there is not.
        EngineError: its workers give no results.
        OutputError: another process is at work on the same file.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    if not sources:
        raise DataError("no source given: name a file or folder of structures")
    opened = [open_source(path) for path in sources]
    out = Path(out)
    settings = _Settings(symprec, max_atoms, max_z)
    described = [{"name": s.path.name, "kind": s.kind, "sha256": s.sha256()} for s in opened]
    job = {"sources": described, "settings": vars(settings), "chunk": CHUNK, "version": VERSION}
    check_engine(engine)
    lock = _lock(out)
    try:
        _make_room(lock.path.parent, job)
        with engine_of(engine, workers, out.with_name(out.name + ".engine")) as running:
            paths = _make_parts(opened, lock.path.parent, settings, running, progress)
        report = _join(paths, out, described, settings, [s.label for s in opened])
        shutil.rmtree(lock.path.parent, ignore_errors=True)
        return report
    finally:
        lock.release()


def _join(
    paths: Sequence[Path],
    out: Path,
    described: Sequence[dict[str, str]],
    settings: _Settings,
    sources: Sequence[str],
) -> BuildReport:
    """Write the file of these parts."""
    dropped: Counter[str] = Counter()
    examples: dict[str, str] = {}
    datasets = []
    for path in paths:
        part = Dataset.open(path)
        datasets.append(part)
        dropped.update(json.loads(part.metadata["dropped"]))
        examples = {**json.loads(part.metadata["examples"]), **examples}
    if not any(len(d) for d in datasets):
        raise DataError(f"nothing could be kept of {', '.join(sources)}: {_summary(dropped)}")
    whole = concatenate(
        datasets,
        {
            "sources": json.dumps(described),
            "symprec": repr(settings.symprec),
            "dropped": json.dumps(dict(dropped)),
            "max_atoms": json.dumps(settings.max_atoms),
            "max_z": json.dumps(settings.max_z),
        },
    )
    whole.save(out)
    return BuildReport(out, len(whole), dict(dropped.most_common()), examples)


def _summary(dropped: Counter[str]) -> str:
    return (
        "; ".join(f"{count} {reason}" for reason, count in dropped.most_common(3))
        or "they hold no structures"
    )


def _lock(out: Path) -> FolderLock:
    """Hold the folder of the part files, which is made if missing."""
    parts = out.with_name(out.name + ".parts")
    if out.is_dir():
        raise DataError(f"{out} is a folder; name a file to write")
    try:
        if parts.exists() and not all(_PART_FILE.fullmatch(p.name) for p in parts.iterdir()):
            raise DataError(f"{parts} holds other files; move it away or write to another place")
        parts.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot write {parts}: {error.strerror or error}") from None
    return FolderLock.take(parts / LOCK, f"on {out}")


def _make_room(parts: Path, job: dict[str, object]) -> None:
    """Remove part files of another job than this one."""
    text = json.dumps(job, sort_keys=True)
    stamp = parts / "job.json"
    try:
        if not (stamp.exists() and stamp.read_text() == text):
            for path in parts.iterdir():
                if path.name != LOCK:
                    path.unlink()
        write_whole(stamp, text)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"cannot write {parts}: {getattr(error, 'strerror', None) or error}") from None


def _chunks(sources: Sequence[Source]) -> Iterator[list[Item]]:
    """Structures of a part file each."""
    for source in sources:
        items = source.items()
        while chunk := list(islice(items, CHUNK)):
            yield chunk


def _make_parts(
    sources: Sequence[Source], parts: Path, settings: _Settings, engine: Engine, progress: Progress
) -> list[Path]:
    """Make the missing part files; all of them in the order of the sources."""
    total = 0 if progress is silent else sum(s.count() for s in sources)
    done = 0
    paths: list[Path] = []
    at_work: dict[int, tuple[Path, int, str]] = {}  # part file of a structure, place in it, and name
    waiting: dict[Path, list[list[_Row] | None]] = {}
    numbers = count()

    def todo() -> Iterator[Item]:
        nonlocal done
        for number, chunk in enumerate(_chunks(sources)):
            path = parts / f"{number:06d}.safetensors"
            paths.append(path)
            if _is_whole(path):
                done += len(chunk)
                continue
            waiting[path] = [None] * len(chunk)
            for place, item in enumerate(chunk):
                at_work[next(numbers)] = path, place, item.id
                yield item

    with closing(engine.each(partial(_make, settings), todo(), seconds=SECONDS, chunk=16)) as results:
        progress("structures", done, total)
        for batch in results:
            for k, found, _ in batch:
                path, place, name = at_work.pop(k)
                rows = waiting[path]
                rows[place] = [_Row(name, reason=found.reason)] if isinstance(found, Failed) else found
                if None not in rows:
                    _save_part(path, [row for found in waiting.pop(path) for row in found or ()])
            done += len(batch)
            progress("structures", done, total)
    return paths


def _is_whole(part: Path) -> bool:
    try:
        Dataset.open(part)
    except DataError:
        return False
    return True


@dataclass(frozen=True)
class _Row:
    """What came of one structure: a crystal, or the reason why there is none."""

    id: str
    crystal: Crystal | None = None
    e_above_hull: float = float("nan")
    icsd: int = -1
    reason: str = ""


def _make(settings: _Settings, item: Item) -> list[_Row]:
    """The crystals of one item of a source."""
    rows = []
    for record in parse(item):
        try:
            crystal = _make_crystal(record, settings)
        except CrystalsmithError as error:
            rows.append(_Row(record.id, reason=str(error)))
        else:
            rows.append(_Row(record.id, crystal, record.e_above_hull, record.icsd))
    return rows


def _save_part(path: Path, rows: Sequence[_Row]) -> None:
    dropped: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for row in rows:
        if row.crystal is None:
            reason = row.reason.split(":")[0]
            dropped[reason] += 1
            examples.setdefault(reason, f"{row.id}: {row.reason}")
    kept = [row for row in rows if row.crystal is not None]
    pack(
        [row.crystal for row in kept if row.crystal is not None],
        [row.id for row in kept],
        [row.e_above_hull for row in kept],
        [row.icsd for row in kept],
        {"dropped": json.dumps(dropped), "examples": json.dumps(examples)},
    ).save(path)


def _make_crystal(record: Record, settings: _Settings) -> Crystal:
    if settings.max_z is not None and len(record.numbers) and record.numbers.max() > settings.max_z:
        raise StructureError(f"heavier than element {settings.max_z}: {SYMBOLS[record.numbers.max()]}")
    crystal = record.symmetrized(settings.symprec)
    if settings.max_atoms is not None and crystal.n_atoms > settings.max_atoms:
        raise StructureError(f"more than {settings.max_atoms} atoms: {crystal.n_atoms} in the primitive cell")
    return crystal
