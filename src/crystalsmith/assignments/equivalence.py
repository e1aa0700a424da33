"""Which assignments describe the same crystals from another origin or setting."""

from __future__ import annotations

from functools import lru_cache

from crystalsmith.assignments.positions import positions_of

Assignment = tuple[tuple[int, ...], ...]
"""For each element its positions, ascending, counted within the group from 0."""


def images(space_group: int, assignment: Assignment) -> list[Assignment]:
    """Distinct equivalent assignments, the given one first."""
    return list(
        dict.fromkeys(
            tuple(tuple(sorted(move[p] for p in own)) for own in assignment)
            for move in positions_of(space_group).permutations
        )
    )


@lru_cache(maxsize=1 << 16)
def canonical(space_group: int, assignment: Assignment) -> Assignment:
    """The smallest of the equivalent assignments, as tuples compare."""
    return min(images(space_group, assignment))
