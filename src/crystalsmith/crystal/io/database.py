"""Databases of ASE, those of ``crystalsmith discover`` among them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.errors import DataError


def database_rows(path: Path, selection: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and JSON object of each row that has atoms, by its number.

    Of several rows of one candidate of ``discover``, which tell its way, the last one counts.

    Args:
        path: of the file, which is not written.
        selection: as ``ase db`` takes it, such as ``stage=free,above_hull<0.05``.

    Raises:
        DataError: no database of ASE, or no selection.
        sqlite3.Error: damaged.
    """
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as base:
        tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
        if "systems" not in tables:
            raise DataError("it is an SQLite database, and none of ASE")
        wanted = _selected(path, selection) if selection else None
        keys: dict[int, dict[str, Any]] = {}
        last: dict[tuple[str, str], int] = {}
        for number, text in base.execute(
            "SELECT id, key_value_pairs FROM systems WHERE natoms > 0 ORDER BY id"
        ):
            if wanted is None or number in wanted:
                keys[number] = dict(json.loads(text or "{}"))
                if "candidate" in keys[number]:
                    last[str(keys[number].get("run")), str(keys[number]["candidate"])] = number
        for number, pairs in keys.items():
            if "candidate" not in pairs or number in last.values():
                yield f"row {number}", {**pairs, **_row(base, number, "candidate" in pairs)}


def _selected(path: Path, selection: str) -> set[int]:
    from ase.db import connect

    try:
        return {row.id for row in connect(path, type="db", use_lock_file=False).select(selection)}
    except Exception as error:  # ASE's own classes and bare ones
        raise DataError(f"cannot select {selection!r}: {' '.join(str(error).split())[:120]}") from None


def _row(base: sqlite3.Connection, number: int, ours: bool) -> dict[str, Any]:
    """Atoms of a row as an object of ASE's JSON; numbers are little-endian whatever the machine."""
    columns = "numbers, positions, cell, pbc, energy, data"
    found = base.execute(f"SELECT {columns} FROM systems WHERE id = ?", (number,)).fetchone()
    numbers, positions, cell, pbc, energy, data = found
    row = {
        "numbers": np.frombuffer(numbers, "<i4").tolist(),
        "positions": np.frombuffer(positions, "<f8").tolist(),
        "cell": np.frombuffer(cell, "<f8").reshape(3, 3).tolist(),
        "pbc": [bool(pbc & bit) for bit in (1, 2, 4)],
        "energy": energy,
    }
    if ours and data:
        from ase.db.sqlite import bytes_to_object

        row["data"] = json.loads(data) if isinstance(data, str) else bytes_to_object(data)
    return row
