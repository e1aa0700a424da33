"""Arrangements: space group and occupied positions, elements left out, in one description of each."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from crystalsmith.assignments import Assignment, positions_of
from crystalsmith.data import Dataset
from crystalsmith.data.volumes import compositions, strains
from crystalsmith.prototypes.alignment import Move, move, slots_of, torus
from crystalsmith.symmetry import tables


@lru_cache(maxsize=1 << 16)
def pattern_of(number: int, slots: Assignment) -> tuple[Assignment, Move]:
    """The slots that stand for all equivalent ones, and a move that brings a crystal there.

    Args:
        number: space group.
        slots: for each element its positions, ascending; elements in any order.
    """
    best: tuple[Assignment, Move] | None = None
    for element, images in enumerate(_images(number, slots)):
        order = tuple(sorted(range(len(images)), key=images.__getitem__))
        found = tuple(images[k] for k in order)
        if best is None or found < best[0]:
            best = found, Move(element, order)
    assert best is not None
    return best


@lru_cache(maxsize=1 << 14)
def canonical_move(number: int, assignment: Assignment) -> tuple[Assignment, Move]:
    """``assignments.canonical`` of an assignment, and the move that brings a crystal there."""
    images = _images(number, assignment)
    element = min(range(len(images)), key=images.__getitem__)
    return images[element], Move(element, tuple(range(len(assignment))))


def _images(number: int, slots: Assignment) -> list[Assignment]:
    """The slots under each element of the normaliser."""
    t, first = tables(), positions_of(number).first
    elements = int(t.normalizer_start[number] - t.normalizer_start[number - 1])
    to = {
        p: (t.map_to[int(t.map_start[first + p]) + np.arange(elements)] - first).tolist()
        for p in {p for slot in slots for p in slot}
    }
    return [tuple(tuple(sorted(to[p][m] for p in slot)) for slot in slots) for m in range(elements)]


@dataclass(frozen=True, eq=False)
class Members:
    """Crystals of one arrangement, N of them, all in its own description.

    Attributes:
        number: space group.
        slots: of the arrangement.
        rows: (N,) of the data set.
        w: (N, n, 3) torus coordinates, slot by slot.
        elements: (N, k) atomic number on each slot.
        strain: (N, 6) log-strains without their isotropic part.
        ratio: (N,) logarithm of the volume over that of its atoms.
        e_above_hull: (N,) eV/atom, NaN where unknown.
    """

    number: int
    slots: Assignment
    rows: np.ndarray
    w: np.ndarray
    elements: np.ndarray
    strain: np.ndarray
    ratio: np.ndarray
    e_above_hull: np.ndarray


def arrangements_of(dataset: Dataset, atomic_volume: np.ndarray) -> list[Members]:
    """The crystals of a data set by their arrangements, in the order of space groups.

    Args:
        dataset: the crystals.
        atomic_volume: (119,) Angstrom^3.
    """
    a = dataset.arrays
    reference = compositions(dataset) @ atomic_volume
    strain = strains(dataset, reference)
    ratio = strain[:, 0] * np.sqrt(3.0)  # the isotropic strain is log(length) * sqrt(3)
    strain[:, 0] = 0.0
    above = np.asarray(a["e_above_hull"]).astype(float)
    rows = np.asarray(a["wyckoff"]).astype(int)
    w = torus(rows, np.asarray(a["free"]))
    start, element = np.asarray(a["start"]).tolist(), np.asarray(a["element"])
    same: dict[tuple[int, Assignment], list[tuple[int, np.ndarray, list[int]]]] = defaultdict(list)
    for i, number in enumerate(np.asarray(a["space_group"]).tolist()):
        part = slice(start[i], start[i + 1])
        own = element[part].tolist()
        slots, site = slots_of(own, (rows[part] - positions_of(number).first).tolist())
        same[number, slots].append((i, start[i] + site, list(dict.fromkeys(own))))
    found: dict[tuple[int, Assignment], list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = defaultdict(list)
    for (number, slots), crystals in same.items():
        pattern, way = pattern_of(number, slots)
        moved, _ = move(number, slots, w[np.stack([sites for _, sites, _ in crystals])], way)
        elements = np.array([own for _, _, own in crystals])[:, list(way.slots)]
        found[number, pattern].append((np.array([i for i, _, _ in crystals]), moved, elements))
    members = []
    for (number, pattern), parts in sorted(found.items(), key=lambda item: item[0]):
        who = np.concatenate([p[0] for p in parts])
        order = np.argsort(who)
        who = who[order]
        w_all, elements = (np.concatenate([p[k] for p in parts])[order] for k in (1, 2))
        members.append(Members(number, pattern, who, w_all, elements, strain[who], ratio[who], above[who]))
    return members
