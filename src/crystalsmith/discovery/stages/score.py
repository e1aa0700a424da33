"""The network's own judgement, cheap enough for all."""

from __future__ import annotations

from dataclasses import replace

from crystalsmith.discovery.stages.work import (
    NO_TIME,
    Gone,
    Group,
    Work,
    all_over,
    came_to,
    share_out,
)
from crystalsmith.ranking import Candidate, Ladder

STAGE = "score"

BATCH = 16


def score(work: Work, came: list[str]) -> Gone:
    """All but the most likely."""
    gone = {n: NO_TIME for n in came if work.candidates[n].score is None}
    ranked = sorted((n for n in came if n not in gone), key=lambda n: (-(work.candidates[n].score or 0), n))
    return gone | {n: "low score" for n in ranked[work.settings.keep_scored :]}


def judge(group: Group) -> None:
    """By the network, in this process."""
    work, _ = group[0]
    ladder = Ladder(work.model, ("validity", "denoising"))
    judged, total = 0, came_to(group)
    # Whole batches of always the same members: these show in the last digits.
    for own, names in share_out(group, _batches).values():
        part = [own.candidates[n] for n in names]
        judged += len(part)
        if all(c.score is not None for c in part):
            continue
        scores = ladder.alone([Candidate(c.states[0].crystal) for c in part])
        own.put(replace(c, score=s.likely) for c, s in zip(part, scores, strict=True))
        work.progress(STAGE, judged, total)
        if all_over(group):
            break


def _batches(work: Work, came: list[str]) -> list[list[str]]:
    return [came[k : k + BATCH] for k in range(0, len(came), BATCH)]
