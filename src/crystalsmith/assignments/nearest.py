"""What could be asked for in place of the impossible."""

from __future__ import annotations

from dataclasses import dataclass

from crystalsmith.assignments.counting import count_assignments
from crystalsmith.assignments.formula import Formula
from crystalsmith.assignments.positions import positions_of


@dataclass(frozen=True)
class Possible:
    """Possible orders near an impossible one.

    Attributes:
        z: formula units in the conventional cell that the same space group can hold, nearest first.
        space_groups: groups that can hold the same composition of the primitive cell, nearest number first.
    """

    z: tuple[int, ...]
    space_groups: tuple[int, ...]


def cell_counts(formula: Formula, space_group: int, z: int) -> tuple[int, ...] | None:
    """Atoms of each element in the primitive cell for z formula units in the conventional one.

    None where the primitive cell would hold a fraction of an atom.
    """
    centring = positions_of(space_group).centring
    whole = [divmod(n * z, centring) for _, n in formula.counts]
    return None if any(rest for _, rest in whole) else tuple(n for n, _ in whole)


def is_possible(space_group: int, counts: tuple[int, ...]) -> bool:
    """Whether any assignment makes a composition of the primitive cell."""
    return count_assignments(space_group, counts, distinct=False) > 0


def nearest_possible(
    formula: Formula, space_group: int, z: int, max_atoms: int = 60, most: int = 5
) -> Possible:
    """Look around an impossible order.

    Args:
        formula: what is in the cell.
        space_group: the group asked for.
        z: formula units in the conventional cell asked for.
        max_atoms: largest primitive cell that is proposed.
        most: proposals of each kind.
    """
    centring = positions_of(space_group).centring
    units = range(1, max(1, max_atoms * centring // formula.n_atoms) + 1)
    good = []
    for other in sorted(units, key=lambda k: (abs(k - z), k)):
        counts = cell_counts(formula, space_group, other)
        if counts is not None and is_possible(space_group, counts):
            good.append(other)
            if len(good) == most:
                break
    counts = tuple(n * z // centring for _, n in formula.counts)
    groups = []
    if cell_counts(formula, space_group, z) is not None and sum(counts) <= max_atoms:
        near = sorted(range(1, 231), key=lambda g: (abs(g - space_group), g))
        groups = [g for g in near if is_possible(g, counts)][:most]
    return Possible(tuple(good), tuple(groups))
