"""The journal of a run: one line of JSON for every try, appended as the tries come.

What stands in it survives a killed process or machine; a last line that was cut off is dropped when the
journal is opened again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.errors import CrystalsmithError, OutputError
from crystalsmith.generation.tries import Generated, Key
from crystalsmith.runs.journal import append_journal, read_journal

if TYPE_CHECKING:
    from crystalsmith.ranking import Score


@dataclass(frozen=True)
class Entry:
    """A sound crystal of the journal, or one that was given up."""

    order_id: str
    index: int
    tries: int
    seed: int
    crystal: Crystal | None
    failure: str | None
    log_prior: float | None = None
    score: Score | None = None

    @property
    def name(self) -> str:
        """Stem of its file."""
        return f"{self.order_id}_{self.index}"


@dataclass
class Journal:
    """Tries of a run on disk.

    Attributes:
        path: the file.
        failures: why each try failed, None for a sound crystal.
        last: number and place in the file of the last try of each crystal, by (order id, index).
    """

    path: Path
    failures: dict[Key, str | None] = field(default_factory=dict)
    last: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path, *, mend: bool = True) -> Journal:
        """Read what is there.

        Args:
            path: the file; it need not exist.
            mend: remove a last line that was cut off from the file too; else it is only ignored.

        Raises:
            OutputError: a line that is not of a journal.
            OSError: the file cannot be read or shortened.
        """
        journal = cls(path)

        def take(data: Any, place: int) -> None:
            key = str(data["order"]), int(data["index"]), int(data["try"])
            failure, final = data["failure"], data["final"]
            journal.failures[key] = failure
            if final:
                journal.last[key[:2]] = key[2], place

        read_journal(path, take, mend=mend)
        return journal

    @property
    def given_up(self) -> dict[tuple[str, int], tuple[int, str]]:
        """Crystals that no try made: tries and the last one's failure, by (order id, index)."""
        ends = ((key, tries, self.failures[*key, tries]) for key, (tries, _) in self.last.items())
        return {key: (tries, failure) for key, tries, failure in ends if failure is not None}

    def append(self, records: Sequence[Generated]) -> None:
        """Add tries; when this returns, they are on the disk.

        Raises:
            OSError: they could not be written.
        """
        places = append_journal(self.path, map(_line, records))
        for record, place in zip(records, places, strict=True):
            self.failures[record.key] = record.failure
            if record.final:
                self.last[record.key[:2]] = record.tries, place

    def read(self, keys: Sequence[tuple[str, int]]) -> Iterator[Entry]:
        """The last tries of these crystals, in this order.

        Raises:
            OutputError: a line that does not hold a crystal.
            OSError: the file cannot be read.
        """
        if not keys:
            return
        with self.path.open("rb") as f:
            for key in keys:
                f.seek(self.last[key][1])
                try:
                    data = json.loads(f.readline())
                    crystal = None if data["crystal"] is None else Crystal.from_dict(data["crystal"])
                    yield Entry(
                        data["order"],
                        data["index"],
                        data["try"],
                        data["seed"],
                        crystal,
                        data["failure"],
                        data.get("log_prior"),
                    )
                except (ValueError, KeyError, TypeError, CrystalsmithError):
                    raise OutputError(
                        f"{self.path}: the line of {key[0]} {key[1]} is damaged; begin anew with --overwrite"
                    ) from None


def _line(record: Generated) -> dict[str, Any]:
    return {
        "order": record.order_id,
        "index": record.index,
        "try": record.tries,
        "seed": record.seed,
        "wyckoff": [list(site) for site in record.request.sites],
        "crystal": None if record.crystal is None else record.crystal.to_dict(),
        "failure": record.failure,
        "final": record.final,
    } | ({} if record.log_prior is None else {"log_prior": record.log_prior})
