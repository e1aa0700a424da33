"""Filling in an assignment site by site, never into a dead end.

A plan fixes what an assignment must fulfil: exact numbers of atoms (``CompositionPlan``), or numbers of sites
within a limit of atoms (``SitePlan``). Elements are filled one after another, each with its positions in
ascending order, so that every assignment is reached in one way only; an element is finished when what it is
owed is used up. ``allowed`` tells which positions can come next such that the rest can still be filled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Protocol

from crystalsmith.assignments.equivalence import Assignment
from crystalsmith.assignments.positions import Positions, positions_of

Moves = tuple[tuple[int, ...], ...]
"""Permutations of the positions."""

_REMEMBERED = 100_000  # states whose allowed positions are kept, so that a long listing needs no more memory


@dataclass(frozen=True)
class Unfinished:
    """Where the filling stands.

    Attributes:
        element: index of the element that is being filled; the number of elements when all are.
        owed: what it still needs, in atoms or in sites.
        last: its last position so far, -1 at its first.
        used: bit p is set where position p has no freedom and is taken.
        room: atoms that may still be added, of a ``SitePlan``; 0 otherwise.
    """

    element: int
    owed: int
    last: int = -1
    used: int = 0
    room: int = 0


class Plan(Protocol):
    """What an assignment must fulfil."""

    space_group: int
    numbers: tuple[int, ...]

    @property
    def start(self) -> Unfinished:
        """Nothing filled."""
        ...

    def allowed(self, state: Unfinished) -> tuple[bool, ...]:
        """(P,) which positions can come next; none in a plan that cannot be fulfilled."""
        ...

    def advance(self, state: Unfinished, position: int) -> Unfinished:
        """After an allowed position was taken."""
        ...

    def is_possible(self) -> bool:
        """Whether any assignment fulfils the plan."""
        ...

    def finished(self, state: Unfinished) -> bool:
        """Whether nothing is left to fill."""
        ...


class _Filling(ABC):
    """What both plans have in common."""

    def __init__(self, space_group: int, numbers: tuple[int, ...]) -> None:
        self.space_group, self.numbers = space_group, numbers
        self.positions: Positions = positions_of(space_group)
        self._sizes = tuple(sorted({s for s, f in self._pairs() if f}))
        self._known: dict[Unfinished, tuple[bool, ...]] = {}

    def _pairs(self) -> Iterator[tuple[int, bool]]:
        return zip(self.positions.size, self.positions.fixed, strict=True)

    def finished(self, state: Unfinished) -> bool:
        return state.element == len(self.numbers)

    def allowed(self, state: Unfinished) -> tuple[bool, ...]:
        found = self._known.get(state)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[state] = self._allowed(state)
        return found

    def _allowed(self, state: Unfinished) -> tuple[bool, ...]:
        result = [False] * len(self.positions)
        for p in self._open(state):
            used = state.used | (1 << p) if self.positions.fixed[p] else state.used
            result[p] = self._completes(state, p, used)
        return tuple(result)

    @abstractmethod
    def _completes(self, state: Unfinished, position: int, used: int) -> bool:
        """Whether the rest can be filled once a position is taken."""

    def _next(self, state: Unfinished, position: int, owed: int, room: int) -> Unfinished:
        used = state.used | (1 << position) if self.positions.fixed[position] else state.used
        if owed:
            return Unfinished(state.element, owed, position, used, room)
        return self._fill(state.element + 1, used, room)

    def _fill(self, element: int, used: int, room: int) -> Unfinished:
        """Before the first site of an element, or of the next that needs any."""
        while element < len(self.numbers) and self.numbers[element] == 0:
            element += 1
        owed = self.numbers[element] if element < len(self.numbers) else 0
        return Unfinished(element, owed, -1, used, room)

    def _open(self, state: Unfinished) -> Iterator[int]:
        """Positions that the order of positions and the taken ones leave open."""
        for p, fixed in enumerate(self.positions.fixed):
            if p > state.last or (p == state.last and not fixed):
                if not (fixed and state.used >> p & 1):
                    yield p

    def _left(self, used: int, after: int = -1) -> tuple[int, ...]:
        """Fixed positions of each size that are not taken and come after one."""
        left = dict.fromkeys(self._sizes, 0)
        for p, (size, fixed) in enumerate(self._pairs()):
            if fixed and p > after and not used >> p & 1:
                left[size] += 1
        return tuple(left.values())

    def _takes(self, left: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], int]]:
        """How many of the fixed positions of each size an element can take, and their atoms."""
        for take in product(*(range(k + 1) for k in left)):
            yield take, sum(a * s for a, s in zip(take, self._sizes, strict=True))


def _minus(left: tuple[int, ...], take: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a - b for a, b in zip(left, take, strict=True))


class CompositionPlan(_Filling):
    """Exact numbers of atoms.

    Args:
        space_group: 1 to 230.
        counts: atoms of each element in the primitive cell.
    """

    def __init__(self, space_group: int, counts: tuple[int, ...]) -> None:
        super().__init__(space_group, counts)
        most = max(counts, default=0)
        # Which numbers of atoms positions with freedom make, from each position on.
        reach = [[n == 0 for n in range(most + 1)]]
        for size, fixed in reversed(list(self._pairs())):
            now = list(reach[-1])
            if not fixed:
                for n in range(size, most + 1):
                    now[n] = now[n] or now[n - size]
            reach.append(now)
        self._reach = reach[::-1]
        self._rest = lru_cache(maxsize=None)(self._rest_fits)

    @property
    def start(self) -> Unfinished:
        return self._fill(0, used=0, room=0)

    def is_possible(self) -> bool:
        return self._rest(0, self._left(0))

    def advance(self, state: Unfinished, position: int) -> Unfinished:
        return self._next(state, position, state.owed - self.positions.size[position], 0)

    def _completes(self, state: Unfinished, position: int, used: int) -> bool:
        owed = state.owed - self.positions.size[position]
        if owed < 0:
            return False
        everything, reach = self._left(used), self._reach[position]
        return any(
            atoms <= owed and reach[owed - atoms] and self._rest(state.element + 1, _minus(everything, take))
            for take, atoms in self._takes(self._left(used, position))
        )

    def _rest_fits(self, element: int, left: tuple[int, ...]) -> bool:
        """Whether the elements from this one on can be filled with so many fixed positions left."""
        if element == len(self.numbers):
            return True
        n, reach = self.numbers[element], self._reach[0]
        return any(
            atoms <= n and reach[n - atoms] and self._rest(element + 1, _minus(left, take))
            for take, atoms in self._takes(left)
        )


class SitePlan(_Filling):
    """Numbers of sites, within a limit of atoms.

    Args:
        space_group: 1 to 230.
        sites: inequivalent sites of each element.
        max_atoms: largest primitive cell.
    """

    def __init__(self, space_group: int, sites: tuple[int, ...], max_atoms: int) -> None:
        super().__init__(space_group, sites)
        self.max_atoms = max_atoms
        # Smallest position with freedom from each one on; the last position always has freedom.
        smallest: list[int] = []
        for size, fixed in reversed(list(self._pairs())):
            before = smallest[-1] if smallest else size
            smallest.append(before if fixed else min(before, size))
        self._smallest = smallest[::-1]

    @property
    def start(self) -> Unfinished:
        return self._fill(0, used=0, room=self.max_atoms)

    def is_possible(self) -> bool:
        return self._fewest(sum(self.numbers), self._left(0)) <= self.max_atoms

    def advance(self, state: Unfinished, position: int) -> Unfinished:
        room = state.room - self.positions.size[position]
        return self._next(state, position, state.owed - 1, room)

    def _completes(self, state: Unfinished, position: int, used: int) -> bool:
        owed, others = state.owed - 1, sum(self.numbers[state.element + 1 :])
        everything = self._left(used)
        # The cheapest: some fixed positions that come later, the rest on the smallest with freedom.
        least = min(
            atoms
            + (owed - sum(take)) * self._smallest[position]
            + self._fewest(others, _minus(everything, take))
            for take, atoms in self._takes(self._left(used, position))
            if sum(take) <= owed
        )
        return least <= state.room - self.positions.size[position]

    def _fewest(self, sites: int, left: tuple[int, ...]) -> int:
        """Fewest atoms of so many sites with so many fixed positions left of each size."""
        total = 0
        for size, number in zip(self._sizes, left, strict=True):
            if size < self._smallest[0]:
                taken = min(sites, number)
                total, sites = total + taken * size, sites - taken
        return total + sites * self._smallest[0]


def walk(plan: Plan, state: Unfinished | None = None) -> Iterator[Assignment]:
    """All assignments of a plan in ascending order, equivalent ones too, lazily.

    Args:
        plan: what they fulfil.
        state: where to begin, if not at the start; what was filled before it is left out.
    """
    return _walk(plan, plan.start if state is None else state, ())


def walk_distinct(plan: Plan) -> Iterator[Assignment]:
    """The canonical assignments of a plan in ascending order, lazily."""
    return _walk(plan, plan.start, positions_of(plan.space_group).permutations)


def _walk(plan: Plan, start: Unfinished, moves: Moves) -> Iterator[Assignment]:
    """Depth first, without those that one of the permutations makes smaller."""
    filled: list[list[int]] = [[] for _ in plan.numbers]
    if plan.finished(start):
        yield tuple(tuple(own) for own in filled)
        return
    # For each site: the state before it, positions to try, permutations that keep the elements before.
    # A stack of our own, because a crystal may have more sites than Python allows calls within calls.
    stack = [(start, _choices(plan, start), moves)]
    while stack:
        here, choices, moves = stack[-1]
        own = filled[here.element]
        if (p := next(choices, None)) is None:
            stack.pop()
            if stack:
                filled[stack[-1][0].element].pop()
            continue
        own.append(p)
        there = plan.advance(here, p)
        keeping = moves if there.element == here.element else _keeping(moves, own)
        if keeping is not None and not plan.finished(there):
            stack.append((there, _choices(plan, there), keeping))
            continue
        if keeping is not None:
            yield tuple(tuple(own) for own in filled)
        own.pop()


def _choices(plan: Plan, state: Unfinished) -> Iterator[int]:
    return (p for p, ok in enumerate(plan.allowed(state)) if ok)


def _keeping(moves: Moves, own: list[int]) -> Moves | None:
    """Those permutations that leave an element as it is; None where one makes it smaller.

    The elements before are left as they are by all of them, so that whatever follows is not canonical then.
    """
    keeping = []
    for move in moves:
        image = sorted(move[p] for p in own)
        if image < own:
            return None
        if image == own:
            keeping.append(move)
    return tuple(keeping)
