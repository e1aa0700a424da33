"""What a run has made so far: every try, and the crystals that came of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.generation.choice import choose
from crystalsmith.generation.journal import Choices, Entry, Place, Tries
from crystalsmith.generation.tries import Generated, Key

if TYPE_CHECKING:
    from crystalsmith.ranking import Ladder, Score

JOURNAL, SCORES = "crystals.jsonl", "scores.jsonl"

BLOCK = 16
"""Crystals of single drafts that are judged in one batch."""


class Made:
    """The journals of a run, and what they say of its crystals.

    Args:
        path: the folder.
        orders: of the run: their ids with numbers of crystals, in their order.
        best_of: drafts of each crystal.
        judged: drafts are judged.
        mend: remove last lines that were cut off.

    Raises:
        OutputError: a journal is damaged or cannot be read.
    """

    def __init__(
        self,
        path: Path,
        orders: Iterable[tuple[str, int]],
        best_of: int = 1,
        judged: bool = False,
        *,
        mend: bool = True,
    ) -> None:
        self.orders, self.best_of = dict(orders), best_of
        self._tries = Tries(path / JOURNAL, mend=mend)
        self._choices = Choices(path / SCORES, mend=mend) if judged else None
        self._judged: set[Place] = set()
        self._unjudged: set[Place] = set()  # all of whose drafts are there
        self._sort_out(self._tries.last)

    @property
    def done(self) -> Mapping[Key, str | None]:
        """Tries that are on disk and why they failed, as ``generate_batches`` takes them."""
        return self._tries.failures

    @property
    def asked(self) -> int:
        """Crystals asked for."""
        return sum(self.orders.values())

    @property
    def settled(self) -> int:
        """Crystals that are finished or given up."""
        return len(self._tries.last if self._choices is None else self._judged)

    @property
    def parts_done(self) -> float:
        """Crystals that are finished or given up, and parts of those that have some of their drafts."""
        if self._choices is None:
            return float(self.settled)
        # A draft that waits for its judges is not yet done.
        return max(float(self.settled), 0.9 * len(self._tries.last) / self.best_of)

    def record(self, records: Sequence[Generated]) -> None:
        """Keep the tries of a batch.

        Raises:
            OutputError: they could not be written.
        """
        self._tries.append(records)
        self._sort_out([record.key[:2] for record in records if record.final])

    def judge(self, ladder: Ladder | None) -> Iterator[int]:
        """Judge the crystals whose drafts are all there, in the order in which they were completed.

        Single drafts are denoised ``BLOCK`` crystals at a time, always the same ones together.

        Args:
            ladder: the judges; nothing happens without.

        Yields:
            Crystals that are settled, after each one.

        Raises:
            OutputError: what was decided could not be written.
            RelaxationError: the potential cannot be loaded.
        """
        if ladder is None or self._choices is None:
            return
        last = self._tries.last
        waiting = sorted(self._unjudged, key=lambda k: max(last[p][1] for p in self._places(k)))
        errors: dict[Place, float] = {}
        for key in waiting:
            if self.best_of == 1 and "denoising" in ladder.judges and key not in errors:
                block = self._block(key)
                if not all(k in last for k in block):
                    continue
                errors |= self._denoise(block, ladder)
            drafts = list(self._tries.entries(self._places(key)))
            known = [errors[key]] if key in errors and drafts[0].crystal is not None else None
            choice = choose(*key, [d.crystal for d in drafts], [d.log_prior for d in drafts], ladder, known)
            self._choices.append([choice])
            self._unjudged.discard(key)
            self._judged.add(key)
            yield self.settled

    def _block(self, key: Place) -> list[Place]:
        """The crystals that this one is denoised together with: neighbours in its order."""
        first = key[1] - key[1] % BLOCK
        return [(key[0], i) for i in range(first, min(first + BLOCK, self.orders[key[0]]))]

    def _denoise(self, block: list[Place], ladder: Ladder) -> dict[Place, float]:
        entries = list(self._tries.entries(block))
        sound = [(k, e.crystal) for k, e in zip(block, entries, strict=True) if e.crystal is not None]
        found = ladder.denoise([crystal for _, crystal in sound])
        errors = dict.fromkeys(block, math.nan)  # of those that were given up
        if found is not None:
            errors |= {k: float(e) for (k, _), e in zip(sound, found, strict=True)}
        return errors

    def _places(self, key: Place) -> list[Place]:
        return [(key[0], key[1] * self.best_of + j) for j in range(self.best_of)]

    def _sort_out(self, places: Iterable[Place]) -> None:
        """Take note of the crystals of these drafts that have all their drafts now."""
        if self._choices is None:
            return
        for key in {(order_id, place // self.best_of) for order_id, place in places}:
            if all(place in self._tries.last for place in self._places(key)):
                (self._judged if key in self._choices.best else self._unjudged).add(key)

    def entries(self) -> Iterator[Entry]:
        """Crystals of the journals, failures included, by order and index."""
        return self._entries([(o, i) for o, count in self.orders.items() for i in range(count)])

    def _entries(self, keys: Sequence[Place]) -> Iterator[Entry]:
        """Those of these crystals that are settled; the best drafts under the crystals' own indices."""
        if self._choices is None:
            yield from self._tries.entries([key for key in keys if key in self._tries.last])
            return
        best = self._choices.best
        judged = [key for key in keys if key in self._judged]
        places = [(key[0], key[1] * self.best_of + best[key][0]) for key in judged]
        for key, entry in zip(judged, self._tries.entries(places), strict=True):
            yield replace(entry, index=key[1], score=best[key][1])

    def sound(self, order_id: str) -> list[tuple[Entry, float | None]]:
        """Crystals of an order, best first, with the figures by which they are sorted.

        Without judges they come by index, without figures.
        """
        entries = list(self._entries([(order_id, i) for i in range(self.orders[order_id])]))
        if self._choices is None:
            return [(entry, None) for entry in entries if entry.crystal is not None]
        figures = _figures([entry.score for entry in entries])
        best = sorted(range(len(entries)), key=lambda k: (-figures[k], k))
        return [(entries[k], figures[k]) for k in best if entries[k].crystal is not None]

    def facts(self) -> dict[str, Any]:
        """How the run went, for its manifest."""
        failed = Counter(failure for failure in self.done.values() if failure is not None)
        given_up = [
            {"order": order_id, "index": index, "tries": tries, "reason": reason}
            for (order_id, index), (tries, reason) in sorted(self._given_up().items())
        ]
        return {
            "crystals": self.settled - len(given_up),
            "asked": self.asked,
            "resampled": sum(failed.values()) - len(self._tries.given_up),
            "failed_tries": dict(sorted(failed.items())),
            "failures": given_up,
        }

    def _given_up(self) -> dict[Place, tuple[int, str]]:
        """Tries of crystals that came to nothing and the last failure."""
        drafts = self._tries.given_up
        if self._choices is None:
            return drafts
        result = {}
        for key in self._judged:
            if self._choices.best[key][1] is None:
                found = [drafts[place] for place in self._places(key)]
                result[key] = sum(tries for tries, _ in found), found[-1][1]
        return result


def _figures(scores: Sequence[Score | None]) -> list[float]:
    """The figures by which the crystals of an order are sorted; minus infinity for those without a score."""
    from crystalsmith.ranking import totals

    found = iter(totals([s for s in scores if s is not None]))
    return [-math.inf if s is None else next(found) for s in scores]
