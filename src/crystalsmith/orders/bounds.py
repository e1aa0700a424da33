"""What bounds an order: space groups, and how large a cell may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    from crystalsmith.conditions import GivenCell

ALL_GROUPS = tuple(range(1, 231))

SEARCHED = 200
"""Atoms in the largest primitive cell that is looked at where an order does not say how large it may be and
the model has seen cells so large."""

MOST_SITES = 24
"""Inequivalent sites up to which cells are looked at where an order does not say how large it may be."""


def searched(max_atoms: int) -> int:
    """Atoms in the largest primitive cell that open orders look at.

    Args:
        max_atoms: largest primitive cell that the model was trained on.
    """
    return min(max_atoms, SEARCHED)


@dataclass(frozen=True)
class Bounds:
    """Space groups and sizes that an order allows.

    Attributes:
        groups: space groups, ascending; empty for all.
        z: formula units in the conventional cell.
        atoms: exact number of atoms in the primitive cell.
        max_atoms: largest primitive cell.
        max_sites: most inequivalent sites.
        cell: the cell of the crystals; ``groups`` are then such as can have it.
        volume: of the conventional cell, Angstrom^3.
    """

    groups: tuple[int, ...] = ()
    z: int | None = None
    atoms: int | None = None
    max_atoms: int | None = None
    max_sites: int | None = None
    cell: GivenCell | None = None
    volume: float | None = None

    @property
    def allowed(self) -> tuple[int, ...]:
        """The space groups, all of them where none is named."""
        return self.groups or ALL_GROUPS

    def largest(self, limit: int) -> int:
        """Atoms in the largest primitive cell; ``limit`` where the order says nothing."""
        return self.max_atoms or limit

    def have_room(self, counts: Mapping[str, int], number: int) -> bool:
        """Whether so many atoms of each element may fill the primitive cell of a space group.

        True where nothing is known of the cell's size.
        """
        if self.cell is None and self.volume is None:
            return True
        from crystalsmith.conditions.volumes import can_fill

        if self.cell is not None:
            return can_fill(counts, self.cell.primitive_volume(number))
        return can_fill(counts, (self.volume or 0.0) / len(space_group(number).centring))
