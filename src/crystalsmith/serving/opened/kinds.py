"""Which kind of run a folder holds, and who reads it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crystalsmith.runs.manifest import MANIFEST, read_manifest
from crystalsmith.serving.opened.discovery import open_discovery
from crystalsmith.serving.opened.generation import open_generation
from crystalsmith.serving.opened.others import (
    find_evaluation,
    is_hull,
    open_evaluation,
    open_hull,
    open_references,
    open_training,
    open_unknown,
    references_in,
)
from crystalsmith.serving.opened.phonons import open_phonons
from crystalsmith.serving.opened.reading import BROKEN, Reader, text
from crystalsmith.serving.opened.record import Opened
from crystalsmith.serving.opened.rediscovery import open_rediscovery
from crystalsmith.serving.opened.relaxation import open_relaxation
from crystalsmith.serving.opened.solution import Solution, open_solution
from crystalsmith.serving.opened.systems import open_systems

OPENERS: Mapping[str, Callable[[Reader, Mapping[str, Any]], Opened]] = {
    "generation": open_generation,
    "relaxation": open_relaxation,
    "solution": open_solution,
    "discovery": open_discovery,
    "systems": open_systems,
    "rediscovery": open_rediscovery,
    "phonons": open_phonons,
    "training": open_training,
    "prior": open_training,
    "hull": open_hull,
}
"""By the kind in a manifest."""

DEEP, MOST = 3, 500
"""Folders below the one that is listed, and runs that are listed."""


def open_run(folder: str | os.PathLike[str]) -> Opened:
    """Open a folder, whatever is in it; never an error, but notes of what is wrong.

    Args:
        folder: of a run of any kind: generate, relax, solve, discover, rediscover, phonons, train; or with
            the files of evaluate or hull build.
    """
    reader = Reader(Path(folder))
    manifest = read_manifest(reader.folder)
    try:
        if manifest is None:
            return _without_manifest(reader)
        manifest = {**manifest, "run": manifest["run"] if isinstance(manifest["run"], dict) else {}}
        kind = text(manifest.get("kind"))
        if kind not in OPENERS:
            return open_unknown(reader, kind, text(manifest.get("status")))
        return OPENERS[kind](reader, manifest)
    except BROKEN as error:
        reader.notes.append(f"the run is damaged: {type(error).__name__} {str(error)[:80]}")
        kind = "unknown" if manifest is None else text(manifest.get("kind"))
        return open_unknown(reader, kind, "unknown" if manifest is None else text(manifest.get("status")))


def _without_manifest(reader: Reader) -> Opened:
    if reader.path(MANIFEST) is not None:
        reader.notes.append(f"{MANIFEST} is damaged or of another program")
    if found := find_evaluation(reader):
        return open_evaluation(reader, found)
    if is_hull(reader):
        return open_references(reader, references_in(reader))
    return open_unknown(reader)


def kind_of_files(folder: Path) -> str | None:
    """The kind of what is in a folder without a manifest: ``evaluation``, ``hull``, or None for nothing."""
    reader = Reader(folder)
    if find_evaluation(reader):
        return "evaluation"
    return "hull" if is_hull(reader) else None


def solution_in(folder: str | os.PathLike[str]) -> Solution | None:
    """The run of ``solve`` in a folder, with its profiles; None where there is none."""
    reader = Reader(Path(folder))
    manifest = read_manifest(reader.folder)
    if manifest is None or manifest.get("kind") != "solution":
        return None
    return Solution(reader, manifest)


@dataclass(frozen=True)
class Listed:
    """A run in a list, from its manifest alone.

    Attributes:
        path: relative to the folder that was listed, with slashes; ``.`` for itself.
        kind, status: as of ``Opened``.
        about: what it was asked, in a few words; may be empty.
        changed: when its manifest, or its files without one, were last written; seconds since 1970.
    """

    path: str
    kind: str
    status: str
    about: str
    changed: float


def list_runs(root: str | os.PathLike[str], deep: int = DEEP, most: int = MOST) -> list[Listed]:
    """Runs in a folder and below it, the last written first; its parts are no runs, links are left out.

    Args:
        root: the folder.
        deep: levels below it that are looked at.
        most: runs that are listed.
    """
    found: list[Listed] = []
    for folder in _folders(Path(root), deep):
        with suppress(*BROKEN):
            listed = _listed(Path(root), folder)
            if listed is not None:
                found.append(listed)
                if len(found) >= most:
                    break
    return sorted(found, key=lambda one: -one.changed)


def _folders(root: Path, deep: int) -> Iterator[Path]:
    """Folders that may hold a run; nothing below one that does."""
    yield root
    if deep and (root / MANIFEST).exists():
        return
    if deep:
        with suppress(OSError):
            for entry in sorted(os.scandir(root), key=lambda e: e.name):
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                    yield from _folders(Path(entry.path), deep - 1)


def _listed(root: Path, folder: Path) -> Listed | None:
    manifest = read_manifest(folder)
    name = folder.relative_to(root).as_posix()
    if manifest is not None:
        file = folder / MANIFEST
        changed = (file if file.exists() else folder).stat().st_mtime
        run = manifest["run"]
        return Listed(name, text(manifest.get("kind")), text(manifest.get("status")), about(run), changed)
    reader = Reader(folder)
    if found := find_evaluation(reader):
        names = ", ".join(text(one.get("name")) for one in found["sets"] if isinstance(one, dict))
        return Listed(name, "evaluation", "finished", names, folder.stat().st_mtime)
    if is_hull(reader):
        return Listed(name, "hull", "finished", ", ".join(references_in(reader)), folder.stat().st_mtime)
    return None


def about(run: Mapping[str, Any]) -> str:
    """What a run was asked, in a few words."""
    settings = run.get("settings") if isinstance(run.get("settings"), dict) else {}
    orders = [order for order in run.get("orders") or () if isinstance(order, dict)]
    first = orders[0] if orders else {}
    asked = [
        (settings or {}).get("formula") or (settings or {}).get("elements"),
        first.get("formula") or first.get("system") or first.get("sites") or first.get("wyckoff"),
        "-".join(map(str, run["system"])) if isinstance(run.get("system"), list) else None,
        run.get("potential") if "orders" not in run else None,
    ]
    words = next((text(one) for one in asked if one), "")
    return words[:80] + (f" and {len(orders) - 1} more" if len(orders) > 1 else "")
