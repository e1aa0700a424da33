"""Extended XYZ, read by its own rules: one line of keys and columns for each frame."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from crystalsmith.crystal.elements import NUMBERS, atomic_number
from crystalsmith.errors import DataError, StructureError

_PAIR = re.compile(
    r"""(?<![^\s=,"'])([^\s=,"']+|"[^"]*")\s*=\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\{[^}]*\}|\[[^\]]*\]|[^\s,]+)"""
)
_COMMENT = 1 << 17
_DEFAULT = "species:S:1:pos:R:3"
_ALSO = {"symbols": "species", "element": "species", "positions": "pos", "numbers": "Z"}
_TRUE = {"t", "true", ".true.", "1"}


def frames(lines: Iterator[str], most: int) -> Iterator[tuple[str, str]]:
    """Text of each frame and why it cannot be read, one of them empty.

    Args:
        lines: of the file.
        most: atoms of a frame.

    Raises:
        DataError: a frame does not begin with its number of atoms, so that the place is lost.
    """
    number = 0
    for first in lines:
        if not first.strip():
            continue
        number += 1
        text = first.strip()
        if not (text.isascii() and text.isdigit()):
            raise DataError(f"frame {number} begins with {text[:40]!r}, not with its number of atoms")
        size = int(text) if len(text) < 15 else most + 1
        if size <= most:
            yield first + "".join(line for _, line in zip(range(size + 1), lines, strict=False)), ""
            continue
        read = sum(1 for _ in zip(range(size + 1), lines, strict=False)) - 1
        if read < size:
            yield "", f"too large: it says that it has {text[:20]} atoms and has {max(read, 0)}"
        else:
            yield "", f"too large: it has {size} atoms; at most {most} are read"


def read_frame(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, str]]:
    """Lattice (3, 3), fractional coordinates (n, 3), atomic numbers (n,) and the keys of a frame.

    Raises:
        StructureError: it has no cell or other columns than it says.
    """
    count, comment, *rows = [*text.splitlines(), ""]
    size = int(count)
    rows = rows[:size]
    if len(comment) > _COMMENT:
        raise StructureError("too large: the frame's second line has more than 128 kB")
    info = keys(comment)
    if "lattice" not in info:
        raise StructureError(
            'unreadable: plain XYZ has no cell; write extended XYZ with Lattice="...", CIF or POSCAR'
        )
    if not all(x.lower() in _TRUE for x in info.get("pbc", "T T T").replace(",", " ").split()):
        raise StructureError("not periodic: the atoms have no three-dimensional periodic cell")
    lattice = np.array([float(x) for x in info["lattice"].replace(",", " ").split()])
    if len(lattice) != 9:
        raise StructureError(f"unreadable: Lattice has {len(lattice)} numbers, not 9")
    lattice = lattice.reshape(3, 3)
    columns, width = _columns(info.get("properties", _DEFAULT))
    cells = [row.split() for row in rows]
    if len(cells) < size or any(len(row) != width for row in cells):
        raise StructureError(f"unreadable: not {size} atoms with the {width} columns that the frame names")
    points = np.array([row[columns["pos"] : columns["pos"] + 3] for row in cells], dtype=float).reshape(-1, 3)
    if "species" in columns:
        numbers = [_number(row[columns["species"]]) for row in cells]
    else:
        numbers = [int(row[columns["Z"]]) for row in cells]
    return lattice, points @ np.linalg.inv(lattice), np.array(numbers, dtype=np.int64), info


def keys(comment: str) -> dict[str, str]:
    """Keys and values of a frame's second line; those of the cell and the columns in lower case."""
    info: dict[str, str] = {}
    for name, value in _PAIR.findall(comment):
        name = name.strip('"')
        if value[:1] in "\"'{[":
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        info[name.lower() if name.lower() in ("lattice", "properties", "pbc") else name] = value
    return info


def _columns(properties: str) -> tuple[dict[str, int], int]:
    """Where the columns begin that are read, and how many there are."""
    parts = properties.split(":")
    found: dict[str, int] = {}
    at = 0
    for name, number in zip(parts[::3], parts[2::3], strict=False):
        if not number.isdigit() or len(number) > 6:
            raise StructureError(f"unreadable: Properties says that {name[:20]} has {number[:20]!r} columns")
        found[_ALSO.get(name, name)] = at
        at += int(number)
    if len(parts) % 3 or "pos" not in found or not {"species", "Z"} & set(found):
        raise StructureError("unreadable: Properties names no species or no pos")
    return found, at


def _number(symbol: str) -> int:
    """Atomic number of a symbol; deuterium and tritium are hydrogen."""
    if symbol in ("D", "T"):
        return 1
    return NUMBERS.get(symbol) or (
        int(symbol) if symbol.isascii() and symbol.isdigit() else atomic_number(symbol)
    )
