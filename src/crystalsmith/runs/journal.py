"""Journals: files of JSON lines that outlive a killed process, each with a checksum.

The last line may have been cut off and is then dropped; any other line that is not as it was written is
refused. Lines of earlier versions, which have no checksum, are read as they are.
"""

from __future__ import annotations

import json
import os
import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from crystalsmith.errors import CrystalsmithError, OutputError

_CRC = re.compile(rb',?"crc":"([0-9a-f]{8})"\}\n?\Z')

_DAMAGE = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, CrystalsmithError)


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
                take(parse_line(line), whole)
            except _DAMAGE:
                raise OutputError(f"{path}: line {number} is damaged; {advice}") from None
            whole += len(line)
    if mend and whole < path.stat().st_size:
        os.truncate(path, whole)


def read_rows(
    path: Path, places: Iterable[int], advice: str = "begin anew with --overwrite"
) -> Iterator[Any]:
    """What the lines at these places of a journal hold, in this order.

    Raises:
        OutputError: a damaged line.
        OSError: the file cannot be read.
    """
    with path.open("rb") as f:
        for place in places:
            f.seek(place)
            try:
                yield parse_line(f.readline())
            except ValueError:
                raise OutputError(f"{path}: the line at byte {place} is damaged; {advice}") from None


def append_journal(path: Path, rows: Iterable[Mapping[str, Any]]) -> list[int]:
    """Add lines; when this returns, they are on the disk.

    Args:
        path: the file, made if missing.
        rows: plain JSON data, a line each.

    Returns:
        The place of each in the file.

    Raises:
        OSError: they could not be written.
    """
    lines = [format_line(row) for row in rows]
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


def format_line(row: Mapping[str, Any]) -> bytes:
    """A line of a journal, with the checksum of what stands before it."""
    body = json.dumps(row, separators=(",", ":")).encode()
    comma = b"," if row else b""
    return body[:-1] + comma + b'"crc":"%08x"}\n' % zlib.crc32(body)


def parse_line(line: bytes) -> Any:
    """The inverse of ``format_line``.

    Raises:
        ValueError: no JSON, or not what was written.
    """
    if found := _CRC.search(line):
        line = line[: found.start()] + b"}"
        if zlib.crc32(line) != int(found[1], 16):
            raise ValueError("the checksum does not fit")
    return json.loads(line)
