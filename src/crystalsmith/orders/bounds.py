"""What bounds an order: space groups, and how large a cell may be."""

from __future__ import annotations

from dataclasses import dataclass

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
    """

    groups: tuple[int, ...] = ()
    z: int | None = None
    atoms: int | None = None
    max_atoms: int | None = None
    max_sites: int | None = None

    @property
    def allowed(self) -> tuple[int, ...]:
        """The space groups, all of them where none is named."""
        return self.groups or ALL_GROUPS

    def largest(self, limit: int) -> int:
        """Atoms in the largest primitive cell; ``limit`` where the order says nothing."""
        return self.max_atoms or limit
