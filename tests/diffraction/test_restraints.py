"""What holds a refinement beside the pattern."""

import numpy as np
import pytest
import torch

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.bonds import bond_room, short_bond
from crystalsmith.diffraction import leastsq, radiation
from crystalsmith.diffraction.background import prepared
from crystalsmith.diffraction.fit import fit_candidates, observed_of, refine_candidates
from crystalsmith.diffraction.restraints import short_bonds
from crystalsmith.diffraction.simulation import Optics, Simulator, Spoiling, batch_of, measured, simulate

TIGHT = Crystal(
    62, (4.0, 4.2, 5.0, 90, 90, 90), (Site("Ca", "c", (0.2, 0.3)), Site("O", "d", (0.1, 0.1, 0.4)))
)
"""Much too small a cell: many bonds of all kinds are too short."""


def _problem(crystal: Crystal) -> tuple[leastsq.Problem, leastsq.State]:
    pattern = measured(simulate(KNOWN["quartz"], radiation("CuKa")), Spoiling())
    observed = observed_of(prepared(pattern))
    batch = batch_of([crystal])
    problem = leastsq.Problem(
        batch, Simulator.of(batch, radiation("CuKa"), observed.grid).reflections, observed
    )
    return problem, problem.begin(torch.zeros(1, dtype=torch.long), batch.lattice())


def _held(problem: leastsq.Problem, state: leastsq.State):
    return short_bonds(problem.moved(state), state.lattice, problem.columns, problem.units, 1000)


def test_slopes_of_short_bonds_against_differences():
    problem, state = _problem(TIGHT)
    held = _held(problem, state)
    assert float(held.cost[0]) > 0 and held.gradient.shape == (1, 5)
    for column in range(problem.coordinates):
        step, both = 1e-6, []
        for sign in (1, -1):
            moved = state.rows(torch.tensor([0]))
            moved.values[:, leastsq.OWN + column] += sign * step
            both.append(float(_held(problem, moved).cost[0]))
        # The cost is a sum of squares: its slope is minus twice the gradient of the normal equations.
        slope = -2 * float(held.gradient[0, column])
        assert (both[0] - both[1]) / (2 * step) == pytest.approx(slope, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("name", ["quartz", "aragonite", "corundum", "spinel", "baddeleyite", "marcasite"])
def test_real_crystals_are_not_held(name):
    problem, state = _problem(KNOWN[name])
    held = _held(problem, state)
    assert float(held.cost[0]) == 0 and not held.gradient.any() and not held.matrix.any()


def test_a_refinement_ends_without_short_bonds():
    """Of a structure that is wrong, so that atoms run wherever the pattern is fitted a little better."""
    truth = KNOWN["aragonite"]
    ready = prepared(
        measured(simulate(truth, radiation("CuKa"), (8, 80), 0.02, Optics(width=0.12)), Spoiling())
    )
    random = np.random.default_rng(3)
    sites = tuple(Site(s.element, s.letter, tuple(random.uniform(0, 1, len(s.free)))) for s in truth.sites)
    wrong = Crystal(truth.space_group, truth.cell, sites)
    assert short_bond(wrong) is not None
    (found,) = refine_candidates(fit_candidates([wrong], ready), ready)
    assert bond_room(found.crystal) > 0.85 > bond_room(wrong)
