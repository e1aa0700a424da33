"""Which draft of a crystal is THE crystal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from crystalsmith.generation.tries import Generated

if TYPE_CHECKING:
    from crystalsmith.generation.journal import Entry
    from crystalsmith.ranking import Candidate, Ladder, Score

# crystalsmith.ranking is imported inside functions: it takes torch, which takes seconds.


@dataclass(frozen=True)
class Choice:
    """What judges made of the drafts of one crystal.

    Attributes:
        order_id: id of its order.
        index: its place within the order, from 0.
        draft: the best draft, from 0; the first one where none is sound.
        scores: of every draft, None for those that were given up.
    """

    order_id: str
    index: int
    draft: int
    scores: tuple[Score | None, ...]

    @property
    def best(self) -> Score | None:
        """Score of the best draft; None where all were given up."""
        return self.scores[self.draft]


def choose(
    order_id: str, index: int, drafts: Sequence[Generated | Entry], ladder: Ladder, *, last: bool = True
) -> Choice:
    """Judge the drafts of one crystal.

    Args:
        order_id: id of its order.
        index: its place within the order, from 0.
        drafts: K of them, those that were given up without a crystal.
        ladder: the judges.
        last: no comparison of the order's crystals follows, so that front-runners are relaxed now.

    Raises:
        RelaxationError: the potential cannot be loaded.
    """
    from crystalsmith.ranking import verdicts

    sound = [(j, c) for j, draft in enumerate(drafts) if (c := candidate_of(draft)) is not None]
    found = ladder.judge([c for _, c in sound], last=last)
    scores: list[Score | None] = [None] * len(drafts)
    best = 0
    if sound:
        figures = [v.figure for v in verdicts([c.crystal for _, c in sound], found)]
        best = sound[max(range(len(sound)), key=lambda k: (figures[k], -k))][0]
    for (j, _), score in zip(sound, found, strict=True):
        scores[j] = score
    return Choice(order_id, index, best, tuple(scores))


def candidate_of(draft: Generated | Entry) -> Candidate | None:
    """A draft as judges take it; None for one that was given up."""
    from crystalsmith.ranking import Candidate

    if draft.crystal is None:
        return None
    own = draft.origin
    return Candidate(draft.crystal, draft.log_prior, own.kind, own.weight, own.members)


def best_records(batches: Iterable[list[Generated]], ladder: Ladder, best_of: int) -> Iterator[Generated]:
    """The best draft of each crystal, under the crystal's own index, as soon as all its drafts are there.

    Args:
        batches: from ``generate_batches`` with the same ``best_of``.
        ladder: the judges.
        best_of: drafts of each crystal.
    """
    waiting: dict[tuple[str, int], dict[int, Generated]] = {}
    for batch in batches:
        for record in batch:
            if not record.final:
                continue
            key = record.order_id, record.index // best_of
            drafts = waiting.setdefault(key, {})
            drafts[record.index % best_of] = record
            if len(drafts) == best_of:
                del waiting[key]
                rows = [drafts[j] for j in range(best_of)]
                choice = choose(*key, rows, ladder)
                yield replace(rows[choice.draft], index=key[1], score=choice.best)
