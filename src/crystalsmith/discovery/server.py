"""ASE's database on a PostgreSQL server that several runs write to at the same time."""

from __future__ import annotations

from typing import Any

_LOCK = 0x43525953
"""Of the tables while they are made; any number that others do not use."""


def open_server(url: str) -> Any:
    """A database as ``ase.db.connect`` gives it, mended where that is not made for several writers.

    Args:
        url: ``postgresql://user:password@host:port/database``.

    Raises:
        ImportError: the package that knows such servers is missing.
    """
    import psycopg2
    from ase_db_backends.postgresql import Connection, PostgreSQLDatabase

    class Session(Connection):
        """Lacks this there, so that the error behind a failed block would be lost."""

        def rollback(self) -> None:
            self.con.rollback()

    class Shared(PostgreSQLDatabase):
        def _connect(self) -> Session:
            return Session(psycopg2.connect(self.filename))

        def get_last_id(self, cur: Any) -> int:
            # There the last number that anybody was given is taken, which may be another run's.
            cur.execute("SELECT currval('systems_id_seq')")
            return int(cur.fetchone()[0])

        def _initialize(self, con: Any) -> None:
            if self.initialized:
                return
            # Two that find no tables would both make them.
            con.cursor().execute(f"SELECT pg_advisory_lock({_LOCK})")
            super()._initialize(con)
            con.cursor().execute(f"SELECT pg_advisory_unlock({_LOCK})")

    return Shared(url)
