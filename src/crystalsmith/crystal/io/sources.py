"""Sources of structures. What a file holds is found by looking into it, not by its name."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from crystalsmith.crystal.io.parsers import ID_KEYS, energy, first_of, observed
from crystalsmith.crystal.io.records import Item
from crystalsmith.errors import DataError

KNOWN = (
    "JSON lines, pymatgen JSON, a CSV with a `cif` column, extended XYZ, a CIF, or a folder or zip of CIFs; "
    "files may be gzipped"
)
"""What ``open_source`` recognises, in words."""

# What unpacking raises; RuntimeError for an encrypted member of a zip.
_DAMAGED = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError)

# The longest first line that is looked at: rows of large crystals are long, binary files have no line ends
# at all.
_LINE = 1 << 26


@dataclass(frozen=True)
class Source:
    """A recognised source.

    Attributes:
        path: file or folder.
        kind: what it holds: ``jsonl``, ``json``, ``csv``, ``extxyz``, ``cif``, ``zip`` or ``folder``.
    """

    path: Path
    kind: str

    @property
    def parser(self) -> str:
        """Which parser reads its items."""
        return {"jsonl": "json", "json": "json", "extxyz": "extxyz"}.get(self.kind, "cif")

    def items(self) -> Iterator[Item]:
        """The structures' texts in the source's order.

        Raises:
            DataError: unreadable or damaged.
        """
        try:
            yield from _READERS[self.kind](self.path)
        except (*_DAMAGED, csv.Error, ValueError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"cannot read {self.path}, it may be damaged: {_reason(error)}") from None

    def count(self) -> int:
        """Number of items."""
        return sum(1 for _ in self.items())

    def sha256(self) -> str:
        """Hash of the file, or of the names and contents of a folder's CIFs."""
        digest = hashlib.sha256()
        files = _cif_files(self.path) if self.kind == "folder" else [self.path]
        for file in files:
            if self.kind == "folder":
                digest.update(f"\0{file.relative_to(self.path).as_posix()}\0".encode())
            with file.open("rb") as f:
                while block := f.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()


def open_source(path: str | os.PathLike[str]) -> Source:
    """Recognise a source by its content.

    Raises:
        DataError: missing, empty, unreadable or none of the known kinds.
    """
    path = Path(path)
    if path.is_dir():
        if not _cif_files(path):
            raise DataError(
                f"folder {path} holds no CIF; name a file of structures or a folder with *.cif or *.cif.gz"
            )
        return Source(path, "folder")
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty")
        with path.open("rb") as f:
            if f.read(4) == b"PK\x03\x04":
                return Source(path, "zip")
        with _open(path) as f:
            first = f.readline(_LINE)
            while first and not first.strip():
                first = f.readline(_LINE)
            head = first + f.read(1 << 16)
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"there is no file or folder {path}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {_reason(error)}") from None
    if not first.strip():
        raise DataError(f"{path} is empty")
    kind = _recognise(_text(first), _text(head))
    if kind is None:
        raise DataError(f"{path} is none of the known sources: {KNOWN}")
    return Source(path, kind)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8-sig", errors="replace")


def _open(path: Path) -> IO[bytes]:
    """Open a file, unpacking gzip by its first bytes."""
    with path.open("rb") as f:
        packed = f.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else path.open("rb")  # type: ignore[return-value]


def _recognise(first: str, head: str) -> str | None:
    start = first.strip()
    if start[0] in "[{":
        try:
            row = json.loads(start)
        except ValueError:
            return "json"
        return "jsonl" if isinstance(row, dict) and _is_row(row) else "json"
    if start.isdecimal():
        second = head.splitlines()[1:2]
        return "extxyz" if second and "lattice=" in second[0].lower() else None
    try:
        columns = next(csv.reader([start]))
    except (csv.Error, StopIteration):
        columns = []
    if "cif" in columns:
        return "csv"
    is_cif = re.search(r"^data_", head, re.MULTILINE | re.IGNORECASE) and re.search(
        r"^\s*_\w", head, re.MULTILINE
    )
    return "cif" if is_cif else None


def _is_row(row: dict[str, Any]) -> bool:
    return (
        ("cell" in row and "frac" in row)
        or ("lattice" in row and "sites" in row)
        or "structure" in row
        or "cif" in row
    )


def _cif_files(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.rglob("*") if p.name.lower().endswith((".cif", ".cif.gz")) and p.is_file()
    )


def _read_jsonl(path: Path) -> Iterator[Item]:
    with _open(path) as f:
        for row, line in enumerate(f, start=1):
            if line.strip():
                yield Item(f"line {row}", _text(line))


def _read_json(path: Path) -> Iterator[Item]:
    with _open(path) as f:
        data = json.load(f)
    rows: Iterator[tuple[str, Any]]
    if isinstance(data, dict) and not _is_row(data):
        rows = ((str(key), value) for key, value in data.items())
    else:
        rows = ((str(i), value) for i, value in enumerate(data if isinstance(data, list) else [data]))
    for name, value in rows:
        yield Item(name, json.dumps(value))


def _read_csv(path: Path) -> Iterator[Item]:
    csv.field_size_limit(1 << 30)
    with _open(path) as f, io.TextIOWrapper(f, "utf-8-sig", newline="") as text:
        for number, row in enumerate(csv.DictReader(text), start=1):
            name = first_of(row, ID_KEYS)
            yield Item(
                f"row {number}" if name is None else str(name),
                row.get("cif") or "",
                energy(row),
                observed(row),
            )


def _read_extxyz(path: Path) -> Iterator[Item]:
    number = 0
    with _open(path) as f:
        for first in iter(f.readline, b""):
            if not first.strip():
                continue
            number += 1
            try:
                size = int(first)
            except ValueError:
                start = _text(first).strip()[:40]
                raise DataError(
                    f"{path}: frame {number} begins with {start!r}, not with its number of atoms"
                ) from None
            yield Item(f"frame {number}", _text(first + b"".join(f.readline() for _ in range(size + 1))))


def _read_cif(path: Path) -> Iterator[Item]:
    with _open(path) as f:
        text = _cif_text(f.read())
    blocks = split_cif(text)
    stem = _stem(path.name)
    for name, block in blocks:
        yield Item(stem if len(blocks) == 1 else f"{stem}:{name}", block)


def _read_zip(path: Path) -> Iterator[Item]:
    with zipfile.ZipFile(path) as archive:
        names = sorted(
            n for n in archive.namelist() if n.lower().endswith((".cif", ".cif.gz")) and "__MACOSX" not in n
        )
        if not names:
            raise DataError(f"{path} is a zip without a CIF")
        for name in names:
            try:
                raw = archive.read(name)
                text = _cif_text(gzip.decompress(raw) if name.lower().endswith(".gz") else raw)
            except _DAMAGED as error:
                yield Item(_stem(name), "", fault=f"damaged in the zip ({_reason(error)})")
                continue
            yield Item(_stem(name), text)


def _read_folder(path: Path) -> Iterator[Item]:
    for file in _cif_files(path):
        name = _stem(file.relative_to(path).as_posix())
        try:
            with _open(file) as f:
                text = _cif_text(f.read())
        except _DAMAGED as error:
            yield Item(name, "", fault=f"the file cannot be read ({_reason(error)})")
            continue
        yield Item(name, text)


def _stem(name: str) -> str:
    return re.sub(r"\.cif(\.gz)?$", "", name, flags=re.IGNORECASE)


def _cif_text(raw: bytes) -> str:
    """CIF is ASCII by its standard; older files hold Latin-1 in names and titles."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def split_cif(text: str) -> list[tuple[str, str]]:
    """Name and text of each data block that has atoms; ``data_`` inside a text field does not count."""
    blocks: list[tuple[str, list[str]]] = []
    in_field = False
    for line in text.splitlines():
        if line.startswith(";"):
            in_field = not in_field
        elif not in_field and line[:5].lower() == "data_":
            blocks.append((line[5:].strip(), []))
        if blocks:
            blocks[-1][1].append(line)
    joined = [(name, "\n".join(lines) + "\n") for name, lines in blocks]
    return [(name, block) for name, block in joined if "_atom_site_" in block] or [("", text)]


_READERS: dict[str, Callable[[Path], Iterator[Item]]] = {
    "jsonl": _read_jsonl,
    "json": _read_json,
    "csv": _read_csv,
    "extxyz": _read_extxyz,
    "cif": _read_cif,
    "zip": _read_zip,
    "folder": _read_folder,
}
