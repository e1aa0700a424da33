"""Candidates whose cell is right, and whose coordinates are looked for from many starts.

A refinement moves atoms by tenths of an Angstrom. Where the cell is given, indexed or found, or a candidate
explains some of the pattern with its own, one that is right by and large can be brought further: copies of it
with atoms moved are fitted to a blurred pattern first (``diffraction.multistart``). What comes of it stands
beside the candidate as it was refined, and the best are looked for once more in subgroups.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from crystalsmith.runs.progress import Progress
from crystalsmith.solving.fitting import Observation, search_all
from crystalsmith.solving.kept import Kept
from crystalsmith.solving.lowered import LESS_LIKELY, subgroups_of
from crystalsmith.solving.settings import SolveSettings
from crystalsmith.solving.trials import OWN, Fitted, Trial, chosen

if TYPE_CHECKING:
    from crystalsmith.ranking import Ladder

MARK = "~"
"""Ends the keys of trials that were looked for from many starts."""

BEST, LIKELIEST = 10, 4
"""Trials of a round: the first by their fits, and the first by the generator's figure."""

EXPLAINS = 0.75
"""Misfit of a refinement up to which a candidate's own cell is taken for right."""

DESCENDED, WORTH_IT = 3, 0.6
"""Of what was found, so many of a round are looked for in subgroups, up to this misfit."""


def from_many_starts(
    observation: Observation,
    order: Sequence[Trial],
    far: Sequence[Trial],
    fits: Kept[Fitted],
    refined: Kept[Fitted],
    progress: Progress,
    settings: SolveSettings,
    ladder: Ladder | None = None,
) -> list[Trial]:
    """Look for the coordinates of the best trials, then of what came of them with less symmetry.

    Args:
        observation: the pattern.
        order: distinct trials, the best first.
        far: trials that were looked for before.
        fits, refined: the journals; of what is looked for, ``refined`` gets what was among the best.
        progress: told how far it is.
        settings: tolerance of the cells, and groups that are possible.
        ladder: judges what comes out, without the pattern.

    Returns:
        All trials that were looked for.

    Raises:
        OutputError: what was found could not be written.
    """
    search = partial(
        search_all,
        observation,
        fits=fits,
        refined=refined,
        progress=progress,
        tolerance=settings.tolerance,
        ladder=ladder,
    )
    fresh = worth_starts(order, fits.found, refined.found, {t.key for t in far})
    search(fresh)
    less = descended([*far, *fresh], fits.found, refined.found)
    less = {t: fit for t, fit in less.items() if settings.allow(t.crystal.space_group)}
    search(less)
    return [*far, *fresh, *less]


def worth_starts(
    order: Sequence[Trial],
    fits: Mapping[str, Fitted],
    refined: Mapping[str, Fitted],
    done: Collection[str],
) -> dict[Trial, Fitted]:
    """Trials on cells that are right or may be, which were not looked for yet, with their fits.

    Args:
        order: distinct trials, the best first.
        fits: of the trials, by key.
        refined: of some of them.
        done: keys of trials that were looked for.
    """

    def best(trial: Trial) -> Fitted:
        return refined.get(trial.key, fits[trial.key])

    able = [t for t in order if t.cell != OWN or (t.key in refined and best(t).misfit < EXPLAINS)]
    able = [t for t in able if any(site.free for site in t.crystal.sites)]
    able = [t for t in able if not t.key.endswith(MARK) and t.key + MARK not in done]
    able.sort(key=lambda t: best(t).misfit)
    return {
        replace(t, key=t.key + MARK, crystal=(best(t) if t.cell == OWN else fits[t.key]).crystal): fits[t.key]
        for t in chosen(able, BEST, LIKELIEST).values()
    }


def descended(
    far: Sequence[Trial], fits: Mapping[str, Fitted], refined: Mapping[str, Fitted]
) -> dict[Trial, Fitted]:
    """The best of what was found, to be looked for in subgroups, with the fits that they began with.

    Args:
        far: trials that were looked for.
        fits: of what they began with, by key.
        refined: those that were carried to the end.
    """
    done = {t.lowered_from for t in far}
    able = [t for t in far if t.key in refined and t.key not in done and refined[t.key].misfit < WORTH_IT]
    able.sort(key=lambda t: refined[t.key].misfit)
    found: dict[Trial, Fitted] = {}
    for trial in able[:DESCENDED]:
        figure = None if trial.figure is None else trial.figure - LESS_LIKELY
        for number, less in enumerate(subgroups_of(refined[trial.key].crystal)):
            key = f"{trial.key}/{number}{MARK}"
            found[replace(trial, key=key, figure=figure, crystal=less)] = fits[trial.key]
    return found
