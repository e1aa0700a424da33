"""Results on disk by the content that they were computed from.

One SQLite file: several programs may use it at once, a kill leaves it whole, and each value carries a
checksum. A file that is damaged all the same is set aside and begun anew: it holds nothing that cannot be
computed again.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np

from crystalsmith.errors import EvaluationError

_WAIT = 60.0
"""Seconds to wait for another program that is writing."""

_AT_ONCE = 500  # keys in one query; SQLite takes at least 999


def default_cache() -> Path:
    """Where the user's caches are: ``$XDG_CACHE_HOME``, else the system's usual place."""
    if root := os.environ.get("XDG_CACHE_HOME"):
        base = Path(root)
    elif sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path.home() / ".cache"
    return base / "crystalsmith" / "features.sqlite"


class Cache:
    """Vectors of float64 by key.

    Args:
        path: the file, made with its folder if missing; None keeps all in memory.

    Raises:
        EvaluationError: it cannot be written.

    Attributes:
        note: what had to be said of the file, such as that it was damaged; empty if nothing.
    """

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        self.path = None if path is None else Path(path)
        self.note = ""
        try:
            self._open()
        except sqlite3.OperationalError as error:
            raise EvaluationError(
                f"cannot use the cache {self.path} ({error}); name another with --cache or add --no-cache"
            ) from None
        except sqlite3.DatabaseError:
            self._begin_anew()
        except OSError as error:
            raise EvaluationError(
                f"cannot make the cache {self.path} ({error.strerror}); name another with --cache"
                " or add --no-cache"
            ) from None

    def _open(self) -> None:
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        name = ":memory:" if self.path is None else str(self.path)
        self.connection = sqlite3.connect(name, timeout=_WAIT, isolation_level=None)
        try:
            self.connection.execute(
                "CREATE TABLE IF NOT EXISTS vector (key BLOB PRIMARY KEY, crc INTEGER, data BLOB)"
                " WITHOUT ROWID"
            )
        except sqlite3.DatabaseError:
            self.connection.close()
            raise

    def _begin_anew(self) -> None:
        assert self.path is not None
        aside = self.path.with_name(f"{self.path.name}.damaged")
        self.connection.close()
        for suffix in ("-journal", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        os.replace(self.path, aside)
        self.note = f"the cache {self.path} was damaged; it is now {aside.name}, and a new one was begun"
        self._open()

    def get(self, keys: Sequence[bytes]) -> dict[bytes, np.ndarray]:
        """Vectors of the keys that are there and whole."""
        found: dict[bytes, np.ndarray] = {}
        try:
            for start in range(0, len(keys), _AT_ONCE):
                part = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(part))
                rows = self.connection.execute(
                    f"SELECT key, crc, data FROM vector WHERE key IN ({marks})", list(part)
                )
                for key, crc, data in rows:
                    if isinstance(data, bytes) and len(data) % 8 == 0 and zlib.crc32(data) == crc:
                        found[bytes(key)] = np.frombuffer(data, dtype="<f8")
        except sqlite3.OperationalError as error:
            self.note = f"the cache could not be read ({error})"
        except sqlite3.DatabaseError:
            self._begin_anew()
        return found

    def put(self, items: Iterable[tuple[bytes, np.ndarray]]) -> None:
        """Store vectors, all or none of them; what another program stored meanwhile is replaced."""
        rows = []
        for key, vector in items:
            data = np.asarray(vector, dtype="<f8").tobytes()
            rows.append((key, zlib.crc32(data), data))
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            self.connection.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?, ?)", rows)
            self.connection.execute("COMMIT")
        except sqlite3.OperationalError as error:  # full disk, locked for a minute: go on without
            self.note = f"the cache could not be written ({error})"
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.DatabaseError:
            self._begin_anew()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
