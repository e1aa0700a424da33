"""Reading what a process may be writing at this moment, and what was damaged: never an error, but a note."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.validity import SOUND
from crystalsmith.errors import CrystalsmithError
from crystalsmith.reports.words import lattice_text
from crystalsmith.runs.journal import parse_line

MOST_ROWS = 20_000
"""Rows of a journal or table that are read."""

MOST_BYTES = 512 * 2**20
"""Of a file that is read."""

BROKEN = (
    *(CrystalsmithError, OSError, ValueError, KeyError, TypeError),
    *(IndexError, AttributeError, RecursionError, OverflowError, csv.Error),
)
"""What a file that is damaged, half written or of another program makes our readers raise."""


@dataclass
class _Guard:
    """Counts what cannot be understood."""

    lost: dict[str, int]
    what: str

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, BROKEN):
            return False
        self.lost[self.what] = self.lost.get(self.what, 0) + 1
        return True


@dataclass
class Reader:
    """Reads files of a folder and takes note of what is wrong with them.

    Attributes:
        folder: whose.
        notes: a line for each fault.
    """

    folder: Path
    notes: list[str] = field(default_factory=list)
    _lost: dict[str, int] = field(default_factory=dict)

    def path(self, name: str) -> Path | None:
        """A file of the folder that can be read; None where there is none. Links out of it do not count."""
        path = self.folder / name
        with suppress(OSError):
            inside = path.resolve().is_relative_to(self.folder.resolve())
            if inside and path.is_file():
                if path.stat().st_size <= MOST_BYTES:
                    return path
                self.notes.append(f"{name} is too large to be shown")
        return None

    def journal(self, name: str) -> list[dict[str, Any]]:
        """Rows of a journal, without damaged lines and without a last one that is being written."""
        path = self.path(name)
        rows: list[dict[str, Any]] = []
        damaged = 0
        if path is None:
            return rows
        try:
            with path.open("rb") as f:
                for line in f:
                    if not line.endswith(b"\n"):
                        break
                    if len(rows) == MOST_ROWS:
                        self.notes.append(f"{name} has more than {MOST_ROWS:,} lines; the first are shown")
                        break
                    try:
                        row = parse_line(line)
                    except (ValueError, RecursionError):
                        row = None
                    if isinstance(row, dict):
                        rows.append(row)
                    else:
                        damaged += 1
        except OSError as error:
            self.notes.append(f"{name} cannot be read: {error.strerror or error}")
        if damaged:
            self.notes.append(
                f"{name}: {damaged} damaged {'line is' if damaged == 1 else 'lines are'} left out"
            )
        return rows

    def json(self, name: str) -> dict[str, Any]:
        """The object in a file; an empty one where there is none."""
        path = self.path(name)
        if path is None:
            return {}
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(data, dict):
                return data
            self.notes.append(f"{name} is damaged: no object")
        except (OSError, ValueError, RecursionError) as error:
            self.notes.append(f"{name} is damaged: {str(error)[:80]}")
        return {}

    def csv(self, name: str) -> list[dict[str, str]]:
        """Rows of a table as text."""
        path = self.path(name)
        if path is None:
            return []
        rows: list[dict[str, str]] = []
        try:
            with path.open(encoding="utf-8", newline="") as f:
                for row in csv.DictReader(f):
                    if len(rows) == MOST_ROWS:
                        self.notes.append(f"{name} has more than {MOST_ROWS:,} rows; the first are shown")
                        break
                    rows.append({str(k): v or "" for k, v in row.items() if k is not None})
        except (OSError, ValueError, csv.Error) as error:
            self.notes.append(f"{name} is damaged: {str(error)[:80]}")
        return rows

    def guard(self, what: str) -> _Guard:
        """A context: what cannot be understood inside is counted, and the reader goes on behind it."""
        return _Guard(self._lost, what)

    @property
    def told(self) -> tuple[str, ...]:
        """All notes, each once."""
        lost = (
            f"{n:,} of the {what} cannot be understood and {'is' if n == 1 else 'are'} left out"
            for what, n in self._lost.items()
        )
        return tuple(dict.fromkeys((*self.notes, *lost)))

    def there(self, *names: str) -> tuple[str, ...]:
        """Those of these files that are there."""
        return tuple(name for name in names if self.path(name) is not None)


def number(value: Any) -> float | None:
    """A finite number of plain data or of text; None of anything else."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) and not isinstance(value, bool) else None


def whole(value: Any) -> int | None:
    """A whole number of plain data or of text; None of anything else."""
    found = number(value)
    return int(found) if found is not None and found == int(found) else None


def text(value: Any) -> str:
    """Text for people: of a list its parts; empty for nothing."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ", ".join(map(text, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {text(v)}" for k, v in value.items())
    return str(value).removeprefix("'")


def crystal_values(data: Any) -> dict[str, Any]:
    """What rows say of a crystal, from its plain data: formula, space group, lattice, atoms, volume.

    Raises:
        CrystalsmithError, KeyError, TypeError, ValueError, IndexError, AttributeError: no crystal.
    """
    crystal = Crystal.from_dict(data)
    return {
        "formula": crystal.formula,
        "space_group": crystal.space_group,
        "lattice": lattice_text(crystal),
        "atoms": crystal.n_atoms,
        "volume": round(crystal.volume / crystal.n_atoms_conventional, 3),
        "letters": crystal.wyckoff,
    }


def is_sound(stage: Mapping[str, Any]) -> bool:
    """Whether a stage of a relaxation counts."""
    return stage["reason"] in SOUND and stage["energy"] is not None


def unique(name: str, taken: Mapping[str, Any] | set[str]) -> str:
    """The name, with a number where it is taken."""
    found, n = name, 2
    while found in taken:
        found, n = f"{name} ({n})", n + 1
    return found
