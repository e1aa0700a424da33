"""Cells that the lines of a pattern lead to, without any candidate."""

import numpy as np
import pytest

from conftest import counts_of
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffraction import Pattern, radiation
from crystalsmith.diffraction.lattice_search import Lines, lattice_of, monomials, search, volumes
from crystalsmith.generation.journal import Entry
from crystalsmith.solving import SolveSettings
from crystalsmith.solving.cells import on_cell
from crystalsmith.solving.fitting import Observation
from crystalsmith.solving.searched import _indices, _valued, found_cells, searched_cells, volume_ranges
from crystalsmith.solving.trials import Trial
from crystalsmith.symmetry import cell_to_lattice


def observation_of(crystal: Crystal, zero: float = 0.03) -> Observation:
    x, y = counts_of(crystal, zero=zero).T
    return Observation.read(Pattern.of(x, y, radiation("CuKa")), SolveSettings(formula=crystal.formula))


@pytest.mark.parametrize("name", ["rutile", "corundum", "aragonite", "quartz", "baddeleyite"])
def test_cells_of_known_crystals(known, name):
    right = known[name]
    found = searched_cells(observation_of(right, zero=0.08), volume_ranges([right]))
    assert found and found[0].source == "found"
    assert on_cell(right, found[0], 0.005) is not None


def test_no_cell_of_another_volume(known):
    (low, high) = volume_ranges([known["corundum"]])[0]
    assert searched_cells(observation_of(known["corundum"]), [(1.3 * low, 1.3 * high)]) == []


def test_a_triclinic_cell(known):
    values = np.array([5.1, 6.3, 7.2, 82.0, 98.0, 105.0])
    lattice = cell_to_lattice(1, values)
    reciprocal = np.linalg.inv(lattice).T
    hkl = np.stack(np.meshgrid(*[np.arange(-4, 5)] * 3, indexing="ij"), -1).reshape(-1, 3)
    q = np.sort(((hkl @ reciprocal) ** 2).sum(1))[1::2][:25]
    lines = Lines(q, np.full(len(q), 2e-4), np.full(len(q), 0.01))
    volume = abs(np.linalg.det(lattice))
    best = [m for system, metrics, _ in search(lines, [(0.9 * volume, 1.1 * volume)]) for m in metrics[:5]]
    assert min(abs(volumes(m[None])[0] / volume - 1) for m in best) < 1e-3
    whole = lattice_of(best[-1])
    assert np.allclose(((hkl @ np.linalg.inv(whole).T) ** 2).sum(1), monomials(hkl) @ best[-1])


def test_lines_alone_where_all_candidates_have_other_cells(known):
    right = known["rutile"]
    wrong = Crystal(136, (4.8, 4.8, 2.75, 90, 90, 90), (Site("Ti", "a"), Site("O", "f", (0.45,))))
    trial = Trial("one", Entry("one", 0, 1, 0, wrong, None), None, wrong)
    (cell, *_) = found_cells(observation_of(right), [trial], {})
    assert on_cell(right, cell, 0.005) is not None


def test_a_trial_cell_that_is_all_but_flat_is_left_out(known):
    seen = observation_of(known["rutile"])
    flat = np.array([[2000.0, 0, 0], [0, 3000.0, 0], [1999.9, 2999.9, 1e-5]])
    assert abs(np.linalg.det(flat)) == pytest.approx(60.0) and len(_indices(flat, 0.8)) == 0
    assert _valued(seen, [(50.0, 70.0)], None, flat, 0.0) == []
