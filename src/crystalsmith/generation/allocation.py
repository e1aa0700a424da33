"""How a budget of crystals is shared out over likely assignments, and over ways to make their crystals.

An assignment is the right one with its probability p, which the prior gives, and known arrangements a little
(``likely``). Then a crystal of it succeeds with a chance that hangs
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
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from crystalsmith.assignments import Request, Start

Starts = Callable[[Request], Sequence[Start]]
"""Known arrangements for a recipe, the best first; asked for when the recipe's turn comes near."""

# Fewest free parameters, and how often one sample is right; ``SPREAD`` is a + b. Of 1,000 crystals of
# mp20_val with their letters given, one sample and the best of four; from nine on, of 60 crystals of 21 to 52
# atoms as well.
_SUCCESS = ((0, 0.995), (1, 0.93), (4, 0.84), (6, 0.76), (9, 0.38), (16, 0.14), (25, 0.04))
SPREAD = 1.8
_FLOOR = 1e-12

TIMES = (0.4,)
"""Times of the schedules from which known arrangements are denoised: of 0.2 to 0.7 the one that is right most
often."""

GUIDED = 1.0
"""The time beside them for networks that are told of the arrangement, which guides them all the way."""

MOST_STARTS = 6
"""Known arrangements of one assignment that are made use of."""

OWN = 0.99
"""How often a known arrangement with its own elements is right, as it is."""

OTHER_CELL = 0.85
"""The same of another than the first where there is no freedom but the axes'."""

# Logistic regressions of how often a known arrangement is right, once its assignment is: a constant, and
# what the logarithms of weight and members, its place among those of its assignment, from 0, and the square
# root of the free parameters add. Of 250 crystals of mp20_val and 59 of 21 to 52 atoms.
_OF_STARTS = {
    "prototype": (4.6, 0.40, 0.0, -0.1, -0.37),
    "refined": (4.4, 0.30, 0.0, -0.4, -0.43),
    "guided": (4.6, 0.37, 0.3, 0.0, -0.64),
}

# a + b of the ways that come out otherwise every time. What begins with an arrangement hangs on it more than
# on the noise.
_SPREADS = {"network": SPREAD, "refined": 0.3, "guided": 0.6}

# What is left of the rate of one way (columns) where another one was wrong (rows), with another arrangement
# if both begin with one, and ever less where several were. Of the same crystals.
_AFTER = {
    "network": {"network": 1.0, "prototype": 0.85, "refined": 0.85, "guided": 0.9},
    "prototype": {"network": 0.75, "prototype": 0.65, "refined": 0.6, "guided": 0.6},
    "refined": {"network": 0.5, "prototype": 0.6, "refined": 0.6, "guided": 0.6},
    "guided": {"network": 0.7, "prototype": 0.6, "refined": 0.6, "guided": 0.6},
}

# The same where both begin with one arrangement: what is wrong in it is seldom mended.
_AFTER_SAME = {
    "prototype": {"refined": 0.15, "guided": 0.15},
    "refined": {"prototype": 0.15, "guided": 0.3},
    "guided": {"prototype": 0.5, "refined": 0.4},
}

# What known arrangements say of an assignment beside the prior: the power of the weight of the best of them,
# and what is left of the probability where there is none. A conditional logit of 322 orders of mp20_val for a
# formula and atoms, among whose 30 likeliest assignments the right one is.
_POWER, _WITHOUT = 0.12, 0.16


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
    if not freedom and not place:
        return success(0)
    if not freedom:
        return OTHER_CELL
    if start.weight >= 1 and not start.time:
        return OWN  # the elements are its own
    constant, weight, members, later, free = _OF_STARTS[_way(start)]
    x = constant + weight * math.log(max(start.weight, 1e-6)) + members * math.log(start.members)
    return 1 / (1 + math.exp(-(x + later * place + free * math.sqrt(freedom))))


@dataclass(frozen=True)
class Option:
    """One way to make a crystal of an assignment.

    Attributes:
        request: what the model is asked for.
        rate: how often it is right, once its assignment is.
        place: of its known arrangement among those of the assignment, -1 without.
    """

    request: Request
    rate: float
    place: int = -1

    @property
    def way(self) -> str:
        """A key of ``_AFTER``."""
        return _way(self.request.start)

    def next_rate(self, made: int) -> float:
        """How often one more is right after ``made`` that were wrong."""
        if self.way == "prototype":
            return 0.0 if made else self.rate
        spread = _SPREADS[self.way]
        return spread * self.rate / (spread + made)


def next_rates(options: Sequence[Option], made: Sequence[int]) -> list[float]:
    """How often one more of each option is right, after so many of each that were wrong."""
    failed: dict[str, set[int]] = defaultdict(set)
    for option, n in zip(options, made, strict=True):
        if n:
            failed[option.way].add(option.place)
    return [
        option.next_rate(n) * math.prod(_left(option, way, places) for way, places in failed.items())
        for option, n in zip(options, made, strict=True)
    ]


def _left(option: Option, way: str, places: set[int]) -> float:
    """What is left of an option's rate where one way was wrong with the arrangements of these places."""
    if option.place in places and way != option.way:
        return _AFTER_SAME[way][option.way]
    others = places - {option.place} if way == option.way else places
    return _AFTER[way][option.way] ** (len(others) if option.place >= 0 else min(len(others), 1))


def _way(start: Start | None) -> str:
    if start is None:
        return "network"
    return "prototype" if not start.time else "guided" if start.time >= GUIDED else "refined"


def options_of(recipe: Request, starts: Sequence[Start], times: Sequence[float] = TIMES) -> list[Option]:
    """All ways to make a recipe: by the network, and from each known arrangement as it is and denoised.

    Args:
        recipe: what is made.
        starts: the arrangements, the best first.
        times: from which they are denoised.
    """
    found = [Option(recipe, success(recipe.freedom))]
    for place, start in enumerate(starts[:MOST_STARTS]):
        # What is made from it is no surer, and dearer: in large cells it never mended a wrong one.
        most = success_of_start(replace(start, time=0.0), place, recipe.freedom)
        for time in (0.0, *(times if recipe.freedom else ())):
            timed = replace(start, time=time)
            rate = min(most, success_of_start(timed, place, recipe.freedom))
            found.append(Option(replace(recipe, start=timed), rate, place))
    return found


def one_of(
    recipe: Request, starts: Sequence[Start], rng: np.random.Generator, times: Sequence[float] = TIMES
) -> Request:
    """A random way to make a recipe, by how often each is right; arguments as of ``options_of``."""
    found = options_of(recipe, starts, times)
    rates = np.array([option.rate for option in found])
    return found[int(rng.choice(len(found), p=rates / rates.sum()))].request


def likely(recipe: Request, starts: Sequence[Start] | None) -> float:
    """The probability of a recipe, up to a factor that is the same for all of an order.

    Args:
        recipe: the recipe, with its probability by the prior.
        starts: known arrangements for it; None where nobody looked for them.
    """
    p = max(_FLOOR, 1.0 if recipe.log_prior is None else math.exp(recipe.log_prior))
    if starts is None:
        return p
    return p * (max(s.weight for s in starts) ** _POWER if starts else _WITHOUT)


class _Assignment:
    """A recipe and what has been made of it."""

    def __init__(self, recipe: Request, starts: Sequence[Start] | None, times: Sequence[float]) -> None:
        self.likely, self.options = likely(recipe, starts), options_of(recipe, starts or (), times)
        self.made, self.failed = [0] * len(self.options), 1.0

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
    times: Sequence[float] = TIMES,
) -> list[list[Request]]:
    """What each of so many crystals is made of; the first n are those of a budget of n.

    All drafts of a crystal are of one assignment.

    Args:
        recipes: likely first, at least one.
        count: crystals.
        starts: where known arrangements come from.
        drafts: of each crystal.
        first: recipes that crystals get whatever they add, every other crystal from the first one on.
        times: from which known arrangements are denoised.

    Returns:
        For each crystal its drafts.
    """
    assignments: dict[int, _Assignment] = {}
    ready: dict[int, list[Request]] = {}
    # Before its known arrangements are looked up an assignment stands with the most that it can add.
    queue = [(-likely(r, None), k) for k, r in enumerate(recipes)]
    value = dict.fromkeys(range(len(recipes)), 0.0)
    heapq.heapify(queue)

    def advance(k: int) -> None:
        if k not in assignments:
            recipe = recipes[k]
            assignments[k] = _Assignment(recipe, starts(recipe) if starts else None, times)
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
