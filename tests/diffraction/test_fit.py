"""Fits of candidates to patterns whose truth is known."""

import numpy as np
import pytest
import torch

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffraction import leastsq, radiation
from crystalsmith.diffraction.background import prepared
from crystalsmith.diffraction.fit import FitSettings, fit_candidates, observed_of, refine_candidates
from crystalsmith.diffraction.simulation import Optics, Simulator, Spoiling, batch_of, measured, simulate
from crystalsmith.diffraction.strains import Blurred, starting_strains, trial_strains
from crystalsmith.errors import PatternError
from crystalsmith.graph import to_crystals

COPPER = radiation("CuKa")
OPTICS = Optics(width=0.12, broadening=0.1, zero=0.05)


NOISE = Spoiling()


def _ready(crystal, optics=OPTICS, spoiling=NOISE):
    return prepared(measured(simulate(crystal, COPPER, (8, 80), 0.02, optics), spoiling))


def _strained(crystal: Crystal, strain, move: float = 0.0, seed: int = 0) -> Crystal:
    """The crystal in another cell, its free coordinates moved by so much (a fraction of the period)."""
    batch = batch_of([crystal])
    add = torch.tensor(np.asarray(strain)[None]) * batch.layout.strain_mask
    random = np.random.default_rng(seed).uniform(-1, 1, batch.w.shape)
    w = batch.w + move * torch.tensor(random) * batch.layout.free_mask
    return to_crystals(batch.with_state(w, batch.strain + add))[0]


STRAINS = {
    "rock salt": [0.05, 0, 0, 0, 0, 0],
    "corundum": [-0.04, 0.03, 0, 0, 0, 0],
    "marcasite": [0.03, -0.02, 0.03, 0, 0, 0],
    "baddeleyite": [0.03, -0.02, 0.02, 0.02, 0, 0],
}


@pytest.mark.parametrize("name", STRAINS)
def test_a_cell_is_found_from_afar(name):
    crystal = KNOWN[name]
    ready = _ready(crystal)
    (found,) = fit_candidates([_strained(crystal, STRAINS[name])], ready)
    assert found.crystal.cell == pytest.approx(crystal.cell, rel=1e-3)
    assert found.stage == "fitted" and found.misfit < 0.3 and found.overlap > 0.98
    assert found.optics.zero + found.optics.displacement == pytest.approx(0.05, abs=0.02)


def test_starts_come_near_the_cell():
    crystal = KNOWN["baddeleyite"]
    pattern = simulate(crystal, COPPER, (8, 80))
    batch = batch_of([_strained(crystal, STRAINS["baddeleyite"])])
    simulator = Simulator.of(batch, COPPER.principal, observed_of(_ready(crystal)).grid)
    blurred = Blurred(pattern.two_theta, pattern.intensity, COPPER.mean)
    starts = starting_strains(batch, simulator.reflections, simulator.lines(batch)[2], blurred)
    off = (starts.strain[0] - batch_of([crystal]).strain[0]).abs().amax(1)
    assert float(off.min()) < 0.012
    assert (starts.likeness[0].diff() <= 0).all()


@pytest.mark.parametrize("allowed", [1, 2, 3, 4, 6])
def test_trials_keep_to_what_a_family_allows(allowed):
    trials = trial_strains(allowed)
    assert not trials[0].any() and not trials[:, 0].any() and not trials[:, allowed:].any()
    assert len(np.unique(trials, axis=0)) == len(trials)


def test_derivatives():
    """Slopes in closed form against differences of the model itself, column by column."""
    crystal = _strained(KNOWN["aragonite"], [0.0] * 6, 0.01)
    batch = batch_of([crystal])
    observed = observed_of(_ready(KNOWN["aragonite"]))
    simulator = Simulator.of(batch, COPPER, observed.grid)
    problem = leastsq.Problem(batch, simulator.reflections, observed)
    state = problem.rescaled(problem.begin(torch.zeros(1, dtype=torch.long), batch.lattice()))
    state.values[:, leastsq.TEXTURE] = 0.1
    state.values[:, leastsq.THERMAL] = 0.4
    every = torch.ones(state.values.shape[1], dtype=torch.bool)
    every[[4, 5]] = False  # an orthorhombic cell has neither
    every[3] = False
    names = torch.nonzero(every)[:, 0].tolist()
    _, slopes = problem._model(state, every, True)
    basis = batch.layout.tables.strain_basis
    for place, column in enumerate(names):
        step = 1e-5
        both = []
        for sign in (1, -1):
            values = state.values.clone()
            values[:, column] += sign * step
            lattice = state.lattice
            if column < 6:
                turn = torch.linalg.matrix_exp(sign * step * basis[column].repeat(2, 1, 1))[:1]
                lattice = lattice @ turn
            moved = leastsq.State(state.crystal, lattice, values, state.axis, state.cost)
            both.append(problem.patterns(moved) + problem.rest(moved))
        difference = (both[0] - both[1])[0] / (2 * step)
        error = (slopes[0, :, place] - difference).abs().max() / difference.abs().max()
        # Strains leave the form factors and the polarization where they are, and the window of a line is cut.
        assert float(error) < (0.15 if column < 6 else 0.01), column


def test_the_right_one_is_first_and_refined():
    crystal = KNOWN["corundum"]
    ready = _ready(crystal)
    right = _strained(crystal, [0.02, 0.01, 0, 0, 0, 0], 0.02)
    other = Crystal(167, right.cell, (Site("Al", "c", (0.20,)), Site("O", "e", (0.55,))))
    fits = fit_candidates([other, right], ready)
    assert [f.index for f in fits] == [0, 1]
    assert fits[1].misfit < 0.3 * fits[0].misfit
    _, refined = refine_candidates(fits, ready)
    assert refined.misfit < 0.5 * fits[1].misfit and refined.misfit < 0.05
    free = [x for s in refined.crystal.sites for x in s.free]
    assert free == pytest.approx([x for s in crystal.sites for x in s.free], abs=2e-3)
    assert refined.crystal.cell == pytest.approx(crystal.cell, rel=2e-4)
    assert refined.moved > 0.01


def test_foreign_lines_and_preferred_orientation_do_not_hide_it():
    crystal = KNOWN["rutile"]
    spoiled = Optics(width=0.12, zero=0.1, texture=0.8, axis=(0, 0, 1))
    ready = _ready(crystal, spoiled, Spoiling(impurity=0.05, seed=2))
    fits = fit_candidates(
        [_strained(crystal, [0.03, 0.02, 0, 0, 0, 0]), _strained(KNOWN["anatase"], [0.0] * 6)], ready
    )
    right, wrong = refine_candidates(fits, ready)
    assert right.crystal.cell == pytest.approx(crystal.cell, rel=1e-3)
    assert right.misfit < 0.5 * wrong.misfit
    assert right.optics.texture == pytest.approx(0.8, abs=0.08) and right.optics.axis == (0, 0, 1)
    assert right.foreign > 0.01


def test_another_compounds_pattern_fits_nothing():
    ready = _ready(KNOWN["aragonite"])
    fits = refine_candidates(fit_candidates([KNOWN["quartz"], KNOWN["spinel"]], ready), ready)
    assert all(f.misfit > 0.4 and f.overlap < 0.93 for f in fits), [(f.misfit, f.overlap) for f in fits]


def test_a_fixed_cell_stays():
    crystal = KNOWN["marcasite"]
    ready = _ready(crystal)
    near, far = _strained(crystal, [0.002, 0.001, 0, 0, 0, 0]), _strained(crystal, [0.05, 0, 0, 0, 0, 0])
    fits = fit_candidates([near, far], ready, FitSettings(cell="fixed"))
    assert fits[0].crystal.cell == pytest.approx(crystal.cell, rel=1e-3)
    assert fits[1].crystal.volume == pytest.approx(far.volume, rel=0.05)
    assert fits[1].misfit > 3 * fits[0].misfit


def test_fits_do_not_depend_on_each_other():
    ready = _ready(KNOWN["rutile"])
    crystals = [_strained(KNOWN[n], [0.02, 0.01, 0, 0, 0, 0]) for n in ("rutile", "anatase", "boric acid")]
    together = fit_candidates(crystals, ready)
    for crystal, found in zip(crystals[:2], together, strict=False):
        (alone,) = fit_candidates([crystal], ready)
        assert alone.crystal.cell == pytest.approx(found.crystal.cell, rel=1e-4)
        assert alone.misfit == pytest.approx(found.misfit, rel=0.02, abs=0.01)


def test_only_the_best_are_carried_further():
    ready = _ready(KNOWN["rutile"])
    fits = fit_candidates([KNOWN["anatase"], KNOWN["rutile"]], ready, FitSettings(fitted=1))
    assert [f.stage for f in fits] == ["afar", "fitted"]
    assert sorted(fits, key=lambda f: f.rank_key)[0].index == 1
    assert fit_candidates([], ready) == [] and refine_candidates([], ready) == []


def test_settings_that_make_no_sense():
    with pytest.raises(PatternError, match="free or fixed"):
        FitSettings(cell="loose")
    with pytest.raises(PatternError, match="positive"):
        FitSettings(starts=0)
