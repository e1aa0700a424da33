"""In which places answers stand: after those that convince, the best by pattern and generator in turn."""

from dataclasses import replace

from crystalsmith.crystal import Crystal, Site
from crystalsmith.generation.journal import Entry
from crystalsmith.solving.answers import COMPARED, LIKELIEST, Answer, judged, leading
from crystalsmith.solving.places import placed
from crystalsmith.solving.trials import Fitted, Trial

BLENDE = Crystal(216, (5.41, 5.41, 5.41, 90, 90, 90), (Site("Zn", "a"), Site("S", "c")))
SALT = Crystal(225, (5.0, 5.0, 5.0, 90, 90, 90), (Site("Zn", "a"), Site("S", "b")))
CAESIUM = Crystal(221, (3.1, 3.1, 3.1, 90, 90, 90), (Site("Zn", "a"), Site("S", "b")))
WURTZITE = Crystal(186, (3.82, 3.82, 6.26, 90, 90, 120), (Site("Zn", "b", (0.0,)), Site("S", "b", (0.375,))))
DISTORTED = replace(WURTZITE, sites=(Site("Zn", "b", (0.0,)), Site("S", "b", (0.41,))))
ARSENIDE = Crystal(194, (3.6, 3.6, 5.0, 90, 90, 120), (Site("Zn", "a"), Site("S", "c")))


def answer(crystal: Crystal, figure: float, misfit: float = 0.95) -> Answer:
    fit = Fitted(crystal, "refined", misfit, misfit, 1 - misfit, 0.0, 0.0)
    entry = Entry("ZnS", 0, 1, 0, crystal, None)
    return Answer(Trial(f"{crystal.space_group}_{figure}", entry, figure, crystal), fit, fit)


def test_where_nothing_fits_pattern_and_generator_have_their_turns():
    answers = [answer(BLENDE, 0.0), answer(SALT, 0.0), answer(CAESIUM, 1.0), answer(ARSENIDE, 3.0)]
    p = (0.04, 0.03, 0.02, 0.01)
    assert placed(answers, p, none=0.9) == [0, 1, 3, 2]
    assert placed(answers, p, none=0.015) == [0, 1, 2, 3]  # one place is left: nothing to share
    assert placed(answers, p, none=0.025) == [0, 1, 2, 3]  # the third by its probability, the fourth by both
    assert placed(answers[:1], p[:1], none=0.9) == [0] and placed([], (), 1.0) == []


def test_what_differs_little_from_one_before_stands_last_unless_it_convinces():
    answers = [answer(WURTZITE, 2.0), answer(DISTORTED, 1.0), answer(BLENDE, 0.0), answer(SALT, -1.0)]
    p = (0.04, 0.03, 0.02, 0.01)
    assert placed(answers, p, none=0.9) == [0, 2, 3, 1]
    assert placed(answers, p, none=0.025) == [0, 1, 2, 3]


def test_ranks_follow_the_places_and_every_answer_has_one():
    crystals = (BLENDE, SALT, CAESIUM, ARSENIDE)
    found = [
        answer(c, f, m)
        for c, f, m in zip(crystals, (0.0, 0.0, 0.0, 6.0), (0.9, 0.91, 0.92, 0.99), strict=True)
    ]
    verdict, ranked = judged(found, {})
    assert verdict.words == "none fits"
    assert [a.rank for a in ranked] == [1, 2, 3, 4] and {a.crystal for a in ranked} == set(crystals)
    assert verdict.p == tuple(a.p for a in ranked) and verdict.p[0] == max(verdict.p)


def test_the_generators_best_are_compared_whatever_their_fits():
    """The worst of many fits, of another structure, is the likeliest without the pattern."""
    found = [answer(WURTZITE, 0.0, 0.3 + 0.001 * k) for k in range(COMPARED + LIKELIEST)]
    found += [answer(SALT, 0.0, 0.99), answer(BLENDE, 0.1, 0.99)]
    trials = [replace(one.trial, key=str(k)) for k, one in enumerate(found)]
    order = leading(trials, {t.key: one.fit for t, one in zip(trials, found, strict=True)})
    assert order[0] is trials[0] and order[-1] is trials[-1]
    assert trials[-2] not in order  # no better for the generator than what is there


def test_many_with_less_symmetry_take_no_places_from_others():
    found = [answer(WURTZITE, 0.0, 0.3 + 0.001 * k) for k in range(2 * COMPARED)]
    low = [replace(one.trial, key=f"0/{k}") for k, one in enumerate(found)]
    others = [answer(SALT, -1.0, 0.99), answer(BLENDE, -2.0, 0.99)]
    trials = [*low, *(one.trial for one in others)]
    fits = {t.key: one.fit for t, one in zip(trials, [*found, *others], strict=True)}
    order = leading(trials, fits)
    assert order[0] is low[0] and set(order[-2:]) == set(trials[-2:])
