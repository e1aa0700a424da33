"""Which Wyckoff positions known crystals occupy: letters that an order leaves open come from it."""

from __future__ import annotations

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
    """

    space_group: np.ndarray
    start: np.ndarray
    element: np.ndarray
    wyckoff: np.ndarray

    def __len__(self) -> int:
        return len(self.space_group)


def occupations(dataset: Dataset) -> Occupations:
    """Those of a data set, sites sorted within each crystal, repeats left out, by space group."""
    a = dataset.arrays
    owner = np.repeat(np.arange(len(dataset)), np.diff(a["start"]))
    order = np.lexsort((a["wyckoff"], a["element"], owner))
    sites = a["element"][order].astype(np.uint8), a["wyckoff"][order].astype(np.int16)
    return _distinct(Occupations(np.asarray(a["space_group"]), np.asarray(a["start"]), *sites))


def both_occupations(a: Occupations, b: Occupations) -> Occupations:
    """Those of two data sets together, as ``occupations`` gives those of one."""
    start = np.concatenate([a.start, int(a.start[-1]) + b.start[1:].astype(np.int64)])
    rest = (np.concatenate([getattr(o, k) for o in (a, b)]) for k in ("space_group", "element", "wyckoff"))
    group, element, wyckoff = rest
    return _distinct(Occupations(group, start, element, wyckoff))


def _distinct(o: Occupations) -> Occupations:
    kept: dict[bytes, int] = {}
    for i in range(len(o)):
        rows = slice(o.start[i], o.start[i + 1])
        kept.setdefault(o.element[rows].tobytes() + o.wyckoff[rows].tobytes(), i)
    chosen = np.array(sorted(kept.values(), key=lambda i: (o.space_group[i], i)), dtype=np.int64)
    length = np.diff(o.start)[chosen]
    new = np.concatenate([[0], np.cumsum(length)]).astype(np.int32)
    site = np.arange(new[-1]) + np.repeat(o.start[chosen] - new[:-1], length)
    return Occupations(o.space_group[chosen].astype(np.uint8), new, o.element[site], o.wyckoff[site])


def no_occupations() -> Occupations:
    """Those of no crystals."""
    none = np.zeros(0, np.uint8)
    return Occupations(none, np.zeros(1, np.int32), none, np.zeros(0, np.int16))
