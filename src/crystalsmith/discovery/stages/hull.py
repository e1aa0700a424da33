"""Places above the hull of the known phases and of the run's own crystals of subsystems."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from crystalsmith.discovery.stages.work import Gone, Work
from crystalsmith.hull import Hull, Phase

COMPETING_PHASE = "a competing phase"
"""Why crystals of subsystems leave."""


def competitors(work: Work, came: Iterable[str]) -> list[Phase]:
    """Relaxed candidates without all of the elements: phases that the others may fall into."""
    found = []
    for n in came:
        crystal = work.candidates[n].crystal
        if set(crystal.counts) < set(work.settings.system):
            found.append(Phase(n, crystal.counts, work.energy(n, "free"), crystal.space_group))
    return found


def competing_phases(work: Work) -> list[Phase]:
    """Those of a run whose hull stage is over."""
    left = (n for n, c in work.candidates.items() if c.dropped == ("hull", COMPETING_PHASE))
    return competitors(work, left)


def place_above_hull(work: Work, came: list[str]) -> Gone:
    """Crystals of subsystems, and those too far above the hull."""
    phases = competitors(work, came)
    competing = {p.id for p in phases}
    hull = Hull(work.hull.references, [*work.hull.more, *phases])
    changed = []
    for n in came:
        state = work.state(n, "free")
        energy = work.energy(n, "free")
        place = (work.hull if n in competing else hull).place(state.crystal.counts, energy)
        changed.append(
            replace(
                work.candidates[n],
                above_hull=place.above_hull,
                formation=place.formation,
                decomposition=dict(place.decomposition),
            )
        )
    work.put(changed)
    high = {n for n in came if work.rank(n)[0] > work.settings.max_above_hull} - competing
    return {n: COMPETING_PHASE if n in competing else "above the hull" for n in came if n in competing | high}
