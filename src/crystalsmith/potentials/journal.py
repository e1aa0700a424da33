"""The journal of a run of relaxations: one line of JSON for each crystal, appended as they come."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crystalsmith.potentials.stages import Outcome
from crystalsmith.runs.atomic import writing
from crystalsmith.runs.journal import append_journal, read_journal
from crystalsmith.runs.pool import Failed


@dataclass(frozen=True)
class Entry:
    """One crystal that was dealt with.

    Attributes:
        name: its name.
        outcome: what came of it, or why nothing did.
        seconds: that it took.
    """

    name: str
    outcome: Outcome | Failed
    seconds: float

    @property
    def reason(self) -> str:
        """Why it ended."""
        return self.outcome.reason

    def to_json(self) -> dict[str, Any]:
        """All of it in plain JSON types."""
        if isinstance(self.outcome, Failed):
            return {"name": self.name, "seconds": self.seconds, "failure": self.outcome.reason}
        return {"name": self.name, "seconds": self.seconds, "outcome": self.outcome.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Entry:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: it is not of an entry.
        """
        failed = "failure" in data
        outcome = Failed(str(data["failure"])) if failed else Outcome.from_json(data["outcome"])
        return cls(str(data["name"]), outcome, float(data["seconds"]))


@dataclass
class Journal:
    """Entries on disk.

    Attributes:
        path: the file.
        entries: what stands in it, by name.
    """

    path: Path
    entries: dict[str, Entry] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Read what is there; a last line that was cut off is removed.

        Raises:
            OutputError: a damaged line, or a file that cannot be read or shortened.
        """
        journal = cls(path)

        def take(data: Any, place: int) -> None:
            entry = Entry.from_json(data)
            journal.entries[entry.name] = entry

        with writing(path):
            read_journal(path, take)
        return journal

    def append(self, entries: Iterable[Entry]) -> None:
        """Add entries; when this returns, they are on the disk.

        Raises:
            OutputError: they could not be written.
        """
        entries = list(entries)
        with writing(self.path):
            append_journal(self.path, [entry.to_json() for entry in entries])
        self.entries.update({entry.name: entry for entry in entries})
