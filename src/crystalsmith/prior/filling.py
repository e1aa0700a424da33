"""Assignments as steps for the network, and what can be asked of it as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crystalsmith.assignments import Assignment, Plan, positions_of
from crystalsmith.networks.assignment_network import Steps

PLACES = 27
"""Most positions of a space group."""


@dataclass(frozen=True)
class Filling:
    """The filling of one assignment under a plan, step by step; T sites.

    Attributes:
        element, owed, previous, previous_element: (T,) as of ``Steps``, the positions within the group.
        allowed: (T,) bit p is set where position p could have come next.
        taken: (T,) the position that did.
    """

    element: list[int]
    owed: list[int]
    previous: list[int]
    previous_element: list[int]
    allowed: list[int]
    taken: list[int]


def fill(plan: Plan, assignment: Assignment) -> Filling:
    """Take the steps of an assignment that fulfils the plan."""
    f = Filling([], [], [], [], [], [])
    state, previous, before = plan.start, -1, 0
    for element, own in enumerate(assignment):
        for p in own:
            allowed = plan.allowed(state)
            assert state.element == element and allowed[p]
            f.element.append(element)
            f.owed.append(state.owed)
            f.previous.append(previous)
            f.previous_element.append(before)
            f.allowed.append(sum(1 << k for k, ok in enumerate(allowed) if ok))
            f.taken.append(p)
            state, previous, before = plan.advance(state, p), p, element
    assert plan.finished(state)
    return f


def steps_of(fillings: Sequence[Filling], groups: Sequence[int]) -> Steps:
    """Fillings of the groups' assignments as tensors, padded."""
    t = max(len(f.element) for f in fillings)
    first = torch.tensor([positions_of(g).first for g in groups])
    previous = padded([f.previous for f in fillings], t)
    return Steps(
        element=padded([f.element for f in fillings], t),
        owed=padded([f.owed for f in fillings], t),
        previous=torch.where(previous >= 0, previous + first[:, None], -1),
        previous_element=padded([f.previous_element for f in fillings], t),
    )


def allowed_of(fillings: Sequence[Filling]) -> Tensor:
    """(B, T, PLACES) boolean: which positions could have come next."""
    bits = padded([f.allowed for f in fillings], max(len(f.element) for f in fillings))
    return (bits[:, :, None] >> torch.arange(PLACES)) & 1 > 0


def candidates_of(groups: Sequence[int]) -> Tensor:
    """(B, PLACES) rows in ``symmetry.Tables`` of the groups' positions, the last one repeated."""
    rows = []
    for g in groups:
        p = positions_of(g)
        rows.append([p.first + min(k, len(p) - 1) for k in range(PLACES)])
    return torch.tensor(rows)


def padded(rows: Sequence[Sequence[int]], width: int) -> Tensor:
    """(n, width) whole numbers, zero beyond the end of each row."""
    result = np.zeros((len(rows), width), dtype=np.int64)
    for k, row in enumerate(rows):
        result[k, : len(row)] = row
    return torch.from_numpy(result)
