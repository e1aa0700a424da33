"""Known arrangements with other elements, the most similar first: what ``prior.Prototypes`` finds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from composition import Control, atoms_of

from crystalsmith.assignments import canonical, from_pairs, to_pairs
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.elements import NUMBERS, SYMBOLS
from crystalsmith.data import Dataset
from crystalsmith.ranking.agreement import SAME
from crystalsmith.ranking.fingerprint import differences, fingerprint

LOOKED_AT = 8
"""Known crystals that are looked at for each arrangement that is asked for."""


@dataclass(frozen=True)
class Found:
    """A known arrangement: the heaviest of those that are alike, and how many they are."""

    crystal: Crystal
    weight: float
    members: int


class Templates(Control):
    """Known crystals with exchanged elements, those that are alike merged."""

    def __init__(self, data: Dataset) -> None:
        super().__init__(data)

    def of(self, truth: Crystal, group: int | None, letters: Any | None, most: int) -> list[Found]:
        """Arrangements with the truth's composition (and group, and letters), heaviest first."""
        kept: list[list[Any]] = []
        prints = []
        for looked, (weight, crystal) in enumerate(self._each(truth, group)):
            if looked == LOOKED_AT * most:
                break
            if letters is not None and _sites(crystal) != letters:
                continue
            own = fingerprint(crystal)
            alike = [k for k, p in enumerate(prints) if differences([p, own])[0, 1] < SAME]
            if alike:
                kept[alike[0]][2] += 1
            elif len(kept) < most:
                kept.append([crystal, weight, 1])
                prints.append(own)
        return [Found(*k) for k in kept]

    def _each(self, truth: Crystal, group: int | None) -> Iterator[tuple[float, Crystal]]:
        counts = atoms_of(truth)
        elements = tuple(NUMBERS[e] for e in counts)
        found = self.prototypes.matches_by_atoms(elements, tuple(counts.values()))
        taken = set()
        for weight, row, match in sorted(found, key=lambda m: (-m[0], m[1])):
            known = self.prototypes.known[row]
            if row in taken or (group is not None and known.space_group != group):
                continue
            taken.add(row)
            change = {SYMBOLS[known.elements[k]]: SYMBOLS[z] for z, k in zip(elements, match, strict=True)}
            yield weight, self._exchange(self.data[row], change)


def _sites(crystal: Crystal) -> Any:
    number = crystal.space_group
    elements, assignment = from_pairs(number, [(s.element, s.letter) for s in crystal.sites])
    return to_pairs(number, elements, canonical(number, assignment))
