"""Scripts that fit which known phase is asked for, on outcomes drawn from known weights."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crystalsmith.prior.polymorphs import NAMES, Polymorphs, shipped_polymorphs

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(not BENCHMARKS.is_dir(), reason="benchmarks are in the repository alone")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    yield importlib.import_module
    for name in ("polymorphs", "known_right"):
        sys.modules.pop(name, None)


def test_weights_that_made_the_choices_are_found_again(script):
    polymorphs = script("polymorphs")
    rng = np.random.default_rng(0)
    true = np.array([-1.5, 0.3, 0.5, -1.0, 0.0, 0.7])
    formulas = []
    for _ in range(1500):
        x = rng.normal(size=(4, len(NAMES)))
        chances = np.exp(x @ true)
        seen = np.zeros(4, dtype=np.int8)
        seen[rng.choice(4, p=chances / chances.sum())] = 1
        formulas.append(polymorphs.OfFormula(x, seen, 1.0))
    np.testing.assert_allclose(polymorphs.fit_weights(formulas), true, atol=0.2)
    first, error = polymorphs.share_first(formulas, [f.columns @ true for f in formulas])
    assert first > 0.6 and 0 < error < 0.02
    # What is not certain costs least in between: a phase asked for is missing in some cases, not in most.
    fitted = Polymorphs(true, 3.0, 0.0)
    losses = [polymorphs.absent_loss(formulas, replace(fitted, absent=x)) for x in (-9.0, -1.0, 9.0)]
    assert losses[1] < losses[0] and losses[1] < losses[2]


def test_judges_are_worth_what_the_outcomes_say(script, monkeypatch):
    known_right = script("known_right")
    monkeypatch.setattr(known_right, "PULL", 0.0)
    rng = np.random.default_rng(1)
    lines = []
    for likely, behind in zip(rng.normal(2, 2, 4000), -rng.exponential(2, 4000), strict=True):
        right = rng.random() < 1 / (1 + np.exp(-(1.0 + 0.5 * likely + 0.4 * behind)))
        lines.append({"likely": likely, "behind": behind, "right": bool(right)})
    intercept, slope, behind = known_right.fit_right(lines)
    assert intercept == pytest.approx(1.0, abs=0.25)
    assert slope == pytest.approx(0.5, abs=0.12) and behind == pytest.approx(0.4, abs=0.12)
    natural = []
    for _ in range(1500):
        figures, likely = rng.normal(size=3), rng.normal(0, 2, size=3)
        chances = np.exp(figures - 0.8 * np.log1p(np.exp(-likely)))
        seen = np.zeros(3, dtype=int)
        seen[rng.choice(3, p=chances / chances.sum())] = 1
        natural.append({"figures": figures, "likely": likely, "observed": seen})
    np.testing.assert_allclose(known_right.fit_natural(natural), [1.0, 0.8], atol=0.2)


def test_shipped_weights_speak_for_what_is_stable_and_observed():
    p = shipped_polymorphs()
    stable, high = np.zeros((2, len(NAMES)))
    high[:2] = np.log1p(0.1 / 0.01), 0.1 / 0.03
    seen, computed, unknown = p.figures(np.array([stable] * 3), np.array([1, 0, -1]))
    assert seen > unknown > computed
    assert p.figures(np.array([stable, high]), np.array([1, 1])) @ [1, -1] > 0
    assert Polymorphs.of(p.to_dict()).to_dict() == p.to_dict()
