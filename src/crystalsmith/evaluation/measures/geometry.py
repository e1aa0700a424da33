"""Symmetry, distances and size of one crystal, as seven numbers that can be cached."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from crystalsmith.crystal import Crystal, crystal_from_arrays
from crystalsmith.crystal.distance import shortest_distance
from crystalsmith.errors import StructureError
from crystalsmith.evaluation.measures.arrays import Arrays

LOOSE, TIGHT = 0.1, 0.01
"""Tolerances (Angstrom) of the symmetry search; what a crystal is called rests on the loose one."""

THINNEST = 0.05
"""Angstrom between opposite faces; for thinner cells the shortest distance is at most that."""


class Geometry(NamedTuple):
    """What ``geometry`` finds.

    Attributes:
        shortest: smallest distance between two atoms, lattice images included, Angstrom.
        volume: of the cell given, Angstrom^3.
        group_tight, group_loose: space group at ``TIGHT`` and ``LOOSE``, 0 where it cannot be found.
        freedom: free parameters of the occupied Wyckoff positions at ``LOOSE``, -1 where unknown.
        atoms: in the primitive cell at ``LOOSE``, -1 where unknown.
        orbits: inequivalent sites at ``LOOSE``, -1 where unknown.
    """

    shortest: float
    volume: float
    group_tight: float
    group_loose: float
    freedom: float
    atoms: float
    orbits: float


def geometry(arrays: Arrays) -> np.ndarray:
    """(7,) see ``Geometry``."""
    spacing = 1 / np.linalg.norm(np.linalg.inv(arrays.lattice), axis=0)
    if spacing.min() < THINNEST:
        return np.array(Geometry(float(spacing.min()), arrays.volume, 0, 0, -1, -1, -1))
    shortest = shortest_distance(arrays.lattice, arrays.fractional)
    crystal = standard_crystal(arrays)
    group, freedom, atoms, orbits = 0, -1, -1, -1
    if crystal is not None:
        group, atoms, orbits = crystal.space_group, crystal.n_atoms, len(crystal.sites)
        freedom = sum(p.dof for p in crystal.positions_of_sites)
    tight = found_group(arrays, TIGHT)
    return np.array(Geometry(shortest, arrays.volume, tight, group, freedom, atoms, orbits), dtype=float)


def found_group(arrays: Arrays, symprec: float) -> int:
    """Space group that moyopy finds at a tolerance in Angstrom, 0 where it finds none."""
    import moyopy

    try:
        cell = moyopy.Cell(arrays.lattice.tolist(), arrays.fractional.tolist(), arrays.numbers.tolist())
        return int(moyopy.MoyoDataset(cell, symprec=symprec).number)
    except Exception:  # moyopy's own classes, and bare ones for overlapping atoms
        return 0


def standard_crystal(arrays: Arrays) -> Crystal | None:
    """The crystal in the standard setting of the group at ``LOOSE``, None where it cannot be described."""
    try:
        return crystal_from_arrays(arrays.lattice, arrays.fractional, arrays.numbers, LOOSE)
    except StructureError:
        return None
