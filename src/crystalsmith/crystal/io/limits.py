"""How much of a source is read before it is refused, and as what text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from crystalsmith.errors import DataError


@dataclass(frozen=True)
class Limits:
    """Bounds of reading; a member that goes beyond them is refused alone, with its reason.

    Attributes:
        structure: bytes of the text of one structure, or of one line of a table.
        document: bytes of a JSON document, which must be held in memory as a whole, unpacked.
        total: bytes of all that an archive holds, unpacked.
        members: files of a folder or an archive.
        depth: archives within archives.
        nesting: brackets within brackets of JSON.
        atoms: of one structure.
        seconds: for one structure.
        within: elements; crystals that hold others may be passed over, where a source tells which do without
            making them.
    """

    structure: int = 1 << 26
    document: int = 1 << 31
    total: int = 1 << 36
    members: int = 2_000_000
    depth: int = 3
    nesting: int = 100
    atoms: int = 5_000
    seconds: float = 60.0
    within: frozenset[str] | None = None


def read_bounded(stream: IO[bytes], most: int) -> bytes:
    """All of a stream.

    Raises:
        DataError: it is longer than ``most`` bytes; no more than that was read.
    """
    data = stream.read(most + 1)
    if len(data) > most:
        raise DataError(f"too large: it unpacks to more than {size(most)}")
    return data


def lines_bounded(stream: IO[str], most: int) -> Iterator[str]:
    """The lines of a text, with their ends.

    Raises:
        DataError: a line longer than ``most`` characters.
    """
    while line := stream.readline(most + 1):
        if len(line) > most:
            raise DataError(f"too large: it has a line of more than {size(most)}")
        yield line


_BOMS = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def encoding_of(head: bytes) -> str:
    """UTF-8, unless the first bytes say or show otherwise."""
    for mark, name in _BOMS.items():
        if head.startswith(mark):
            return name
    try:
        head[: max(len(head) - 4, 4)].decode("utf-8-sig")  # the last character may be cut off
        return "utf-8-sig"
    except UnicodeDecodeError as error:
        return "utf-8-sig" if error.reason == "unexpected end of data" else "latin-1"


def decoded(data: bytes) -> str:
    """The text of a whole file."""
    return data.decode(encoding_of(data), errors="replace")


def size(number: int) -> str:
    """Bytes in words."""
    for unit, name in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if number >= unit:
            return f"{number / unit:.3g} {name}"
    return f"{number} bytes"
