"""What could be asked for in place of the impossible."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from crystalsmith.assignments.formula import Formula
from crystalsmith.assignments.positions import positions_of
from crystalsmith.assignments.possible_groups import is_possible
from crystalsmith.errors import OrderError

_BEYOND = 10**12  # what no cell holds


@dataclass(frozen=True)
class Possible:
    """Possible orders near an impossible one.

    Attributes:
        z: formula units in the conventional cell that the same space group can hold, nearest first.
        space_groups: groups that can hold the same composition of the primitive cell, nearest number first;
            of the conventional cell, where the primitive one would hold a fraction of an atom.
    """

    z: tuple[int, ...]
    space_groups: tuple[int, ...]


def cell_counts(formula: Formula, space_group: int, z: int) -> tuple[int, ...] | None:
    """Atoms of each element in the primitive cell for z formula units in the conventional one.

    None where the primitive cell would hold a fraction of an atom.

    Raises:
        OrderError: z is no whole number of at least 1.
    """
    check_whole(z, "z")
    centring = positions_of(space_group).centring
    whole = [divmod(n * int(z), centring) for _, n in formula.counts]
    return None if any(rest for _, rest in whole) else tuple(n for n, _ in whole)


def check_whole(value: object, what: str) -> None:
    """Refuse what is no whole number of at least 1, or beyond all cells.

    Raises:
        OrderError: so it is.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise OrderError(f"{what} must be a whole number of at least 1, not {value!r}")
    if value > _BEYOND:
        raise OrderError(f"{what} must be at most {_BEYOND}")
    if value < 1:
        raise OrderError(f"{what} must be at least 1{f', not {value}' if value > -_BEYOND else ''}")


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

    Raises:
        OrderError: z is no whole number of at least 1.
    """
    counts = cell_counts(formula, space_group, z)

    def holds(group: int, units: int) -> bool:
        inside = cell_counts(formula, group, units)
        return inside is not None and sum(inside) <= max_atoms and is_possible(group, inside)

    def same(group: int) -> bool:
        if counts is None:
            return holds(group, z)
        return sum(counts) <= max_atoms and is_possible(group, counts)

    largest = max_atoms * positions_of(space_group).centring // formula.n_atoms
    near = sorted(range(1, largest + 1), key=lambda k: (abs(k - z), k))
    units = islice((k for k in near if holds(space_group, k)), most)
    return Possible(tuple(units), nearest_groups(space_group, same, most))


def nearest_groups(space_group: int, good: Callable[[int], bool], most: int = 5) -> tuple[int, ...]:
    """Other space groups that pass a test, nearest number first."""
    near = sorted(set(range(1, 231)) - {space_group}, key=lambda g: (abs(g - space_group), g))
    return tuple(islice((g for g in near if good(g)), most))
