"""The network's own judgement, cheap enough for all."""

from __future__ import annotations

from dataclasses import replace

from crystalsmith.discovery.stages.work import NO_TIME, Gone, Work
from crystalsmith.ranking import Candidate, Ladder

STAGE = "score"

BATCH = 16


def score(work: Work, came: list[str]) -> Gone:
    """All but the most likely."""
    if not work.closed(STAGE):
        _judge(work, came)
    gone = {n: NO_TIME for n in came if work.candidates[n].score is None}
    ranked = sorted((n for n in came if n not in gone), key=lambda n: (-(work.candidates[n].score or 0), n))
    return gone | {n: "low score" for n in ranked[work.settings.keep_scored :]}


def _judge(work: Work, came: list[str]) -> None:
    ladder = Ladder(work.model, ("validity", "denoising"))
    for k in range(0, len(came), BATCH):
        # Whole batches of always the same members: these show in the last digits.
        part = [work.candidates[n] for n in came[k : k + BATCH]]
        if all(c.score is not None for c in part):
            continue
        scores = ladder.alone([Candidate(c.states[0].crystal) for c in part])
        work.put(replace(c, score=s.likely) for c, s in zip(part, scores, strict=True))
        work.progress(STAGE, k + len(part), len(came))
        if work.over():
            break
