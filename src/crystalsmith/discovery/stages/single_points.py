"""Energies of the crystals as generated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.stages.work import (
    HOLE,
    IN_A_HOLE,
    NO_TIME,
    Gone,
    Group,
    Work,
    all_over,
    came_to,
    share_out,
)
from crystalsmith.potentials.energies import BATCH, Energy
from crystalsmith.potentials.many import energies_of_many

STAGE = "single points"


def single_points(work: Work, came: list[str]) -> Gone:
    """Those without an energy, in holes, and all but the lowest above the hull."""
    gone: Gone = {}
    above: dict[str, float] = {}
    for n in came:
        first = work.candidates[n].states[0]
        if first.energy is None:
            gone[n] = NO_TIME if first.reason is None else f"no energy: {first.reason}"
            continue
        above[n] = work.above(first)
        if above[n] < -HOLE:
            gone[n] = IN_A_HOLE
    ranked = sorted((n for n in came if n not in gone), key=lambda n: (above[n], n))
    return gone | work.best(ranked, work.settings.keep_energies)


def compute_energies(group: Group) -> None:
    """Of the crystals as generated."""
    work, _ = group[0]
    batches: list[list[str]] = []
    members: dict[str, tuple[Work, str]] = {}
    for own, part in share_out(group, _unfinished).values():
        batches.append([str(len(members) + k) for k in range(len(part))])
        members.update(zip(batches[-1], ((own, n) for n in part), strict=True))
    total = came_to(group)
    before = total - len(members)

    def take(found: Mapping[str, Energy]) -> None:
        for own in {id(members[key][0]): members[key][0] for key in found}.values():
            names = {key: members[key][1] for key in found if members[key][0] is own}
            own.put(_with_energy(own.candidates[n], found[key]) for key, n in names.items())

    energies_of_many(
        {key: own.candidates[n].states[0].crystal for key, (own, n) in members.items()},
        work.settings.potential,
        batches=batches,
        stage=STAGE,
        engine=work.engine,
        seconds=4 * work.settings.seconds + 60,
        on_done=take,
        progress=lambda stage, n, _: work.progress(stage, before + n, total),
        over=lambda: all_over(group),
    )


def _unfinished(work: Work, came: list[str]) -> list[list[str]]:
    """Whole batches, as in an undisturbed run: their members show in the last digits."""
    parts = [came[k : k + BATCH] for k in range(0, len(came), BATCH)]
    return [p for p in parts if any(work.candidates[n].states[0].reason is None for n in p)]


def _with_energy(candidate: Candidate, energy: Energy) -> Candidate:
    value = energy.value if math.isfinite(energy.value) else None
    first = replace(candidate.states[0], energy=value, reason=energy.reason or "single point")
    return replace(candidate, states=(first, *candidate.states[1:]))
