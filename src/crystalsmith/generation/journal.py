"""The journals of a run: a line for every try, and one for every crystal whose drafts were judged.

What stands in them survives a killed process or machine; a last line that was cut off is dropped when they
are opened again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.errors import CrystalsmithError, OutputError
from crystalsmith.generation.choice import Choice
from crystalsmith.generation.origin import NETWORK, Origin
from crystalsmith.generation.tries import Generated, Key
from crystalsmith.runs.folder import Journal

if TYPE_CHECKING:
    from crystalsmith.ranking import Score

Place = tuple[str, int]
"""Order id and index within the order from 0; of a draft where several are made of each crystal."""


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
    origin: Origin = NETWORK
    p_right: float | None = None

    @property
    def kind(self) -> str:
        """How it came about, one of ``assignments.KINDS``."""
        return self.origin.kind

    @property
    def weight(self) -> float | None:
        """Similarity of its start's elements to its own; None without a start."""
        return self.origin.weight

    @property
    def members(self) -> int | None:
        """Known crystals that its start stands for; None without a start."""
        return self.origin.members

    @property
    def name(self) -> str:
        """Of the crystal, whatever its rank."""
        return f"{self.order_id}_{self.index}"


class Tries:
    """Tries of a run on disk.

    Args:
        path: the file; it need not exist.
        mend: remove a last line that was cut off from the file too; else it is only ignored.

    Attributes:
        failures: why each try failed, None for a sound crystal.
        last: number and place in the file of the last try of each crystal.

    Raises:
        OutputError: a line that is not of a journal, or the file cannot be read or shortened.
    """

    def __init__(self, path: Path, *, mend: bool = True) -> None:
        self.failures: dict[Key, str | None] = {}
        self.last: dict[Place, tuple[int, int]] = {}
        self._journal = Journal(path).read(self._take, mend=mend)

    def _take(self, data: Any, place: int) -> None:
        key = str(data["order"]), int(data["index"]), int(data["try"])
        failure, final = data["failure"], data["final"]
        self.failures[key] = failure
        if final:
            self.last[key[:2]] = key[2], place

    @property
    def given_up(self) -> dict[Place, tuple[int, str]]:
        """Crystals that no try made: tries and the last one's failure."""
        ends = ((key, tries, self.failures[*key, tries]) for key, (tries, _) in self.last.items())
        return {key: (tries, failure) for key, tries, failure in ends if failure is not None}

    def append(self, records: Sequence[Generated]) -> None:
        """Add tries; when this returns, they are on the disk.

        Raises:
            OutputError: they could not be written.
        """
        places = self._journal.append(map(_line, records))
        for record, place in zip(records, places, strict=True):
            self.failures[record.key] = record.failure
            if record.final:
                self.last[record.key[:2]] = record.tries, place

    def entries(self, places: Sequence[Place]) -> Iterator[Entry]:
        """The last tries of these crystals, in this order.

        Raises:
            OutputError: a line that does not hold a crystal, or the file cannot be read.
        """
        if not places:
            return
        for place, data in zip(places, self._journal.at(self.last[p][1] for p in places), strict=True):
            try:
                crystal = None if data["crystal"] is None else Crystal.from_dict(data["crystal"])
                yield Entry(
                    data["order"],
                    data["index"],
                    data["try"],
                    data["seed"],
                    crystal,
                    data["failure"],
                    data.get("log_prior"),
                    origin=Origin.from_dict(data.get("origin")),
                )
            except (ValueError, KeyError, TypeError, CrystalsmithError):
                raise OutputError(
                    f"{self._journal.path}: the line of {place[0]} {place[1]} is damaged; begin anew with"
                    " --overwrite"
                ) from None


def _line(record: Generated) -> dict[str, Any]:
    line = {
        "order": record.order_id,
        "index": record.index,
        "try": record.tries,
        "seed": record.seed,
        "wyckoff": [list(site) for site in record.request.sites],
        "crystal": None if record.crystal is None else record.crystal.to_dict(),
        "failure": record.failure,
        "final": record.final,
    }
    if record.log_prior is not None:
        line["log_prior"] = record.log_prior
    if record.request.start is not None:
        line["origin"] = record.origin.to_dict()
    return line


class Choices:
    """What judges have decided, on disk.

    Args:
        path, mend: as of ``Tries``, with the same errors.

    Attributes:
        best: draft that was chosen and its score (None where all drafts were given up), by crystal.
    """

    def __init__(self, path: Path, *, mend: bool = True) -> None:
        self.best: dict[Place, tuple[int, Score | None]] = {}
        self._journal = Journal(path).read(self._take, mend=mend)

    def _take(self, data: Any, place: int) -> None:
        from crystalsmith.ranking import Score

        draft = int(data["draft"])
        score = data["scores"][draft]
        best = None if score is None else Score.from_dict(score)
        self.best[str(data["order"]), int(data["index"])] = draft, best

    def append(self, choices: Iterable[Choice]) -> None:
        """Add crystals; when this returns, they are on the disk.

        Raises:
            OutputError: they could not be written.
        """
        chosen = list(choices)
        self._journal.append(
            {
                "order": c.order_id,
                "index": c.index,
                "draft": c.draft,
                "scores": [None if s is None else s.to_dict() for s in c.scores],
            }
            for c in chosen
        )
        self.best |= {(c.order_id, c.index): (c.draft, c.best) for c in chosen}
