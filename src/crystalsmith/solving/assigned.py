"""Candidates on cells by which their strong reflections are lines of the pattern.

Where neither a candidate's cell nor the lines alone tell what the cell is, most often it has little symmetry:
many open numbers, and lines so close that some cell always explains them. What a candidate says of which
lines are strong narrows it down (``diffraction.assignment``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from zlib import crc32

from crystalsmith.solving.cells import FOUND
from crystalsmith.solving.fitting import Observation
from crystalsmith.solving.searched import lines_of
from crystalsmith.solving.trials import OWN, Trial, chosen

MARK = "%"
"""In keys of trials on such cells, before the number of the cell."""

BEST, LIKELIEST = 6, 4
"""Trials that were made, the first by their fits and by the generator's figure, and in all the subgroups
that they were tried in."""

CELLS = 3
"""Of each."""

FEWEST = 3
"""Open numbers of a cell from which on strains are too many to be tried one by one."""


def assigned(observation: Observation, order: Sequence[Trial], trials: Mapping[str, Trial]) -> list[Trial]:
    """Trials on cells by which strong reflections are lines.

    Args:
        observation: the pattern.
        order: distinct trials, the best first.
        trials: all of the run, by key; those on such cells are not made again.
    """
    from crystalsmith.diffraction.assignment import assigned_cells
    from crystalsmith.diffraction.fit import observed_of

    made = [t for t in order if t.cell == OWN and not t.lowered_from]
    parents = chosen(made, BEST, LIKELIEST)
    sources = [
        t
        for t in trials.values()
        if t.cell == OWN and (t.key in parents or t.lowered_from in parents) and _is_open(t, trials)
    ]
    observed, lines = observed_of(observation.prepared), lines_of(observation)
    seeds = [crc32(t.key.encode()) for t in sources]
    found = assigned_cells([t.crystal for t in sources], observed, lines, seeds, CELLS)
    return [
        replace(trial, key=f"{trial.key}{MARK}{number}", crystal=crystal, cell=FOUND)
        for trial, cells in zip(sources, found, strict=True)
        for number, crystal in enumerate(cells)
    ]


def _is_open(trial: Trial, done: Collection[str]) -> bool:
    from crystalsmith.diffraction.assignment import metric_basis

    few = len(metric_basis(trial.crystal.space_group)) < FEWEST
    return not few and f"{trial.key}{MARK}0" not in done
