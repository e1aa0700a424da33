"""Known crystals as assignments of Wyckoff positions: no cells, no coordinates."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from crystalsmith.assignments import Assignment, canonical, positions_of
from crystalsmith.crystal.elements import SYMBOLS, formula_order
from crystalsmith.data.wyckoff import Occupations


@dataclass(frozen=True)
class Known:
    """One known crystal: group, atomic numbers (cations first) and its canonical assignment."""

    space_group: int
    elements: tuple[int, ...]
    assignment: Assignment

    @property
    def counts(self) -> tuple[int, ...]:
        """Atoms of each element in the primitive cell."""
        size = positions_of(self.space_group).size
        return tuple(sum(size[p] for p in own) for own in self.assignment)

    @property
    def sites(self) -> tuple[int, ...]:
        """Sites of each element."""
        return tuple(len(own) for own in self.assignment)


def known_assignments(o: Occupations) -> list[Known]:
    """The crystals of a data set, in its order."""
    result = []
    for i in range(len(o)):
        group, rows = int(o.space_group[i]), slice(int(o.start[i]), int(o.start[i + 1]))
        first = positions_of(group).first
        own: dict[int, list[int]] = defaultdict(list)
        for z, y in zip(o.element[rows].tolist(), o.wyckoff[rows].tolist(), strict=True):
            own[z].append(y - first)
        elements = tuple(sorted(own, key=lambda z: formula_order(SYMBOLS[z])))
        assignment = tuple(tuple(sorted(own[z])) for z in elements)
        result.append(Known(group, elements, canonical(group, assignment)))
    return result
