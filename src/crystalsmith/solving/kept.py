"""What was found for trials of a run, by their keys, on disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from crystalsmith.runs.folder import Journal

T = TypeVar("T")


class Kept(Generic[T]):
    """A journal of one kind of finding.

    Args:
        path: the journal; it need not exist.
        name: of the finding in its rows.
        read: makes a finding of plain data.
        write: the inverse.

    Attributes:
        found: findings by key.

    Raises:
        OutputError: a damaged line, or the file cannot be read.
    """

    def __init__(
        self, path: Path, name: str, read: Callable[[Any], T], write: Callable[[T], Any] = lambda found: found
    ) -> None:
        self.found: dict[str, T] = {}
        self._name, self._read, self._write = name, read, write
        self._journal = Journal(path).read(self._take)

    def _take(self, row: Any, place: int) -> None:
        self.found[str(row["key"])] = self._read(row[self._name])

    def append(self, found: Mapping[str, T]) -> None:
        """Add findings; when this returns, they are on the disk.

        What is at hand is what the disk would give, so that a run that goes on ends as one that was not
        stopped.

        Raises:
            OutputError: they could not be written.
        """
        plain = {key: self._write(value) for key, value in found.items()}
        self._journal.append({"key": key, self._name: value} for key, value in plain.items())
        self.found |= {key: self._read(value) for key, value in plain.items()}
