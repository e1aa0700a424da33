"""Judges of finished crystals: what each of them sees, and that none of them throws."""

from __future__ import annotations

import importlib.util
import math
import sys
import types
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from crystals import KNOWN
from crystalsmith.assignments import KINDS
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffusion import Model, load_model
from crystalsmith.errors import ConfigError, RelaxationError
from crystalsmith.potentials import load_calculator
from crystalsmith.ranking import (
    JUDGES,
    Candidate,
    Ladder,
    Score,
    denoising_error,
    denoising_errors,
    resolve_judges,
    single_points,
    verdicts,
)
from crystalsmith.ranking.agreement import agreements, draft_differences, same_structures
from crystalsmith.ranking.calibration import calibration_of, order_calibration
from crystalsmith.ranking.denoising import TIMES
from crystalsmith.ranking.features import ABOVE, BELOW, NAMES, SCALE, asked, columns, relative_energies, votes
from crystalsmith.ranking.fingerprint import fingerprint
from fake_model import FakeModel

POTENTIAL = "ase.calculators.lj:LennardJones"


def distorted(crystal: Crystal, shift: float, seed: int = 0) -> Crystal:
    """The same with free parameters off by up to ``shift``."""
    rng = np.random.default_rng(seed)
    sites = tuple(
        Site(s.element, s.letter, tuple(v + shift * rng.choice([-1, 1]) for v in s.free))
        for s in crystal.sites
    )
    return Crystal(crystal.space_group, crystal.cell, sites)


@pytest.fixture(scope="module")
def model() -> Model:
    found = load_model()
    assert isinstance(found, Model)
    return found


# --- denoising error ---


@pytest.mark.parametrize("name", ["rutile", "spinel", "pyrite", "corundum", "marcasite"])
def test_true_crystal_has_a_lower_denoising_error_than_a_distorted_one(model: Model, name: str) -> None:
    true = KNOWN[name]
    errors = denoising_error(denoising_errors(model, [true, distorted(true, 0.06), distorted(true, 0.15)]))
    assert errors[0] < min(errors[1:])


def test_denoising_error_depends_on_the_crystal_alone(model: Model) -> None:
    crystals = [KNOWN[n] for n in ("rutile", "quartz", "rock salt", "aragonite", "spinel")]
    together = denoising_errors(model, crystals)
    small = denoising_errors(model, crystals, batch_atoms=1)
    alone = np.concatenate([denoising_errors(model, [c]) for c in crystals])
    assert together.shape == (5, len(TIMES), 2)
    np.testing.assert_allclose(together, small, rtol=2e-3, atol=1e-4)
    np.testing.assert_array_equal(small, alone)
    assert len(denoising_errors(model, [])) == 0


def test_crystal_without_free_parameters_is_judged_by_its_lattice(model: Model) -> None:
    errors = denoising_errors(model, [KNOWN["rock salt"], KNOWN["perovskite"]])
    assert np.isnan(errors[:, :, 0]).all() and np.isfinite(errors[:, :, 1]).all()
    assert np.isfinite(denoising_error(errors)).all()
    swollen = Crystal(225, (9.0, 9.0, 9.0, 90, 90, 90), KNOWN["rock salt"].sites)
    small, large = denoising_error(denoising_errors(model, [KNOWN["rock salt"], swollen]))
    assert small < large


def test_figures_that_are_no_numbers_are_the_worst() -> None:
    errors = np.array([[[0.5, 0.5]], [[np.inf, 0.5]], [[np.nan, np.nan]], [[np.nan, 0.5]]])
    good, wild, none, fixed = denoising_error(errors)
    assert np.isfinite([good, wild, none, fixed]).all()
    assert good < wild < none and fixed == pytest.approx(0.5 * math.log(0.5))


def test_the_network_is_left_as_it_was(model: Model) -> None:
    model.network.train()
    denoising_errors(model, [KNOWN["rutile"]])
    assert model.network.training
    model.network.eval()


# --- fingerprints and agreement ---


def test_fingerprint_does_not_depend_on_origin_order_or_cell() -> None:
    salt = KNOWN["rock salt"]
    other = Crystal(225, salt.cell, (Site("Cl", "a"), Site("Na", "b")))
    np.testing.assert_allclose(fingerprint(salt), fingerprint(other), atol=1e-9)
    # Monoclinic P in two cells of one lattice: c -> a + c.
    a, b, c, beta = 4.0, 5.0, 6.0, math.radians(110)
    vector = np.array([a, 0]) + c * np.array([math.cos(beta), math.sin(beta)])
    turned = math.degrees(math.acos(vector[0] / np.linalg.norm(vector)))
    one = Crystal(3, (a, b, c, 90, 110, 90), (Site("Ni", "a", (0.0,)),))
    two = Crystal(3, (a, b, float(np.linalg.norm(vector)), 90, turned, 90), (Site("Ni", "a", (0.3,)),))
    np.testing.assert_allclose(fingerprint(one), fingerprint(two), atol=1e-9)


def test_fingerprint_changes_smoothly() -> None:
    rutile = KNOWN["rutile"]
    near, far = (draft_differences([rutile, distorted(rutile, s)])[0, 1] for s in (0.001, 0.1))
    assert 0 < near < 0.01 < 0.06 < far


def test_drafts_that_agree_are_told_from_those_that_do_not() -> None:
    rutile = KNOWN["rutile"]
    drafts = [rutile, distorted(rutile, 0.002), distorted(rutile, 0.1), rutile, KNOWN["rock salt"]]
    difference = draft_differences(drafts)
    assert np.isinf(difference[4, :4]).all() and (np.diag(difference) == 0).all()
    share = agreements(difference)
    assert share[0] > 0.55 and share[2] < 0.4 and share[4] == pytest.approx(1 / 5)
    assert same_structures(difference, [0.0, 1.0, 0.0, 0.5, 0.0]) == [1, 1, 2, 1, 4]


# --- energies ---

METALS = [
    Crystal(225, (a, a, a, 90, 90, 90), (Site(e, "a"),))
    for e, a in (("Cu", 3.6), ("Ag", 4.1), ("Al", 4.0), ("Ni", 3.5))
]


@pytest.mark.parametrize("calculator", [EMT(), LennardJones()])
def test_energies_are_those_of_the_calculator_per_atom(calculator: object) -> None:
    found = single_points(METALS, calculator)  # type: ignore[arg-type]
    for crystal, energy in zip(METALS, found, strict=True):
        atoms = crystal.to_atoms(primitive=False)
        atoms.calc = calculator
        assert energy.reason is None
        assert energy.value == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-6)


def test_failures_of_a_potential_cost_an_energy_and_nothing_else() -> None:
    found = single_points([METALS[0], KNOWN["perovskite"], METALS[1]], EMT())
    assert [e.reason is None for e in found] == [True, False, True]
    assert math.isnan(found[1].value) and "the potential failed" in str(found[1].reason)

    class Silent(EMT):
        def calculate(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            self.results = {"energy": float("nan")}

    assert single_points(METALS[:1], Silent())[0].reason == "not finite"


@pytest.mark.skipif(importlib.util.find_spec("chgnet") is None, reason="needs chgnet")
def test_batches_of_chgnet_give_the_energies_of_its_calculator() -> None:
    calculator = load_calculator("chgnet")
    crystals = [KNOWN["rock salt"], KNOWN["rutile"], KNOWN["perovskite"]]
    found = single_points(crystals, calculator)
    for crystal, energy in zip(crystals, found, strict=True):
        atoms = crystal.to_atoms()
        atoms.calc = calculator
        assert energy.value == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-4)
    # An isolated atom, which CHGNet has no graph for, spoils its own energy only.
    lonely = Crystal(225, (60.0, 60.0, 60.0, 90, 90, 90), (Site("Na", "a"),))
    mixed = single_points([crystals[0], lonely, crystals[1]], calculator)
    assert mixed[0].value == pytest.approx(found[0].value, abs=1e-4)
    assert mixed[2].value == pytest.approx(found[1].value, abs=1e-4)


# --- scores ---


def test_score_survives_json() -> None:
    score = Score("NaCl", likely=0.25, agreement=0.5, energy=-3.0, kind="prototype", weight=0.4, members=7)
    assert Score.from_dict(score.to_dict()) == score and "log_prior" not in score.to_dict()
    assert 0.56 < score.p_given_letters < 0.57
    assert Score("NaCl").to_dict() == {"formula": "NaCl", "likely": 0.0}
    earlier = {"formula": "NaCl", "likely": 1.0, "agreement": 0.5, "energy": -3.0, "temperature": 0.03}
    assert Score.from_dict(earlier).kind == "network"


@pytest.mark.parametrize("judges", [(), ("denoising",), ("agreement",), ("denoising", "agreement")])
def test_calibration_goes_the_right_way(judges: tuple[str, ...]) -> None:
    c = calibration_of(judges)
    assert c.log_odds(-1.0, 0.9, 3) >= c.log_odds(0.0, 0.9, 3)
    assert c.log_odds(0.0, 0.9, 3) >= c.log_odds(0.0, 0.2, 3)
    for potential, relaxed in ((None, False), ("chgnet", False), ("chgnet", True), ("emt", False)):
        order = order_calibration(judges, potential, relaxed)
        weights = dict(zip(NAMES, order.weights.tolist(), strict=True))
        assert any(weights.values()) and np.isfinite(order.sure).all()
        assert potential is None or min(weights[f"{kind}.energy"] for kind in KINDS) < 0
        assert potential is not None or not any(weights[f"{kind}.energy"] for kind in KINDS)


# --- candidates of an order beside each other ---

RUTILE, SALT = KNOWN["rutile"], KNOWN["rock salt"]
CELLS = [Crystal(225, (a, a, a, 90, 90, 90), SALT.sites) for a in (5.64, 6.4, 7.2)]


def alike(n: int) -> np.ndarray:
    """Differences of n candidates of which no two are like each other."""
    return np.where(np.eye(n, dtype=bool), 0.0, 1.0)


def test_energies_count_within_a_formula_only() -> None:
    scores = [Score("NaCl", energy=-3.0), Score("NaCl", energy=-2.9), Score("KCl", energy=-1.0)]
    found = relative_energies(scores)
    assert found[0] == found[2] == 0 and found[1] == pytest.approx(math.log1p(0.1 / SCALE))
    assert not relative_energies([Score("A"), Score("A")]).any()


def test_known_arrangements_set_the_energy_and_holes_count_little() -> None:
    known = Score("NaCl", energy=-3.0, kind="prototype", weight=0.5, members=3)
    hole, deep, high, none = (Score("NaCl", energy=e) for e in (-3.5, -9.0, 5.0, None))
    found = relative_energies([known, hole, deep, high, none])
    assert found[0] == 0 and found[1] == found[2] == pytest.approx(-math.log1p(BELOW / SCALE))
    assert found[3] == found[4] == pytest.approx(math.log1p(ABOVE / SCALE))


def test_relaxed_energies_stand_for_single_points() -> None:
    scores = [Score("NaCl", energy=-3.0), Score("NaCl", energy=-2.9, relaxed_energy=-3.1)]
    assert relative_energies(scores)[0] > relative_energies(scores)[1] == 0


def test_votes_of_crystals_and_of_known_arrangements() -> None:
    difference = alike(5)
    difference[0, 1] = difference[1, 0] = difference[0, 3] = difference[3, 0] = 0
    kinds = ("network", "network", "network", "prototype", "refined")
    scores = [Score("NaCl", kind=k, weight=None if k == "network" else 0.4) for k in kinds]
    drawn, lent = votes(scores, difference)
    assert drawn[0] == drawn[1] > drawn[2]
    assert drawn[3] > drawn[4], "a crystal of the network came out as this arrangement"
    assert lent[0] == pytest.approx(math.log(0.4), abs=0.01) and lent[2] < lent[0]
    difference[0, 1] = difference[1, 0] = np.inf
    assert votes(scores, difference)[0][1] < drawn[1]


def test_each_kind_has_columns_of_its_own() -> None:
    scores = [Score("A", denoising=2.0, free=0), Score("A", kind="prototype", weight=1.0, members=8)]
    table = dict(zip(NAMES, columns(scores, alike(2)).T, strict=True))
    assert table["network.kind"].tolist() == [1, 0] and table["prototype.kind"].tolist() == [0, 1]
    assert table["network.denoising"].tolist() == [2, 0] and not table["refined.lent"].any()
    assert table["prototype.members"].tolist() == [0, pytest.approx(math.log(8))]
    assert asked(("denoising",), False)[NAMES.index("network.denoising")]
    assert not asked(("denoising",), True)[NAMES.index("network.drawn")]


def test_what_speaks_for_a_candidate_brings_it_forward() -> None:
    def best(*scores: Score) -> int:
        figures = [v.figure for v in verdicts(CELLS[: len(scores)], scores)]
        return int(np.argmax(figures))

    usual = {"formula": "NaCl", "denoising": 0.0, "agreement": 1.0, "free": 3, "room": 1.2}
    assert best(Score(**usual, log_prior=-6.0), Score(**usual, log_prior=-0.1)) == 1
    close = [Score(**usual, kind="prototype", weight=w, members=2) for w in (0.001, 0.5)]
    assert best(*close) == 1
    low = [Score(**usual, energy=e, potential="chgnet") for e in (-2.5, -3.0)]
    assert best(*low) == 1
    # Two of the network that are the same beside one that stands alone.
    three = [CELLS[0], CELLS[0], CELLS[2]]
    figures = [v.figure for v in verdicts(three, [Score(**usual)] * 3)]
    assert figures[0] == figures[1] > figures[2]


def test_chances_are_chances_and_higher_for_what_agrees() -> None:
    usual = {"formula": "NaCl", "denoising": -2.0, "agreement": 1.0, "free": 0, "room": 1.2}
    together = verdicts([SALT] * 4, [Score(**usual)] * 4)
    apart = verdicts(CELLS, [Score(**usual)] * 3)
    assert all(0 < v.p < 1 for v in together + apart)
    assert together[0].p > max(v.p for v in apart)
    assert verdicts([], []) == []


def test_front_runners_are_compared_by_relaxed_energies_and_stay_in_front() -> None:
    usual = {"formula": "NaCl", "free": 1, "potential": "chgnet", "agreement": 1.0}
    scores = [
        Score(**usual, energy=-3.0, relaxed_energy=-3.0),
        Score(**usual, energy=-2.9, relaxed_energy=-3.3),
        Score(**usual, energy=-2.5),
    ]
    first, second, third = (v.figure for v in verdicts(CELLS, scores))
    assert second > first >= third
    before = [v.figure for v in verdicts(CELLS, [s.with_(relaxed_energy=None) for s in scores])]
    assert before[0] > before[1] > before[2]
    assert first - third == pytest.approx(before[1] - before[2])


# --- which judges ---


def test_judges_by_default(model: Model) -> None:
    fake = FakeModel()
    assert resolve_judges(model) == ()
    assert resolve_judges(model, best_of=8) == JUDGES[:3]
    assert resolve_judges(model, best_of=8, potential=POTENTIAL) == JUDGES
    assert resolve_judges(model, sorts=True) == JUDGES[:3]
    assert resolve_judges(model, sorts=True, potential=POTENTIAL) == JUDGES
    assert resolve_judges(model, "agreement", sorts=True) == ("validity", "agreement")
    assert resolve_judges(model, potential=POTENTIAL) == ("validity", "denoising", "energy")
    assert resolve_judges(fake, best_of=8) == ("validity", "agreement")  # type: ignore[arg-type]
    assert resolve_judges(model, "denoising") == ("validity", "denoising")
    assert resolve_judges(model, "relaxation, energy", POTENTIAL, 2) == ("validity", "energy", "relaxation")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"judges": "denoisng", "best_of": 2}, ConfigError, "unknown judge 'denoisng'; known are validity"),
        ({"judges": "energy"}, ConfigError, "needs a potential; add --potential chgnet"),
        ({"judges": "denoising", "fake": True}, ConfigError, "has no denoising judge"),
        ({"judges": "agreement"}, ConfigError, "add --best-of 8"),
        ({"judges": "denoising", "potential": POTENTIAL}, ConfigError, "no judge asks potential"),
        ({"potential": "chgnot"}, RelaxationError, "unknown potential"),
    ],
)
def test_judges_that_cannot_be_had(model: Model, options: dict, error: type, words: str) -> None:
    asked = FakeModel() if options.pop("fake", False) else model
    with pytest.raises(error, match=words):
        resolve_judges(asked, **options)


# --- the ladder ---


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A potential that counts what it is asked."""
    asked: list[str] = []

    class Counting(LennardJones):
        def calculate(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            asked.append("call")
            super().calculate(*args, **kwargs)

    module = types.ModuleType("counting_potential")
    # Bonds of 1.96 A at rest: those of rutile, which it makes no wreckage of.
    module.make = partial(Counting, sigma=1.75, rc=5.0)  # type: ignore[attr-defined]
    module.__spec__ = importlib.util.spec_from_loader("counting_potential", None)
    monkeypatch.setitem(sys.modules, "counting_potential", module)
    return asked


def candidates(crystals: Sequence[Crystal]) -> list[Candidate]:
    return [Candidate(crystal) for crystal in crystals]


def test_dear_judges_see_each_structure_once_and_the_dearest_only_front_runners(
    model: Model, counting: list[str]
) -> None:
    rutile = KNOWN["rutile"]
    drafts = [rutile, rutile, *(distorted(rutile, s) for s in (0.03, 0.06, 0.09, 0.12, 0.16)), rutile]
    ladder = Ladder(model, JUDGES, "counting_potential:make", front_runners=2, calls=3)
    scores = ladder.judge(candidates(drafts))
    assert ladder.judged == {"denoising": 8, "agreement": 8, "energy": 6, "relaxation": 2}
    assert set(ladder.seconds) == set(ladder.judged)
    assert 6 + 2 <= len(counting) <= 6 + 2 * 3
    assert scores[0].energy == scores[1].energy == scores[7].energy
    assert sum(s.relaxed_energy is not None for s in scores) >= 2
    for s in scores:
        assert s.energy is not None and (s.relaxed_energy is None or s.relaxed_energy <= s.energy + 1e-9)
    assert ladder.judge([]) == []


def test_scores_of_a_crystal_do_not_depend_on_what_was_judged_before(model: Model) -> None:
    rutile, quartz = KNOWN["rutile"], KNOWN["quartz"]
    drafts = [rutile, distorted(rutile, 0.05)]
    ladder = Ladder(model, JUDGES[:3])
    first = ladder.judge(candidates(drafts))
    ladder.judge(candidates([quartz, distorted(quartz, 0.1), quartz]))
    assert ladder.judge(candidates(drafts)) == first


def test_potential_that_always_fails_leaves_the_model_s_judgement(model: Model) -> None:
    drafts = [distorted(KNOWN["perovskite"], 0), KNOWN["perovskite"]]
    scores = Ladder(model, JUDGES, "ase.calculators.emt:EMT").judge(candidates(drafts))
    assert all(s.energy is None and "EMT" in str(s.energy_failure) for s in scores)
    without = Ladder(model, JUDGES[:3]).judge(candidates(drafts))
    assert verdicts(drafts, scores) == verdicts(drafts, without)
