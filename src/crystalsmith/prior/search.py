"""Likely and random assignments: beam search, and drawing, under the network's probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from crystalsmith.assignments import Assignment, Plan, Unfinished, canonical
from crystalsmith.prior.filling import Filling
from crystalsmith.prior.prior import AssignmentPrior, Cell, Key
from crystalsmith.prior.questions import AskPositions, Talk


@dataclass(frozen=True)
class _Partial:
    """An assignment under way; ``taken`` lists (element, position)."""

    plan: Plan
    state: Unfinished
    log_p: float
    taken: tuple[tuple[int, int], ...] = field(default=())

    @property
    def assignment(self) -> Assignment:
        own: list[list[int]] = [[] for _ in self.plan.numbers]
        for element, position in self.taken:
            own[element].append(position)
        return tuple(tuple(o) for o in own)


def beam(
    prior: AssignmentPrior,
    elements: Key,
    numbers: Key,
    groups: Sequence[tuple[int, float]],
    width: int,
    max_atoms: int = 0,
) -> list[Cell]:
    """Canonical assignments that the network finds likely, the likeliest first.

    Args:
        prior: whose network is asked.
        elements, numbers: the composition, or numbers of sites where ``max_atoms`` is not 0.
        groups: space groups with their log-probabilities; only possible ones.
        width: partial assignments that are kept at every step.
        max_atoms: largest primitive cell, with numbers of sites.
    """
    return prior.hear(ask_beam(prior, elements, numbers, groups, width, max_atoms))


def ask_beam(
    prior: AssignmentPrior,
    elements: Key,
    numbers: Key,
    groups: Sequence[tuple[int, float]],
    width: int,
    max_atoms: int = 0,
) -> Talk[list[Cell]]:
    """``beam`` as a talk."""
    likely = sorted(groups, key=lambda g: -g[1])[:width]
    plans = [(prior.plan(g, numbers, max_atoms), log) for g, log in likely]
    active = [_Partial(plan, plan.start, log) for plan, log in plans]
    done: list[_Partial] = []
    while active:
        logs = yield from ask_next(elements, numbers, active, max_atoms)
        further = [
            replace(h, log_p=h.log_p + float(row[p]), taken=(*h.taken, (h.state.element, int(p))))
            for h, row in zip(active, logs, strict=True)
            for p in np.flatnonzero(np.isfinite(row))
        ]
        further = sorted(further, key=lambda h: -h.log_p)[:width]
        moved = [replace(h, state=h.plan.advance(h.state, h.taken[-1][1])) for h in further]
        done = sorted([*done, *(h for h in moved if h.plan.finished(h.state))], key=lambda h: -h.log_p)[
            :width
        ]
        least = done[-1].log_p if len(done) == width else -np.inf
        active = [h for h in moved if not h.plan.finished(h.state) and h.log_p > least]
    return list(
        dict.fromkeys((h.plan.space_group, canonical(h.plan.space_group, h.assignment)) for h in done)
    )


def draw(
    prior: AssignmentPrior,
    elements: Key,
    numbers: Key,
    space_group: int,
    rng: np.random.Generator,
    max_atoms: int = 0,
) -> Cell:
    """A random assignment in a group, by the network's probabilities; arguments as of ``beam``."""
    plan = prior.plan(space_group, numbers, max_atoms)
    h = _Partial(plan, plan.start, 0.0)
    while not plan.finished(h.state):
        p = choose(_chances(prior, elements, numbers, space_group, max_atoms, h.taken), rng)
        h = _advanced(h, p)
    return space_group, canonical(space_group, h.assignment)


def _advanced(h: _Partial, p: int) -> _Partial:
    return replace(h, state=h.plan.advance(h.state, p), taken=(*h.taken, (h.state.element, p)))


@lru_cache(maxsize=1 << 14)
def _chances(
    prior: AssignmentPrior,
    elements: Key,
    numbers: Key,
    space_group: int,
    max_atoms: int,
    taken: tuple[tuple[int, int], ...],
) -> np.ndarray:
    """(PLACES,) probabilities of the next position; crystals of one composition ask for the same ones."""
    plan = prior.plan(space_group, numbers, max_atoms)
    h = _Partial(plan, plan.start, 0.0)
    for _, p in taken:
        h = _advanced(h, p)
    return np.exp(prior.hear(ask_next(elements, numbers, [h], max_atoms))[0])


def choose(weight: np.ndarray, rng: np.random.Generator) -> int:
    """A random index by weight (n,); never one of weight 0."""
    edges = np.cumsum(weight)
    k = int(np.searchsorted(edges, rng.random() * edges[-1], side="right"))
    return min(k, int(np.flatnonzero(weight)[-1]))


def ask_next(elements: Key, numbers: Key, partial: Sequence[_Partial], max_atoms: int) -> Talk[np.ndarray]:
    """(n, PLACES) log-probabilities of the next position of each partial assignment, -inf where forbidden."""
    fillings = [_steps(h) for h in partial]
    groups = [h.plan.space_group for h in partial]
    (logs,) = yield [AskPositions(elements, numbers, max_atoms > 0, groups, fillings, whole=False)]
    return logs


def _steps(h: _Partial) -> Filling:
    """The steps so far and the one to come."""
    f = Filling([], [], [], [], [], [])
    state, previous, before = h.plan.start, -1, 0
    for element, position in (*h.taken, (-1, -1)):
        f.element.append(state.element)
        f.owed.append(state.owed)
        f.previous.append(previous)
        f.previous_element.append(before)
        allowed = h.plan.allowed(state) if element < 0 else ()
        f.allowed.append(sum(1 << k for k, ok in enumerate(allowed) if ok))
        if element >= 0:
            state, previous, before = h.plan.advance(state, position), position, element
    return f
