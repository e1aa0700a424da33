"""How work stands that journals of a run folder do not tell: of files that are being built, of databases."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from crystalsmith.runs.journal import parse_line
from crystalsmith.runs.lock import LOCK

DATABASE = "crystals.db"
_REASON = 120
"""Letters of a reason."""


@dataclass(frozen=True)
class Build:
    """A file that is being built, by what lies beside it.

    Attributes:
        kind: the command.
        status: ``running``, ``interrupted``, or ``finished``.
        rows: by name of what lies beside it.
        failures: reasons with their numbers.
    """

    kind: str
    status: str
    rows: dict[str, int]
    failures: Counter[str]


def build_of(path: Path) -> Build | None:
    """How ``data build`` or ``hull build`` stands with a file; None where neither has left a trace."""
    parts = path.with_name(f"{path.name}.parts")
    if (parts / "job.json").exists():
        failures: Counter[str] = Counter()
        files = sorted(parts.glob("*.safetensors"))
        for file in files:
            failures.update(_dropped(file))
        status = "running" if is_held(parts / LOCK) else "interrupted"
        return Build("data build", status, {f"{parts.name}: parts": len(files)}, failures)
    journal = path.with_name(f"{path.name}.journal")
    if journal.exists():
        rows, failures = _energies(journal)
        ended = "finished" if path.exists() else "interrupted"
        status = "running" if is_held(path.with_name(f"{path.name}.lock")) else ended
        return Build("hull build", status, {journal.name: rows}, failures)
    return None


def _dropped(part: Path) -> dict[str, int]:
    """Why structures are not in a part file: its header tells."""
    with suppress(OSError, ValueError, KeyError, AttributeError), part.open("rb") as f:
        length = int.from_bytes(f.read(8), "little")
        told = json.loads(f.read(min(length, 1 << 24)))["__metadata__"]["dropped"]
        return {str(reason)[:_REASON]: int(number) for reason, number in json.loads(told).items()}
    return {}


def _energies(journal: Path) -> tuple[int, Counter[str]]:
    """Lines but for the first, which is of the build, and why crystals have no energy."""
    rows, failures = 0, Counter[str]()
    with suppress(OSError), journal.open("rb") as lines:
        for line in lines:
            with suppress(ValueError, AttributeError, RecursionError):
                row = parse_line(line)
                rows += "row" in row
                if "row" in row and row.get("energy") is None:
                    failures[" ".join(str(row.get("reason")).split())[:_REASON]] += 1
    return rows, failures


def candidates_in(folder: Path) -> tuple[dict[str, int], Counter[str]]:
    """Candidates in the database of ``discover`` in a run's folder, and why its tries failed."""
    path = folder / DATABASE
    rows: dict[str, int] = {}
    failures = Counter[str]()
    if not path.is_file():
        return rows, failures
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base,
    ):
        kept = "SELECT count(*) FROM text_key_values WHERE key = 'stage' AND value = 'generated'"
        rows[f"{DATABASE}: candidates"] = int(base.execute(kept).fetchone()[0])
        failed = (
            "SELECT why.value, count(*) FROM text_key_values AS why JOIN text_key_values AS stage"
            " ON stage.id = why.id AND stage.key = 'stage' AND stage.value = 'failed'"
            " WHERE why.key = 'reason' GROUP BY why.value"
        )
        for reason, number in base.execute(failed):
            failures[" ".join(str(reason).split())[:_REASON]] += int(number)
    return rows, failures


def is_held(lock: Path) -> bool:
    """Whether a process holds the lock of a file."""
    if not lock.exists():
        return False
    held = FileLock(lock, timeout=0, mode=0o644, thread_local=False)
    try:
        held.acquire()
    except (Timeout, OSError, RuntimeError):
        return True
    held.release()
    return False
