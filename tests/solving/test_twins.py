"""Structures that X-rays hardly tell apart."""

from dataclasses import replace

import numpy as np
import pytest

from crystalsmith.crystal import Crystal, Site
from crystalsmith.generation.journal import Entry
from crystalsmith.solving.answers import Answer, answers_of, judged, worth_refining
from crystalsmith.solving.cells import Cell
from crystalsmith.solving.run import LIKELY, SURE, ended
from crystalsmith.solving.settings import SolveSettings
from crystalsmith.solving.trials import Fitted, Trial, allowed
from crystalsmith.solving.twins import MOST, caveat, dealt_out, exchanged, similar, twins_of
from crystalsmith.solving.verdict import judge

CHALCOPYRITE = Crystal(
    122,
    (5.289, 5.289, 10.423, 90, 90, 90),
    (Site("Cu", "a"), Site("Fe", "b"), Site("S", "d", (0.2574,))),
)


def answer(crystal: Crystal, name: str, misfit: float, rank: int, figure: float = 0.0) -> Answer:
    fit = Fitted(crystal, "refined", misfit, 0.1, 0.98, 0.0, 0.0)
    entry = Entry(name, 0, 1, 0, crystal, None)
    return Answer(Trial(f"{name}_0", entry, figure, crystal), fit, fit, rank=rank)


@pytest.mark.parametrize(
    ("first", "second", "alike"),
    [("Fe", "Co", True), ("Ag", "Sb", True), ("O", "F", True), ("Fe", "Cu", False), ("O", "Pb", False)],
)
def test_neighbours_scatter_alike(first, second, alike):
    assert similar(first, second) == similar(second, first) == alike


def test_elements_that_scatter_alike_are_dealt_out_and_the_formula_stays():
    assert not dealt_out(CHALCOPYRITE)  # 26 and 29 electrons can be told apart
    crystal = replace(CHALCOPYRITE, sites=(Site("Co", "a"), *CHALCOPYRITE.sites[1:]))
    found = dealt_out(crystal)
    assert len(found) > 2 and {c.formula for c in found} == {crystal.formula} and crystal not in found
    spinel = Crystal(
        227, (8.08, 8.08, 8.08, 90, 90, 90), (Site("Mg", "a"), Site("Al", "d"), Site("O", "e", (0.262,)))
    )
    # Of the metals of a spinel one in three is on the tetrahedral places: normal, inverse and between.
    shares = set()
    for inverse in dealt_out(spinel):
        assert inverse.counts == {"Mg": 2, "Al": 4, "O": 8}
        shares.add(inverse.space_group)
    assert len(shares) > 1


def test_too_many_ways_are_exchanges_of_whole_orbits():
    heights = (0.04, 0.12, 0.2, 0.28, 0.36, 0.44)
    sites = tuple(Site(e, "e", (0.1, 0.1, z)) for e, z in zip("NONONO", heights, strict=True))
    crystal = Crystal(14, (7.0, 8.0, 30.0, 90, 95, 90), sites)
    found = dealt_out(crystal)
    assert len(found) == 10  # 24 atoms in millions of ways; all of both, and 3 x 3 pairs of orbits
    assert {c.space_group for c in found} == {14} and {c.formula for c in found} == {crystal.formula}


def test_what_fits_badly_is_not_worth_an_exchange():
    crystal = replace(CHALCOPYRITE, sites=(Site("Co", "a"), *CHALCOPYRITE.sites[1:]))
    trials = exchanged([answer(crystal, "CoFeS2", 0.04, 1, 2.0)], None)
    assert [t.key for t in trials] == [f"CoFeS2_0~{k}" for k in range(1, len(trials) + 1)]
    assert 1 < len(trials) <= MOST and all(t.exchanged for t in trials)
    assert len({crystal, *(t.crystal for t in trials)}) == 1 + len(trials)
    assert exchanged([answer(crystal, "CoFeS2", 0.7, 1)], None) == []


def test_what_is_dealt_out_keeps_to_a_cell_and_to_groups_that_are_given():
    """Of two atoms on the points of fcc there are two cells, of CuAu and of CuPt; one of them is given."""
    alloy = Crystal(123, (2.7, 2.7, 3.82, 90, 90, 90), (Site("Fe", "a"), Site("Co", "d")))
    trials = exchanged([answer(alloy, "FeCo", 0.0, 1)], None)
    assert {t.crystal.space_group for t in trials} > {166}
    settings = SolveSettings(formula="FeCo", cell=alloy.cell)
    for crystal in (alloy, next(t.crystal for t in trials if t.crystal.space_group == 166)):
        cell = Cell(tuple(x * 1.001 if x < 10 else x for x in crystal.cell))
        on_it = allowed(trials, settings, [cell])
        assert all(np.allclose(t.crystal.volume, cell.volume, rtol=1e-6) for t in on_it)
        groups = {t.crystal.space_group for t in on_it}
        assert groups == {crystal.space_group}
    assert {t.crystal.space_group for t in allowed(trials, replace(settings, space_group=166), [])} == {166}


def test_one_arrangement_is_dealt_out_once():
    crystal = replace(CHALCOPYRITE, sites=(Site("Co", "a"), *CHALCOPYRITE.sites[1:]))
    twin = dealt_out(crystal)[0]
    one = exchanged([answer(crystal, "a", 0.04, 1)], None)
    assert exchanged([answer(crystal, "a", 0.04, 1), answer(twin, "b", 0.05, 2)], None) == one


def test_the_verdict_says_what_x_rays_cannot_tell():
    one = replace(CHALCOPYRITE, sites=(Site("Co", "a"), *CHALCOPYRITE.sites[1:]))
    # Copper and iron on each other's places are the same crystal moved; in stannite's cell they are not.
    other = Crystal(
        121,
        (5.29, 5.29, 10.42, 90, 90, 90),
        (Site("Co", "a"), Site("Co", "b"), Site("Fe", "d"), Site("S", "i", (0.2574, 0.625))),
    )
    assert other.formula == one.formula
    both = [answer(one, "a", 0.03, 1), answer(other, "b", 0.04, 2)]
    assert "Fe from Co" in caveat(both) and "structure 2" in caveat(both)
    assert caveat([both[0], answer(other, "b", 0.4, 2)]) == "" and caveat(both[:1]) == ""
    verdict, ranked = judged(both, {})
    assert verdict.caveat == caveat(ranked) != ""


def test_twins_share_the_chance_that_ends_the_search():
    one = replace(CHALCOPYRITE, sites=(Site("Co", "a"), *CHALCOPYRITE.sites[1:]))
    twins = [answer(c, f"t{k}", 0.0, k + 1, 4.0) for k, c in enumerate((one, *dealt_out(one)[:2]))]
    assert twins_of(twins, 0) == [1, 2]
    assert max(judge([a.evidence for a in twins]).p) < SURE and ended(twins)
    # Something else that fits as well is no twin: more candidates may tell.
    other = Crystal(
        216, (5.3, 5.3, 5.3, 90, 90, 90), (Site("Co", "a"), Site("Fe", "b"), Site("S", "c"), Site("S", "d"))
    )
    both = [twins[0], answer(other, "other", 0.0, 2, 4.0)]
    assert twins_of(both, 0) == [] and not ended(both)
    assert ended(twins, LIKELY) and not ended(both, LIKELY) and ended(both, 0.3)
    assert not ended([]) and not ended([answer(one, "far", 0.5, 1, 4.0)])


def test_nearly_the_same_structures_that_fit_equally_are_one_answer():
    """Rutile and its distortion in a subgroup, further apart than what counts as the same."""
    high = Crystal(136, (4.594, 4.594, 2.959, 90, 90, 90), (Site("Ti", "a"), Site("O", "f", (0.305,))))
    low = Crystal(58, (4.594, 4.594, 2.959, 90, 90, 90), (Site("Ti", "a"), Site("O", "g", (0.36, 0.25))))

    def found(misfit: float) -> list[Answer]:
        answers = [answer(high, "high", 0.03, 1), answer(low, "low", misfit, 2)]
        fits = {a.trial.key: a.fit for a in answers}
        return answers_of([a.trial for a in answers], fits, fits)

    (best,) = found(0.025)
    assert best.crystal.space_group == 136 and best.alike == 2
    assert len(found(0.2)) == 2


def test_hopeless_fits_are_not_refined_but_for_the_first():
    misfits = [0.99, 0.95, 0.98, 0.5, 0.92, 0.85]
    found = [answer(CHALCOPYRITE, f"m{k}", misfit, k + 1) for k, misfit in enumerate(misfits)]
    order, fits = [a.trial for a in found], {a.trial.key: a.fit for a in found}
    assert [t.key for t in worth_refining(order, fits, 12)] == ["m0_0", "m1_0", "m3_0", "m5_0"]
    assert len(worth_refining(order, fits, 3)) == 3 and worth_refining(order, fits, 0) == []
