"""Turn sources of structures into one training file: in parallel, and going on where a killed run stopped."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from crystalsmith.crystal import SYMBOLS, Crystal
from crystalsmith.crystal.io.parsers import parse
from crystalsmith.crystal.io.records import Item, Record
from crystalsmith.crystal.io.sources import Source, open_source
from crystalsmith.data.dataset import VERSION, Dataset, concatenate, pack
from crystalsmith.errors import CrystalsmithError, DataError, StructureError
from crystalsmith.runs.pool import available_cores, start_worker

CHUNK = 256
"""Structures per work package, and per part file of an unfinished build."""

_PART_FILE = re.compile(r"\.?(job\.json|\d{6}\.safetensors)(\.\d+)?(\.tmp)?")


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
    progress: bool = True,
    max_atoms: int | None = None,
    max_z: int | None = None,
) -> BuildReport:
    """Write one training file from sources.

    Part files are kept in ``<out>.parts`` until the end: the same call after an interruption uses them. With
    more than one worker the calling script needs the usual ``if __name__ == "__main__"`` guard.

    Args:
        sources: one or several files or folders, see ``open_source``.
        out: the file to write; an existing one is replaced when the build is complete.
        symprec: tolerance (Angstrom) of the symmetry search.
        workers: processes; as many as this process may use cores if not given.
        progress: draw a progress bar on standard error.
        max_atoms: drop structures with more atoms in the primitive cell.
        max_z: drop structures with elements beyond this atomic number.

    Raises:
        DataError: a source is missing, empty or not recognised, nothing could be kept, or the file cannot be
            written.
    """
    if isinstance(sources, (str, os.PathLike)):
        sources = [sources]
    if not sources:
        raise DataError("no source given: name a file or folder of structures")
    if workers is None:
        workers = available_cores()
    opened = [open_source(path) for path in sources]
    out = Path(out)
    settings = _Settings(symprec, max_atoms, max_z)
    described = [{"name": s.path.name, "kind": s.kind, "sha256": s.sha256()} for s in opened]
    parts = _parts_folder(
        out, {"sources": described, "settings": vars(settings), "chunk": CHUNK, "version": VERSION}
    )
    paths = _run_chunks(opened, parts, settings, workers, progress)

    dropped: Counter[str] = Counter()
    examples: dict[str, str] = {}
    datasets = []
    for path in paths:
        part = Dataset.open(path)
        datasets.append(part)
        dropped.update(json.loads(part.metadata["dropped"]))
        examples = {**json.loads(part.metadata["examples"]), **examples}
    if not any(len(d) for d in datasets):
        raise DataError(
            f"nothing could be kept of {', '.join(str(s.path) for s in opened)}: {_summary(dropped)}"
        )
    whole = concatenate(
        datasets,
        {
            "sources": json.dumps(described),
            "symprec": repr(symprec),
            "dropped": json.dumps(dict(dropped)),
            "max_atoms": json.dumps(max_atoms),
            "max_z": json.dumps(max_z),
        },
    )
    whole.save(out)
    shutil.rmtree(parts, ignore_errors=True)
    return BuildReport(out, len(whole), dict(dropped.most_common()), examples)


def _summary(dropped: Counter[str]) -> str:
    return (
        "; ".join(f"{count} {reason}" for reason, count in dropped.most_common(3))
        or "they hold no structures"
    )


def _parts_folder(out: Path, job: dict[str, object]) -> Path:
    """The folder of part files of this very job, emptied of those of another one."""
    parts = out.with_name(out.name + ".parts")
    text = json.dumps(job, sort_keys=True)
    stamp = parts / "job.json"
    try:
        if out.is_dir():
            raise DataError(f"{out} is a folder; name a file to write")
        if parts.exists() and not (stamp.exists() and stamp.read_text() == text):
            if not all(_PART_FILE.fullmatch(p.name) for p in parts.iterdir()):
                raise DataError(f"{parts} holds other files; move it away or write to another place")
            shutil.rmtree(parts)
        parts.mkdir(parents=True, exist_ok=True)
        temporary = parts / ".job.json.tmp"
        temporary.write_text(text)
        os.replace(temporary, stamp)
    except OSError as error:
        raise DataError(f"cannot write {parts}: {error.strerror or error}") from None
    return parts


def _chunks(sources: Sequence[Source]) -> Iterator[tuple[str, list[Item]]]:
    for source in sources:
        items = source.items()
        while chunk := list(islice(items, CHUNK)):
            yield source.parser, chunk


def _run_chunks(
    sources: Sequence[Source], parts: Path, settings: _Settings, workers: int, progress: bool
) -> list[Path]:
    """Make the missing part files; all of them in the order of the sources."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    paths: list[Path] = []
    with ExitStack() as stack:
        bar = stack.enter_context(Progress(*columns, console=Console(stderr=True), disable=not progress))
        task = bar.add_task("structures", total=sum(s.count() for s in sources) if progress else None)
        pool = None
        if workers > 1:
            # A fresh interpreter for each worker: forking a process that runs threads (torch) can hang.
            pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=start_worker)
            stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        pending: dict[Future[None], int] = {}

        def finish(limit: int) -> None:
            while len(pending) > limit:
                for future in wait(pending, return_when=FIRST_COMPLETED).done:
                    bar.advance(task, pending.pop(future))
                    try:
                        future.result()
                    except BrokenProcessPool:
                        raise DataError(
                            "a worker process died, perhaps of lack of memory; the same command goes on, "
                            "with fewer workers if need be"
                        ) from None

        for number, (kind, chunk) in enumerate(_chunks(sources)):
            path = parts / f"{number:06d}.safetensors"
            paths.append(path)
            if _is_whole(path):
                bar.advance(task, len(chunk))
            elif pool is None:
                _make_part(kind, chunk, path, settings)
                bar.advance(task, len(chunk))
            else:
                pending[pool.submit(_make_part, kind, chunk, path, settings)] = len(chunk)
                finish(4 * workers)
        finish(0)
    return paths


def _is_whole(part: Path) -> bool:
    try:
        Dataset.open(part)
    except DataError:
        return False
    return True


def _make_part(kind: str, chunk: list[Item], path: Path, settings: _Settings) -> None:
    crystals: list[Crystal] = []
    ids: list[str] = []
    energies: list[float] = []
    observed: list[int] = []
    dropped: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for item in chunk:
        name = item.id
        try:
            record = parse(kind, item)
            name = record.id
            crystal = _make_crystal(record, settings)
        except CrystalsmithError as error:
            reason = str(error).split(":")[0]
            dropped[reason] += 1
            examples.setdefault(reason, f"{name}: {error}")
            continue
        crystals.append(crystal)
        ids.append(record.id)
        energies.append(record.e_above_hull)
        observed.append(record.icsd)
    metadata = {"dropped": json.dumps(dropped), "examples": json.dumps(examples)}
    pack(crystals, ids, energies, observed, metadata).save(path)


def _make_crystal(record: Record, settings: _Settings) -> Crystal:
    if settings.max_z is not None and len(record.numbers) and record.numbers.max() > settings.max_z:
        raise StructureError(f"heavier than element {settings.max_z}: {SYMBOLS[record.numbers.max()]}")
    crystal = record.symmetrized(settings.symprec)
    if settings.max_atoms is not None and crystal.n_atoms > settings.max_atoms:
        raise StructureError(f"more than {settings.max_atoms} atoms: {crystal.n_atoms} in the primitive cell")
    return crystal
