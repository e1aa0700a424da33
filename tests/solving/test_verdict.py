"""How sure an answer is."""

from dataclasses import replace

import numpy as np
import pytest

from crystalsmith.solving.verdict import (
    FEATURES,
    MOST_EXCESS,
    NONE,
    ONE,
    SEVERAL,
    Evidence,
    features,
    figures,
    judge,
    probabilities,
    settled,
    weights,
)

GOOD = Evidence(misfit=0.02, rwp=0.08, overlap=0.99, missing=0.01, foreign=0.01, frozen=0.04, freedom=1)
BAD = Evidence(misfit=0.9, rwp=0.9, overlap=0.4, missing=0.5, foreign=0.6, frozen=0.95, freedom=1)


def test_probabilities_of_candidates_and_of_none_add_up():
    p, none = probabilities(np.array([2.0, 0.0, -800.0]))
    assert p.sum() + none == pytest.approx(1)
    assert p[0] / none == pytest.approx(np.exp(2)) and p[1] == pytest.approx(none)
    assert probabilities(np.zeros(0))[1] == 1.0
    p, none = probabilities(np.array([900.0]))
    assert p[0] == pytest.approx(1) and none == pytest.approx(0)


def test_one_good_fit_is_the_answer_two_are_several_and_a_bad_one_is_none():
    assert judge([GOOD, BAD]).words == ONE
    two = judge([GOOD, GOOD, BAD])
    assert two.words == SEVERAL and two.p[0] == pytest.approx(two.p[1]) and two.p[2] < 0.01
    none = judge([BAD, BAD])
    assert none.words == NONE and none.none > 0.9
    assert judge([]).words == NONE


def test_a_better_fit_never_counts_less():
    w = dict(zip(FEATURES, weights(), strict=True))
    assert w["misfit"] <= 0 and w["rwp"] <= 0 and w["overlap"] <= 0 and w["figure"] >= 0
    levels = [0.02, 0.05, 0.1, 0.3, 0.6, 1.0]
    u = figures([Evidence(x, x, 1 - x / 2, x / 2, x / 2, frozen=x) for x in levels])
    assert (np.diff(u) < 0).all()


def test_features_are_finite_for_any_fit():
    worst = Evidence(1e6, 50.0, -1.0, 9.0, 9.0, frozen=1e6, figure=900.0, freedom=100, moved=9.0, stretch=5.0)
    for evidence in (Evidence(0.0, 0.0, 1.0, frozen=0.0), worst):
        assert np.isfinite(features(evidence)).all()
    assert len(features(GOOD)) == len(FEATURES)


def test_lower_energies_count_and_unknown_ones_neither_way():
    low, high = judge([GOOD, replace(GOOD, energy=0.12)]).p
    assert low / high == pytest.approx(np.exp(0.12 / 0.06))
    assert judge([replace(GOOD, energy=9.0), GOOD]).p[0] > 0


def test_of_what_fits_nearly_as_well_the_smaller_residual_is_likelier():
    better, worse = judge([GOOD, replace(GOOD, excess=0.05)]).p
    assert better > 1.5 * worse > 0
    far = judge([GOOD, replace(GOOD, excess=5.0)]).p[1]
    assert far == judge([GOOD, replace(GOOD, excess=MOST_EXCESS)]).p[1] > 0
    assert judge([GOOD, replace(GOOD, exchanged=True)]).p[1] < better


def test_coordinates_that_ran_far_count_against_a_fit():
    few, many = replace(GOOD, freedom=2, moved=0.4), replace(GOOD, freedom=21, moved=0.4)
    near = replace(many, moved=0.05)
    assert min(figures([few])[0], figures([near])[0]) > figures([many])[0] + 0.3


@pytest.mark.parametrize(
    ("changed", "ends"),
    [
        ({}, True),
        ({"misfit": 0.09}, True),  # one free coordinate fits nothing by chance
        ({"misfit": 0.2}, False),
        ({"freedom": 21, "moved": 0.1}, True),
        ({"freedom": 21, "moved": 0.47}, False),
        ({"freedom": 21, "moved": 0.1, "misfit": 0.094}, False),
    ],
)
def test_a_search_ends_early_only_where_nothing_simpler_can_come(changed, ends):
    assert settled(replace(GOOD, **changed)) == ends
