"""Journals: files of JSON lines that outlive a killed process, whose last line may have been cut off."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from crystalsmith.errors import CrystalsmithError, OutputError


def read_journal(
    path: Path,
    take: Callable[[Any, int], None],
    *,
    mend: bool = True,
    advice: str = "begin anew with --overwrite",
) -> None:
    """Give every line to a function, in order; nothing happens if there is no file.

    Args:
        path: the file.
        take: called with what a line holds and with its place in the file; what it raises means that the line
            is damaged.
        mend: remove a last line that was cut off from the file too; else it is only ignored.
        advice: what to do about a damaged line.

    Raises:
        OutputError: a damaged line.
        OSError: the file cannot be read or shortened.
    """
    if not path.exists():
        return
    whole = 0
    with path.open("rb") as f:
        for number, line in enumerate(f, start=1):
            if not line.endswith(b"\n"):
                break
            try:
                take(json.loads(line), whole)
            except (ValueError, KeyError, TypeError, IndexError, AttributeError, CrystalsmithError):
                raise OutputError(f"{path}: line {number} is damaged; {advice}") from None
            whole += len(line)
    if mend and whole < path.stat().st_size:
        os.truncate(path, whole)


def append_journal(path: Path, rows: Iterable[Any]) -> list[int]:
    """Add lines; when this returns, they are on the disk.

    Args:
        path: the file, made if missing.
        rows: plain JSON data, a line each.

    Returns:
        The place of each in the file.

    Raises:
        OSError: they could not be written.
    """
    lines = [(json.dumps(row, separators=(",", ":")) + "\n").encode() for row in rows]
    with path.open("ab") as f:
        place = f.tell()
        f.write(b"".join(lines))
        f.flush()
        os.fsync(f.fileno())
    places = []
    for line in lines:
        places.append(place)
        place += len(line)
    return places
