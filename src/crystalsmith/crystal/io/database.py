"""Databases of ASE, those of ``crystalsmith discover`` among them: files of SQLite.

They are read some rows at a time, each time in a transaction of its own, so that a run may write meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.errors import DataError

_PAGE = 500
"""Rows that are read at once."""


def database_rows(
    path: Path, selection: str = "", within: frozenset[str] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and JSON object of each row that has atoms, by its number.

    Of several rows of one candidate of ``discover``, which tell its way, the last one counts.

    Args:
        path: of the file, which is not written.
        selection: as ``ase db`` takes it, such as ``stage=free,above_hull<0.05``.
        within: elements; rows with others are passed over.

    Raises:
        DataError: no database of ASE, or no selection.
        sqlite3.Error: damaged.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
        tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
        if "systems" not in tables:
            raise DataError("it is an SQLite database, and none of ASE")
        wanted = _selected(path, selection) if selection else None
        passed = _earlier_states(base, wanted)
        allowed = None if within is None else [NUMBERS[element] for element in within]
        columns = "key_value_pairs, numbers, positions, cell, pbc, energy, data"
        for number, text, numbers, *values in _pages(base, columns):
            if number in passed or (wanted is not None and number not in wanted):
                continue
            kinds = np.frombuffer(numbers, "<i4")
            if allowed is None or np.isin(kinds, allowed).all():
                pairs = dict(json.loads(text or "{}"))
                yield f"row {number}", {**pairs, **_row("candidate" in pairs, kinds, *values)}


def _pages(base: sqlite3.Connection, columns: str) -> Iterator[tuple[Any, ...]]:
    """Rows with atoms, in the order of their ids, which come first."""
    query = f"SELECT id, {columns} FROM systems WHERE natoms > 0 AND id > ? ORDER BY id LIMIT {_PAGE}"
    last = -1
    while rows := base.execute(query, (last,)).fetchall():
        last = rows[-1][0]
        yield from rows


def _earlier_states(base: sqlite3.Connection, wanted: set[int] | None) -> set[int]:
    """Rows of candidates that have a later one."""
    last: dict[str, int] = {}
    earlier = set()
    for number, text in _pages(base, "key_value_pairs"):
        pairs = json.loads(text or "{}")
        if "candidate" in pairs and (wanted is None or number in wanted):
            name = f"{pairs.get('run')} {pairs['candidate']}"
            if name in last:
                earlier.add(last[name])
            last[name] = number
    return earlier


def _selected(path: Path, selection: str) -> set[int]:
    from ase.db import connect

    return selected(connect(path, type="db", use_lock_file=False), selection)


def selected(base: Any, selection: str) -> set[int]:
    """Ids of the rows that a database of ASE selects.

    Raises:
        DataError: no selection.
    """
    try:
        return {row.id for row in base.select(selection, columns=["id"], include_data=False)}
    except Exception as error:  # ASE's own classes and bare ones
        raise DataError(f"cannot select {selection!r}: {' '.join(str(error).split())[:120]}") from None


def _row(
    ours: bool, numbers: np.ndarray, positions: bytes, cell: bytes, pbc: int, energy: float | None, data: Any
) -> dict[str, Any]:
    """Atoms of a row as an object of ASE's JSON; numbers are little-endian whatever the machine."""
    row = {
        "numbers": numbers.tolist(),
        "positions": np.frombuffer(positions, "<f8").tolist(),
        "cell": np.frombuffer(cell, "<f8").reshape(3, 3).tolist(),
        "pbc": [bool(pbc & bit) for bit in (1, 2, 4)],
        "energy": energy,
    }
    if ours and data:
        from ase.db.sqlite import bytes_to_object

        row["data"] = json.loads(data) if isinstance(data, str) else bytes_to_object(data)
    return row
