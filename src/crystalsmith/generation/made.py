"""What a run has made so far: every try, and the crystals that came of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.generation.choice import Choice, candidate_of, choose
from crystalsmith.generation.journal import Choices, Entry, Place, Tries
from crystalsmith.generation.tries import Generated, Key

if TYPE_CHECKING:
    from crystalsmith.ranking import Ladder, Score, Verdict

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
        self._left = dict(self.orders)  # crystals to be judged in orders that were not compared yet
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

        Single drafts are judged ``BLOCK`` crystals at a time, always the same ones together. When all
        crystals of an order are judged, its front-runners are relaxed where the judges ask for it.

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
        alone: dict[Place, Choice] = {}
        for key in waiting:
            if self.best_of == 1 and key not in alone:
                block = self._block(key)
                if not all(k in last for k in block):
                    continue
                alone |= self._judge_alone(block, ladder)
            if key in alone:
                choice = alone[key]
            else:
                drafts = list(self._tries.entries(self._places(key)))
                choice = choose(*key, drafts, ladder, last=self.orders[key[0]] == 1)
            self._choices.append([choice])
            self._unjudged.discard(key)
            self._settle(key)
            yield self.settled
        for order_id in [o for o, left in self._left.items() if not left]:
            self._compare(order_id, ladder)

    def _block(self, key: Place) -> list[Place]:
        """The crystals that this one is judged together with: neighbours in its order."""
        first = key[1] - key[1] % BLOCK
        return [(key[0], i) for i in range(first, min(first + BLOCK, self.orders[key[0]]))]

    def _judge_alone(self, block: list[Place], ladder: Ladder) -> dict[Place, Choice]:
        """What judges say of single drafts, each by itself."""
        drafts = [(k, candidate_of(e)) for k, e in zip(block, self._tries.entries(block), strict=True)]
        sound = [(k, c) for k, c in drafts if c is not None]
        scores: dict[Place, Score | None] = dict.fromkeys(block)
        found = ladder.alone([c for _, c in sound])
        scores |= {k: score for (k, _), score in zip(sound, found, strict=True)}
        return {k: Choice(*k, 0, (score,)) for k, score in scores.items()}

    def _compare(self, order_id: str, ladder: Ladder) -> None:
        """Relax the front-runners of an order whose crystals are all judged, if that is asked for."""
        del self._left[order_id]
        if self._choices is None or "relaxation" not in ladder.judges or self.orders[order_id] == 1:
            return
        entries = list(self._entries([(order_id, i) for i in range(self.orders[order_id])]))
        sound = [(e, e.crystal, e.score) for e in entries if e.crystal is not None and e.score is not None]
        if not sound or all(score.compared for _, _, score in sound):
            return
        # A process that died among these lines has left some of them.
        before = [replace(score, relaxed_energy=None) for _, _, score in sound]
        after = ladder.relax([crystal for _, crystal, _ in sound], before)
        choices = []
        for (entry, _, _), score in zip(sound, after, strict=True):
            draft = self._choices.best[order_id, entry.index][0]
            scores: list[Score | None] = [None] * self.best_of
            scores[draft] = replace(score, compared=True)
            choices.append(Choice(order_id, entry.index, draft, tuple(scores)))
        self._choices.append(choices)

    def _settle(self, key: Place) -> None:
        """Take note of a crystal that was judged."""
        self._judged.add(key)
        self._left[key[0]] -= 1

    def _places(self, key: Place) -> list[Place]:
        return [(key[0], key[1] * self.best_of + j) for j in range(self.best_of)]

    def _sort_out(self, places: Iterable[Place]) -> None:
        """Take note of the crystals of these drafts that have all their drafts now."""
        if self._choices is None:
            return
        for key in {(order_id, place // self.best_of) for order_id, place in places}:
            # A run that asks for ever more finds what it asked for later before it was cut off.
            if key[1] < self.orders.get(key[0], 0) and all(
                place in self._tries.last for place in self._places(key)
            ):
                if key not in self._choices.best:
                    self._unjudged.add(key)
                elif key not in self._judged:
                    self._settle(key)

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
        judged = [(entry, v) for entry, v in zip(entries, _verdicts(entries), strict=True) if v is not None]
        judged.sort(key=lambda one: -one[1].figure)  # those of one figure stay by index
        return [(replace(entry, p_right=v.p), v.figure) for entry, v in judged]

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


def _verdicts(entries: Sequence[Entry]) -> list[Verdict | None]:
    """What the comparison of the crystals of an order says; None for those that were given up."""
    from crystalsmith.ranking import verdicts

    judged = [(e.crystal, e.score) for e in entries if e.crystal is not None and e.score is not None]
    found = iter(verdicts([crystal for crystal, _ in judged], [score for _, score in judged]))
    return [None if e.crystal is None or e.score is None else next(found) for e in entries]
