"""Symmetry that a crystal has beyond what it says."""

from __future__ import annotations

import moyopy

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.elements import NUMBERS

LOOSE = 0.1
"""Angstrom. A symmetry that holds within it is most likely the crystal's own."""


def hidden_group(crystal: Crystal, symprec: float = LOOSE) -> tuple[int, bool]:
    """The space group that a crystal has within a tolerance, and whether that is more symmetry than it says.

    Args:
        crystal: what to look at.
        symprec: Angstrom.
    """
    symbols, fractional = crystal.positions()
    numbers = [NUMBERS[s] for s in symbols]
    try:
        cell = moyopy.Cell(crystal.primitive_lattice.tolist(), fractional.tolist(), numbers)
        found = moyopy.MoyoDataset(cell, symprec=symprec)
    except Exception:  # moyopy's own classes: what cannot be told stays as it is
        return crystal.space_group, False
    # Operations of the given cell: more than those of its own group if that is a subgroup.
    more = len(found.operations) > len(crystal.group.rotations)
    return (int(found.number), True) if more else (crystal.space_group, False)
