"""Candidates with less symmetry than they were made with: the right arrangement, a little distorted.

The generator makes what is likely, and of a crystal that is a distorted variant of something simpler often
the simpler one. Its lines do not split, and no strain of its cell makes them; so its place among many wrong
candidates says nothing. In a subgroup the same atoms can follow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from zlib import crc32

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.subgroups import in_subgroups
from crystalsmith.errors import CrystalsmithError
from crystalsmith.solving.trials import Fitted, Trial, chosen

BEST, LIKELIEST = 6, 4
"""Trials that are lowered: the first by their fits, and the first by what the generator thinks of them."""

LARGEST, SMALLEST = 5, 3
"""Subgroups of each that are tried: those with most operations, and those with fewest."""

KICK = 0.03
"""Angstrom by which coordinates are moved, a standard deviation: where symmetry holds an atom, no pattern
says which way it is to go."""

CLOSE = 0.75
"""Misfit from which on what was fitted is no better to start from than what was made."""

LESS_LIKELY = 1.0
"""Log-odds that a distortion costs, as the generator has not made it by itself."""


def lowered(
    order: Sequence[Trial],
    fits: Mapping[str, Fitted],
    refined: Mapping[str, Fitted],
    done: Collection[str],
) -> list[Trial]:
    """Trials of the best candidates in subgroups of their groups.

    Args:
        order: distinct trials, the best first.
        fits: of them, by key.
        refined: of some of them.
        done: keys of trials that were lowered before.
    """
    found: list[Trial] = []
    for key, trial in chosen(order, BEST, LIKELIEST).items():
        if key in done or trial.lowered_from:
            continue
        fit = refined.get(key, fits[key])
        crystal = fit.crystal if fit.misfit < CLOSE else trial.crystal
        figure = None if trial.figure is None else trial.figure - LESS_LIKELY
        for number, less in enumerate(subgroups_of(crystal)):
            name = f"{key}/{number}"
            found.append(replace(trial, key=name, figure=figure, crystal=_kicked(less, name)))
    return found


def subgroups_of(crystal: Crystal) -> list[Crystal]:
    """The crystal in its largest subgroups and in the smallest."""
    try:
        every = [c for c in in_subgroups(crystal) if len(c.group.rotations) < len(crystal.group.rotations)]
    except CrystalsmithError:  # tolerances of two programs differ
        return []
    return every if len(every) <= LARGEST + SMALLEST else [*every[:LARGEST], *every[-SMALLEST:]]


def _kicked(crystal: Crystal, name: str) -> Crystal:
    """The crystal with its free coordinates moved a little, always in the same way."""
    from crystalsmith.diffraction.multistart import moved_by

    return moved_by(crystal, KICK, np.random.default_rng(crc32(name.encode())))
