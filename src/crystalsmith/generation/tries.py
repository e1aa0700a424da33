"""What became of one try for one crystal, and its seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crystalsmith.assignments import Request
from crystalsmith.crystal import Crystal
from crystalsmith.generation.origin import Origin

if TYPE_CHECKING:
    from crystalsmith.ranking import Score

Key = tuple[str, int, int]
"""Order id, index within the order from 0, try from 1."""


@dataclass(frozen=True)
class Generated:
    """What became of one try for one crystal.

    Attributes:
        order_id: id of its order.
        index: its place within the order, from 0. Where several drafts are made of each crystal, drafts are
            counted through: draft j of K of crystal i has the index i K + j.
        tries: which try this was, from 1.
        seed: seed of the try.
        request: what the model was asked for.
        crystal: the crystal, or None where the try failed.
        failure: why it failed, a few words without figures.
        final: no further try follows.
        log_prior: log-likelihood of its assignment of Wyckoff positions, where the drafter knows it.
        score: what judges made of it, where several drafts were compared.
    """

    order_id: str
    index: int
    tries: int
    seed: int
    request: Request
    crystal: Crystal | None
    failure: str | None
    final: bool
    log_prior: float | None = None
    score: Score | None = None

    @property
    def key(self) -> Key:
        """Order id, index and try."""
        return self.order_id, self.index, self.tries

    @property
    def origin(self) -> Origin:
        """How the crystal came about."""
        return Origin.of(self.request)


@dataclass(frozen=True)
class BatchStep:
    """How far the batch at work is: ``step`` of ``steps`` sampler steps for ``crystals`` crystals."""

    crystals: int
    step: int
    steps: int


def crystal_seed(seed: int, order_id: str, index: int, tries: int = 1) -> int:
    """Seed of one try, 63 bits: a hash of the run's seed and of the crystal's name, of nothing else."""
    text = f"crystalsmith\0{seed}\0{order_id}\0{index}\0{tries}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1
