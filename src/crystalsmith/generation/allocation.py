"""How a budget of crystals is shared out over likely assignments, and over ways to make their crystals.

An assignment is the right one with its probability p. Then a crystal of it succeeds with a chance that hangs
on how it is made: by the network, whose samples fail more often the more free parameters there are; as a
known arrangement with the elements exchanged, the better the more alike the elements are; or as such an
arrangement denoised briefly. The next crystal always goes where it adds most to the expected number of orders
that are met: p, times the chance that all made so far of the assignment have failed, times its own rate. So
an assignment without freedom, which nearly every way gets right, is not repeated before others had their turn
that are likelier than its crystal was to fail, however likely it is itself; one with many free parameters is,
in several ways. Where one way was wrong, another is so more often than by chance (``_AFTER``).

The chance of failing m times in one way is that of a beta distribution of success rates, because some
crystals of a kind are harder than others: prod_j (b + j) / (a + b + j). A known arrangement as it is comes
out the same every time and is taken once. Rates were measured by ``benchmarks/options.py``.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crystalsmith.assignments import Request, Start

Starts = Callable[[Request], Sequence[Start]]
"""Known arrangements for a recipe, the best first; asked for when the recipe's turn comes near."""

# Fewest free parameters, and how often one sample is right; ``SPREAD`` is a + b. Of 1,000 crystals of
# mp20_val with their letters given, one sample and the best of four.
_SUCCESS = ((0, 0.995), (1, 0.93), (4, 0.84), (6, 0.76), (9, 0.33))
SPREAD = 1.8
SPREAD_REFINED = 0.4
"""The same of an arrangement that is refined: little but its beginning decides what comes of it."""

_FLOOR = 1e-12

TIMES = (0.4,)
"""Times of the schedules from which known arrangements are denoised."""

MOST_STARTS = 4
"""Known arrangements of one assignment that are made use of."""

OWN = 0.99
"""How often a known arrangement with its own elements is right, as it is."""

# Logistic regressions of how often a known arrangement is right, once its assignment is: a constant, and
# what the logarithms of weight and members, its place among those of its assignment, from 0, and the square
# root of the free parameters add.
_AS_IT_IS = (2.6, 1.0, 0.15, -0.5, -0.6)
_REFINED = (2.7, 0.6, 0.1, -0.4, -0.4)

# What is left of the rate of one way (columns) where another one was wrong (rows); on the diagonal, where
# another arrangement was.
_AFTER = {
    "network": {"network": 1.0, "prototype": 0.8, "refined": 0.85},
    "prototype": {"network": 0.25, "prototype": 0.6, "refined": 0.5},
    "refined": {"network": 0.15, "prototype": 0.15, "refined": 0.4},
}


def success(freedom: int) -> float:
    """How often one sample of the network with these many free parameters is right."""
    return next(rate for least, rate in reversed(_SUCCESS) if freedom >= least)


def success_of_start(start: Start, place: int, freedom: int) -> float:
    """How often a known arrangement is right, as it is or denoised.

    Args:
        start: the arrangement.
        place: among those of its assignment, from 0, the best first.
        freedom: free parameters of the positions.
    """
    if not freedom:
        return success(0)
    if start.weight >= 1 and not start.time:
        return OWN  # the elements are its own
    constant, weight, members, later, free = _REFINED if start.time else _AS_IT_IS
    x = constant + weight * math.log(max(start.weight, 1e-6)) + members * math.log(start.members)
    return 1 / (1 + math.exp(-(x + later * place + free * math.sqrt(freedom))))


@dataclass(frozen=True)
class Option:
    """One way to make a crystal of an assignment.

    Attributes:
        request: what the model is asked for.
        rate: how often it is right, once its assignment is.
    """

    request: Request
    rate: float

    def next_rate(self, made: int) -> float:
        """How often one more is right after ``made`` that were wrong."""
        if self.request.kind == "prototype":
            return 0.0 if made else self.rate
        spread = SPREAD if self.request.kind == "network" else SPREAD_REFINED
        return spread * self.rate / (spread + made)


def next_rates(options: Sequence[Option], made: Sequence[int]) -> list[float]:
    """How often one more of each option is right, after so many of each that were wrong."""
    failed = Counter(option.request.kind for option, n in zip(options, made, strict=True) if n)
    rates = []
    for option, n in zip(options, made, strict=True):
        kind = option.request.kind
        others = (k for k, m in failed.items() if m > (n > 0 and k == kind))
        rates.append(option.next_rate(n) * math.prod(_AFTER[k][kind] for k in others))
    return rates


def options_of(recipe: Request, starts: Sequence[Start]) -> list[Option]:
    """All ways to make a recipe: by the network, and from each known arrangement as it is and denoised."""
    found = [Option(recipe, success(recipe.freedom))]
    for place, start in enumerate(starts[:MOST_STARTS]):
        for time in (0.0, *(TIMES if recipe.freedom else ())):
            timed = replace(start, time=time)
            rate = success_of_start(timed, place, recipe.freedom)
            found.append(Option(replace(recipe, start=timed), rate))
    return found


def one_of(recipe: Request, starts: Sequence[Start], rng: np.random.Generator) -> Request:
    """A random way to make a recipe, by how often each is right."""
    found = options_of(recipe, starts)
    rates = np.array([option.rate for option in found])
    return found[int(rng.choice(len(found), p=rates / rates.sum()))].request


class _Assignment:
    """A recipe and what has been made of it."""

    def __init__(self, recipe: Request, options: list[Option]) -> None:
        self.likely = max(_FLOOR, 1.0 if recipe.log_prior is None else math.exp(recipe.log_prior))
        self.options, self.made, self.failed = options, [0] * len(options), 1.0

    def take(self, drafts: int) -> tuple[float, list[Request]]:
        """Make so many more; what they add to the chance of meeting the order, and what they are."""
        before, taken = self.failed, []
        for _ in range(drafts):
            rates = next_rates(self.options, self.made)
            k = max(range(len(rates)), key=lambda i: (rates[i], -i))
            self.failed *= 1 - rates[k]
            self.made[k] += 1
            taken.append(self.options[k].request)
        return self.likely * (before - self.failed), taken


def share(
    recipes: Sequence[Request],
    count: int,
    starts: Starts | None = None,
    drafts: int = 1,
    first: Sequence[int] = (),
) -> list[list[Request]]:
    """What each of so many crystals is made of; the first n are those of a budget of n.

    All drafts of a crystal are of one assignment.

    Args:
        recipes: likely first, at least one.
        count: crystals.
        starts: where known arrangements come from.
        drafts: of each crystal.
        first: recipes that crystals get whatever they add, every other crystal from the first one on.

    Returns:
        For each crystal its drafts.
    """
    assignments: dict[int, _Assignment] = {}
    ready: dict[int, list[Request]] = {}
    # Before its known arrangements are looked up an assignment stands with the most that it can add.
    queue = [(-_Assignment(r, []).likely, k) for k, r in enumerate(recipes)]
    value = dict.fromkeys(range(len(recipes)), 0.0)
    heapq.heapify(queue)

    def advance(k: int) -> None:
        if k not in assignments:
            recipe = recipes[k]
            assignments[k] = _Assignment(recipe, options_of(recipe, starts(recipe) if starts else ()))
        gain, ready[k] = assignments[k].take(drafts)
        value[k] = -gain

    result: list[list[Request]] = []
    for place in range(count):
        given = not place % 2 and place // 2 < len(first)
        k = first[place // 2] if given else queue[0][1]
        while k not in ready or (not given and queue[0][0] != value[k]):
            if k not in ready:
                advance(k)
            if not given:  # what stands in the queue is the most that it could add
                heapq.heapreplace(queue, (value[k], k))
                k = queue[0][1]
        result.append(ready[k])
        advance(k)
    return result
