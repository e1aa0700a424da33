"""Known crystals as assignments of Wyckoff positions: no cells, no coordinates."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crystalsmith.assignments import Assignment, canonical, positions_of
from crystalsmith.crystal.elements import SYMBOLS, formula_order, reduced_formula
from crystalsmith.data.wyckoff import Occupations
from crystalsmith.symmetry import space_group, tables


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


class KnownCrystals:
    """Many known crystals; their assignments are made out one by one, when they are asked for.

    Attributes:
        space_group: (n,) numbers.
        start: (n + 1,) elements of crystal i are rows start[i]:start[i + 1], cations first.
        element: (m,) atomic numbers.
        atoms, sites: (m,) atoms in the primitive cell and inequivalent sites of each.
        ids: (n,) strings, where each comes from, empty where unknown.
        e_above_hull: (n,) eV/atom by the data, NaN where unknown.
        observed: (n,) 1 where experiment has seen it, 0 where it was computed alone, -1 where unknown.
    """

    def __init__(
        self,
        space_group: np.ndarray,
        start: np.ndarray,
        element: np.ndarray,
        atoms: np.ndarray,
        sites: np.ndarray,
        assignment: Callable[[int], Assignment],
        ids: np.ndarray | None = None,
        e_above_hull: np.ndarray | None = None,
        observed: np.ndarray | None = None,
    ) -> None:
        self.space_group, self.start = space_group, start
        self.element, self.atoms, self.sites = element, atoms, sites
        self._assignment = assignment
        self.ids = np.full(len(self), "") if ids is None else ids
        self.e_above_hull = np.full(len(self), np.nan) if e_above_hull is None else e_above_hull
        self.observed = np.full(len(self), -1, np.int8) if observed is None else observed

    @staticmethod
    def read(o: Occupations) -> KnownCrystals:
        """Those of a training set."""
        rank = np.array([0, *(_RANK[z] for z in range(1, len(SYMBOLS)))])
        crystal = np.repeat(np.arange(len(o)), np.diff(o.start))
        key = crystal * 256 + rank[o.element.astype(int)]
        pairs, first, place = np.unique(key, return_index=True, return_inverse=True)
        atoms = np.bincount(place, tables().multiplicity_primitive[o.wyckoff.astype(int)]).astype(int)
        group, start, element, wyckoff = (
            np.asarray(x) for x in (o.space_group, o.start, o.element, o.wyckoff)
        )

        def assignment(i: int) -> Assignment:
            number, rows = int(group[i]), slice(int(start[i]), int(start[i + 1]))
            own: dict[int, list[int]] = defaultdict(list)
            for z, y in zip(element[rows].tolist(), wyckoff[rows].tolist(), strict=True):
                own[z].append(y - positions_of(number).first)
            ordered = sorted(own, key=_RANK.__getitem__)
            return canonical(number, tuple(tuple(sorted(own[z])) for z in ordered))

        return KnownCrystals(
            space_group=group.astype(int),
            start=np.searchsorted(pairs, np.arange(len(o) + 1) * 256),
            element=element[first].astype(int),
            atoms=atoms,
            sites=np.bincount(place),
            assignment=assignment,
            ids=o.names,
            e_above_hull=o.distances,
            observed=o.seen,
        )

    @staticmethod
    def of(known: Sequence[Known]) -> KnownCrystals:
        """Those of a list."""
        return KnownCrystals(
            space_group=np.array([k.space_group for k in known], dtype=int),
            start=np.cumsum([0, *(len(k.elements) for k in known)]),
            element=np.array([z for k in known for z in k.elements], dtype=int),
            atoms=np.array([n for k in known for n in k.counts], dtype=int),
            sites=np.array([n for k in known for n in k.sites], dtype=int),
            assignment=lambda i: known[i].assignment,
        )

    def __len__(self) -> int:
        return len(self.space_group)

    def __getitem__(self, i: int) -> Known:
        if not 0 <= i < len(self):
            raise IndexError(f"crystal {i} of {len(self)}")
        rows = slice(int(self.start[i]), int(self.start[i + 1]))
        return Known(int(self.space_group[i]), tuple(self.element[rows].tolist()), self._assignment(i))

    def name(self, i: int) -> str:
        """In words: ``CuK2Si (P6_3/mmc, mp-1234)``."""
        k = self[i]
        formula = reduced_formula(dict(zip((SYMBOLS[z] for z in k.elements), k.counts, strict=True)))
        place = ", ".join(filter(None, (space_group(k.space_group).symbol, str(self.ids[i]))))
        return f"{formula} ({place})"

    def above_hull(self, i: int) -> float | None:
        """eV/atom by which a crystal lies above the hull of the data; None where unknown."""
        value = float(self.e_above_hull[i])
        return None if math.isnan(value) else value

    def was_observed(self, i: int) -> bool | None:
        """Whether experiment has seen a crystal; None where unknown."""
        flag = int(self.observed[i])
        return None if flag < 0 else bool(flag)

    def __iter__(self) -> Iterator[Known]:
        return (self[i] for i in range(len(self)))

    def by_number_of_elements(self) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """(E, crystals (n,), rows (n, E)) of those with E elements, E ascending."""
        lengths = np.diff(self.start)
        for n in np.unique(lengths):
            crystals = np.flatnonzero(lengths == n)
            yield int(n), crystals, self.start[crystals][:, None] + np.arange(n)


def known_assignments(o: Occupations) -> list[Known]:
    """The crystals of a training set, in its order."""
    return list(KnownCrystals.read(o))


_RANK = {z: k for k, z in enumerate(sorted(range(1, len(SYMBOLS)), key=lambda z: formula_order(SYMBOLS[z])))}
