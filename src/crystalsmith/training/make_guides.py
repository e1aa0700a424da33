"""Finding guides: for each crystal the most similar ones of its layout, described as it is described.

Two crystals have one layout if an element of the Euclidean normaliser takes the positions of one, element by
element, to those of the other. Similar are those whose matched elements are (``prior.Prototypes``). Of all
descriptions of the other crystal that put matched elements on the same positions, the nearest one is taken:
over the normaliser, the exchange of sites on one position, and shifts along polar axes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, permutations, product

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from crystalsmith.assignments import positions_of
from crystalsmith.crystal.properties import dissimilarity
from crystalsmith.data import Dataset
from crystalsmith.data.volumes import primitive_volumes, strains
from crystalsmith.graph import torch_tables
from crystalsmith.prior.prototypes import POWER, WIDTH
from crystalsmith.runs.progress import Progress, silent
from crystalsmith.symmetry import tables
from crystalsmith.training.examples import torus_coordinates
from crystalsmith.training.guides import Guides

MOST = 5
"""Guides of one crystal."""

MOST_ORDERS = 120
"""Ways to match elements that sit alike; more of them are not looked at."""

_BLOCK = 400_000  # distances held at a time

Layout = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Space group; table row of each site; number of each site's element, as they first occur."""


@dataclass(frozen=True)
class _Class:
    """What a layout is equivalent to, and in which orders its elements can be taken for that."""

    key: tuple[int, tuple[tuple[int, ...], ...]]
    orders: tuple[tuple[int, ...], ...]


@lru_cache(maxsize=100_000)
def _class_of(layout: Layout) -> _Class:
    group, wyckoff, element = layout
    p = positions_of(group)
    own: list[list[int]] = [[] for _ in range(max(element) + 1)]
    for y, e in zip(wyckoff, element, strict=True):
        own[e].append(y - p.first)
    best: tuple[tuple[int, ...], ...] | None = None
    orders: dict[tuple[int, ...], None] = {}
    for move in p.permutations:
        images = [tuple(sorted(move[y] for y in places)) for places in own]
        ranked = tuple(sorted(images))
        if best is None or ranked < best:
            best, orders = ranked, {}
        if ranked == best:
            alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
            for e, image in enumerate(images):
                alike[image].append(e)
            ways = product(*(permutations(alike[image]) for image in sorted(alike)))
            for way in islice(ways, MOST_ORDERS):
                orders[tuple(e for block in way for e in block)] = None
    assert best is not None
    return _Class((group, best), tuple(islice(orders, MOST_ORDERS)))


@dataclass(frozen=True)
class _Crystals:
    """A data set by layouts; n crystals.

    Attributes:
        layouts: distinct ones; layout: (n,) which one each crystal has.
        elements: for each crystal its atomic numbers by number of the element.
        start: (n + 1,) sites; w: (s, 3); element: (s,).
    """

    layouts: list[Layout]
    layout: np.ndarray
    elements: list[tuple[int, ...]]
    start: np.ndarray
    w: np.ndarray
    element: np.ndarray


def _read(dataset: Dataset) -> _Crystals:
    a = dataset.arrays
    start, wyckoff, element = a["start"].tolist(), a["wyckoff"].tolist(), a["element"].tolist()
    number: dict[Layout, int] = {}
    layout, elements = [], []
    for i, group in enumerate(a["space_group"].tolist()):
        rows = slice(start[i], start[i + 1])
        order = list(dict.fromkeys(element[rows]))
        key = (group, tuple(wyckoff[rows]), tuple(order.index(z) for z in element[rows]))
        layout.append(number.setdefault(key, len(number)))
        elements.append(tuple(order))
    return _Crystals(
        list(number),
        np.array(layout, int),
        elements,
        np.asarray(a["start"]),
        torus_coordinates(dataset),
        np.asarray(a["element"]),
    )


@dataclass(frozen=True)
class _Pair:
    """A crystal, its guide, and which element of the guide stands for each of the crystal's."""

    crystal: int
    guide: int
    match: tuple[int, ...]
    weight: float


def _similar(
    of: _Crystals, by: _Crystals, members: np.ndarray, known: np.ndarray, itself: bool
) -> Iterator[_Pair]:
    """The most similar crystals of one class, the best first, for each of its members."""
    ways = [(j, order) for j in known.tolist() for order in _class_of(by.layouts[by.layout[j]]).orders]
    owner = np.array([j for j, _ in ways])
    theirs = np.array([[by.elements[j][e] for e in order] for j, order in ways])
    step = max(1, 4_000_000 // theirs.size)
    for part in np.split(members, np.arange(step, len(members), step)):
        orders = [_class_of(of.layouts[of.layout[i]]).orders[0] for i in part.tolist()]
        own = np.array([[of.elements[i][e] for e in o] for i, o in zip(part.tolist(), orders, strict=True)])
        d = sum(dissimilarity()[own[:, None, k], theirs[None, :, k]] for k in range(own.shape[1]))
        d = np.where(d < 1e-9, np.inf, d)  # the crystal itself, and others of its kind: too good a guide
        if itself:
            d[part[:, None] == owner[None]] = np.inf
        most = MOST * len(_class_of(by.layouts[by.layout[known[0]]]).orders)
        best = np.argpartition(d, most, axis=1)[:, :most] if most < len(ways) else None
        for row, i in enumerate(part.tolist()):
            places = np.arange(len(ways)) if best is None else np.sort(best[row])
            taken: dict[int, None] = {}
            for k in places[np.argsort(d[row, places], kind="stable")].tolist():
                if not np.isfinite(d[row, k]) or len(taken) == MOST:
                    break
                if ways[k][0] in taken:
                    continue
                taken[ways[k][0]] = None
                match = [0] * own.shape[1]
                for mine, other in zip(orders[row], ways[k][1], strict=True):
                    match[mine] = other
                weight = (1 + d[row, k] / (2 * POWER * WIDTH**2)) ** -POWER
                yield _Pair(i, ways[k][0], tuple(match), float(weight))


@lru_cache(maxsize=1)
def _geometry() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each position: orthonormal coordinates from those of the torus, the displacement of the
    representative by those of the torus, and back."""
    t = torch_tables("cpu", torch.float64)
    basis = t.free_basis.numpy()
    return t.unit_inverse.numpy(), basis, np.linalg.pinv(basis)


def _away(wyckoff: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(..., 3) shortest displacement on the torus from a point of an orbit to a point, both (..., 3)."""
    t = tables()
    rows = slice(t.self_start[wyckoff], t.self_start[wyckoff + 1])
    image = np.einsum("mij,...j->...mi", t.self_linear[rows], start) + t.self_offset[rows]
    away = end[..., None, :] - image
    away = away - np.round(away)
    square = ((away @ _geometry()[0][wyckoff].T) ** 2).sum(-1)
    nearest = np.argmin(square, axis=-1)
    return np.asarray(np.take_along_axis(away, nearest[..., None, None], -2)[..., 0, :])


Group = tuple[int, tuple[int, ...], tuple[int, ...]]
"""Position; rows of the sites on it with one element, in the crystal and in its guide."""


@lru_cache(maxsize=10_000)
def _descriptions(
    mine: Layout, theirs: Layout, match: tuple[int, ...]
) -> tuple[tuple[int, tuple[Group, ...]], ...]:
    """Elements of the normaliser that take the second layout to the first one, with what sits where then."""
    t = tables()
    own: dict[tuple[int, int], list[int]] = defaultdict(list)
    for a, (y, e) in enumerate(zip(mine[1], mine[2], strict=True)):
        own[y, match[e]].append(a)
    rows = t.map_start[np.array(theirs[1])]
    result = []
    for n in range(int(t.normalizer_start[mine[0]] - t.normalizer_start[mine[0] - 1])):
        other: dict[tuple[int, int], list[int]] = defaultdict(list)
        for b, (y, e) in enumerate(zip(t.map_to[rows + n].tolist(), theirs[2], strict=True)):
            other[y, e].append(b)
        if {k: len(v) for k, v in own.items()} == {k: len(v) for k, v in other.items()}:
            result.append((n, tuple((k[0], tuple(v), tuple(other[k])) for k, v in own.items())))
    return tuple(result)


def _matched(
    groups: tuple[Group, ...], mine: np.ndarray, theirs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which site (P, S) of the guide each one is, and the displacements (P, S, 3) from it."""
    order = np.zeros(mine.shape[:2], int)
    away = np.zeros(mine.shape)
    every = np.arange(len(mine))[:, None]
    for y, a, b in groups:
        if len(a) == 1 or tables().dof[y] == 0:
            chosen = np.tile(np.array(b), (len(mine), 1))
            away[:, a] = _away(y, theirs[:, b], mine[:, a])
        else:
            each = _away(y, theirs[:, None, b], mine[:, a, None])
            cost = ((each @ _geometry()[0][y].T) ** 2).sum(-1)
            if len(a) == 2:
                crossed = cost[:, 0, 1] + cost[:, 1, 0] < cost[:, 0, 0] + cost[:, 1, 1]
                place = np.where(crossed[:, None], [1, 0], [0, 1])
            else:
                place = np.array([linear_sum_assignment(c)[1] for c in cost])
            chosen = np.array(b)[place]
            away[:, a] = each[every, np.arange(len(a)), place]
        order[:, a] = chosen
    return order, away


def _shifts(group: int, groups: tuple[Group, ...], mine: np.ndarray, theirs: np.ndarray) -> list[np.ndarray]:
    """Shifts (P, 3) along polar axes that put a site of the guide on one of the crystal; else [0]."""
    t = tables()
    polar = t.polar[group]
    if not polar.any():
        return [np.zeros((len(mine), 3))]
    y, a, b = min(groups, key=lambda g: len(g[1]) * (t.self_start[g[0] + 1] - t.self_start[g[0]]))
    rows = slice(t.self_start[y], t.self_start[y + 1])
    basis = _geometry()[1][y]
    image = np.einsum("mij,pbj->pbmi", t.self_linear[rows], theirs[:, b]) + t.self_offset[rows]
    shift = ((mine[:, a[0], None, None] - image) @ basis.T * polar).reshape(len(mine), -1, 3)
    # A centring that moves across the axes may have to be made good for along them.
    centring = t.centring[t.centring_start[group - 1] : t.centring_start[group]] * polar
    return [shift[:, k] + step for step in np.unique(centring, axis=0) for k in range(shift.shape[1])]


def nearest_description(
    mine: Layout, theirs: Layout, match: tuple[int, ...], w: np.ndarray, other: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The second crystals as the first ones are described, and as near to them as that can be.

    Args:
        mine, theirs: the layouts.
        match: for each element of the first the one of the second that stands for it.
        w, other: (P, S, 3) torus coordinates of P pairs.

    Returns:
        (P, S, 3) torus coordinates in the order of the first's sites, and (P, S) the second's site for each.
    """
    t, (unit_inverse, basis, inverse) = tables(), _geometry()
    y = np.array(mine[1])
    size = t.multiplicity_primitive[y]
    least = np.full(len(w), np.inf)
    result, sites = np.zeros(w.shape), np.zeros(w.shape[:2], int)
    polar = t.polar[mine[0]]
    for n, groups in _descriptions(mine, theirs, match):
        row = t.map_start[np.array(theirs[1])] + n
        moved = np.einsum("sij,psj->psi", t.map_linear[row], other) + t.map_offset[row]
        for shift in _shifts(mine[0], groups, w, moved):
            there = moved + np.einsum("sij,pj->psi", inverse[t.map_to[row]], shift)
            order, away = _matched(groups, w, there)
            if polar.any():
                mean = np.einsum("s,sij,psj->pi", size / size.sum(), basis[y], away) * polar
                there = there + np.einsum("sij,pj->psi", inverse[t.map_to[row]], mean)
                order, away = _matched(groups, w, there)
            cost = (size * (np.einsum("sij,psj->psi", unit_inverse[y], away) ** 2).sum(-1)).sum(1)
            better = cost < least - 1e-9
            least[better] = cost[better]
            sites[better] = order[better]
            result[better] = (w - away)[better]
    return result % 1.0 * (np.arange(3) < t.dof[y][:, None]), sites


def find_guides(dataset: Dataset, known: Dataset | None = None, progress: Progress = silent) -> Guides:
    """Guides of all crystals of a data set.

    Args:
        dataset: n crystals.
        known: where guides come from; the data set itself if not given. No crystal guides one with the same
            elements on the same positions.
        progress: told of the crystals done.
    """
    of = _read(dataset)
    by = of if known is None else _read(known)
    members: dict[tuple[int, tuple[tuple[int, ...], ...]], list[int]] = defaultdict(list)
    others: dict[tuple[int, tuple[tuple[int, ...], ...]], list[int]] = defaultdict(list)
    for crystals, kept in ((of, members), (by, others)):
        for i, number in enumerate(crystals.layout.tolist()):
            kept[_class_of(crystals.layouts[number]).key].append(i)
    blocks: dict[tuple[int, int, tuple[int, ...]], list[_Pair]] = defaultdict(list)
    pairs: list[_Pair] = []
    done = 0
    for key, crystals_of in members.items():
        done += len(crystals_of)
        progress("similar crystals", done, len(dataset))
        if key in others:
            for pair in _similar(of, by, np.array(crystals_of), np.array(others[key]), known is None):
                blocks[int(of.layout[pair.crystal]), int(by.layout[pair.guide]), pair.match].append(pair)
                pairs.append(pair)
    found: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
    done = 0
    for (i, j, match), block in blocks.items():
        sites = len(of.layouts[i][1])
        widest = max(int(np.diff(tables().self_start)[y]) for y in of.layouts[i][1])
        step = max(1, _BLOCK // (sites * sites * widest))
        for part in (block[k : k + step] for k in range(0, len(block), step)):
            inside = np.arange(sites)
            w = of.w[of.start[[p.crystal for p in part]][:, None] + inside]
            other = by.w[by.start[[p.guide for p in part]][:, None] + inside]
            nearest, order = nearest_description(of.layouts[i], by.layouts[j], match, w, other)
            for k, p in enumerate(part):
                found[p.crystal, p.guide] = nearest[k], by.element[by.start[p.guide] + order[k]]
            done += len(part)
            progress("alignment", done, len(pairs))
    pairs.sort(key=lambda p: p.crystal)  # stable: the most similar stays first
    source = np.array([p.guide for p in pairs], int)
    volume = primitive_volumes(dataset if known is None else known)
    shape = strains(dataset if known is None else known, volume)
    a = dataset.arrays
    none = np.zeros((0, 3))
    return Guides(
        {
            "start": np.searchsorted([p.crystal for p in pairs], np.arange(len(dataset) + 1)),
            "site_start": np.asarray(a["start"]),
            "id_start": np.asarray(a["id_start"]),
            "w": np.concatenate([none, *(found[p.crystal, p.guide][0] for p in pairs)]).astype(np.float32),
            "shape": shape[source].astype(np.float32),
            "volume": volume[source].astype(np.float32),
            "weight": np.array([p.weight for p in pairs], np.float32),
            "source": source.astype(np.int32),
            "wyckoff": np.asarray(a["wyckoff"]),
            "element": np.concatenate([none[:, 0], *(found[p.crystal, p.guide][1] for p in pairs)]).astype(
                np.uint8
            ),
            "id_bytes": np.asarray(a["id_bytes"]),
        }
    )
