"""Crystals in Parquet: one file, or a folder of shards, of columns that are documented and lose nothing.

A crystal is its ``space_group``, ``cell``, ``wyckoff`` and ``free``; the others are there to search by.
A shard is written beside its place and moved there, so that a folder holds whole shards at any moment.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from crystalsmith import __version__
from crystalsmith.crystal.crystal import Crystal, Site
from crystalsmith.crystal.io.json_kinds import is_structure
from crystalsmith.crystal.io.limits import Limits, size
from crystalsmith.crystal.io.records import Item, Record
from crystalsmith.crystal.io.rows import Row
from crystalsmith.errors import CrystalsmithError, DataError, OutputError
from crystalsmith.runs.atomic import TEMPORARY, replacing, writing
from crystalsmith.runs.extras import need
from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
"""Of the columns; newer ones are refused."""

GROUP, SHARD = 5_000, 50_000
"""Rows that are held in memory before they are written, and rows of a file."""

FOLDER = "crystals.parquet"
"""Of the shards of a run."""

_MARK = b"crystalsmith"
_PART = re.compile(r"part-(\d{5,})\.parquet")
_NEW = ".new"
"""Suffix of whole shards that wait until all of them are there to take the place of others."""
TEMPORARY_OR_PART = re.compile(rf"{_PART.pattern}({re.escape(_NEW)})?({re.escape(TEMPORARY)})?$")
"""Names in a folder of shards."""
_BATCH = 500
"""Rows that are read at once."""


def need_parquet(error: type[Exception] = OutputError) -> None:
    """Refuse to begin without pyarrow.

    Raises:
        OutputError: or ``error``; says how to install it.
    """
    need("Parquet", "pyarrow", error=error)


def schema(more: Mapping[str, str] | None = None) -> pa.Schema:
    """The columns, of which ``more`` are further ones with the names of their Arrow types."""
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    columns = {
        "id": text,
        "index": pa.int32(),
        "formula": text,
        "elements": pa.list_(text),
        "n_atoms": pa.int32(),
        "space_group": pa.int16(),
        "cell": pa.list_(number),
        "wyckoff": text,
        "free": pa.list_(number),
        "energy_per_atom": number,
        "energy_above_hull": number,
        "failure": text,
        **{name: pa.type_for_alias(kind) for name, kind in (more or {}).items()},
    }
    told = json.dumps({"format": FORMAT, "version": __version__})
    return pa.schema(columns.items(), metadata={_MARK: told.encode()})


def _values(row: Row) -> dict[str, Any]:
    crystal = row.crystal
    values: dict[str, Any] = {
        "id": row.id,
        "index": None if row.index < 0 else row.index,
        "energy_per_atom": row.energy,
        "energy_above_hull": row.above_hull,
        "failure": row.failure or None,
        **row.more,
    }
    values = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in values.items()}
    if crystal is not None:
        counts = crystal.counts
        values |= {
            "formula": crystal.formula,
            "elements": sorted(counts),
            "n_atoms": sum(counts.values()),
            "space_group": crystal.space_group,
            "cell": crystal.cell,
            "wyckoff": crystal.wyckoff,
            "free": [x for site in crystal.sites for x in site.free],
        }
    return values


class ParquetShards:
    """A folder of shards that is being written; use it as a context manager.

    The rows of whole shards that an earlier process left, ``done``, are not to be given again. An unfinished
    shard is dropped where the block ends with an error, and shards beyond the last are removed where it ends
    well.

    Args:
        folder: made if missing; other files in it stay.
        more: further columns with the names of their Arrow types.
        rows: of a shard.
        anew: begin with the first row whatever stands there, and leave that alone until the block ends well.

    Raises:
        OutputError: pyarrow is missing, or the folder cannot be written.
    """

    def __init__(
        self, folder: Path, more: Mapping[str, str] | None = None, *, rows: int = SHARD, anew: bool = False
    ) -> None:
        need_parquet()
        self.folder, self._rows, self._ending = folder, rows, _NEW if anew else ""
        self._schema = schema(more)
        self._made = not folder.exists()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            self._drop_unfinished()
        self._part = 0 if anew else self._whole_shards()
        self.done = self._part * rows
        self._waiting: list[dict[str, Any]] = []
        self._open: _Open | None = None

    def _whole_shards(self) -> int:
        """Shards from the first on that hold as many rows as they can, of these columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        own, number = (self._schema.names, self._schema.metadata), 0
        while (path := self._path(number)).exists():
            try:
                with pq.ParquetFile(path) as file:
                    found, rows = file.schema_arrow, file.metadata.num_rows
                    whole = (rows, found.names, found.metadata) == (self._rows, *own)
            except (OSError, pa.ArrowException):
                break
            if not whole:
                break
            number += 1
        return number

    def _path(self, number: int) -> Path:
        return self.folder / f"part-{number:05d}.parquet{self._ending}"

    def _drop_unfinished(self) -> None:
        for ending in (TEMPORARY, _NEW, _NEW + TEMPORARY):
            for stale in self.folder.glob(f"part-*.parquet{ending}"):
                stale.unlink()

    def __enter__(self) -> ParquetShards:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._close(empty=not self._part)
            self._put_in_place()
            self._drop_beyond()
            return
        if self._open is not None:
            self._open.drop()
        if self._ending:
            self._drop_unfinished()
        if self._made:
            with suppress(OSError):  # it holds whole shards, or something of others'
                self.folder.rmdir()

    def add(self, row: Row) -> None:
        """Add a row behind all others.

        Raises:
            OutputError: it cannot be written.
        """
        self._waiting.append(_values(row))
        held = 0 if self._open is None else self._open.rows
        if held + len(self._waiting) == self._rows:
            self._close()
        elif len(self._waiting) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        with writing(self._path(self._part)):
            if self._open is None:
                self._open = _Open(self._path(self._part), self._schema)
            self._open.write(self._waiting)
        self._waiting = []

    def _close(self, *, empty: bool = False) -> None:
        """Finish the shard at hand, if any."""
        if self._waiting or empty:
            self._flush()
        if self._open is not None:
            with writing(self._path(self._part)):
                self._open.finish()
            self._open, self._part = None, self._part + 1

    def _put_in_place(self) -> None:
        with writing(self.folder):
            for number in range(self._part if self._ending else 0):
                new = self._path(number)
                new.replace(new.with_suffix(""))

    def _drop_beyond(self) -> None:
        with writing(self.folder):
            for file in self.folder.iterdir():
                if (found := _PART.fullmatch(file.name)) and int(found[1]) >= self._part:
                    file.unlink()


class _Open:
    """A shard that is not finished."""

    def __init__(self, path: Path, columns: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self.rows, self._columns = 0, columns
        self._place = replacing(path, durable=True)
        self._writer = pq.ParquetWriter(self._place.__enter__(), columns, compression="zstd")

    def write(self, rows: list[dict[str, Any]]) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_pylist(rows, schema=self._columns))
        self.rows += len(rows)

    def finish(self) -> None:
        self._writer.close()
        self._place.__exit__(None, None, None)

    def drop(self) -> None:
        self._writer.close()
        error = InterruptedError()
        try:
            self._place.__exit__(InterruptedError, error, None)
        except InterruptedError:
            pass


def write_shards(folder: Path, rows: Iterable[Row], more: Mapping[str, str]) -> None:
    """Write all rows of a run into its ``FOLDER``; what stood there is replaced at the end.

    Args:
        folder: of the run.
        rows: in their order.
        more: further columns with the names of their Arrow types.

    Raises:
        OutputError: pyarrow is missing, or they cannot be written.
    """
    with ParquetShards(folder / FOLDER, more, anew=True) as shards:
        for row in rows:
            shards.add(row)


def write_parquet(path: Path, rows: Iterable[Row], more: Mapping[str, str] | None = None) -> int:
    """Write one file, whole or not at all; rows written.

    Raises:
        OutputError: pyarrow is missing, or the file cannot be written.
    """
    need_parquet()
    with writing(path):
        file, waiting, count = _Open(path, schema(more)), [], 0
        try:
            for row in rows:
                waiting.append(_values(row))
                count += 1
                if len(waiting) >= GROUP:
                    file.write(waiting)
                    waiting = []
            file.write(waiting)
        except BaseException:
            file.drop()
            raise
        file.finish()
    return count


def is_parquet(head: bytes) -> bool:
    """Whether a file that begins so is one of Parquet."""
    return head.startswith(b"PAR1")


def parquet_items(file: Path | IO[bytes], label: str, limits: Limits) -> Iterator[Item]:
    """The rows of a file, ours or others', a batch at a time.

    Raises:
        DataError: pyarrow is missing, the file is damaged, too large or of a newer version, or none of its
            columns holds structures.
    """
    need_parquet(DataError)
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            _check_size(opened.metadata, limits)
            told = (opened.schema_arrow.metadata or {}).get(_MARK)
            batches = opened.iter_batches(batch_size=_BATCH)
            found = _foreign(batches, opened.schema_arrow) if told is None else _own(batches, told, limits)
            for item in found:
                yield item._replace(source=label)
    except pa.ArrowException as error:
        raise DataError(f"cannot be read, it may be damaged: {' '.join(str(error).split())[:120]}") from None


def _check_size(metadata: Any, limits: Limits) -> None:
    """Row groups are unpacked as a whole."""
    for k in range(metadata.num_row_groups):
        if metadata.row_group(k).total_byte_size > limits.document:
            raise DataError(f"too large: a row group unpacks to more than {size(limits.document)}")


def _own(batches: Iterable[pa.RecordBatch], told: bytes, limits: Limits) -> Iterator[Item]:
    if (number := json.loads(told)["format"]) > FORMAT:
        raise DataError(f"its columns are of format {number}, of a newer version; this one reads {FORMAT}")
    for batch in batches:
        if limits.within is not None:
            batch = batch.filter(_within(batch.column("elements"), limits.within))
        columns = [batch.column(name).to_pylist() for name in _READ]
        for values in zip(*columns, strict=True):
            record = _record(*values)
            yield Item(record.id, "record", record)


_READ = (
    *("id", "index", "space_group", "cell", "wyckoff", "free"),
    *("energy_per_atom", "energy_above_hull", "failure"),
)


def _within(elements: pa.ListArray, wanted: frozenset[str]) -> Any:
    """Which rows hold no other elements; those without a crystal are left out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    flat = elements.flatten()
    strange = ~pc.is_in(flat, value_set=pa.array(sorted(wanted), flat.type)).to_numpy(zero_copy_only=False)
    ends = np.cumsum(pc.fill_null(pc.list_value_length(elements), 0).to_numpy(zero_copy_only=False))
    before = np.concatenate([[0], np.cumsum(strange)])
    starts = np.concatenate([[0], ends[:-1]]).astype(int)
    inside = (before[ends.astype(int)] == before[starts]) & (ends > starts)
    return pa.array(inside)


def _record(
    name: str,
    index: int | None,
    group: int | None,
    cell: list[float] | None,
    wyckoff: str | None,
    free: list[float] | None,
    energy: float | None,
    above_hull: float | None,
    failure: str | None,
) -> Record:
    facts: dict[str, Any] = {"index": -1 if index is None else index}
    if group is None or cell is None or wyckoff is None or free is None:
        return Record.failed(name, failure or "unreadable: the row has no crystal", **facts)
    facts["energy"] = math.nan if energy is None else energy
    facts["e_above_hull"] = math.nan if above_hull is None else above_hull
    try:
        crystal = compact_crystal(group, cell, wyckoff, free)
    except (CrystalsmithError, ValueError) as error:
        return Record.failed(name, f"unreadable: {' '.join(str(error).split())}", **facts)
    return Record.of_crystal(name, crystal, space_group=group, **facts)


def compact_crystal(group: int, cell: Iterable[float], wyckoff: str, free: list[float]) -> Crystal:
    """A crystal from its compact form.

    Args:
        group: space group.
        cell: a, b, c (Angstrom), alpha, beta, gamma (degrees).
        wyckoff: element and letter of each site, such as ``Na:a Cl:b``.
        free: the free parameters of all sites, one after the other.

    Raises:
        CrystalsmithError, ValueError: there is no such crystal.
    """
    positions = space_group(group, letters=True)
    sites, at = [], 0
    for word in wyckoff.split():
        element, letter = word.split(":")
        end = at + positions.position(letter).dof
        sites.append(Site(element, letter, tuple(free[at:end])))
        at = end
    if at != len(free):
        raise ValueError(f"{len(free)} free parameters where {wyckoff} has {at}")
    return Crystal(group, tuple(cell), tuple(sites))


def _foreign(batches: Iterable[pa.RecordBatch], columns: pa.Schema) -> Iterator[Item]:
    """Rows of another program's columns, as objects of JSON."""
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            number += 1
            row = {key: value for key, value in row.items() if value is not None}
            if number == 1 and not is_structure(row):
                named = ", ".join(name[:30] for name in columns.names[:12])
                raise DataError(
                    f"the table has the columns {named}; none holds structures: name it cif, structure,"
                    " cif_string or poscar"
                )
            yield Item(f"row {number}", "json", row)
