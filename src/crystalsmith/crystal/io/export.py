"""Crystals of any source into one file or a folder of shards, one after the other, however many there are."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.io.optimade import optimade_lines
from crystalsmith.crystal.io.parquet import TEMPORARY_OR_PART, ParquetShards, need_parquet, write_parquet
from crystalsmith.crystal.io.read import read_records
from crystalsmith.crystal.io.rows import Row
from crystalsmith.crystal.io.write import as_text, extxyz_frame
from crystalsmith.errors import OutputError
from crystalsmith.runs.atomic import write_whole, writing
from crystalsmith.runs.csv_text import csv_lines

OPTIMADE, PARQUET = ".optimade.jsonl", ".parquet"


@dataclass
class Exported:
    """What came of it.

    Attributes:
        path: the file or folder.
        crystals: that were written.
        failed: members of the sources that are no crystals; Parquet keeps them with their reasons.
        reasons: of the first of them.
    """

    path: Path
    crystals: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{self.crystals} crystals written to {self.path}"]
        if self.failed:
            lines.append(f"{self.failed} could not be read, such as {'; '.join(self.reasons)}")
        return "\n".join(lines)


def export(sources: Iterable[Any], path: str | Path, *, cif: bool = False) -> Exported:
    """Write crystals as they are read; what stood there is replaced.

    Args:
        sources: each as ``read_records`` takes it.
        path: ending in .parquet, .optimade.jsonl, .jsonl, .csv, .cif, .extxyz or .xyz; without an ending, a
            folder of shards of Parquet.
        cif: Parquet has a column of CIFs as well, for other programs.

    Raises:
        DataError: a source that cannot be read.
        OutputError: another ending, no pyarrow, or it cannot be written.
    """
    path = Path(path)
    if path.name == "-":
        raise OutputError("crystals are not written to standard output; name a file")
    kind = OPTIMADE if path.name.lower().endswith(OPTIMADE) else path.suffix.lower()
    if kind not in (OPTIMADE, PARQUET, "", *_WRITERS):
        known = ", ".join((PARQUET, OPTIMADE, *_WRITERS))
        raise OutputError(f"cannot write {path}: its name must end in {known}, or in nothing for a folder")
    done = Exported(path)
    rows = _counted(sources, done)
    if kind in (PARQUET, ""):
        _parquet(path, rows, kind, cif)
        return done
    rows = (row for row in rows if row.crystal is not None)
    if kind == OPTIMADE:
        lines = optimade_lines(rows, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    else:
        lines = _WRITERS[kind](rows)
    with writing(path):
        write_whole(path, lines)
    return done


def _counted(sources: Iterable[Any], done: Exported) -> Iterator[Row]:
    for record in chain.from_iterable(map(read_records, sources)):
        row = Row.of_record(record)
        if row.crystal is None:
            done.failed += 1
            if len(done.reasons) < 3:
                done.reasons.append(f"{row.id}: {row.failure}")
        else:
            done.crystals += 1
        yield row


def _parquet(path: Path, rows: Iterator[Row], kind: str, cif: bool) -> None:
    need_parquet()
    more = {"cif": "string"} if cif else {}
    if cif:
        rows = (
            row if row.crystal is None else replace(row, more={"cif": row.crystal.to_cif()}) for row in rows
        )
    if kind:
        write_parquet(path, rows, more)
        return
    with writing(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file; name it with an ending, or a folder")
        others = (
            [p.name for p in path.iterdir() if not TEMPORARY_OR_PART.match(p.name)] if path.exists() else []
        )
    if others:
        raise OutputError(f"folder {path} holds other files, such as {min(others)}; choose another one")
    with ParquetShards(path, more, anew=True) as shards:
        for row in rows:
            shards.add(row)


def _name(row: Row) -> str:
    return row.id if row.index < 0 else f"{row.id}_{row.index}"


def _crystal(row: Row) -> Crystal:
    assert row.crystal is not None
    return row.crystal


def _cif(rows: Iterable[Row]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield ("\n" if number else "") + as_text(".cif", {_name(row): _crystal(row)})


def _extxyz(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        info = {"id": row.id, "index": None if row.index < 0 else row.index}
        yield extxyz_frame(_crystal(row), {**info, "energy_above_hull": row.above_hull}, row.energy)


def _facts(row: Row) -> dict[str, Any]:
    facts = {
        "id": row.id,
        "index": None if row.index < 0 else row.index,
        "energy_per_atom": row.energy,
        "energy_above_hull": row.above_hull,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _jsonl(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        yield json.dumps({**_facts(row), "crystal": _crystal(row).to_dict()}) + "\n"


_COLUMNS = ("id", "index", "formula", "space_group", "energy_per_atom", "energy_above_hull", "cif")


def _csv(rows: Iterable[Row]) -> Iterator[str]:
    return csv_lines(map(_csv_row, rows), _COLUMNS)


def _csv_row(row: Row) -> dict[str, Any]:
    crystal = _crystal(row)
    own = {"formula": crystal.formula, "space_group": crystal.space_group, "cif": crystal.to_cif()}
    return {**_facts(row), **own}


_WRITERS: dict[str, Callable[[Iterable[Row]], Iterator[str]]] = {
    ".cif": _cif,
    ".extxyz": _extxyz,
    ".xyz": _extxyz,
    ".jsonl": _jsonl,
    ".csv": _csv,
}
