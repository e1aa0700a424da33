"""Databases of ASE on a PostgreSQL server, those of ``crystalsmith discover`` among them, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.crystal.io.database import selected
from crystalsmith.errors import DataError
from crystalsmith.runs.addresses import FORM, shown, split_address
from crystalsmith.runs.extras import EXTRAS, need

_SECONDS = 30
"""Limit for the connection, where the address gives none."""
_PAGE = 500
"""Rows that the server hands over at once."""

# Rows that are nobody's candidate have groups of their own.
_LAST = """
SELECT max(id) FROM systems WHERE natoms > 0 {chosen} GROUP BY key_value_pairs->>'run',
key_value_pairs->>'candidate', CASE WHEN key_value_pairs->>'candidate' IS NULL THEN id END
"""
_ROWS = """
SELECT id, key_value_pairs, numbers, positions, cell, pbc, energy,
CASE WHEN key_value_pairs->>'candidate' IS NOT NULL THEN data END
FROM systems WHERE id IN ({last}) {within} ORDER BY id
"""


def server_rows(address: str, within: frozenset[str] | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """As ``database_rows``, of a server; the rows are neither held there nor here all at once.

    Args:
        address: ``postgresql://user:password@host:port/database``, or that and ``@SELECTION``.
        within: elements; rows with others are passed over.

    Raises:
        DataError: it cannot be reached or read, there is no database of ASE, no selection, or the package
            that knows such servers is missing.
    """
    need("a database on a server", *EXTRAS["postgresql"], error=DataError)
    import psycopg2

    parts = split_address(address)
    if parts is None:
        raise DataError(f"this is no address of a database; give {FORM}")
    try:
        with closing(psycopg2.connect(parts[0], **_limit(parts[0]))) as connection:
            connection.set_session(readonly=True)
            yield from _rows(connection, *parts, within)
    except psycopg2.Error as error:
        reason = shown(" ".join(str(error).split())[:200]) or type(error).__name__
        raise DataError(f"cannot be read: {reason}") from None


def _limit(url: str) -> dict[str, int]:
    return {} if "connect_timeout" in url else {"connect_timeout": _SECONDS}


def _rows(
    connection: Any, url: str, selection: str, within: frozenset[str] | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT to_regclass('systems'), to_regclass('information')")
        if None in cursor.fetchone():
            raise DataError("it holds no tables of ASE; discover --database makes them")
    values: dict[str, Any] = {}
    if selection:
        values["chosen"] = list(_selected(url, selection))
    if within is not None:
        values["within"] = [NUMBERS[element] for element in within]
    last = _LAST.format(chosen="AND id = ANY(%(chosen)s)" if selection else "")
    query = _ROWS.format(last=last, within="" if within is None else "AND numbers <@ %(within)s")
    with connection.cursor("crystals") as cursor:  # one with a name stays on the server
        cursor.itersize = _PAGE
        cursor.execute(query, values)
        for number, pairs, numbers, positions, cell, pbc, energy, data in cursor:
            row = {"numbers": numbers, "positions": positions, "cell": cell, "energy": energy}
            row["pbc"] = [bool(pbc & bit) for bit in (1, 2, 4)]
            yield f"row {number}", {**(pairs or {}), **row, **({"data": data} if data else {})}


def _selected(url: str, selection: str) -> set[int]:
    from ase_db_backends.postgresql import PostgreSQLDatabase

    return selected(PostgreSQLDatabase(url), selection)
