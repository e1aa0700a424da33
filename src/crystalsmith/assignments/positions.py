"""The Wyckoff positions of a space group as counting sees them: sizes, freedom, and what is equivalent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from crystalsmith.symmetry import tables


@dataclass(frozen=True, eq=False)
class Positions:
    """P positions of one group, letter a first.

    Attributes:
        space_group: number.
        first: row of letter a in ``symmetry.Tables``.
        size: (P,) points in the primitive cell.
        fixed: (P,) without freedom, so that it can be taken once.
        centring: primitive cells in the conventional one.
        permutations: distinct permutations of the positions by the Euclidean normaliser, the identity first;
            position p becomes permutation[p].
    """

    space_group: int
    first: int
    size: tuple[int, ...]
    fixed: tuple[bool, ...]
    centring: int
    permutations: tuple[tuple[int, ...], ...]

    def __len__(self) -> int:
        return len(self.size)


@lru_cache(maxsize=230)
def positions_of(space_group: int) -> Positions:
    """The positions of a space group, 1 to 230."""
    t = tables()
    first, end = int(t.wyckoff_start[space_group - 1]), int(t.wyckoff_start[space_group])
    elements = int(t.normalizer_start[space_group] - t.normalizer_start[space_group - 1])
    rows = t.map_start[first:end]
    moves = t.map_to[rows[:, None] + np.arange(elements)] - first
    permutations = dict.fromkeys(tuple(int(p) for p in column) for column in moves.T)
    return Positions(
        space_group=space_group,
        first=first,
        size=tuple(int(m) for m in t.multiplicity_primitive[first:end]),
        fixed=tuple(bool(d == 0) for d in t.dof[first:end]),
        centring=int(t.centring_start[space_group] - t.centring_start[space_group - 1]),
        permutations=tuple(permutations),
    )
