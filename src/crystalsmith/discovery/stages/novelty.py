"""What is known already leaves; the best of the rest are the short list."""

from __future__ import annotations

from dataclasses import replace

from crystalsmith.discovery.stages.work import Gone, Work
from crystalsmith.generation.known import KNOWN


def novelty(work: Work, came: list[str]) -> Gone:
    """Known crystals, and those beyond the short list."""
    judged = {n: work.known.judge(work.candidates[n].crystal) for n in came}
    work.put(replace(work.candidates[n], novelty=found) for n, found in judged.items())
    gone = {}
    if not work.settings.keep_known:
        gone = {n: f"known: {found.nearest}" for n, found in judged.items() if found.verdict == KNOWN}
    ranked = sorted((n for n in came if n not in gone), key=work.rank)
    return gone | {n: "beyond the short list" for n in ranked[work.settings.shortlist :]}
