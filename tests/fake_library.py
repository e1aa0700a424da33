"""Known arrangements as ``prototypes.Library`` gives them, of a few crystals at hand."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from crystalsmith.assignments import Assignment, canonical, from_pairs, positions_of
from crystalsmith.crystal import SYMBOLS, Crystal, Site
from crystalsmith.crystal.validity import fault
from crystalsmith.prior import Prototypes
from crystalsmith.prior.known import Known

Key = tuple[int, ...]


@dataclass(frozen=True)
class FakeTemplate:
    """As ``prototypes.Template``."""

    crystal: Crystal
    weight: float
    source: str
    name: str
    members: int = 1
    spread: float = 0.0


class FakeLibrary:
    """Crystals with elements exchanged, in larger cells where the new ones need room.

    Args:
        crystals: what is known.
        members: known crystals that each stands for.
        source: what they are taken from.
        mend: make room; else cells stay as they are.
        weight: of all of them; that of their elements if None.
    """

    def __init__(
        self,
        crystals: Iterable[Crystal],
        members: int = 5,
        source: str = "prototype",
        mend: bool = True,
        weight: float | None = None,
    ) -> None:
        self.weight = weight
        self.crystals, self.members, self.source, self.mend = list(crystals), members, source, mend
        self.asked = 0
        known = []
        for c in self.crystals:
            symbols, assignment = from_pairs(c.space_group, [(s.element, s.letter) for s in c.sites])
            elements = tuple(SYMBOLS.index(s) for s in symbols)
            known.append(Known(c.space_group, elements, assignment))
        self._known = Prototypes(known)

    def by_atoms(
        self, elements: Key, counts: Key, groups: Collection[int] | None, most: int
    ) -> list[FakeTemplate]:
        """As of ``prototypes.Library``."""
        self.asked += 1
        found = []
        for weight, i, match in sorted(self._known.matches_by_atoms(elements, counts), key=lambda m: -m[0]):
            crystal, own = self.crystals[i], self._known.known[i].elements
            if groups is None or crystal.space_group in groups:
                change = {SYMBOLS[own[m]]: SYMBOLS[z] for z, m in zip(elements, match, strict=True)}
                sites = tuple(Site(change[s.element], s.letter, s.free) for s in crystal.sites)
                made = Crystal(crystal.space_group, crystal.cell, sites)
                for _ in range(20 if self.mend else 0):
                    if fault(made) is None:
                        break
                    cell = (*(1.05 * x for x in made.cell[:3]), *made.cell[3:])
                    made = Crystal(crystal.space_group, cell, sites)
                weight = weight if self.weight is None else self.weight
                found.append(FakeTemplate(made, weight, self.source, crystal.formula, self.members))
        return found[:most]

    def by_assignment(
        self, group: int, elements: Key, assignment: Assignment, most: int
    ) -> list[FakeTemplate]:
        """As of ``prototypes.Library``."""
        size = positions_of(group).size
        counts = tuple(sum(size[p] for p in own) for own in assignment)
        target = canonical(group, assignment)
        return [
            t
            for t in self.by_atoms(elements, counts, [group], 10**6)
            if canonical(group, from_pairs(group, [(s.element, s.letter) for s in t.crystal.sites])[1])
            == target
        ][:most]
