"""Judges of finished crystals: what each of them sees, and that none of them throws."""

from __future__ import annotations

import importlib.util
import math
import sys
import types
from functools import partial

import numpy as np
import pytest
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffusion import Model, load_model
from crystalsmith.errors import ConfigError, RelaxationError
from crystalsmith.potentials import load_calculator
from crystalsmith.ranking import (
    JUDGES,
    Ladder,
    Score,
    denoising_error,
    denoising_errors,
    resolve_judges,
    single_points,
    totals,
)
from crystalsmith.ranking.agreement import agreements, draft_differences, same_structures
from crystalsmith.ranking.calibration import calibration_of
from crystalsmith.ranking.denoising import TIMES
from crystalsmith.ranking.fingerprint import fingerprint
from crystalsmith.ranking.score import PRIOR_WEIGHT
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


def test_energies_count_within_a_formula_only() -> None:
    a = Score("NaCl", likely=1.0, energy=-3.0, temperature=0.1)
    b = Score("NaCl", likely=1.5, energy=-2.9, temperature=0.1)
    c = Score("KCl", likely=1.2, energy=-1.0, temperature=0.1)
    assert totals([a, b, c]) == pytest.approx([1.0, 0.5, 1.2])
    assert totals([b, c]) == pytest.approx([1.5, 1.2])


def test_relaxed_energy_stands_for_the_single_point_and_none_is_worst() -> None:
    a = Score("NaCl", energy=-3.0, temperature=0.1)
    b = Score("NaCl", energy=-2.9, relaxed_energy=-3.1, temperature=0.1)
    assert totals([a, b]) == pytest.approx([-1.0, 0.0])
    c = Score("NaCl", likely=3.0, energy_failure="not finite", temperature=0.1)
    assert totals([a, b, c])[2] < -10
    assert totals([c]) == [3.0]


def test_likelier_assignments_score_higher() -> None:
    assert totals([Score("A", log_prior=-2.0), Score("A", log_prior=-1.0), Score("A")]) == [
        -2.0 * PRIOR_WEIGHT,
        -PRIOR_WEIGHT,
        0.0,
    ]


def test_score_survives_json() -> None:
    score = Score("NaCl", likely=0.25, agreement=0.5, energy=-3.0, temperature=0.05)
    assert Score.from_dict(score.to_dict()) == score and "log_prior" not in score.to_dict()
    assert 0.56 < score.p_given_letters < 0.57


@pytest.mark.parametrize("judges", [(), ("denoising",), ("agreement",), ("denoising", "agreement")])
def test_calibration_goes_the_right_way(judges: tuple[str, ...]) -> None:
    c = calibration_of(judges)
    assert c.energy > 0 and c.relaxation > 0
    assert c.log_odds(-1.0, 0.9, 3) >= c.log_odds(0.0, 0.9, 3)
    assert c.log_odds(0.0, 0.9, 3) >= c.log_odds(0.0, 0.2, 3)


# --- which judges ---


def test_judges_by_default(model: Model) -> None:
    fake = FakeModel()
    assert resolve_judges(model) == ()
    assert resolve_judges(model, best_of=8) == JUDGES[:3]
    assert resolve_judges(model, best_of=8, potential=POTENTIAL) == JUDGES[:4]
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


def test_dear_judges_see_each_structure_once_and_the_dearest_only_front_runners(
    model: Model, counting: list[str]
) -> None:
    rutile = KNOWN["rutile"]
    drafts = [rutile, rutile, *(distorted(rutile, s) for s in (0.03, 0.06, 0.09, 0.12, 0.16)), rutile]
    ladder = Ladder(model, JUDGES, "counting_potential:make", front_runners=2, calls=3)
    scores = ladder.judge(drafts)
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
    first = ladder.judge(drafts)
    ladder.judge([quartz, distorted(quartz, 0.1), quartz])
    assert ladder.judge(drafts) == first
    assert totals(first)[0] > totals(first)[1]


def test_potential_that_always_fails_leaves_the_model_s_judgement(model: Model) -> None:
    drafts = [distorted(KNOWN["perovskite"], 0), KNOWN["perovskite"]]
    scores = Ladder(model, JUDGES, "ase.calculators.emt:EMT").judge(drafts)
    assert all(s.energy is None and "EMT" in str(s.energy_failure) for s in scores)
    assert totals(scores) == [s.likely for s in scores]
