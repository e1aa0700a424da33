"""Energies of the crystals as generated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from crystalsmith.discovery.candidate import Candidate
from crystalsmith.discovery.stages.work import HOLE, IN_A_HOLE, NO_TIME, Gone, Work
from crystalsmith.potentials.energies import BATCH, Energy
from crystalsmith.potentials.many import energies_of_many

STAGE = "single points"


def single_points(work: Work, came: list[str]) -> Gone:
    """Those without an energy, in holes, and all but the lowest above the hull."""
    if not work.closed(STAGE):
        _compute(work, came)
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


def _compute(work: Work, came: list[str]) -> None:
    # Whole batches, as in an undisturbed run: their members show in the last digits.
    parts = [came[k : k + BATCH] for k in range(0, len(came), BATCH)]
    todo = [p for p in parts if any(work.candidates[n].states[0].reason is None for n in p)]
    before = len(came) - sum(map(len, todo))

    def take(found: Mapping[str, Energy]) -> None:
        work.put(_with_energy(work.candidates[n], energy) for n, energy in found.items())

    energies_of_many(
        {n: work.candidates[n].states[0].crystal for part in todo for n in part},
        work.settings.potential,
        stage=STAGE,
        engine=work.engine,
        seconds=4 * work.settings.seconds + 60,
        on_done=take,
        progress=lambda stage, n, _: work.progress(stage, before + n, len(came)),
        over=work.over,
    )


def _with_energy(candidate: Candidate, energy: Energy) -> Candidate:
    value = energy.value if math.isfinite(energy.value) else None
    first = replace(candidate.states[0], energy=value, reason=energy.reason or "single point")
    return replace(candidate, states=(first, *candidate.states[1:]))
