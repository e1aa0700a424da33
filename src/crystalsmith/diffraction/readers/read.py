"""One door for all files of patterns and peaks: what a file is decides its content, not its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from crystalsmith.crystal.io.limits import decoded, encoding_of
from crystalsmith.crystal.io.poscar import looks_like_poscar
from crystalsmith.diffraction.pattern import Pattern, PeakList
from crystalsmith.diffraction.radiation import Radiation
from crystalsmith.diffraction.radiation import radiation as to_radiation
from crystalsmith.diffraction.readers.columns import read_columns
from crystalsmith.diffraction.readers.instruments import kind_of, read_instrument
from crystalsmith.diffraction.readers.pdcif import read_pdcif
from crystalsmith.diffraction.readers.raw import Axis, Raw, finished
from crystalsmith.errors import PatternError

AXES: tuple[Axis, ...] = get_args(Axis)
"""What a first column can be."""

MOST_BYTES = 1 << 28
"""Of a file; patterns are far smaller."""

_HEAD = 1 << 14
_CIF = re.compile(r"(?im)^\s*data_\S")
_POWDER = re.compile(r"(?im)^\s*_pd_(meas|proc|peak)_")


def read_pattern(
    path: str | Path,
    radiation: Radiation | str | float | None = None,
    axis: Axis | None = None,
    scan: int | None = None,
) -> Pattern | PeakList:
    """Read a powder pattern, or a list of peaks.

    Columns of text (.xy, .xye, .csv, .dat, .txt, .chi), pdCIF and lists of peaks are read here; .xrdml, .raw,
    .brml, .ras, .rasx, .uxd, .udf, .rd and GSAS (.fxye, .gsa, .xra, ...) with rietx, if it is installed.

    Args:
        path: the file; its content decides what it is.
        radiation: X-rays in place of those that the file names: see ``diffraction.radiation``.
        axis: what the first column is, in place of what the file says: "2theta" (degrees), "q" (1/Angstrom)
            or "d" (Angstrom).
        scan: which scan, counted from 0, of a file that holds several; of GSAS the number of a bank.

    Raises:
        PatternError: the file is missing, is no pattern, or does not say its wavelength or its axis.
    """
    path = Path(path)
    lines = None if radiation is None else to_radiation(radiation)
    if axis is not None and axis not in AXES:
        raise PatternError(f"there is no axis {axis!r}; it is {', '.join(AXES[:-1])} or {AXES[-1]}")
    return finished(read_columns_of(path, scan), path.name, lines, axis)


def is_pattern_file(path: str | Path) -> bool:
    """Whether a file holds columns, peaks or a scan; a CIF or a file of atoms is none, unless it is a pdCIF.

    Only the beginning is read, and nothing is promised: ``read_pattern`` may refuse it.
    """
    path = Path(path)
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError:
        return False
    if kind_of(head) is not None:
        return True
    text = head.decode(encoding_of(head), errors="replace")
    if _CIF.search(text):
        return bool(_POWDER.search(decoded(path.read_bytes()) if path.stat().st_size < MOST_BYTES else text))
    if "\0" in text:
        return False
    if looks_like_poscar(text) and len(text.splitlines()[1].split()) == 1:  # the scale; else it is .xye
        return False
    rows = [line.split() for line in re.sub("[,;]", " ", text).splitlines() if line.strip()]
    plain = [row for row in rows[:-1] if 2 <= len(row) <= 12 and all(map(_is_number, row))]
    return len(plain) >= 3 and len(plain) > 0.5 * len(rows)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def read_columns_of(path: Path, scan: int | None = None) -> Raw:
    """What a file of a pattern holds, as far as it says it: its axis and its X-rays may be missing.

    Args:
        path: the file.
        scan: as for ``read_pattern``.

    Raises:
        PatternError: the file is missing, or holds no columns of numbers.
    """
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise PatternError(f"{path} {what}; give the file of a powder pattern")
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise PatternError(f"{path} is too large for a powder pattern: {size:,} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise PatternError(f"{path} cannot be read: {error.strerror or error}") from error
    if not data.strip():
        raise PatternError(f"{path} is empty")
    kind = kind_of(data[:_HEAD])
    if kind is not None:
        return read_instrument(path, kind, scan)
    text = decoded(data)
    if "\0" in text[:_HEAD]:
        raise PatternError(
            f"{path} is a binary file of a kind that cannot be read; export it as columns of text"
        )
    if _CIF.search(text):
        return read_pdcif(text, path.name)
    return read_columns(text, path.name)
