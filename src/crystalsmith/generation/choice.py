"""Which draft of a crystal is THE crystal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.generation.tries import Generated

if TYPE_CHECKING:
    from crystalsmith.ranking import Ladder, Score

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
    order_id: str,
    index: int,
    drafts: Sequence[Crystal | None],
    log_priors: Sequence[float | None],
    ladder: Ladder,
    denoising: Sequence[float] | None = None,
) -> Choice:
    """Judge the drafts of one crystal.

    Args:
        order_id: id of its order.
        index: its place within the order.
        drafts: K crystals, None for those that were given up.
        log_priors: (K,) log-likelihoods of their assignments, where known.
        ladder: the judges.
        denoising: denoising errors of those that were not given up, where they are known.

    Raises:
        RelaxationError: the potential cannot be loaded.
    """
    from crystalsmith.ranking import totals

    sound = [j for j, crystal in enumerate(drafts) if crystal is not None]
    crystals = [crystal for crystal in drafts if crystal is not None]
    errors = None if denoising is None else np.asarray(denoising)
    found = ladder.judge(crystals, [log_priors[j] for j in sound], errors)
    scores: list[Score | None] = [None] * len(drafts)
    best = 0
    if sound:
        figures = totals(found)
        best = sound[max(range(len(sound)), key=lambda k: (figures[k], -k))]
    for j, score in zip(sound, found, strict=True):
        scores[j] = score
    return Choice(order_id, index, best, tuple(scores))


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
                choice = choose(*key, [r.crystal for r in rows], [r.log_prior for r in rows], ladder)
                yield replace(rows[choice.draft], index=key[1], score=choice.best)
