"""Crystals whose source names group and letters beside the atoms of the primitive cell, as ours does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crystalsmith.crystal.crystal import Crystal, Site
from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.crystal.orbits import locate
from crystalsmith.errors import CrystalsmithError
from crystalsmith.symmetry import lattice_to_cell, space_group

_NEAR = 1e-3
"""Angstrom: an atom this near to its place is on it."""


def stated_crystal(
    keys: Mapping[str, str], lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray
) -> Crystal | None:
    """The crystal that ``space_group`` and ``wyckoff`` (such as ``Na:a Cl:b``) name.

    Args:
        keys: of a frame that this program wrote.
        lattice: (3, 3) primitive, rows in Angstrom.
        fractional: (n, 3), orbit by orbit.
        numbers: (n,).

    Returns:
        None where they name none, or where the atoms are not those of it.
    """
    try:
        group = space_group(int(keys["space_group"]))
        conventional = np.linalg.inv(group.primitive) @ lattice
        sites = []
        at = 0
        for word in keys["wyckoff"].split():
            element, letter = word.split(":")
            position = group.position(letter)
            point = fractional[at] @ group.primitive
            free, _ = locate(position, point, conventional)
            sites.append(Site(element, letter, tuple(free.tolist())))
            at += position.multiplicity_primitive
        crystal = Crystal(group.number, tuple(lattice_to_cell(conventional)), tuple(sites))
    except (CrystalsmithError, KeyError, ValueError, IndexError, np.linalg.LinAlgError):
        return None
    symbols, points = crystal.positions(primitive=True)
    if [NUMBERS[s] for s in symbols] != numbers.tolist():
        return None
    off = fractional - points
    off = (off - np.rint(off)) @ crystal.primitive_lattice
    metric = lattice @ lattice.T - crystal.primitive_lattice @ crystal.primitive_lattice.T
    exact = np.linalg.norm(off, axis=1).max() < _NEAR and np.abs(metric).max() < _NEAR * crystal.cell[0]
    return crystal if exact else None
