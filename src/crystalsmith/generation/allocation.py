"""How a budget of crystals is shared out over the assignments that an order allows.

An assignment is the right one with its probability p, and then one sample of it succeeds with a chance that
falls with its free parameters. The next crystal always goes where it adds most to the expected number of
orders that are met: an assignment without freedom, which nearly every sample gets right, is not repeated
before others had their turn that are likelier than its sample was to fail, however likely it is itself; one
with many free parameters is.

The chance of failing m times is that of a beta distribution of success rates, because some crystals of a kind
are harder than others: prod_j (b + j) / (a + b + j). Success rates of one sample and of four were measured
on held-out crystals.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from crystalsmith.assignments import Request

# Fewest free parameters, and how often one sample is right; ``SPREAD`` is a + b. Of 1,000 crystals of
# mp20_val with their letters given, one sample and the best of four.
_SUCCESS = ((0, 0.995), (1, 0.93), (4, 0.84), (6, 0.76), (9, 0.33))
SPREAD = 1.8
_FLOOR = 1e-12


def success(freedom: int) -> float:
    """How often one sample with these many free parameters is right, once its assignment is."""
    return next(rate for least, rate in reversed(_SUCCESS) if freedom >= least)


def gain(recipe: Request, made: int) -> float:
    """What one more sample adds to the chance of meeting the order, after ``made`` of the same recipe."""
    rate = success(recipe.freedom)
    a, b = SPREAD * rate, SPREAD * (1 - rate)
    failed = math.prod((b + j) / (SPREAD + j) for j in range(made))
    likely = 1.0 if recipe.log_prior is None else math.exp(recipe.log_prior)
    return max(likely, _FLOOR) * failed * a / (SPREAD + made)


def allocate(recipes: Sequence[Request], count: int, first: Sequence[int] = ()) -> list[int]:
    """Which recipe each of so many crystals is made of; the first n are those of a budget of n.

    Args:
        recipes: likely first, at least one.
        count: crystals.
        first: recipes that crystals get whatever they add, every other crystal from the first one on.
    """
    made = [0] * len(recipes)
    queue = [(-gain(r, 0), k) for k, r in enumerate(recipes)]
    heapq.heapify(queue)
    result: list[int] = []
    for place in range(count):
        given = not place % 2 and place // 2 < len(first)
        while not given and queue[0][0] != -gain(recipes[queue[0][1]], made[queue[0][1]]):
            k = queue[0][1]  # it was given crystals since
            heapq.heapreplace(queue, (-gain(recipes[k], made[k]), k))
        k = first[place // 2] if given else queue[0][1]
        made[k] += 1
        result.append(k)
        if not given:
            heapq.heapreplace(queue, (-gain(recipes[k], made[k]), k))
    return result
