"""One crystal of several that are the same stays: the first as generated, the lowest once relaxed."""

from __future__ import annotations

from collections.abc import Sequence

from crystalsmith.discovery.stages.alike import first_alike, first_matching
from crystalsmith.discovery.stages.work import Gone, Work


def duplicates(work: Work, came: list[str]) -> Gone:
    """Those that are another one as they were generated."""
    crystals = [work.candidates[n].states[0].crystal for n in came]
    gone = {}
    for name, first in zip(came, first_alike(crystals), strict=True):
        if came[first] != name:
            one = work.candidates[name].order["id"] == work.candidates[came[first]].order["id"]
            gone[name] = f"same as another of {'its' if one else 'another'} order: {came[first]}"
    return gone


def duplicates_relaxed(work: Work, came: list[str]) -> Gone:
    """Those that relaxed to another one under their symmetry; of the rest the best stay."""
    ranked = by_height(work, came, "symmetric")
    gone = relaxed_alike(work, ranked, "symmetric")
    return gone | work.best((n for n in ranked if n not in gone), work.settings.keep_relaxed)


def by_height(work: Work, names: Sequence[str], kind: str) -> list[str]:
    """The lowest above the hull first."""
    return sorted(names, key=lambda n: (work.above(work.state(n, kind)), n))


def relaxed_alike(work: Work, ranked: Sequence[str], kind: str) -> Gone:
    """Those that relaxed to one before them."""
    crystals = [work.state(n, kind).crystal for n in ranked]
    found = first_matching(crystals, [work.energy(n, kind) for n in ranked])
    pairs = zip(ranked, (ranked[k] for k in found), strict=True)
    return {name: f"relaxed to the same: {first}" for name, first in pairs if name != first}
