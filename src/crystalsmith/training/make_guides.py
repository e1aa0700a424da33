"""Finding guides: for each crystal the most similar ones of its arrangement, described as it is described.

Of one arrangement are crystals of one group and occupied positions, elements left out and up to the choice of
origin and setting (``prototypes.arrangements``). Similar are those whose matched elements are
(``prior.Prototypes``). Of all descriptions of the other crystal that put matched elements on the same
positions, the nearest one is taken (``prototypes.alignment``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from crystalsmith.assignments import Assignment, positions_of
from crystalsmith.crystal.properties import dissimilarity
from crystalsmith.data import Dataset
from crystalsmith.data.volumes import primitive_volumes, strains
from crystalsmith.prior.prototypes import POWER, WIDTH
from crystalsmith.prototypes.alignment import Move, fit, moves, slots_of, torus
from crystalsmith.prototypes.arrangements import Members, arrangements_of, pattern_of
from crystalsmith.runs.progress import Progress, silent
from crystalsmith.symmetry import cell_to_lattice
from crystalsmith.training.guides import Guides

MOST = 5
"""Guides of one crystal."""

MOST_ORDERS = 120
"""Ways to match elements that sit alike; more of them are not looked at."""

_BLOCK = 4_000_000  # dissimilarities held at a time

Order = tuple[int, ...]
"""Which slot of a guide lies on each of a crystal's."""


@dataclass(frozen=True, eq=False)
class _Alike:
    """Crystals with the same slots, in their own descriptions.

    Attributes:
        number, slots: space group and slots.
        rows: (n,) of the data set.
        sites: (n, s) the site of each entry of the slots, in the data set's list of sites.
        elements: (n, k) atomic number on each slot.
    """

    number: int
    slots: Assignment
    rows: np.ndarray
    sites: np.ndarray
    elements: np.ndarray


def _by_slots(dataset: Dataset) -> list[_Alike]:
    """The crystals of a data set by their slots."""
    a = dataset.arrays
    start, wyckoff, element = (np.asarray(a[k]).tolist() for k in ("start", "wyckoff", "element"))
    found: dict[tuple[int, Assignment], list[tuple[int, np.ndarray, list[int]]]] = defaultdict(list)
    for i, number in enumerate(np.asarray(a["space_group"]).tolist()):
        part, first = slice(start[i], start[i + 1]), positions_of(number).first
        slots, site = slots_of(element[part], [y - first for y in wyckoff[part]])
        found[number, slots].append((i, start[i] + site, list(dict.fromkeys(element[part]))))
    return [
        _Alike(number, slots, *(np.array(column) for column in zip(*own, strict=True)))
        for (number, slots), own in found.items()
    ]


def _similar(
    of: _Alike, by: Members, orders: list[Order], itself: bool
) -> Iterator[list[tuple[int, Order, float]]]:
    """For each crystal in turn its guides: a row of the members, the order of its slots, the similarity.

    Args:
        of: the crystals.
        by: those of their arrangement that may guide them.
        orders: of their slots.
        itself: both are of one data set.
    """
    theirs = by.elements[:, np.array(orders)]  # (m, o, k)
    owner = np.repeat(np.arange(len(by.rows)), len(orders))
    flat = theirs.reshape(len(owner), -1)
    most = MOST * len(orders)
    step = max(1, _BLOCK // flat.size)
    for begin in range(0, len(of.rows), step):
        part = slice(begin, begin + step)
        d = dissimilarity()[of.elements[part, None], flat].sum(2)
        d[d < 1e-9] = np.inf  # the crystal itself, and others of its kind: too good a guide
        if itself:
            d[of.rows[part, None] == by.rows[owner]] = np.inf
        for row in d:
            near = np.sort(np.argpartition(row, most)[:most]) if most < len(row) else np.arange(len(row))
            found: dict[int, tuple[int, Order, float]] = {}
            for k in near[np.argsort(row[near], kind="stable")].tolist():
                if not np.isfinite(row[k]) or len(found) == MOST:
                    break
                weight = float((1 + row[k] / (2 * POWER * WIDTH**2)) ** -POWER)
                found.setdefault(int(owner[k]), (int(owner[k]), orders[k % len(orders)], weight))
            yield list(found.values())


def find_guides(dataset: Dataset, known: Dataset | None = None, progress: Progress = silent) -> Guides:
    """Guides of all crystals of a data set.

    Args:
        dataset: n crystals.
        known: where guides come from; the data set itself if not given. No crystal guides one with the same
            elements on the same positions.
        progress: told of the crystals done.
    """
    lending = dataset if known is None else known
    by = {(m.number, m.slots): m for m in arrangements_of(lending, np.ones(119))}
    a = dataset.arrays
    w = torus(np.asarray(a["wyckoff"]).astype(int), np.asarray(a["free"]))
    cells = np.asarray(a["cell"]).astype(float)
    laid: dict[int, list[_Laid]] = {}
    done = 0
    for of in _by_slots(dataset):
        members = by.get((of.number, pattern_of(of.number, of.slots)[0]))
        if members is not None:
            ways: dict[Order, list[Move]] = defaultdict(list)
            for way in moves(of.number, of.slots, members.slots):
                ways[way.slots].append(way)
            guides = _similar(of, members, list(ways)[:MOST_ORDERS], known is None)
            for k, (i, own) in enumerate(zip(of.rows.tolist(), guides, strict=True)):
                lattice = cell_to_lattice(of.number, cells[i])
                laid[i] = _described(of, w[of.sites[k]], of.sites[k], lattice, members, own, ways)
        done += len(of.rows)
        progress("crystals", done, len(dataset))
    every = [one for i in range(len(dataset)) for one in laid.get(i, ())]
    source = np.array([one.source for one in every], int)
    volume = primitive_volumes(lending)
    shape = strains(lending, volume)
    none = np.zeros((0, 3))
    return Guides(
        {
            "start": np.cumsum([0, *(len(laid.get(i, ())) for i in range(len(dataset)))]),
            "site_start": np.asarray(a["start"]),
            "id_start": np.asarray(a["id_start"]),
            "w": np.concatenate([none, *(one.w for one in every)]).astype(np.float32),
            "shape": shape[source].astype(np.float32),
            "volume": volume[source].astype(np.float32),
            "weight": np.array([one.weight for one in every], np.float32),
            "source": source.astype(np.int32),
            "wyckoff": np.asarray(a["wyckoff"]),
            "element": np.concatenate([none[:, 0], *(one.element for one in every)]).astype(np.uint8),
            "id_bytes": np.asarray(a["id_bytes"]),
        }
    )


@dataclass(frozen=True, eq=False)
class _Laid:
    """A guide in its crystal's description: row in its data set, (s, 3) coordinates, (s,) atomic numbers."""

    source: int
    weight: float
    w: np.ndarray
    element: np.ndarray


def _described(
    of: _Alike,
    w: np.ndarray,
    site: np.ndarray,
    lattice: np.ndarray,
    by: Members,
    guides: list[tuple[int, Order, float]],
    ways: Mapping[Order, Sequence[Move]],
) -> list[_Laid]:
    """The guides of one crystal as it is described, its sites in their own order.

    Args:
        of: crystals with its slots.
        w: (s, 3) its coordinates, slot by slot.
        site: (s,) the site of each of these.
        lattice: (3, 3) its conventional lattice.
        by: where the guides are.
        guides: from ``_similar``.
        ways: moves of the guides by the order of their slots.
    """
    back = np.argsort(site)
    lengths = [len(slot) for slot in of.slots]
    result: list[_Laid | None] = [None] * len(guides)
    for order in dict.fromkeys(order for _, order, _ in guides):
        places = [k for k, guide in enumerate(guides) if guide[1] == order]
        rows = [guides[k][0] for k in places]
        found = fit(of.number, of.slots, w, lattice, by.slots, by.w[rows], ways[order]).w
        for k, row, one in zip(places, rows, found - np.floor(found), strict=True):
            element = np.repeat(by.elements[row][list(order)], lengths)
            result[k] = _Laid(int(by.rows[row]), guides[k][2], one[back], element[back])
    return [one for one in result if one is not None]
