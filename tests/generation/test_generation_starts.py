"""Orders of every kind, made by the network and from known arrangements, which are shared out together."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.assignments import KINDS, Request, Start, canonical, from_pairs
from crystalsmith.crystal import Crystal, Site
from crystalsmith.generation import Generated
from crystalsmith.generation.allocation import (
    GUIDED,
    MOST_STARTS,
    TIMES,
    likely,
    next_rates,
    one_of,
    options_of,
    share,
    success,
    success_of_start,
)
from crystalsmith.generation.drafts import LIKELY_TRIES, LetterDrafter, _Shared, drafter_of
from crystalsmith.generation.generator import generate_batches, generate_records
from crystalsmith.generation.templates import Arrangements, with_sites
from crystalsmith.orders import Order, parse_order
from fake_library import FakeLibrary
from fake_model import FakeModel
from priors import clever

QUARTZ, SPINEL, RUTILE = (
    next(c for c in KNOWN.values() if (c.space_group, c.formula) == key)
    for key in ((154, "SiO2"), (227, "MgAl2O4"), (136, "TiO2"))
)
LIBRARY = FakeLibrary(KNOWN.values(), members=50, weight=0.9)

# Orders of each kind, of crystals that have relatives among the known ones; where assignments are listed, the
# untrained prior finds the right one by the known crystal itself.
ORDERS = {
    "formula": {"formula": "GeO2", "space_group": 154, "z": 3},
    "open formula": {"formula": "MgAl2O4", "atoms": 14},
    "system": {"system": "Mg-Al-O", "max_atoms": 14},
    "sites": {"space_group": 136, "sites": {"Ti": 1, "O": 1}},
    "ranges": {"space_group": [136, 154], "sites": {"Sn": 1, "O": "1-2"}, "max_atoms": 12},
    "letters": {"space_group": 227, "wyckoff": [["Zn", "a"], ["Cr", "d"], ["O", "e"]]},
}


def order(kind: str, count: int) -> Order:
    return parse_order({"id": "one", "count": count, **ORDERS[kind]})


def made(kind: str, count: int = 12, **options: Any) -> list[Generated]:
    options = {"prototypes": LIBRARY, "seed": 3, **options}
    batches = generate_batches(clever(), [order(kind, count)], **options)
    return [r for batch in batches for r in batch if r.final]


def request(crystal: Crystal, log_prior: float | None = None, **change: str) -> Request:
    pairs = tuple((change.get(s.element, s.element), s.letter) for s in crystal.sites)
    return Request(crystal.space_group, pairs, log_prior)


def start(crystal: Crystal, weight: float = 0.5, members: int = 10) -> Start:
    return Start(crystal, 0.0, "prototype", "a", weight, members)


# Every kind of order, every kind of start.


@pytest.mark.parametrize("kind", ORDERS)
def test_every_kind_of_order_is_made_in_every_way(kind: str) -> None:
    records = made(kind, 40)
    assert {r.request.kind for r in records} == set(KINDS)
    asked = order(kind, 1)
    for r in records:
        assert r.crystal is not None
        assert r.crystal.space_group in (asked.bounds.groups or range(1, 231))
        assert set(r.crystal.counts) == set(asked.content.elements)
        assert [(s.element, s.letter) for s in r.crystal.sites] == list(r.request.sites)
        if r.request.start is not None and not r.request.start.time:
            assert r.crystal == r.request.start.crystal
    if asked.formula is not None:
        assert len({r.crystal.formula for r in records if r.crystal}) == 1
    if asked.wyckoff is not None:
        assert {r.request.sites for r in records} == {tuple(map(tuple, ORDERS[kind]["wyckoff"]))}


@pytest.mark.parametrize("kind", ["formula", "open formula", "sites", "letters"])
def test_nothing_is_taken_as_it_is_twice(kind: str) -> None:
    taken = [r.crystal for r in made(kind, 40) if r.request.kind == "prototype"]
    assert taken and len(set(taken)) == len(taken)


@pytest.mark.parametrize("kind", ["formula", "sites", "letters"])
def test_one_crystal_is_made_in_the_single_most_probable_way(kind: str) -> None:
    asked = order(kind, 1)
    drafter: Any = drafter_of(clever(), "likely", templates=LIBRARY)  # type: ignore[arg-type]
    drafted = drafter.draft(asked, 0, np.random.default_rng(0), 1)
    recipes = asked.content.likely(asked.bounds, drafter.source, 52, 12)
    starts = Arrangements(LIBRARY).starts
    best = max(
        (
            (likely(r, starts(r)) * option.rate, option.request)
            for r in recipes or []
            for option in options_of(r, starts(r))
        ),
        key=lambda found: found[0],
    )[1]
    assert (drafted, drafted.start) == (best, best.start)


def test_all_is_made_by_the_network_without_arrangements() -> None:
    assert {r.request.kind for kind in ORDERS for r in made(kind, prototypes=None)} == {"network"}
    nothing = FakeLibrary([KNOWN[next(iter(KNOWN))]])
    assert {r.request.kind for r in made("formula", prototypes=nothing)} == {"network"}


def test_letters_by_frequency_are_for_what_nobody_knows() -> None:
    assert {r.request.kind for r in made("sites", 40, letters="frequencies")} == {"network"}


@pytest.mark.parametrize("kind", ["formula", "sites"])
def test_random_draws_are_made_in_random_ways(kind: str) -> None:
    assert {r.request.kind for r in made(kind, 40, letters="drawn")} == set(KINDS)


@pytest.mark.parametrize("kind", ORDERS)
def test_crystals_depend_on_nothing_else(kind: str) -> None:
    whole = made(kind)
    assert sorted(made(kind, batch_atoms=10), key=lambda r: r.index) == sorted(whole, key=lambda r: r.index)
    assert [r.request.start for r in made(kind)] == [r.request.start for r in whole]


def test_processes_change_nothing() -> None:
    orders = [order(kind, 6) for kind in ("formula", "letters")]
    orders = [replace(o, id=f"o{k}") for k, o in enumerate(orders)]

    def run(workers: int) -> list[Generated]:
        options: dict[str, Any] = {"seed": 1, "batch_atoms": 30, "prototypes": LIBRARY, "workers": workers}
        return [r for batch in generate_batches(clever(), orders, **options) for r in batch]

    assert run(2) == run(1)


def test_drafts_of_a_crystal_are_of_one_assignment_in_several_ways() -> None:
    asked = order("letters", 3)
    batches = generate_batches(clever(), [asked], best_of=4, prototypes=LIBRARY)
    records = {r.index: r for batch in batches for r in batch}
    kinds = [records[i].request.kind for i in range(4)]
    assert len(set(kinds)) > 1
    drawn = generate_batches(clever(), [order("system", 5)], best_of=3, prototypes=LIBRARY)
    by_crystal: dict[int, set[Any]] = {}
    for r in (r for batch in drawn for r in batch):
        by_crystal.setdefault(r.index // 3, set()).add((r.request.space_group, r.request.sites))
    assert all(len(found) == 1 for found in by_crystal.values())
    best = list(generate_records(clever(), [asked], best_of=4, judges="validity", prototypes=LIBRARY))
    assert [r.index for r in best] == [0, 1, 2]


# What comes of wreckage.


def test_wreckage_is_replaced_by_other_ways() -> None:
    dense = Crystal(227, (*(0.3 * x for x in SPINEL.cell[:3]), *SPINEL.cell[3:]), SPINEL.sites)
    records = made("letters", 6, prototypes=FakeLibrary([dense], mend=False))
    assert {r.request.kind for r in records} == {"network"} and all(r.failure is None for r in records)
    both = made("letters", 12, prototypes=FakeLibrary([dense, SPINEL], 50, mend=False, weight=0.9))
    assert {r.request.kind for r in both} == set(KINDS)
    assert all(r.tries == 1 and r.crystal is not None for r in both)


def test_what_fails_is_tried_again_by_the_network() -> None:
    model = FakeModel(broken=0.95, prior=clever().prior, occupations=clever().occupations)
    batches = generate_batches(model, [order("formula", 40)], prototypes=LIBRARY, max_tries=30)  # type: ignore[arg-type]
    tries = [r for batch in batches for r in batch]
    assert any(r.tries == 1 and r.request.kind == "refined" and r.failure for r in tries)
    assert {r.request.kind for r in tries if r.tries > 1} == {"network"}


def test_what_an_arrangement_guided_is_guided_again() -> None:
    """Where it failed; later tries are for the network alone."""
    plain = Request(227, (("Zn", "a"), ("Cr", "d"), ("O", "e")))
    guided = replace(plain, start=replace(start(KNOWN["spinel"]), time=GUIDED))
    drafter: Any = LetterDrafter(None, None, 52, templates=LIBRARY, times=(*TIMES, GUIDED))  # type: ignore[arg-type]
    asked, rng = order("letters", 2), np.random.default_rng(0)
    as_it_is = replace(plain, start=replace(guided.start, time=0.0))
    drafter._shared[asked] = _Shared([plain], 1, [[guided], [as_it_is]])
    tries = [drafter.draft(asked, 0, rng, number).start for number in range(1, LIKELY_TRIES + 2)]
    assert tries == [guided.start] * LIKELY_TRIES + [None]
    assert [drafter.draft(asked, 1, rng, number).start for number in (1, 2)] == [as_it_is.start, None]


# Rates and shares.


def test_arrangements_come_as_they_are_before_anything_is_made_of_them() -> None:
    """Of a large crystal: all that are at hand, then what the network makes of them."""
    recipe = Request(14, (("O", "e"),) * 10)
    found = [start(SPINEL, weight, 1) for weight in (0.8, 0.5, 0.2)]
    plan = [one.start for (one,) in share([recipe], 10, lambda r: found, times=(*TIMES, GUIDED))]
    assert [None if s is None else (s.weight, s.time) for s in plan[:3]] == [(0.8, 0), (0.5, 0), (0.2, 0)]
    assert all(s is not None and s.time for s in plan[3:6])


def test_nothing_is_surer_than_the_arrangement_that_it_is_made_from() -> None:
    for weight, freedom in product((0.01, 0.9), (1, 4, 12)):
        own = start(SPINEL, weight, 500)
        recipe = Request(1, (("O", "a"),) * freedom)
        (_, known, *made) = options_of(recipe, [own], (*TIMES, GUIDED))
        assert all(option.rate <= known.rate for option in made)


def test_another_arrangement_is_surer_than_the_same_made_otherwise() -> None:
    """Where one was wrong as it is."""
    found = options_of(request(SPINEL), [start(SPINEL), start(SPINEL)], (*TIMES, GUIDED))
    after = next_rates(found, [int(o.way == "prototype" and o.place == 0) for o in found])
    rate = {(o.way, o.place): r / o.rate for o, r in zip(found, after, strict=True)}
    for way in ("refined", "guided"):
        assert 0 < rate[way, 0] < rate[way, 1] < 1
    assert rate["prototype", 0] == 0 < rate["prototype", 1] < 1


def test_rates_lie_between_nothing_and_certainty() -> None:
    for weight in (1e-9, 0.01, 0.5, 1.0):
        for members in (1, 1000):
            for time in (0.0, 0.4):
                for freedom in (0, 1, 9, 60):
                    s = replace(start(SPINEL, weight, members), time=time)
                    assert 0 < success_of_start(s, 3, freedom) < 1
    assert success_of_start(start(SPINEL, 0.9), 0, 3) > success_of_start(start(SPINEL, 0.1), 0, 3)
    assert success_of_start(start(SPINEL), 0, 3) > success_of_start(start(SPINEL), 2, 3)


def test_networks_that_are_told_of_arrangements_begin_with_noise_too() -> None:
    found = options_of(request(SPINEL), [start(SPINEL)], (*TIMES, GUIDED))
    assert [o.way for o in found] == ["network", "prototype", "refined", "guided"]
    assert [o.request.kind for o in found[2:]] == ["refined", "refined"]
    plan = share([request(SPINEL)], 60, lambda r: [start(SPINEL)], 1, (), (*TIMES, GUIDED))
    times = {one.start.time for (one,) in plan if one.start is not None}
    assert times == {0.0, *TIMES, GUIDED}


def test_options() -> None:
    plain = request(SPINEL)
    found = options_of(plain, [start(SPINEL)] * 9)
    assert [o.request.kind for o in found[:2]] == ["network", "prototype"]
    assert len(found) == 1 + MOST_STARTS * (1 + len(TIMES))
    salt = next(c for c in KNOWN.values() if c.formula == "NaCl")
    fixed = options_of(request(salt), [start(salt)])
    assert [o.request.kind for o in fixed] == ["network", "prototype"]  # nothing to refine but the cell
    assert found[1].next_rate(1) == 0.0 and 0 < found[2].next_rate(1) < found[2].rate


def test_where_one_way_was_wrong_others_are_so_more_often() -> None:
    found = options_of(request(SPINEL), [start(SPINEL), start(SPINEL)])
    fresh = next_rates(found, [0] * 5)
    assert fresh == pytest.approx([o.rate for o in found])
    for k in range(5):
        after = next_rates(found, [int(i == k) for i in range(5)])
        assert all(a < b for i, (a, b) in enumerate(zip(after, fresh, strict=True)) if i != k)
        assert (after[k] == 0.0) == (found[k].request.kind == "prototype")


def test_known_arrangements_speak_for_an_assignment() -> None:
    recipe = request(SPINEL, math.log(0.5))
    far, near = ([start(SPINEL, w)] for w in (0.01, 0.9))
    assert likely(recipe, []) < likely(recipe, far) < likely(recipe, near) < likely(recipe, None) == 0.5
    assert likely(recipe, [*far, *near]) == likely(recipe, near)


def test_failures_of_one_assignment_multiply() -> None:
    probable, other = request(SPINEL, math.log(0.7)), request(QUARTZ, math.log(0.3))
    arrangements = {probable: [start(SPINEL, 0.9)], other: [start(QUARTZ, 0.9)]}
    plan = [one for (one,) in share([probable, other], 30, arrangements.__getitem__)]

    left, last = {r: likely(r, arrangements[r]) for r in arrangements}, math.inf
    options = {r: options_of(r, arrangements[r]) for r in left}
    tried = {r: [0] * len(options[r]) for r in left}
    for one in plan:
        rates = {r: next_rates(options[r], tried[r]) for r in left}
        k = next(k for k, o in enumerate(options[one]) if o.request.start == one.start)
        gain = left[one] * rates[one][k]
        assert gain == pytest.approx(max(left[r] * max(rates[r]) for r in left))  # what adds most comes first
        assert gain <= last * (1 + 1e-9)
        last = gain
        left[one] *= 1 - rates[one][k]
        tried[one][k] += 1
    assert {one.kind for one in plan} == set(KINDS)


def test_smaller_budgets_begin_larger_ones() -> None:
    recipes = [request(c, math.log(p)) for c, p in ((SPINEL, 0.5), (QUARTZ, 0.3), (RUTILE, 0.2))]
    starts = Arrangements(LIBRARY).starts
    for drafts in (1, 3):
        large = share(recipes, 30, starts, drafts)
        for small in (1, 2, 7):
            found = share(recipes, small, starts, drafts)
            assert [[(r, r.start) for r in row] for row in found] == [
                [(r, r.start) for r in row] for row in large[:small]
            ]


def test_arrangements_are_looked_up_when_their_turn_comes() -> None:
    asked: list[Request] = []

    def starts(recipe: Request) -> list[Start]:
        asked.append(recipe)
        return []

    recipes = [request(SPINEL, math.log(0.9)), *(Request(1, (("H", "a"),) * k, -20.0) for k in range(1, 50))]
    share(recipes, 3, starts)
    assert asked == recipes[:1]


def test_random_ways() -> None:
    plain = request(QUARTZ)
    rng = np.random.default_rng(0)
    found = Counter(one_of(plain, [start(QUARTZ)], rng).kind for _ in range(300))
    assert set(found) == set(KINDS) and min(found.values()) > 30
    assert success(4) > 0


# The sites of a recipe.


def test_arrangements_get_the_sites_of_the_recipe() -> None:
    wanted = request(SPINEL, Mg="Zn", Al="Cr")
    backwards = Request(wanted.space_group, wanted.sites[::-1])
    for recipe in (wanted, backwards):
        (found,) = Arrangements(LIBRARY).starts(recipe)
        assert [(s.element, s.letter) for s in found.crystal.sites] == list(recipe.sites)
        assert found.time == 0.0 and 0 < found.weight <= 1 and found.name


def test_letters_of_another_origin() -> None:
    # 8b, 16c and 32e of the other origin are what 8a, 16d and 32e are of this one.
    other = Request(227, (("Mg", "b"), ("Al", "c"), ("O", "e")))
    _, assignment = from_pairs(227, other.sites)
    assert canonical(227, assignment) == canonical(227, from_pairs(227, request(SPINEL).sites)[1])
    (found,) = Arrangements(LIBRARY).starts(other)
    assert [(s.element, s.letter) for s in found.crystal.sites] == list(other.sites)
    assert found.crystal.shortest_distance() == pytest.approx(SPINEL.shortest_distance(), abs=1e-6)


def test_other_arrangements_do_not_fit() -> None:
    assert with_sites(SPINEL, Request(227, (("Mg", "a"), ("Al", "d"), ("O", "f")))) is None


def test_sites_of_one_letter_stay_apart() -> None:
    sites = (Site("H", "a", (0.1, 0.0, 0.0)), Site("H", "a", (0.6, 0.0, 0.3)))
    two = Crystal(1, (4.0, 5.0, 6.0, 90.0, 90.0, 90.0), sites)
    assert with_sites(two, Request(1, (("H", "a"), ("H", "a")))) == two


def test_few_lookups() -> None:
    library = FakeLibrary(KNOWN.values(), weight=0.9)
    made("open formula", 20, prototypes=library)
    assert library.asked <= 2  # one composition, whatever the number of its assignments


@pytest.mark.parametrize(
    ("source", "change", "estimated"),
    [("file", {}, False), ("file", {"Ti": "Sn"}, True), ("prototype", {}, True)],
)
def test_only_a_single_crystal_with_its_own_elements_has_its_own_cell(
    source: str, change: dict[str, str], estimated: bool
) -> None:
    library = FakeLibrary([RUTILE], members=1, source=source)
    (found,) = Arrangements(library).starts(request(RUTILE, **change))
    assert found.estimated_cell == estimated
