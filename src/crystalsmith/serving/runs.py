"""The run folders under one folder, by ids that the server gives: a client never names a path."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystalsmith.runs.manifest import MANIFEST, read_manifest
from crystalsmith.serving.errors import NotFound
from crystalsmith.serving.opened.kinds import kind_of_files

DEPTH = 3
"""Folders within folders that are looked through."""

MOST_RUNS = 2000

FILES = {
    "report.html": "text/html",
    "crystals.csv": "text/csv",
    "crystals.extxyz": "text/plain",
    "relaxed.csv": "text/csv",
    "relaxed.extxyz": "text/plain",
    "candidates.csv": "text/csv",
    "results.json": "application/json",
    "manifest.json": "application/json",
    "run.log": "text/plain",
    "crystals.png": "image/png",
    "hull.json": "application/json",
    "shortlist.json": "application/json",
    "systems.csv": "text/csv",
    "systems.json": "application/json",
}
"""Files of a run that are given out, with their types."""

TABLES = {"generation": "crystals.csv", "relaxation": "relaxed.csv", "solution": "candidates.csv"}
"""Tables of which a row is a crystal, by kind of run."""

_HOLD_CRYSTALS = (
    *("crystals.csv", "crystals.jsonl", "scores.jsonl", "relaxed.csv", "journal.jsonl", "candidates.csv"),
    *("results.json", "trials.jsonl", "shortlist.json", "crystals.db", MANIFEST),
)

_JOB = re.compile(r"[a-z]+-[a-z2-7]{12}")


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        id: by which it is asked for.
        path: the folder; never told to a client.
        name: its path below the folder of the runs, for people.
        kind: generation, relaxation, discovery, rediscovery, solution, phonons, ...
        status: running, interrupted or finished.
        changed: seconds since 1970.
        manifest: all that it says of itself.
    """

    id: str
    path: Path
    name: str
    kind: str
    status: str
    changed: float
    manifest: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types, without the folder."""
        shown = ("asked", "crystals", "relaxed", "converged", "failures", "reasons", "timings", "shortlist")
        facts = {name: self.manifest[name] for name in shown if name in self.manifest}
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "status": self.status,
            "changed": self.changed,
            "facts": facts,
            "files": [name for name in FILES if (self.path / name).is_file()],
        }


class Runs:
    """The table of run folders.

    Args:
        folder: that they are in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, Run] = {}
        self._lock = threading.Lock()

    def all(self) -> list[Run]:
        """All runs, the latest change first."""
        with self._lock:
            found = {}
            for path in self._folders(self._folder, DEPTH):
                with suppress(OSError):
                    found[path] = self._run(path)
                if len(found) >= MOST_RUNS:
                    break
            self._known = found
            return sorted(found.values(), key=lambda run: -run.changed)

    def get(self, run_id: str) -> Run:
        """A run by its id.

        Raises:
            NotFound: there is none.
        """
        with self._lock:
            known = {run.id: run for run in self._known.values()}
            if run_id in known:
                with suppress(OSError):
                    return self._run(known[run_id].path)
        found = next((run for run in self.all() if run.id == run_id), None)
        if found is None:
            raise NotFound("there is no such run")
        return found

    def _folders(self, folder: Path, depth: int) -> Iterator[Path]:
        with suppress(OSError):
            for path in sorted(folder.iterdir()):
                if path.name.startswith(".") or path.is_symlink() or not path.is_dir():
                    continue
                known = self._known.get(path)
                same = known is not None and known.changed == _changed(path)
                if same or read_manifest(path) is not None or kind_of_files(path) is not None:
                    yield path
                elif depth > 1:
                    yield from self._folders(path, depth - 1)

    def _run(self, path: Path) -> Run:
        """The run in a folder, read again only where its manifest changed.

        Raises:
            OSError: it is gone.
        """
        changed = _changed(path)
        known = self._known.get(path)
        if known is not None and known.changed == changed:
            return known
        manifest = read_manifest(path)
        if manifest is None:
            kind = kind_of_files(path)
            if kind is None:
                raise FileNotFoundError(path)
            manifest = {"kind": kind, "status": "finished", "run": {}}
        name = path.relative_to(self._folder).as_posix()
        own = _JOB.fullmatch(name)
        run_id = name if own else "run-" + hashlib.sha256(name.encode()).hexdigest()[:16]
        return Run(run_id, path, name, str(manifest["kind"]), str(manifest["status"]), changed, manifest)


def _changed(path: Path) -> float:
    """When a run last said something of itself.

    Raises:
        OSError: it is gone.
    """
    file = path / MANIFEST
    return (file if file.exists() else path).stat().st_mtime


def stamp_of(run: Run) -> tuple[tuple[str, int, int], ...]:
    """What changes whenever the crystals of a run do."""
    found = []
    for name in _HOLD_CRYSTALS:
        with suppress(OSError):
            about = (run.path / name).stat()
            found.append((name, about.st_mtime_ns, about.st_size))
    return tuple(found)


def table_rows(run: Run) -> list[dict[str, Any]] | None:
    """The rows of a run's table, numbers as such; None where it has none (yet).

    Of a discovery, those of its short list come first.
    """
    name = TABLES.get(run.kind)
    if name is None:
        return None
    try:
        with (run.path / name).open(encoding="utf-8", newline="") as file:
            return [{key: _value(text) for key, text in row.items() if key} for row in csv.DictReader(file)]
    except (OSError, ValueError, csv.Error):
        return None


def file_of(run: Run, name: str) -> tuple[Path, str]:
    """A file that is given out, and its type.

    Raises:
        NotFound: it is not among those, or not there.
    """
    part = _OF_SYSTEM.fullmatch(name)
    kind = part[1] if part else name
    path = run.path / name
    if kind not in FILES or not path.is_file() or not path.resolve().is_relative_to(run.path.resolve()):
        raise NotFound("there is no such file of this run")
    if path.is_symlink():
        raise NotFound("there is no such file of this run")
    return path, FILES[kind]


_OF_SYSTEM = re.compile(r"systems/[A-Z][A-Za-z-]*/(report\.html|candidates\.csv)")
"""Of a run over many systems: what its index leads to."""


_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")


def _value(text: str | None) -> Any:
    if not text:
        return None
    return json.loads(text) if _NUMBER.fullmatch(text) and not re.match(r"-?0\d", text) else text
