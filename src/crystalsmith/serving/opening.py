"""Opened runs of a service: read again only where a file of theirs has changed."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.serving.errors import NotFound
from crystalsmith.serving.opened import Opened, open_run
from crystalsmith.serving.opened.record import Step

if TYPE_CHECKING:
    from crystalsmith.serving.service import Service

KEPT = 12
"""Runs that are kept at hand."""

_Signature = tuple[tuple[str, int, int], ...]
_kept: OrderedDict[Path, tuple[_Signature, Opened]] = OrderedDict()
_lock = threading.Lock()


def folder_of(service: Service, run_id: str) -> Path:
    """The folder of a run or of a job, which may not have begun yet.

    Raises:
        NotFound: there is neither.
    """
    try:
        return service.run(run_id).path
    except NotFound:
        job = service.jobs.get(run_id)
        return service.jobs.runs / job.id


def opened_of(service: Service, run_id: str) -> Opened:
    """A run as it stands now; takes a while for a large one, so call it in a thread.

    Raises:
        NotFound: there is no such run.
    """
    return opened_at(folder_of(service, run_id))


def opened_at(folder: Path) -> Opened:
    """The run in a folder as it stands now."""
    signature = _signature(folder)
    with _lock:
        kept = _kept.get(folder)
        if kept is not None and kept[0] == signature:
            _kept.move_to_end(folder)
            return kept[1]
    found = open_run(folder)
    with _lock:
        _kept[folder] = signature, found
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found


def _signature(folder: Path) -> _Signature:
    """Names, sizes and times of the files in a folder."""
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            with suppress(OSError):
                stat = path.stat()
                found.append((path.name, stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))


def to_dict(opened: Opened) -> dict[str, Any]:
    """Of plain JSON types, without the folder and the crystals."""
    return {
        "kind": opened.kind,
        "status": opened.status,
        "summary": opened.summary,
        "facts": [list(fact) for fact in opened.facts],
        "notes": list(opened.notes),
        "funnel": [_step(step) for step in opened.steps],
        "columns": [vars(column) for column in opened.columns],
        "rows": [dict(row) for row in opened.rows],
    }


def _step(step: Step) -> dict[str, Any]:
    return {**vars(step), "reasons": dict(step.reasons)}


def row_number(opened: Opened, name: str) -> int:
    """Place of a row, from 0.

    Raises:
        NotFound: there is no such row.
    """
    for k, row in enumerate(opened.rows):
        if row["name"] == name:
            return k
    raise NotFound("there is no such row")


def file_name(opened: Opened, k: int, ending: str) -> str:
    """A name for the file of a row's crystal, of letters, digits, dots, dashes and underscores."""
    row = opened.rows[k]
    name, formula = str(row["name"]), str(row.get("formula") or "")
    words = name if formula in name else f"{name}_{formula}"
    return re.sub(r"[^A-Za-z0-9._-]+", "-", str(words))[:80].strip(".-") + ending
