"""How crystals are shared out over likely assignments."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystalsmith.assignments import Request
from crystalsmith.generation.allocation import SPREAD, Option, share, success

# No free parameter, one, three and nine.
SALT = (("Na", "a"), ("Cl", "b"))
SPINEL = (("Mg", "a"), ("Al", "d"), ("O", "e"))


def allocate(recipes: list[Request], count: int) -> list[int]:
    """Which recipe each crystal is made of, all by the network."""
    place = {id(r): k for k, r in enumerate(recipes)}
    return [place[id(one)] for (one,) in share(recipes, count)]


def gain(recipe: Request, made: int) -> float:
    """What one more sample of the network adds after so many that were wrong."""
    option = Option(recipe, success(recipe.freedom))
    failed = math.prod(1 - option.next_rate(m) for m in range(made))
    likely = 1.0 if recipe.log_prior is None else math.exp(recipe.log_prior)
    return likely * failed * option.next_rate(made)


def fixed(p: float | None) -> Request:
    return Request(225, SALT, None if p is None else math.log(p))


def free(p: float, sites: int = 3) -> Request:
    return Request(1, (("Na", "a"),) * sites, math.log(p))


RECIPES = st.lists(
    st.tuples(st.floats(1e-6, 1), st.sampled_from([SALT, SPINEL, None])), min_size=1, max_size=4
).map(
    lambda rows: [
        free(p) if sites is None else Request(225 if sites is SALT else 227, sites, math.log(p))
        for p, sites in rows
    ]
)


def test_freedom_counts_the_parameters_of_the_positions() -> None:
    assert fixed(1.0).freedom == 0
    assert Request(227, SPINEL).freedom == 1
    assert free(1.0, 3).freedom == 9
    assert Request(194, (("Zn", "f"), ("S", "h"), ("O", "k"))).freedom == 1 + 1 + 2


def test_success_falls_with_freedom() -> None:
    rates = [success(n) for n in (0, 3, 4, 6, 9, 50)]
    assert rates == sorted(rates, reverse=True) and 0 < rates[-1] < rates[0] < 1
    assert success(5) == success(4) and success(8) == success(6)


@given(RECIPES, st.integers(0, 30), st.integers(0, 30))
def test_smaller_budget_makes_the_first_crystals_of_a_larger_one(
    recipes: list[Request], small: int, large: int
) -> None:
    small, large = sorted((small, large))
    assert allocate(recipes, large)[:small] == allocate(recipes, small)
    assert len(allocate(recipes, large)) == large


@given(RECIPES.filter(lambda r: len(r) <= 3), st.integers(1, 6))
def test_no_other_shares_meet_more_orders(recipes: list[Request], count: int) -> None:
    """All ways to share out; each is worth the sum over recipes of p times the chance of any success."""

    def worth(shares: tuple[int, ...]) -> float:
        total = 0.0
        for recipe, m in zip(recipes, shares, strict=True):
            a, b = SPREAD * success(recipe.freedom), SPREAD * (1 - success(recipe.freedom))
            # Beta function: all m fail.
            failed = math.gamma(b + m) * math.gamma(a + b) / math.gamma(a + b + m) / math.gamma(b)
            total += math.exp(recipe.log_prior or 0.0) * (1 - failed)
        return total

    made = Counter(allocate(recipes, count))
    ways = product(range(count + 1), repeat=len(recipes))
    best = max(worth(shares) for shares in ways if sum(shares) == count)
    assert worth(tuple(made[k] for k in range(len(recipes)))) == pytest.approx(best, rel=1e-9)


@given(RECIPES, st.integers(0, 9))
def test_gain_is_what_one_more_sample_adds(recipes: list[Request], made: int) -> None:
    for r in recipes:
        b = SPREAD * (1 - success(r.freedom))

        def failed(m: int, b: float = b) -> float:
            """All m samples, by the beta-binomial distribution."""
            return math.gamma(b + m) * math.gamma(SPREAD) / math.gamma(SPREAD + m) / math.gamma(b)

        expected = math.exp(r.log_prior or 0.0) * (failed(made) - failed(made + 1))
        assert gain(r, made) == pytest.approx(expected, rel=1e-6)


@given(RECIPES)
def test_one_more_sample_of_the_same_adds_ever_less(recipes: list[Request]) -> None:
    for r in recipes:
        gains = [gain(r, m) for m in range(12)]
        assert all(a > b > 0 for a, b in pairwise(gains))


def test_near_certain_assignment_without_freedom_is_not_repeated_before_the_others() -> None:
    recipes = [fixed(0.9), *(fixed(0.1 / 9) for _ in range(9))]
    assert sorted(allocate(recipes, 10)) == list(range(10))
    assert allocate(recipes, 11)[10] == 0  # now it is its turn again


def test_likely_assignment_with_much_freedom_is_repeated() -> None:
    recipes = [free(0.9), *(fixed(0.1 / 9) for _ in range(9))]
    assert allocate(recipes, 5) == [0] * 5
    assert len(set(allocate(recipes, 60))) == 10  # and the others have their turn in the end


def test_what_nothing_is_known_of_counts_as_certain() -> None:
    assert gain(fixed(None), 0) == gain(fixed(1.0), 0)
    assert allocate([fixed(None)], 3) == [0, 0, 0]


def test_hopeless_assignments_still_get_their_turn() -> None:
    recipes = [Request(225, SALT, -1000.0), Request(225, SALT, -2000.0)]
    assert Counter(allocate(recipes, 4)) == {0: 2, 1: 2}
