"""Telling crystals from wreckage."""

from __future__ import annotations

import numpy as np

from crystalsmith.crystal.bonds import short_bond
from crystalsmith.crystal.crystal import Crystal

SOUND = ("converged", "out of calls", "out of time", "stalled")
"""Why a relaxation may end whose crystal is worth its energy; after anything else it was on its way to
nowhere. ``potentials.Relaxation.sound`` asks for the energy too."""

SHORTEST_DISTANCE = 0.5
"""Angstrom. Atoms closer than this are not a crystal; H-H in a hydrogen molecule is 0.74."""

ATOMIC_VOLUME = (4.0, 150.0)
"""Angstrom^3 per atom. From ice under pressure (6) to caesium (115-126), with a margin."""

FLATTEST_CELL = 0.3
"""Angstrom between opposite faces of the primitive cell; flatter ones hold no atoms."""


def fault(crystal: Crystal) -> str | None:
    """Why a crystal is not to be had, in a few words without figures; None for a sound one."""
    lattice = crystal.primitive_lattice
    volume = abs(float(np.linalg.det(lattice)))
    if not np.isfinite(volume):
        return "not finite"
    if not ATOMIC_VOLUME[0] <= volume / crystal.n_atoms <= ATOMIC_VOLUME[1]:
        return "absurd density"
    # Checked before distances, whose cost grows with flatness.
    if np.min(1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)) < FLATTEST_CELL:
        return "flat cell"
    if crystal.shortest_distance() < SHORTEST_DISTANCE:
        return "atoms too close"
    return "bonds too short" if short_bond(crystal) is not None else None
