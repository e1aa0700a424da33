"""The folder that a run of relaxations writes.

``journal.jsonl`` is the truth; ``cif/`` follows it crystal by crystal; ``relaxed.extxyz``, ``relaxed.csv``
and the last word of ``manifest.json`` come at the end, made from the journal in the order of the crystals. So
a run that was interrupted anywhere goes on where it stopped, and ends with the files of an undisturbed one.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from crystalsmith.potentials.journal import Entry, Journal
from crystalsmith.potentials.manifest import (
    CIFS,
    FORMAT,
    FRAMES,
    JOURNAL,
    KIND,
    MANIFEST,
    TABLE,
    check_folder,
    clear,
    versions,
)
from crystalsmith.potentials.table import csv_lines, extxyz_frames
from crystalsmith.runs.atomic import TEMPORARY, write_whole, writing
from crystalsmith.runs.lock import LOCK, FolderLock
from crystalsmith.runs.pool import Failed


@dataclass
class RelaxFolder:
    """An output folder, held by this process; use it as a context manager.

    Attributes:
        path: the folder.
        names: of the crystals, in their order.
        identity: from ``relax_identity``.
        arguments: how the run was started, for the manifest only.
        journal: what is done.
        lock: on the folder.
        finished: the manifest of a run that was complete when the folder was opened.
        earlier_seconds: time that earlier processes spent on the run.
    """

    path: Path
    names: tuple[str, ...]
    identity: dict[str, Any]
    arguments: dict[str, Any]
    journal: Journal
    lock: FolderLock
    finished: dict[str, Any] | None = None
    earlier_seconds: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    @classmethod
    def open(
        cls,
        path: Path,
        names: Iterable[str],
        identity: dict[str, Any],
        *,
        arguments: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> RelaxFolder:
        """Make the folder, or take up the run that it holds.

        Args:
            path: the folder.
            names: of the crystals.
            identity: from ``relax_identity``.
            arguments: how the run was started, for the manifest only.
            overwrite: remove another run's files first; files that no run of relaxations wrote stay.

        Raises:
            OutputError: the folder cannot be written, holds other files or another run, or another process is
                at work in it.
        """
        check_folder(path, identity, overwrite=overwrite)
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        lock = FolderLock.take(path / LOCK)
        try:
            old = check_folder(path, identity, overwrite=overwrite)
            with writing(path):
                if overwrite:
                    clear(path)
                    old = None
                for stale in [*path.glob("*" + TEMPORARY), *(path / CIFS).glob("*" + TEMPORARY)]:
                    stale.unlink()
                journal = Journal.open(path / JOURNAL)
                folder = cls(path, tuple(names), identity, dict(arguments or {}), journal, lock)
                if old is not None:
                    folder.earlier_seconds = float(old["timings"]["seconds"])
                if old is not None and old["status"] == "finished" and not folder.todo:
                    folder.finished = old
                else:
                    folder._write_manifest("running")
                (path / CIFS).mkdir(exist_ok=True)
                return folder
        except BaseException:
            lock.release()
            raise

    def __enter__(self) -> RelaxFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()

    @property
    def todo(self) -> list[str]:
        """Names of the crystals that are not in the journal."""
        return [name for name in self.names if name not in self.journal.entries]

    @property
    def entries(self) -> list[Entry]:
        """What is done, in the order of the crystals."""
        return [self.journal.entries[name] for name in self.names if name in self.journal.entries]

    def record(self, entries: Iterable[Entry]) -> None:
        """Keep what came of crystals: journal first, then their CIFs.

        Raises:
            OutputError: they could not be written.
        """
        entries = list(entries)
        self.journal.append(entries)
        with writing(self.path):
            for entry in entries:
                self._write_cif(entry)

    def close(self) -> dict[str, Any]:
        """Write the table, the extended XYZ, CIFs that are missing, and the manifest.

        Returns:
            The manifest.

        Raises:
            OutputError: they could not be written.
        """
        with writing(self.path):
            for entry in self.entries:
                self._write_cif(entry, again=False)
            write_whole(self.path / FRAMES, extxyz_frames(self.entries))
            write_whole(self.path / TABLE, csv_lines(self.entries))
            return self.finished or self._write_manifest("running" if self.todo else "finished")

    def _write_cif(self, entry: Entry, *, again: bool = True) -> None:
        if isinstance(entry.outcome, Failed) or entry.outcome.result is None:
            return
        path = self.path / CIFS / f"{entry.name}.cif"
        if again or not path.exists() or not path.stat().st_size:
            # Not durable: the journal is, and a CIF that a power cut left empty is written anew.
            write_whole(path, entry.outcome.result.crystal.to_cif(), durable=False)

    def _write_manifest(self, status: str) -> dict[str, Any]:
        outcomes = [entry.outcome for entry in self.entries]
        seconds = self.earlier_seconds + time.monotonic() - self._began
        manifest = {
            "kind": KIND,
            "format": FORMAT,
            "status": status,
            "run": self.identity,
            "versions": versions(self.identity["potential"]),
            "arguments": self.arguments,
            "asked": len(self.names),
            "relaxed": sum(not isinstance(o, Failed) and o.result is not None for o in outcomes),
            "converged": sum(not isinstance(o, Failed) and o.converged for o in outcomes),
            "reasons": dict(sorted(Counter(o.reason for o in outcomes).items())),
            "timings": {"seconds": round(seconds, 3), "ended": time.strftime("%Y-%m-%dT%H:%M:%S%z")},
        }
        write_whole(self.path / MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        return manifest
