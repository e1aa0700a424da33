"""Two crystals of one arrangement, described alike.

A crystal has many descriptions: from any of the origins and axes that its group does not tell apart, with any
point of an orbit to represent it, and with its sites in any order. Here the one of a crystal is found that
lies nearest to another crystal's, so that free parameters can be compared, averaged and exchanged.

*Slots* are the occupied positions with the elements left out: for each element the positions of its sites,
counted within the group from 0, as in ``assignments``. Torus coordinates w are those of ``symmetry``:
``u = period @ w``, w of period 1.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations, product

import numpy as np

from crystalsmith.assignments import Assignment, positions_of
from crystalsmith.crystal import Crystal, Site
from crystalsmith.symmetry import space_group, tables

MOST_EXCHANGES = 720
"""Ways to match the slots of two crystals that are tried; the first of them where there are more."""

_BLOCK = 2_000_000
"""Numbers in the largest array of one step."""

_ROUNDS = 4
"""Alternations between the sites' match and the shift along polar axes; it has settled after two or three."""


@dataclass(frozen=True)
class Move:
    """One way to lay a crystal's slots on those of another.

    Attributes:
        element: row of the Euclidean normaliser.
        slots: which of the moved crystal's slots comes to lie on each slot of the reference.
    """

    element: int
    slots: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Fit:
    """N crystals beside one reference of n sites.

    Attributes:
        distance: (N,) root mean square distance of the atoms, Angstrom in the reference's lattice.
        w: (N, n, 3) torus coordinates in the reference's order of sites, unwrapped: within half a period of
            the reference's, and zero beyond a position's freedom.
        site: (N, n) which of the crystal's own sites lies on each site of the reference.
        move: (N,) row of the moves.
    """

    distance: np.ndarray
    w: np.ndarray
    site: np.ndarray
    move: np.ndarray


def moves(number: int, reference: Assignment, other: Assignment) -> tuple[Move, ...]:
    """All ways to lay the slots of a crystal on those of a reference; empty if they are of two arrangements.

    Args:
        number: space group.
        reference: its slots, positions ascending in each.
        other: slots of the crystal to move, in the same form.
    """
    return _moves(number, reference, other)


@lru_cache(maxsize=4096)
def _moves(number: int, reference: Assignment, other: Assignment) -> tuple[Move, ...]:
    if sorted(map(len, reference)) != sorted(map(len, other)):
        return ()
    found = []
    for element, to in enumerate(_maps(number)):
        moved = [tuple(sorted(int(to[p]) for p in slot)) for slot in other]
        found += [Move(element, slots) for slots in _exchanges(reference, moved)]
    return tuple(found)


def _exchanges(reference: Assignment, moved: Sequence[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Ways to match equal slots, as many as are tried."""
    if sorted(reference) != sorted(moved):
        return
    kinds = sorted(set(reference))
    ours = [[k for k, slot in enumerate(reference) if slot == kind] for kind in kinds]
    theirs = [[k for k, slot in enumerate(moved) if slot == kind] for kind in kinds]
    for tried, choice in enumerate(product(*(permutations(rows) for rows in theirs))):
        if tried == MOST_EXCHANGES:
            return
        result = [0] * len(reference)
        for places, rows in zip(ours, choice, strict=True):
            for place, row in zip(places, rows, strict=True):
                result[place] = row
        yield tuple(result)


@lru_cache(maxsize=230)
def _maps(number: int) -> np.ndarray:
    """(M, P) position that each of the group's positions becomes under each element of the normaliser."""
    t = tables()
    first, end = int(t.wyckoff_start[number - 1]), int(t.wyckoff_start[number])
    elements = int(t.normalizer_start[number] - t.normalizer_start[number - 1])
    return np.asarray((t.map_to[t.map_start[first:end][:, None] + np.arange(elements)] - first).T)


@lru_cache(maxsize=1)
def spans() -> np.ndarray:
    """(1731, 3, 3) conventional fractional displacement of a displacement w, beyond the freedom zero."""
    t = tables()
    free = np.arange(3) < t.dof[:, None]
    return np.einsum("yij,yjk,yk->yik", t.basis * free[:, None, :], t.period, free)


@lru_cache(maxsize=1)
def _returns() -> np.ndarray:
    """(1731, 3, 3) w of a conventional fractional displacement within the free space."""
    return np.asarray(np.linalg.pinv(spans()))


def torus(rows: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Torus coordinates w (s, 3) of free parameters u (s, 3) on positions (s,), in [0, 1)."""
    t = tables()
    padded = (
        t.period[rows] * _square(t.dof[rows]) + np.eye(3) * (np.arange(3) >= t.dof[rows][:, None])[:, None]
    )
    w = np.linalg.solve(padded, np.asarray(free, float)[:, :, None])[:, :, 0]
    return np.asarray((w - np.floor(w)) * (np.arange(3) < t.dof[rows][:, None]))


def _square(dof: np.ndarray) -> np.ndarray:
    free = np.arange(3) < dof[:, None]
    return np.asarray(free[:, :, None] & free[:, None, :])


def slots_of(elements: Sequence[object], positions: Sequence[int]) -> tuple[Assignment, np.ndarray]:
    """The slots of a crystal, elements in the order in which they occur.

    Args:
        elements: of each site.
        positions: of each site, counted within the group from 0.

    Returns:
        The slots, and (n,) the site of each of their entries in turn.
    """
    order: dict[object, list[tuple[int, int]]] = {}
    for k, (element, position) in enumerate(zip(elements, positions, strict=True)):
        order.setdefault(element, []).append((int(position), k))
    sorted_sites = [sorted(own) for own in order.values()]
    slots = tuple(tuple(p for p, _ in own) for own in sorted_sites)
    return slots, np.array([k for own in sorted_sites for _, k in own])


def move(number: int, slots: Assignment, w: np.ndarray, way: Move) -> tuple[np.ndarray, np.ndarray]:
    """Descriptions of crystals after a move.

    Args:
        number: space group.
        slots: of the crystals, the same for all.
        w: (N, n, 3) their torus coordinates, slot by slot.
        way: the move; its slots may be any order of theirs.

    Returns:
        Coordinates (N, n, 3) in the new order of slots, positions ascending in each, and (n,) which of the
        crystals' sites each of them was.
    """
    t, first = tables(), positions_of(number).first
    start = np.cumsum([0, *(len(s) for s in slots)])
    to = _maps(number)[way.element]
    at = [p for slot in slots for p in slot]
    order: list[int] = []
    for slot in way.slots:
        order += sorted(range(int(start[slot]), int(start[slot + 1])), key=lambda k: (int(to[at[k]]), k))
    site = np.array(order)
    rows = np.array(at)[site] + first
    row = t.map_start[rows] + way.element
    moved = np.einsum("sij,nsj->nsi", t.map_linear[row], w[:, site]) + t.map_offset[row]
    return moved * (np.arange(3) < t.dof[t.map_to[row]][:, None]), site


def fit(
    number: int,
    reference: Assignment,
    w_reference: np.ndarray,
    lattice: np.ndarray,
    other: Assignment,
    w: np.ndarray,
    ways: Sequence[Move] | None = None,
    within: float = np.inf,
    counted: np.ndarray | None = None,
) -> Fit:
    """Lay many crystals of the same slots on a reference, each as near as it comes.

    Args:
        number: space group.
        reference: slots of the reference.
        w_reference: (n, 3) its torus coordinates, slot by slot.
        lattice: (3, 3) its conventional lattice, rows in Angstrom.
        other: slots of the others, the same for all.
        w: (N, n, 3) their torus coordinates, slot by slot.
        ways: in place of all ``moves``.
        within: give up on a crystal that is farther away (Angstrom); its distance is infinite then.
        counted: (n,) True for sites of the reference whose distances count, slot by slot, all or none of a
            slot's sites on one position; all if None.

    Raises:
        ValueError: there is no way to lay them on it.
    """
    if ways is None:
        ways = moves(number, reference, other)
    if not ways:
        raise ValueError("crystals of two arrangements cannot be laid on each other")
    plan = _Plan(number, reference, np.asarray(w_reference, float), lattice, counted)
    n = len(w)
    best = Fit(np.full(n, np.inf), np.zeros(w.shape), np.zeros(w.shape[:2], int), np.zeros(n, int))
    step = max(1, _BLOCK // plan.width)
    for begin in range(0, n, step):
        part = slice(begin, begin + step)
        for row, way in enumerate(ways):
            limit = np.minimum(best.distance[part], within)
            distance, moved, site = plan.lay(other, np.asarray(w[part], float), way, limit)
            nearer = distance < best.distance[part] - 1e-9
            best.distance[part][nearer] = distance[nearer]
            best.w[part][nearer] = moved[nearer]
            best.site[part][nearer] = site[nearer]
            best.move[part][nearer] = row
    return best


class _Plan:
    """A reference made ready for others.

    Args:
        number: space group.
        slots: of the reference.
        w: (n, 3) its torus coordinates.
        lattice: (3, 3) rows in Angstrom.
        counted: (n,) as of ``fit``.
    """

    def __init__(
        self,
        number: int,
        slots: Assignment,
        w: np.ndarray,
        lattice: np.ndarray,
        counted: np.ndarray | None = None,
    ) -> None:
        t = tables()
        self.number, self.slots, self.w = number, slots, w
        self.first = positions_of(number).first
        self.rows = np.array([self.first + p for slot in slots for p in slot])
        self.metric = spans()[self.rows].swapaxes(1, 2) @ lattice  # (n, 3, 3) w @ metric is in Angstrom
        weight = t.multiplicity_primitive[self.rows] * (1.0 if counted is None else counted)
        self.weight = weight / max(weight.sum(), 1)
        self.polar = t.polar[number].astype(bool)
        # A lattice translation across the polar axes may have a part along them.
        self.centring = np.unique(space_group(number).centring * self.polar, axis=0)
        # Sites of one slot on one position can change places.
        self.blocks: list[np.ndarray] = []
        slot_of = np.repeat(np.arange(len(slots)), [len(s) for s in slots])
        keys = slot_of * 1000 + self.rows - self.first
        for key in dict.fromkeys(keys.tolist()):
            self.blocks.append(np.flatnonzero(keys == key))
        count = np.diff(t.self_start)[self.rows]
        # Those that count come first: the first one tells of shifts.
        self.blocks.sort(key=lambda b: (not self.weight[b[0]], len(b) ** 2 * int(count[b[0]]), int(b[0])))
        self.points = [
            (
                t.self_linear[t.self_start[y] : t.self_start[y + 1]].astype(float),
                t.self_offset[t.self_start[y] : t.self_start[y + 1]],
            )
            for y in self.rows[[block[0] for block in self.blocks]].tolist()
        ]
        self.width = sum(
            3 * len(b) ** 2 * len(linear) for b, (linear, _) in zip(self.blocks, self.points, strict=True)
        )

    def lay(
        self, other: Assignment, w: np.ndarray, way: Move, limit: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Distances (N,), coordinates (N, n, 3) and sites (N, n) of crystals that are moved in one way.

        Distances beyond the limits (N,) may be given as infinite.
        """
        moved, site = move(self.number, other, w, way)
        site = np.broadcast_to(site, moved.shape[:2])
        if not self.polar.any():
            return self._matched(moved, site, limit)
        best: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
        for shift in self._shifts(moved):
            found = self._settled(moved, site, shift, limit)
            if best is None:
                best = found
                continue
            nearer = found[0] < best[0] - 1e-9
            for ours, theirs in zip(best, found, strict=True):
                ours[nearer] = theirs[nearer]
        assert best is not None
        return best

    def _shifts(self, moved: np.ndarray) -> Iterator[np.ndarray]:
        """(N, 3) conventional fractional shifts along the polar axes that lay some site on the first one."""
        block, (linear, offset) = self.blocks[0], self.points[0]  # the fewest
        first = self.w[block[0]]
        for j in block:
            for a, b in zip(linear, offset, strict=True):
                difference = first - (moved[:, j] @ a.T + b)
                along = (difference @ spans()[self.rows[j]].T) * self.polar
                for centring in self.centring:
                    yield along + centring

    def _settled(
        self, moved: np.ndarray, site: np.ndarray, shift: np.ndarray, limit: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Matches after the best shift near a given one."""
        back = _returns()[self.rows]
        for round_ in range(_ROUNDS):
            shifted = moved + np.einsum("sij,nj->nsi", back, shift)
            # Before the shift has settled a match may look worse than it is.
            distance, laid, own = self._matched(shifted, site, limit if round_ == _ROUNDS - 1 else limit * 4)
            if round_ == _ROUNDS - 1:
                break
            fractional = np.einsum("sij,nsj->nsi", spans()[self.rows], self.w - laid)
            more = np.einsum("s,nsi->ni", self.weight, fractional) * self.polar
            more[~np.isfinite(distance)] = 0.0
            if np.abs(more).max(initial=0.0) < 1e-12:
                break
            shift = shift + more
        return distance, laid, own

    def _matched(
        self, moved: np.ndarray, site: np.ndarray, limit: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest points of the orbits, and sites of one slot and position in the nearest order.

        Small blocks come first, and crystals that are beyond their limit (N,) by then are left.
        """
        laid = np.zeros(moved.shape)
        own = np.array(site)
        square = np.zeros(len(moved))
        rows = np.arange(len(moved))
        for block, (linear, offset) in zip(self.blocks, self.points, strict=True):
            if not self.metric[block[0]].any():  # without freedom they are where they are
                continue
            left = square[rows] <= np.square(limit[rows])
            square[rows[~left]] = np.inf
            rows = rows[left]
            if not len(rows):
                break
            reference = self.w[block]  # (b, 3)
            points = np.einsum("kij,nbj->nbki", linear, moved[rows[:, None], block]) + offset
            difference = points[:, None] - reference[None, :, None, None]  # (N, b ours, b theirs, K, 3)
            difference -= np.rint(difference)
            apart = difference @ self.metric[block[0]]
            away = np.einsum("nijkx,nijkx->nijk", apart, apart)
            point = away.argmin(3)
            cost = np.take_along_axis(away, point[..., None], 3)[..., 0]  # (N, b, b)
            match = _assign(cost)
            every, ours = np.arange(len(rows))[:, None], np.arange(len(block))
            chosen = point[every, ours, match]
            laid[rows[:, None], block] = reference + difference[every, ours, match, chosen]
            own[rows[:, None], block] = site[rows[:, None], block[match]]
            square[rows] += cost[every, ours, match].sum(1) * self.weight[block[0]]
        return np.sqrt(square), laid, own


def _assign(cost: np.ndarray) -> np.ndarray:
    """(N, b) column of each row of square matrices (N, b, b) with the least sum."""
    n, b = cost.shape[:2]
    if b == 1:
        return np.zeros((n, 1), int)
    if b <= 4:
        every = np.array(list(permutations(range(b))))
        sums = cost[:, np.arange(b), every].sum(2)  # (N, b!)
        return np.asarray(every[sums.argmin(1)])
    from scipy.optimize import linear_sum_assignment

    return np.array([linear_sum_assignment(c)[1] for c in cost]).reshape(n, b)


def described(crystal: Crystal) -> tuple[Assignment, np.ndarray, np.ndarray]:
    """Slots of a crystal, (n, 3) torus coordinates slot by slot, and (n,) the site of each."""
    first = positions_of(crystal.space_group).first
    rows = np.array([p.index for p in crystal.positions_of_sites])
    slots, site = slots_of([s.element for s in crystal.sites], (rows - first).tolist())
    free = np.zeros((len(rows), 3))
    for k, s in enumerate(crystal.sites):
        free[k, : len(s.free)] = s.free
    return slots, torus(rows, free)[site], site


def aligned(reference: Crystal, other: Crystal, same_elements: bool = False) -> Crystal | None:
    """The description of a crystal that is nearest to another crystal.

    Nearest in the positions of the atoms: root mean square, in the reference's lattice.

    Args:
        reference: what to compare with, in any description.
        other: a crystal of the same arrangement: space group and occupied positions, up to origin and
            setting, and elements left out: what was one element is one element.
        same_elements: each element must come to lie on itself.

    Returns:
        ``other`` with its own cell and elements, its sites in the order of the reference's, free parameters
        unwrapped: within half a period of the reference's. None if the arrangements differ.
    """
    return nearest_description(reference, other, same_elements)[0]


def nearest_description(
    reference: Crystal,
    other: Crystal,
    same_elements: bool = False,
    counted: Collection[int] | None = None,
) -> tuple[Crystal | None, float]:
    """As ``aligned``, and the root mean square distance in Angstrom, infinite where there is none.

    Args:
        reference, other, same_elements: as of ``aligned``.
        counted: places among the reference's sites of those whose distances count, with all others of their
            elements on their letters; all if None.
    """
    number = reference.space_group
    if other.space_group != number or len(other.sites) != len(reference.sites):
        return None, np.inf
    slots, w, order = described(reference)
    theirs, w_other, site = described(other)
    ways = moves(number, slots, theirs)
    if same_elements:
        of_ours = list(dict.fromkeys(s.element for s in reference.sites))
        of_theirs = list(dict.fromkeys(s.element for s in other.sites))
        ways = tuple(m for m in ways if [of_theirs[k] for k in m.slots] == of_ours)
    if not ways:
        return None, np.inf
    own = None if counted is None else np.isin(order, list(counted))
    found = fit(number, slots, w, reference.lattice, theirs, w_other[None], ways, counted=own)
    t, positions = tables(), space_group(number)
    letters = list(positions.wyckoff)
    sites: list[Site | None] = [None] * len(order)
    for k, place in enumerate(order.tolist()):
        position = reference.positions_of_sites[place]
        d = position.dof
        # What the reference itself adds of whole periods.
        turns = np.array(reference.sites[place].free) - t.period[position.index][:d, :d] @ w[k, :d]
        free = t.period[position.index][:d, :d] @ found.w[0, k, :d] + turns
        element = other.sites[int(site[found.site[0, k]])].element
        sites[place] = Site(
            element, letters[position.index - positions_of(number).first], tuple(free.tolist())
        )
    whole = tuple(s for s in sites if s is not None)
    return Crystal(number, other.cell, whole), float(found.distance[0])
