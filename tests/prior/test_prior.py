"""The prior over assignments against sums over all of them, and draws against its probabilities."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from crystalsmith.assignments import (
    Assignment,
    Cells,
    CompositionPlan,
    Plan,
    Request,
    SitePlan,
    canonical,
    from_pairs,
    images,
    list_assignments,
    positions_of,
)
from crystalsmith.assignments.open_sites import walk
from crystalsmith.crystal.elements import NUMBERS, formula_order
from crystalsmith.crystal.properties import dissimilarity
from crystalsmith.networks.assignment_network import ATOMS, RATIO, SITES, Elements, Steps
from crystalsmith.prior import (
    AssignmentPrior,
    Known,
    Prototypes,
    Talk,
    ask_likely_choices,
    ask_likely_letters,
    draw_choice,
    draw_letters,
    each,
    known_assignments,
    likely_choices,
    likely_letters,
)
from crystalsmith.prior.prior import TRUST_ATOMS, TRUST_GROUPS, TRUST_SITES, TRUST_UNITS
from crystalsmith.prior.prototypes import MERGED, POWER, WIDTH
from crystalsmith.prior.questions import AskUnits
from crystalsmith.prior.search import beam, choose, draw
from crystalsmith.symmetry import space_group
from priors import known_occupations, small_network, small_prior

Key = tuple[int, ...]
NACL, SRTIO3, TIO2 = (11, 17), (38, 22, 8), (22, 8)
PRIORS = pytest.mark.parametrize("prototypes", [False, True])

# Group and composition of the primitive cell, small enough to list all assignments.
CASES = [
    (1, NACL, (2, 1)),
    (2, TIO2, (1, 3)),
    (14, TIO2, (4, 8)),
    (47, NACL, (1, 2)),
    (62, (20, 6, 8), (4, 4, 8)),
    (136, TIO2, (2, 4)),
    (139, TIO2, (1, 2)),
    (154, (14, 8), (3, 6)),
    (216, NACL, (1, 1)),
    (221, SRTIO3, (1, 1, 3)),
    (225, NACL, (1, 1)),
    (227, (12, 13, 8), (2, 4, 8)),
]


def elements_of(*symbols: str) -> Key:
    return tuple(NUMBERS[s] for s in sorted(symbols, key=formula_order))


def atoms_of(group: int, assignment: Assignment) -> Key:
    """Atoms of each element, by the Wyckoff positions of the space group."""
    sizes = [p.multiplicity_primitive for p in space_group(group).wyckoff.values()]
    return tuple(sum(sizes[p] for p in own) for own in assignment)


@cache
def all_by_sites(group: int, sites: Key, max_atoms: int) -> list[Assignment]:
    """The canonical assignments with these numbers of sites."""
    return sorted({canonical(group, a) for a in walk(SitePlan(group, sites, max_atoms))})


# Probabilities.


@PRIORS
@pytest.mark.parametrize("ratio", [(1, 1), (1, 2), (2, 3)])
def test_numbers_of_units_add_up_to_one(prototypes: bool, ratio: Key) -> None:
    for most in (1, 2, 7):
        p = np.exp(small_prior(prototypes).units(TIO2, ratio, most))
        assert p.shape == (most,) and (p > 0).all()
        assert p.sum() == pytest.approx(1)


@PRIORS
@pytest.mark.parametrize("counts", [(1, 1), (2, 4), (4, 8), (3, 6)])
def test_groups_add_up_to_one_and_only_those_that_hold_the_composition_have_a_share(
    prototypes: bool, counts: Key
) -> None:
    p = np.exp(small_prior(prototypes).groups(TIO2, counts))
    assert p.sum() == pytest.approx(1)
    assert p[0] == 0
    for group in range(1, 231):
        assert (p[group] > 0) == (next(iter(list_assignments(group, counts)), None) is not None), group


@PRIORS
@pytest.mark.parametrize(("group", "elements", "counts"), CASES)
def test_assignments_of_a_group_add_up_to_one(
    prototypes: bool, group: int, elements: Key, counts: Key
) -> None:
    cells = [(group, a) for a in list_assignments(group, counts)]
    p = np.exp(small_prior(prototypes).assignments(elements, counts, cells))
    assert (p > 0).all()
    assert p.sum() == pytest.approx(1, abs=1e-5)


def test_network_under_test_tells_things_apart() -> None:
    """Or else errors in what it is told would not show in these tests."""
    prior = small_prior()
    cells = [(47, a) for a in list_assignments(47, (1, 2))]
    for logs in (
        prior.units(TIO2, (1, 2), 7),
        prior.groups(TIO2, (4, 8))[1:],
        prior.assignments(NACL, (1, 2), cells),
        prior.letters(NACL, (1, 2), [(47, a) for a in all_by_sites(47, (1, 2), 8)], 8),
    ):
        logs = logs[np.isfinite(logs)]
        assert logs.max() - logs.min() > 1


@PRIORS
@pytest.mark.parametrize(
    ("group", "elements", "sites", "max_atoms"),
    [
        (2, TIO2, (1, 2), 6),
        (14, TIO2, (1, 2), 12),
        (47, NACL, (1, 2), 8),
        (136, TIO2, (1, 1), 10),
        (221, SRTIO3, (1, 1, 1), 20),
        (225, NACL, (1, 1), 12),
        (216, NACL, (2, 1), 10),
    ],
)
def test_letters_of_numbers_of_sites_add_up_to_one(
    prototypes: bool, group: int, elements: Key, sites: Key, max_atoms: int
) -> None:
    every = all_by_sites(group, sites, max_atoms)
    assert len(every) > 1 and all(sum(atoms_of(group, a)) <= max_atoms for a in every)
    p = np.exp(small_prior(prototypes).letters(elements, sites, [(group, a) for a in every], max_atoms))
    assert (p > 0).all()
    assert p.sum() == pytest.approx(1, abs=1e-5)


def test_known_crystals_beyond_the_limit_lend_nothing() -> None:
    """Spinel has 14 atoms in the primitive cell: within 12, its letters are nobody's."""
    prior, elements = small_prior(True), elements_of("Mg", "Al", "O")
    every = [(227, a) for a in all_by_sites(227, (1, 1, 1), 12)]
    assert prior.prototypes.by_sites(227, elements, (1, 1, 1)) and every
    logs = prior.letters(elements, (1, 1, 1), every, 12)
    np.testing.assert_allclose(logs, prior.network_assignments(elements, (1, 1, 1), every, 12), atol=1e-9)


def by_hand(prior: AssignmentPrior, plan: Plan, elements: Key, assignment: Assignment) -> float:
    """Log-probability by the network of one way to fill it: one step after another, one at a time."""
    places = positions_of(plan.space_group)
    rows = torch.arange(len(places))[None] + places.first
    kind = SITES if isinstance(plan, SitePlan) else ATOMS
    told = Elements(torch.tensor([elements]), torch.tensor([plan.numbers]), torch.tensor([kind]))
    state, before, steps, result = plan.start, (-1, 0), [], 0.0
    for element, own in enumerate(assignment):
        for p in own:
            steps.append((element, state.owed, *before))
            columns = [torch.tensor([column]) for column in zip(*steps, strict=True)]
            with torch.no_grad():
                logits = prior.network.positions(
                    told, torch.tensor([plan.space_group]), Steps(*columns), rows
                )
            allowed = torch.tensor(plan.allowed(state))
            chances = logits[0, -1].masked_fill(~allowed, -torch.inf).log_softmax(0)
            result += float(chances[p])
            state, before = plan.advance(state, p), (p + places.first, element)
    return result


@pytest.mark.parametrize(("group", "elements", "counts"), CASES[2::2])
def test_likelihood_is_that_of_all_equivalent_ways_step_by_step(
    group: int, elements: Key, counts: Key
) -> None:
    prior, plan = small_prior(), CompositionPlan(group, counts)
    for assignment in list(list_assignments(group, counts))[:5]:
        ways = [by_hand(prior, plan, elements, image) for image in images(group, assignment)]
        found = prior.network_assignments(elements, counts, [(group, assignment)])
        assert found == pytest.approx([np.logaddexp.reduce(ways)], abs=1e-5)


def test_likelihood_of_letters_step_by_step() -> None:
    prior, plan = small_prior(), SitePlan(221, (1, 1, 1), 20)
    for assignment in all_by_sites(221, (1, 1, 1), 20)[:8]:
        ways = [by_hand(prior, plan, SRTIO3, image) for image in images(221, assignment)]
        found = prior.network_assignments(SRTIO3, (1, 1, 1), [(221, assignment)], 20)
        assert found == pytest.approx([np.logaddexp.reduce(ways)], abs=1e-5)


@PRIORS
def test_likelihood_does_not_depend_on_what_else_is_asked(prototypes: bool) -> None:
    cells = [(47, a) for a in list_assignments(47, (2, 3))]
    assert len(cells) > 512  # more than one batch
    prior = small_prior(prototypes)
    together = prior.assignments(TIO2, (2, 3), cells)
    for k in (0, 5, 100, 511, 512, len(cells) - 1):
        assert prior.assignments(TIO2, (2, 3), [cells[k]])[0] == pytest.approx(together[k], abs=1e-5)
    assert len(prior.assignments(TIO2, (2, 3), [])) == 0


def test_elements_are_a_set() -> None:
    """Cells and groups do not depend on the order of the elements."""
    prior = small_prior(True)
    one, two = (38, 22, 8), (8, 38, 22)
    assert prior.units(one, (1, 1, 3), 5) == pytest.approx(prior.units(two, (3, 1, 1), 5), abs=1e-6)
    a, b = prior.groups(one, (2, 2, 6)), prior.groups(two, (6, 2, 2))
    np.testing.assert_allclose(np.exp(a), np.exp(b), atol=1e-6)


# Known crystals.


def weight(*pairs: tuple[str, str]) -> float:
    """Of a prototype whose elements stand for those asked for."""
    d = sum(dissimilarity()[NUMBERS[a], NUMBERS[b]] for a, b in pairs)
    return float((1 + d / (2 * POWER * WIDTH**2)) ** -POWER)


ROCK_SALT = Known(225, NACL, ((0,), (1,)))
PEROVSKITE = Known(221, SRTIO3, ((0,), (1,), (2,)))
RUTILE = Known(136, TIO2, ((0,), (5,)))


def test_weights_of_prototypes_by_hand() -> None:
    """Either element may stand for either; swapped, rock salt is the same from another origin."""
    p = Prototypes([ROCK_SALT, PEROVSKITE, RUTILE])
    assert len(p) == 3
    lent = p.by_atoms(elements_of("K", "Br"), (1, 1))
    both = weight(("K", "Na"), ("Br", "Cl")) + weight(("K", "Cl"), ("Br", "Na"))
    assert lent == {(225, ((0,), (1,))): pytest.approx(both)}
    assert p.by_atoms(elements_of("K", "Br"), (2, 2)) == {}


def test_both_ways_to_match_a_perovskite() -> None:
    """With Ba and Ti swapped the oxygens come to lie on 3d, as seen from where Ba is at the origin."""
    p = Prototypes([ROCK_SALT, PEROVSKITE])
    lent = p.by_atoms(elements_of("Ba", "Ti", "O"), (1, 1, 3))
    assert lent == {
        (221, ((0,), (1,), (2,))): pytest.approx(weight(("Ba", "Sr"))),
        (221, ((0,), (1,), (3,))): pytest.approx(weight(("Ba", "Ti"), ("Ti", "Sr"))),
    }
    # Oxygen is told by its number, wherever it stands in the list.
    turned = p.by_atoms((8, 56, 22), (3, 1, 1))
    again = {(g, canonical(g, (a[1], a[2], a[0]))): w for (g, a), w in turned.items()}
    assert again == pytest.approx(lent)


def test_two_elements_of_a_known_crystal_lend_their_positions_to_one() -> None:
    """SrTiO3 with a, b, c lends to A2B3 in two ways: Sr and Ti for one element, or Ti and O, and so on."""
    known = Known(221, SRTIO3, ((0,), (1,), (2,)))
    prototypes = Prototypes([known])
    al2o3 = (13, 8)
    d = dissimilarity()
    found = prototypes.merged_by_atoms(al2o3, (2, 3))
    assert [match for _, _, match in found] == [((0, 1), (2,))]
    expected = MERGED * (1 + (d[13, 38] + d[13, 22] + d[8, 8]) / (2 * POWER * WIDTH**2)) ** -POWER
    assert found[0][0] == pytest.approx(expected)
    assert prototypes.by_atoms(al2o3, (2, 3)) == {(221, canonical(221, ((0, 1), (2,)))): found[0][0]}
    assert len(prototypes.merged_by_atoms((13, 9), (1, 4))) == 2  # either of the metals beside O
    assert prototypes.merged_by_atoms(al2o3, (2, 3), groups=[225]) == []
    assert (
        prototypes.merged_by_atoms(al2o3, (4, 6)) == Prototypes([ROCK_SALT]).merged_by_atoms((6,), (2,)) == []
    )
    by_sites = prototypes.merged_by_sites(221, al2o3, (2, 1))
    assert sorted(match for _, _, match in by_sites) == [((0, 1), (2,)), ((0, 2), (1,)), ((1, 2), (0,))]


def test_prototypes_by_sites_and_by_units() -> None:
    p = Prototypes([ROCK_SALT, PEROVSKITE, RUTILE, Known(141, TIO2, ((0,), (4,)))])
    tin = elements_of("Sn", "O")
    assert p.by_sites(136, tin, (1, 1)) == {
        (136, ((0,), (5,))): pytest.approx(weight(("Sn", "Ti"))),
        (136, canonical(136, ((5,), (0,)))): pytest.approx(weight(("Sn", "O"), ("O", "Ti"))),
    }
    assert p.by_sites(137, tin, (1, 1)) == {}
    # Two formula units in the primitive cells of rutile and anatase alike.
    assert p.units(tin, (1, 2)) == {2: pytest.approx(2 * weight(("Sn", "Ti")))}
    assert p.units(tin, (2, 1)) == {2: pytest.approx(2 * weight(("Sn", "O"), ("O", "Ti")))}


def test_known_crystals_and_the_network_speak_together() -> None:
    network = small_prior().network
    prior = AssignmentPrior(network, Prototypes([ROCK_SALT]))
    alone = AssignmentPrior(network)
    elements = elements_of("K", "Br")
    w = weight(("K", "Na"), ("Br", "Cl")) + weight(("K", "Cl"), ("Br", "Na"))
    units = np.exp(alone.units(elements, (1, 1), 4))
    assert np.exp(prior.units(elements, (1, 1), 4)) == pytest.approx(
        (w * np.eye(4)[0] + TRUST_UNITS * units) / (w + TRUST_UNITS)
    )
    groups = np.exp(alone.groups(elements, (1, 1)))
    assert np.exp(prior.groups(elements, (1, 1))) == pytest.approx(
        (w * np.eye(231)[225] + TRUST_GROUPS * groups) / (w + TRUST_GROUPS)
    )
    cells = [(225, a) for a in all_by_sites(225, (1, 1), 12)]
    q = np.exp(alone.letters(elements, (1, 1), cells, 12))
    lent = np.array([w if a == ((0,), (1,)) else 0.0 for _, a in cells])
    found = np.exp(prior.letters(elements, (1, 1), cells, 12))
    assert found == pytest.approx((lent + TRUST_SITES * q) / (w + TRUST_SITES), abs=1e-6)


def test_assignments_are_mixed_as_if_with_their_group() -> None:
    """The network's word weighs as much as it finds the group likely."""
    network = small_prior().network
    prior, alone = AssignmentPrior(network, Prototypes([PEROVSKITE])), AssignmentPrior(network)
    elements, counts = elements_of("Ba", "Ti", "O"), (1, 1, 3)
    lent = prior.prototypes.by_atoms(elements, counts)
    for group in (221, 123):
        cells = [(group, a) for a in list_assignments(group, counts)]
        q = np.exp(alone.assignments(elements, counts, cells))
        base = TRUST_ATOMS * np.exp(alone.groups(elements, counts)[group])
        own = np.array([lent.get(c, 0.0) for c in cells])
        assert (own.max() > 0) == (group == 221)
        found = np.exp(prior.assignments(elements, counts, cells))
        np.testing.assert_allclose(found, (own + base * q) / (own.sum() + base), rtol=1e-4)


def test_crystals_of_a_data_set_are_known_by_their_letters() -> None:
    known = {(k.space_group, k.elements): k for k in known_assignments(known_occupations())}
    spinel = known[227, elements_of("Mg", "Al", "O")]
    assert spinel.counts == (2, 4, 8) and spinel.sites == (1, 1, 1)
    assert spinel.assignment == canonical(227, ((0,), (3,), (4,)))
    assert known[62, elements_of("Ca", "C", "O")].counts == (4, 4, 12)
    assert known[62, elements_of("Ca", "C", "O")].sites == (1, 1, 2)


# Search and draws.

# Perovskite and zinc blende are like these, but not so like that they decide all.
KMGF3 = elements_of("K", "Mg", "F")
CELLS = [Cells(1, (99, 123, 160, 221)), Cells(2, (139, 140, 221))]


def every_choice(
    prior: AssignmentPrior, elements: Key, ratio: Key, cells: list[Cells], most: int
) -> dict[tuple[int, Key, Assignment], float]:
    """Probability of every assignment that the cells allow: units, then group, then assignment."""
    p: dict[tuple[int, Key, Assignment], float] = {}
    units = np.exp(prior.units(elements, ratio, most))
    for c in cells:
        counts = tuple(n * c.units for n in ratio)
        groups = np.exp(prior.groups(elements, counts))
        for g in c.groups:
            listed = list(list_assignments(g, counts))
            for a, log in zip(
                listed, prior.assignments(elements, counts, [(g, a) for a in listed]), strict=True
            ):
                p[g, counts, a] = units[c.units - 1] * groups[g] * math.exp(log)
    whole = sum(p.values())
    return {key: value / whole for key, value in p.items()}


def counts_of(found: Request) -> Key:
    return atoms_of(found.space_group, assignment_of(found))


def assignment_of(found: Request) -> Assignment:
    return from_pairs(found.space_group, found.sites)[1]


def log_of(found: Request) -> float:
    assert found.log_prior is not None
    return found.log_prior


def named(found: Iterable[Request]) -> dict[tuple[int, Key, Assignment], float]:
    return {(c.space_group, counts_of(c), assignment_of(c)): math.exp(log_of(c)) for c in found}


@PRIORS
def test_wide_search_finds_everything_with_its_probability(prototypes: bool) -> None:
    prior = small_prior(prototypes)
    truth = every_choice(prior, KMGF3, (1, 1, 3), CELLS, 2)
    found = likely_choices(prior, KMGF3, (1, 1, 3), CELLS, 100_000)
    assert named(found) == pytest.approx(truth, abs=1e-5)
    assert len(found) == len(truth) > 100
    logs = [log_of(c) for c in found]
    assert logs == sorted(logs, reverse=True)
    assert sum(map(math.exp, logs)) == pytest.approx(1, abs=1e-4)


@PRIORS
def test_narrow_search_finds_the_likeliest(prototypes: bool) -> None:
    prior = small_prior(prototypes)
    truth = every_choice(prior, KMGF3, (1, 1, 3), CELLS, 2)
    found = likely_choices(prior, KMGF3, (1, 1, 3), CELLS, 12)
    assert 12 <= len(found) < len(truth)
    assert named(found) == pytest.approx({key: truth[key] for key in named(found)}, rel=1e-3)
    assert sum(named(found).values()) < 1
    best = sorted(truth, key=lambda key: -truth[key])
    assert next(iter(named(found))) == best[0]
    assert set(best[:5]) <= set(named(found))


def test_beam_of_any_width_against_brute_force() -> None:
    prior = small_prior()
    plan = CompositionPlan(139, (1, 2))
    by_way = {a: by_hand(prior, plan, TIO2, a) for a in walk(plan)}
    ranked = sorted(by_way, key=lambda a: -by_way[a])
    whole = beam(prior, TIO2, (1, 2), [(139, 0.0)], 10_000)
    assert whole == list(dict.fromkeys((139, canonical(139, a)) for a in ranked))
    for width in (1, 3, 10):
        found = beam(prior, TIO2, (1, 2), [(139, 0.0)], width)
        assert 1 <= len(found) <= width
        assert set(found) <= set(whole)
    assert whole[0] in beam(prior, TIO2, (1, 2), [(139, 0.0)], 10)


@PRIORS
def test_wide_search_of_letters(prototypes: bool) -> None:
    prior, every = small_prior(prototypes), all_by_sites(221, (1, 1, 1), 15)
    found = likely_letters(prior, 221, SRTIO3, (1, 1, 1), 15, 100_000)
    truth = prior.letters(SRTIO3, (1, 1, 1), [(221, a) for a in every], 15)
    assert {assignment_of(c): log_of(c) for c in found} == pytest.approx(
        dict(zip(every, truth, strict=True)), abs=1e-4
    )
    assert all(counts_of(c) == atoms_of(221, assignment_of(c)) and sum(counts_of(c)) <= 15 for c in found)
    assert sum(math.exp(log_of(c)) for c in found) == pytest.approx(1, abs=1e-4)
    assert [log_of(c) for c in found] == sorted((log_of(c) for c in found), reverse=True)


def agree(drawn: Counter[object], truth: dict[object, float], least: float = 1e-3) -> None:
    """Chi-square test; answers that are expected fewer than five times are counted together."""
    n = sum(drawn.values())
    assert set(drawn) <= set(truth)
    often = [key for key, p in truth.items() if p * n >= 5]
    seen = [drawn[key] for key in often]
    expected = [truth[key] * n for key in often]
    if n - sum(expected) > 1e-6 * n:
        seen.append(n - sum(seen))
        expected.append(n - sum(expected))
    expected = [e * sum(seen) / sum(expected) for e in expected]
    assert len(seen) > 3
    assert chisquare(seen, expected).pvalue > least


@PRIORS
def test_draws_are_as_frequent_as_they_are_probable(prototypes: bool) -> None:
    """Cells, groups, prototypes and network together."""
    prior, cells = small_prior(prototypes), [Cells(1, (216, 225)), Cells(2, (129, 186, 227))]
    elements = elements_of("In", "P")
    truth = every_choice(prior, elements, (1, 1), cells, 2)
    drawn: Counter[object] = Counter()
    rng = np.random.default_rng(0)
    for _ in range(400):
        c = draw_choice(prior, elements, (1, 1), cells, rng)
        key = c.space_group, counts_of(c), assignment_of(c)
        assert math.exp(log_of(c)) == pytest.approx(truth[key], rel=1e-3)
        assert atoms_of(c.space_group, assignment_of(c)) == counts_of(c)
        drawn[key] += 1
    agree(drawn, dict(truth))


@PRIORS
def test_draws_of_letters_are_as_frequent_as_they_are_probable(prototypes: bool) -> None:
    prior, elements = small_prior(prototypes), elements_of("In", "P")
    every = all_by_sites(186, (1, 1), 8)
    logs = prior.letters(elements, (1, 1), [(186, a) for a in every], 8)
    truth = dict(zip(every, np.exp(logs).tolist(), strict=True))
    drawn: Counter[object] = Counter()
    rng = np.random.default_rng(0)
    for _ in range(400):
        c = draw_letters(prior, 186, elements, (1, 1), 8, rng)
        assert (counts_of(c), c.space_group) == (atoms_of(186, assignment_of(c)), 186)
        assert math.exp(log_of(c)) == pytest.approx(truth[assignment_of(c)], rel=1e-3)
        drawn[assignment_of(c)] += 1
    agree(drawn, dict(truth))


def test_drawn_positions_are_as_frequent_as_they_are_probable() -> None:
    prior = small_prior()
    cells = [(123, a) for a in list_assignments(123, (1, 2))]
    logs = prior.network_assignments(TIO2, (1, 2), cells)
    truth = dict(zip([a for _, a in cells], np.exp(logs).tolist(), strict=True))
    rng = np.random.default_rng(0)
    drawn = Counter[object](draw(prior, TIO2, (1, 2), 123, rng)[1] for _ in range(400))
    agree(drawn, dict(truth))


def test_nothing_of_weight_zero_is_chosen() -> None:
    class Edge:
        def __init__(self, at: float) -> None:
            self.at = at

        def random(self) -> float:
            return self.at

    weights = np.array([0.0, 1.0, 0.0, 3.0, 0.0])
    chosen = [choose(weights, Edge(at)) for at in (0.0, 0.2499, 0.25, np.nextafter(1, 0), 1.0)]  # type: ignore[arg-type]
    assert chosen == [1, 1, 3, 3, 3]


@PRIORS
def test_fewer_groups_share_out_the_same_odds(prototypes: bool) -> None:
    prior = small_prior(prototypes)
    truth = named(likely_choices(prior, KMGF3, (1, 1, 3), CELLS, 100_000))
    fewer = named(likely_choices(prior, KMGF3, (1, 1, 3), [Cells(1, (221,)), Cells(2, (139,))], 100_000))
    assert 0 < len(fewer) < len(truth)
    kept = sum(truth[key] for key in fewer)
    assert fewer == pytest.approx({key: truth[key] / kept for key in fewer}, rel=1e-3)


@PRIORS
def test_one_cell_alone_shares_out_the_same_odds(prototypes: bool) -> None:
    """As with z or atoms, which leave one number of formula units."""
    prior = small_prior(prototypes)
    truth = named(likely_choices(prior, KMGF3, (1, 1, 3), CELLS, 100_000))
    one = named(likely_choices(prior, KMGF3, (1, 1, 3), CELLS[1:], 100_000))
    kept = sum(truth[key] for key in one)
    assert one == pytest.approx({key: truth[key] / kept for key in one}, rel=1e-3)


# Groups of every family, with many positions without freedom, and with few.
GROUPS = [
    1,
    2,
    5,
    14,
    16,
    47,
    62,
    70,
    99,
    123,
    136,
    141,
    148,
    154,
    166,
    191,
    194,
    205,
    216,
    221,
    225,
    227,
    230,
]


@given(
    st.sampled_from(GROUPS),
    st.lists(st.integers(1, 8), min_size=1, max_size=3),
    st.permutations(elements_of("Ca", "Ti", "O", "Cl", "Fe")),
    st.integers(0, 2**32),
)
def test_no_draw_ends_where_it_cannot_be_completed(
    group: int, counts: list[int], elements: list[int], seed: int
) -> None:
    numbers, z = tuple(counts), tuple(elements[: len(counts)])
    if next(iter(list_assignments(group, numbers)), None) is None:
        numbers = tuple(n * positions_of(group).size[-1] for n in numbers)
    drawn = draw(small_prior(), z, numbers, group, np.random.default_rng(seed))[1]
    assert atoms_of(group, drawn) == numbers
    assert drawn == canonical(group, drawn)
    fixed = [p for own in drawn for p in own if positions_of(group).fixed[p]]
    assert len(fixed) == len(set(fixed))


@given(
    st.sampled_from(GROUPS),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.integers(0, 12),
    st.integers(0, 2**32),
)
def test_no_draw_of_letters_ends_where_it_cannot_be_completed(
    group: int, sites: list[int], room: int, seed: int
) -> None:
    from crystalsmith.orders.frequencies import fewest_atoms

    numbers, z = tuple(sites), SRTIO3[: len(sites)]
    limit = fewest_atoms(space_group(group), sum(sites)) + room
    drawn = draw(small_prior(), z, numbers, group, np.random.default_rng(seed), limit)[1]
    assert tuple(map(len, drawn)) == numbers
    assert sum(atoms_of(group, drawn)) <= limit


def test_network_of_numbers_of_units_sees_them_as_a_ratio() -> None:
    """What the prior tells the network, against the network itself."""
    prior = small_prior()
    told = Elements(torch.tensor([TIO2]), torch.tensor([[1, 2]]), torch.tensor([RATIO]))
    with torch.no_grad():
        own = prior.network.units(told, 6)[0].log_softmax(0).numpy()
    assert prior.units(TIO2, (1, 2), 6) == pytest.approx(own, abs=1e-5)


def test_what_is_drawn_again_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Crystals of one composition share the network's answers, and are drawn as if they did not."""
    prior, cells = small_prior(True), [Cells(1, (216, 225)), Cells(2, (129, 186, 227))]
    elements = elements_of("In", "P")
    asked, real = 0, type(prior.network).positions

    def positions(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return real(*arguments)

    monkeypatch.setattr(type(prior.network), "positions", positions)
    first = [draw_choice(prior, elements, (1, 1), cells, np.random.default_rng(k)) for k in range(30)]
    before = asked
    again = [draw_choice(prior, elements, (1, 1), cells, np.random.default_rng(k)) for k in range(30)]
    assert [(r, r.log_prior) for r in again] == [(r, r.log_prior) for r in first]
    assert asked == before < 30 * 4


def test_many_orders_asked_together_are_answered_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same recipes with the same probabilities, from fewer calls of the network."""
    prior = AssignmentPrior(small_network(), small_prior(True).prototypes)
    orders = [
        (KMGF3, (1, 1, 3), CELLS),
        (elements_of("In", "P"), (1, 1), [Cells(1, (216, 225)), Cells(2, (129, 186, 227))]),
        (TIO2, (1, 2), [Cells(2, (136, 141)), Cells(4, (61,))]),
    ]
    asked, real = 0, type(prior.network).positions

    def positions(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        return real(*arguments)

    monkeypatch.setattr(type(prior.network), "positions", positions)
    alone = [likely_choices(prior, *order, 12) for order in orders]
    single, asked = asked, 0
    together = prior.hear(each([ask_likely_choices(prior, *order, 12) for order in orders]))
    assert together == alone
    for a, b in zip(alone, together, strict=True):
        assert [r.log_prior for r in b] == pytest.approx([r.log_prior for r in a], abs=1e-9)
    assert 0 < asked < single
    letters = [(221, SRTIO3, (1, 1, 1), 15), (225, NACL, (1, 1), 8)]
    apart = [likely_letters(prior, *order, 8) for order in letters]
    assert prior.hear(each([ask_likely_letters(prior, *order, 8) for order in letters])) == apart


def test_talks_of_any_length_come_back_in_their_order() -> None:
    def talk(turns: int) -> Talk[tuple[int, float]]:
        total = 0.0
        for most in range(1, turns + 1):
            (answer,) = yield [AskUnits(NACL, (1, 1), most)]
            total += float(np.exp(answer).sum())
        return turns, total

    prior = small_prior()
    found = prior.hear(each([talk(n) for n in (3, 0, 1)]))
    assert [turns for turns, _ in found] == [3, 0, 1]
    assert [total for _, total in found] == pytest.approx([3, 0, 1])
    assert prior.hear(each([])) == []
