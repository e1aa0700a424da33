"""Sources of structures. What a file holds is found by looking into it, not by its name."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from crystalsmith.crystal.io.extxyz import frames
from crystalsmith.crystal.io.facts import facts_of
from crystalsmith.crystal.io.json_kinds import is_structure, load, rows
from crystalsmith.crystal.io.limits import Limits, decoded, encoding_of, lines_bounded, read_bounded
from crystalsmith.crystal.io.parquet import is_parquet, parquet_items
from crystalsmith.crystal.io.poscar import looks_like_poscar
from crystalsmith.crystal.io.records import Item
from crystalsmith.crystal.io.run_folders import NEEDED, RUN_FILES, reads_run, run_records
from crystalsmith.crystal.io.tables import find_table, refuse_table
from crystalsmith.crystal.io.tensors import read_tensors, tensor_records
from crystalsmith.crystal.io.trees import DAMAGED, FolderTree, TarTree, Tree, ZipTree, rejoined, unpacked
from crystalsmith.errors import CrystalsmithError, DataError
from crystalsmith.runs.addresses import is_server, shown, split_address

KNOWN = (
    "CIF, POSCAR, extended XYZ, JSON or JSON lines (pymatgen, ASE, the Materials Project, OPTIMADE, JARVIS),"
    " CSV or Parquet with a column of structures, ASE's db (a file, or postgresql://...), a training file,"
    " a folder, zip or tar of these, or an output folder of crystalsmith; files may be packed by gzip, bzip2"
    " or xz"
)
"""What is recognised, in words."""

_PACKED = r"(\.(gz|bz2|xz))?$"
_STRUCTURES = re.compile(
    r"(\.(cif|mcif|vasp|poscar|contcar|xyz|extxyz)|(^|/)(poscar|contcar)([._-][^/]*)?)" + _PACKED,
    re.IGNORECASE,
)
_TABLES = re.compile(
    r"\.(json|jsonl|ndjson|csv|tsv|parquet|db|safetensors|zip|tar|tgz|tbz2?|txz)" + _PACKED, re.IGNORECASE
)
_OURS = re.compile(f"{_STRUCTURES.pattern}|{_TABLES.pattern}", re.IGNORECASE)
_ENDING = re.compile(r"\.(cif|mcif|vasp|poscar|contcar|xyz|extxyz)" + _PACKED, re.IGNORECASE)
_ABOUT = re.compile(r'^\{"x-optimade":|^\{("id": ?"[^"]*", ?)?"type": ?"info"')
"""Lines of OPTIMADE that are about the file."""

_HEAD = 1 << 16
_MANY = 1 << 20
"""Bytes of a CIF whose blocks are handed out one by one."""


@dataclass(frozen=True)
class Source:
    """A file, folder or database of structures.

    Attributes:
        path: where it is; of a database on a server its name.
        kind: what it holds: ``cif``, ``poscar``, ``extxyz``, ``json``, ``jsonl``, ``csv``, ``parquet``,
            ``database``, ``server``, ``dataset``, ``zip``, ``tar``, ``folder`` or ``run``.
        limits: of what is read.
        selection: of rows of a database, as ``ase db`` takes it.
        address: of a database on a server.
    """

    path: Path
    kind: str
    limits: Limits = field(default_factory=Limits)
    selection: str = ""
    address: str = ""

    @property
    def label(self) -> str:
        """What is said of its place; no password."""
        selected = f"@{self.selection}" if self.selection else ""
        return shown(self.address) or f"{self.path}{selected}"

    def items(self) -> Iterator[Item]:
        """The structures' texts in the source's order.

        Raises:
            DataError: unreadable, damaged, or without any structure.
        """
        empty = True
        try:
            if self.kind == "run":
                found = _of_run(self.path, str(self.path))
            elif self.kind == "folder":
                found = _of_tree(FolderTree(self.path, self.limits), self.limits.depth)
            elif self.address:
                found = _read_server(self.address, self.label, self.limits)
            elif self.selection:
                found = _read_database(self.path, str(self.path), self.limits, self.selection)
            else:
                found = _of_file(self.path, self.limits)
            for item in found:
                empty = False
                yield item
        except CrystalsmithError as error:
            raise DataError(_with_path(self.label, error)) from None
        except _UNREADABLE as error:
            raise DataError(f"cannot read {self.label}, it may be damaged: {_reason(error)}") from None
        if empty and self.limits.within is None:
            if self.address or self.selection:
                raise DataError(f"{self.label} holds no crystal")
            what = {"folder": "folder "}.get(self.kind, "")
            raise DataError(f"{what}{self.label} holds no structures; give {KNOWN}")

    def count(self) -> int:
        """Number of items."""
        return sum(1 for _ in self.items())

    def sha256(self) -> str:
        """Hash of the file, of names and contents of all that is read of a folder, or of a server's rows."""
        digest = hashlib.sha256()
        if self.address:
            for item in self.items():
                digest.update(json.dumps([item.id, item.data], sort_keys=True).encode())
            return digest.hexdigest()
        files = [(self.path, "")]
        if self.path.is_dir():
            names = FolderTree(self.path, self.limits).names
            pattern = RUN_FILES if self.kind == "run" else _OURS
            files = [(self.path / name, name) for name in names if pattern.search(name)]
        for file, name in files:
            digest.update(f"\0{name}\0".encode(errors="surrogateescape") if name else b"")
            with file.open("rb") as f:
                while block := f.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()


_UNREADABLE = (*DAMAGED, ValueError, sqlite3.Error)


def open_source(path: str | os.PathLike[str], limits: Limits | None = None) -> Source:
    """Recognise a source by its content; ``FILE.db@SELECTION`` is a part of a database.

    Raises:
        DataError: missing, empty, unreadable or none of the known kinds.
    """
    limits = limits or Limits()
    if is_server(path):
        name = (split_address(os.fspath(path)) or ("",))[0].partition("?")[0].rpartition("/")[2]
        return Source(Path(name or "database"), "server", limits, address=os.fspath(path))
    path = Path(path)
    base, _, selection = str(path).rpartition("@")
    if base.endswith(".db") and not path.exists() and Path(base).is_file():
        return Source(Path(base), "database", limits, selection)
    try:
        if path.is_dir():
            if reads_run(path):
                return Source(path, "run", limits)
            if not any(map(_OURS.search, FolderTree(path, limits).names)):
                raise DataError(f"folder {path} holds no structures; give {KNOWN}")
            return Source(path, "folder", limits)
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty")
        with path.open("rb") as raw:
            kind, _ = _recognise(unpacked(raw), path.name, limits)
    except DataError as error:
        raise DataError(_with_path(path, error)) from None
    except FileNotFoundError:
        raise DataError(f"there is no file or folder {path}") from None
    except _UNREADABLE as error:
        raise DataError(f"cannot read {path}: {_reason(error)}") from None
    if not kind:
        raise DataError(f"{path} is none of the known sources: {KNOWN}")
    return Source(path, kind, limits)


def _with_path(path: Path | str, error: Exception) -> str:
    return str(error) if str(path) in str(error) else f"{path}: {error}"


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _recognise(stream: IO[bytes], name: str, limits: Limits) -> tuple[str, IO[bytes]]:
    """Kind of an unpacked stream, empty if it is none that is known; and the stream from its beginning.

    Raises:
        DataError: empty, or a table without structures.
    """
    head = stream.read(512)
    if head.startswith(b"PK\x03\x04"):
        return "zip", rejoined(head, stream)
    if head[257:262] == b"ustar":
        return "tar", rejoined(head, stream)
    if is_parquet(head):
        return "parquet", rejoined(head, stream)
    if head.startswith(b"SQLite format 3\0"):
        return "database", rejoined(head, stream)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 40 and b"\0" in head[:8]:
        return "dataset", rejoined(head, stream)
    head += stream.readline(limits.structure) + stream.read(_HEAD)
    whole = rejoined(head, stream)
    text = head.decode(encoding_of(head), errors="replace").lstrip("\ufeff")
    if not text.strip() and not stream.read(1):
        raise DataError("the file is empty")
    return _kind_of_text(text, name, limits), whole


def _kind_of_text(text: str, name: str, limits: Limits) -> str:
    start = text.lstrip("\r\n ")
    first, *rest = start.splitlines()
    if start[:1] == "{":
        try:
            row = load(first, limits.nesting)
        except ValueError:
            return "json"
        return "jsonl" if is_structure(row) or any(line.startswith("{") for line in rest) else "json"
    if start[:1] == "[":
        return "json"
    if looks_like_poscar(text):
        return "poscar"
    if first.strip().isdecimal():
        return "extxyz"
    if find_table(start) is not None:
        return "csv"
    if re.search(r"^[ \t]*data_", text, re.MULTILINE | re.IGNORECASE) and re.search(
        r"^[ \t]*_\w", text, re.MULTILINE
    ):
        return "cif"
    refuse_table(start)
    return "cif" if re.search(r"\.m?cif(\.|$)", name, re.IGNORECASE) else ""


def _text(stream: IO[bytes]) -> IO[str]:
    head = stream.read(_HEAD)
    return io.TextIOWrapper(rejoined(head, stream), encoding_of(head), errors="replace")


def _of_file(path: Path, limits: Limits) -> Iterator[Item]:
    with path.open("rb") as raw:
        yield from _of_stream(unpacked(raw), path.name, str(path), limits, limits.depth, path)


def _of_stream(
    stream: IO[bytes], name: str, label: str, limits: Limits, depth: int, path: Path | None = None
) -> Iterator[Item]:
    """Items of one file or member.

    Args:
        stream: unpacked.
        name: of the file, with its folders where it is a member.
        label: what is said of its place.
        limits: of reading.
        depth: how many archives may still be nested in it.
        path: where it lies on disk; None for a member.

    Raises:
        DataError: too large, or of no known kind.
    """
    kind, stream = _recognise(stream, name, limits)
    if kind in ("zip", "tar"):
        if not depth:
            raise DataError("too large: archives within archives within archives")
        with _on_disk(stream, limits) as file, file.open("rb") as f:
            tree = (ZipTree if kind == "zip" else TarTree)(f, label, limits)
            yield from _of_tree(tree, depth - 1)
    elif kind in _FILES:
        with _on_disk(stream, limits, path) as file:
            yield from _FILES[kind](file, label, limits)
    elif kind:
        yield from _READERS[kind](stream, name, label, limits)
    else:
        raise DataError("none of the known kinds of files")


@contextmanager
def _on_disk(stream: IO[bytes], limits: Limits, path: Path | None = None) -> Iterator[Path]:
    """A file that can be read anywhere: the one given, or a copy for the time being."""
    if path is not None:
        with path.open("rb") as f:
            if not any(f.read(6).startswith(magic) for magic in (b"\x1f\x8b", b"BZh", b"\xfd7zXZ")):
                yield path
                return
    with tempfile.TemporaryDirectory(prefix="crystalsmith-") as folder:
        copy, left = Path(folder, "member"), limits.total
        with copy.open("wb") as out:
            while block := stream.read(1 << 20):
                left -= out.write(block)
                if left < 0:
                    raise DataError("too large: it unpacks to more than is read")
        yield copy


def _of_tree(tree: Tree, depth: int) -> Iterator[Item]:
    """Items of a folder or archive: of run folders in it, then its files of structures, else its tables."""
    names = tree.names
    runs: list[str] = []
    for folder, found in _run_places(tree):
        if not any(folder.startswith(run) for run in runs):
            with tempfile.TemporaryDirectory(prefix="crystalsmith-") as copy:
                tree.extract(found, Path(copy), folder)
                if reads_run(Path(copy)):
                    runs.append(folder)
                    yield from _of_run(Path(copy), f"{tree.label}/{folder}")
    names = [name for name in names if not any(name.startswith(run) for run in runs)]
    structures = [name for name in names if _STRUCTURES.search(name)]
    tables = [] if structures else [name for name in names if _TABLES.search(name)]
    for name in structures or tables:
        label = f"{tree.label}/{name}"
        try:
            with tree.open(name) as raw:
                path = tree.path / name if isinstance(tree, FolderTree) else None
                yield from _of_stream(unpacked(raw), name, label, tree.limits, depth, path)
        except CrystalsmithError as error:
            if structures or name.endswith(".parquet") or str(error).startswith("too large"):
                yield Item(_stem(name), "text", "", source=label, fault=f"unreadable: {error}")
        except _UNREADABLE as error:
            yield Item(
                _stem(name), "text", "", source=label, fault=f"unreadable: {_damage(tree)} ({_reason(error)})"
            )


def _damage(tree: Tree) -> str:
    if isinstance(tree, FolderTree):
        return "the file cannot be read"
    return "damaged in the " + ("zip" if isinstance(tree, ZipTree) else "tar")


_MARKS = ("manifest.json", "run.json", "trials.jsonl")


def _run_places(tree: Tree) -> Iterator[tuple[str, list[str]]]:
    """Folders that may be those of runs, the outer ones first, and the files that tell."""
    folders = sorted({name.rpartition("/")[0] for name in tree.names if name.rpartition("/")[2] in _MARKS})
    for folder in folders:
        prefix = f"{folder}/" if folder else ""
        inside = [n for n in tree.names if n.startswith(prefix)]
        yield prefix, [n for n in inside if NEEDED.fullmatch(n[len(prefix) :])]


def _of_run(path: Path, label: str) -> Iterator[Item]:
    for record in run_records(path, label):
        yield Item(record.id, "record", record, source=label)


def _stem(name: str) -> str:
    """Id of a member: its name without ending, or its folder where the name says nothing."""
    path = PurePosixPath(name)
    if path.name.lower() in ("poscar", "contcar") and path.parent.name:
        return str(path.parent)
    return _ENDING.sub("", name)


def _read_cif(stream: IO[bytes], name: str, label: str, limits: Limits) -> Iterator[Item]:
    data = read_bounded(stream, limits.document)
    stem = _stem(name)
    if len(data) <= _MANY:
        yield Item(stem, "cif", data, source=label)
        return
    for block, text in split_cif(decoded(data)):
        if len(text) > limits.structure:
            yield Item(f"{stem}:{block}", "cif", "", source=label, fault="too large: a block of the CIF")
        else:
            yield Item(f"{stem}:{block}", "cif", text, source=label)


def _read_poscar(stream: IO[bytes], name: str, label: str, limits: Limits) -> Iterator[Item]:
    yield Item(_stem(name), "poscar", read_bounded(stream, limits.structure), source=label)


def _read_jsonl(stream: IO[bytes], name: str, label: str, limits: Limits) -> Iterator[Item]:
    for number, line in enumerate(lines_bounded(_text(stream), limits.structure), start=1):
        if line.strip() and not _ABOUT.search(line[:200]):
            yield Item(f"line {number}", "json", line, source=label)


def _read_json(stream: IO[bytes], name: str, label: str, limits: Limits) -> Iterator[Item]:
    data = load(read_bounded(stream, limits.document), limits.nesting)
    for key, value in rows(data):
        yield Item(key, "json", value, source=label)


def _read_csv(stream: IO[bytes], name: str, label: str, limits: Limits) -> Iterator[Item]:
    head = stream.readline(limits.structure) + stream.read(_HEAD)
    text = _text(rejoined(head, stream))
    table = find_table(head.decode(encoding_of(head), errors="replace").lstrip("\ufeff\r\n "))
    assert table is not None
    for number, (structure, row) in enumerate(
        table.rows(lines_bounded(text, limits.structure), limits.structure), 1
    ):
        facts = facts_of(row)
        yield Item(facts.get("id", f"row {number}"), "text", structure, facts, label)


def _read_extxyz(stream: IO[bytes], name: str, label: str, limits: Limits) -> Iterator[Item]:
    lines = lines_bounded(_text(stream), limits.structure)
    for number, (text, fault) in enumerate(frames(lines, limits.atoms), start=1):
        yield Item(f"frame {number}", "extxyz", text, source=label, fault=fault)


def _read_database(path: Path, label: str, limits: Limits, selection: str = "") -> Iterator[Item]:
    from crystalsmith.crystal.io.database import database_rows

    for name, row in database_rows(path, selection, limits.within):
        yield Item(name, "json", row, source=label)


def _read_server(address: str, label: str, limits: Limits) -> Iterator[Item]:
    from crystalsmith.crystal.io.server import server_rows

    for name, row in server_rows(address, limits.within):
        yield Item(name, "json", row, source=label)


def _read_dataset(path: Path, label: str, limits: Limits) -> Iterator[Item]:
    for record in tensor_records(read_tensors(path)[0]):
        yield Item(record.id, "record", record, source=label)


_FILES: dict[str, Callable[[Path, str, Limits], Iterator[Item]]] = {
    "database": _read_database,
    "dataset": _read_dataset,
    "parquet": parquet_items,
}
_READERS: dict[str, Callable[[IO[bytes], str, str, Limits], Iterator[Item]]] = {
    "cif": _read_cif,
    "poscar": _read_poscar,
    "extxyz": _read_extxyz,
    "json": _read_json,
    "jsonl": _read_jsonl,
    "csv": _read_csv,
}


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
