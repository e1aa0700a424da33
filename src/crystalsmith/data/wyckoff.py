"""Which Wyckoff positions known crystals occupy: letters that an order leaves open come from it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crystalsmith.data.dataset import Dataset
from crystalsmith.symmetry import tables

SITE_BINS = (1, 2, 3, 4, 5, 7)
"""Smallest number of sites (orbits) of each bin: 1, 2, 3, 4, 5-6 and 7 or more."""


def site_bin(n_sites: int | np.ndarray) -> np.ndarray:
    """Index into ``SITE_BINS`` for numbers of sites (any shape)."""
    return np.searchsorted(SITE_BINS, n_sites, side="right") - 1


def count_wyckoff(dataset: Dataset) -> np.ndarray:
    """(1731, 6) how often each Wyckoff position occurs, by the bin of the number of sites in the crystal."""
    orbits = np.diff(dataset.arrays["start"])
    counts = np.zeros((len(tables().dof), len(SITE_BINS)), dtype=np.int32)
    np.add.at(counts, (dataset.arrays["wyckoff"].astype(int), site_bin(np.repeat(orbits, orbits))), 1)
    return counts


@dataclass(frozen=True, eq=False)
class Occupations:
    """Who sits where in known crystals; no cells, no coordinates.

    Attributes:
        space_group: (n,) numbers.
        start: (n + 1,) sites of crystal i are rows start[i]:start[i + 1].
        element: (s,) atomic numbers.
        wyckoff: (s,) rows in ``symmetry.Tables``.
        ids: (n,) strings, where each comes from, such as ``mp-1234``, empty where unknown; None where nobody
            said.
        e_above_hull: (n,) eV/atom by the data, NaN where unknown; None where nobody said.
        observed: (n,) int8, 1 where experiment has seen it, 0 where it was computed alone, -1 where unknown;
            None where nobody said.
    """

    space_group: np.ndarray
    start: np.ndarray
    element: np.ndarray
    wyckoff: np.ndarray
    ids: np.ndarray | None = None
    e_above_hull: np.ndarray | None = None
    observed: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.space_group)

    @property
    def names(self) -> np.ndarray:
        """(n,) ids, empty where unknown."""
        return np.full(len(self), "") if self.ids is None else self.ids

    @property
    def distances(self) -> np.ndarray:
        """(n,) eV/atom above the hull of the data, NaN where unknown."""
        return np.full(len(self), np.nan, np.float32) if self.e_above_hull is None else self.e_above_hull

    @property
    def seen(self) -> np.ndarray:
        """(n,) 1 observed, 0 computed alone, -1 where unknown."""
        return np.full(len(self), -1, np.int8) if self.observed is None else self.observed


def occupations(dataset: Dataset) -> Occupations:
    """Those of a data set, sites sorted within each crystal, repeats left out, by space group.

    Of crystals that occupy the same positions, the most stable one lends its id and its distance to the hull;
    they count as observed where one of them is, as computed alone where all are.
    """
    a = dataset.arrays
    owner = np.repeat(np.arange(len(dataset)), np.diff(a["start"]))
    order = np.lexsort((a["wyckoff"], a["element"], owner))
    sites = a["element"][order].astype(np.uint8), a["wyckoff"][order].astype(np.int16)
    names = np.array([" ".join(name.split()) for name in dataset.ids], dtype=np.str_)
    above = np.asarray(a["e_above_hull"], dtype=np.float32)
    seen = np.asarray(a["icsd"], dtype=np.int8)
    group, start = np.asarray(a["space_group"]), np.asarray(a["start"])
    return _distinct(Occupations(group, start, *sites, names, above, seen))


def both_occupations(a: Occupations, b: Occupations) -> Occupations:
    """Those of two data sets together, as ``occupations`` gives those of one."""
    start = np.concatenate([a.start, int(a.start[-1]) + b.start[1:].astype(np.int64)])
    rest = (np.concatenate([getattr(o, k) for o in (a, b)]) for k in ("space_group", "element", "wyckoff"))
    group, element, wyckoff = rest

    def told(name: str) -> bool:
        return any(getattr(o, name) is not None for o in (a, b))

    names = np.concatenate([a.names, b.names]) if told("ids") else None
    above = np.concatenate([a.distances, b.distances]) if told("e_above_hull") else None
    seen = np.concatenate([a.seen, b.seen]) if told("observed") else None
    return _distinct(Occupations(group, start, element, wyckoff, names, above, seen))


def _distinct(o: Occupations) -> Occupations:
    """One for each space group and set of occupied positions."""
    kept: dict[bytes, int] = {}
    speaks: dict[bytes, int] = {}  # the one whose id and distance are kept
    names, above, seen = o.names.tolist(), o.distances.tolist(), o.seen.tolist()
    flags: dict[bytes, set[int]] = {}

    def rank(i: int) -> tuple[float, bool]:
        return (math.inf if math.isnan(above[i]) else above[i]), not names[i]

    for i in range(len(o)):
        sites = slice(o.start[i], o.start[i + 1])
        key = o.element[sites].tobytes() + o.wyckoff[sites].tobytes()
        kept.setdefault(key, i)
        flags.setdefault(key, set()).add(seen[i])
        if rank(i) < rank(speaks.setdefault(key, i)):
            speaks[key] = i
    merged = (1 if 1 in own else min(own) for own in flags.values())
    rows = zip(kept.values(), speaks.values(), merged, strict=True)
    ordered = sorted(rows, key=lambda p: (o.space_group[p[0]], p[0]))
    chosen, speaking, observed = np.array(ordered, dtype=np.int64).reshape(-1, 3).T
    length = np.diff(o.start)[chosen]
    new = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    site = np.arange(new[-1]) + np.repeat(o.start[chosen] - new[:-1], length)
    return Occupations(
        o.space_group[chosen].astype(np.uint8),
        new,
        o.element[site],
        o.wyckoff[site],
        None if o.ids is None else o.ids[speaking],
        None if o.e_above_hull is None else o.e_above_hull[speaking],
        None if o.observed is None else observed.astype(np.int8),
    )


def no_occupations() -> Occupations:
    """Those of no crystals."""
    none = np.zeros(0, np.uint8)
    return Occupations(none, np.zeros(1, np.int32), none, np.zeros(0, np.int16))
