"""Cells that explain where lines are, whatever the atoms."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import counts_of
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffraction import Pattern, radiation
from crystalsmith.generation.journal import Entry
from crystalsmith.solving import SolveSettings
from crystalsmith.solving.explained import CONVINCING, convincing_cells, explained
from crystalsmith.solving.fitting import Observation
from crystalsmith.solving.trials import Fitted, Trial

SHIFT = 0.03
"""Degrees, of ``counts_of``."""


def observation_of(crystal: Crystal) -> Observation:
    x, y = counts_of(crystal, zero=SHIFT).T
    return Observation.read(Pattern.of(x, y, radiation("CuKa")), SolveSettings(formula=crystal.formula))


@pytest.mark.parametrize("name", ["rutile", "corundum", "aragonite", "quartz", "baddeleyite"])
def test_the_right_cell_explains_the_lines_and_others_do_not(known, name):
    seen = observation_of(known[name])
    right = known[name]
    assert explained(right, SHIFT, seen) > CONVINCING
    stretched = [x * f for x, f in zip(right.cell[:3], (1.03, 1.03, 0.97), strict=True)]
    wrong = replace(right, cell=(*stretched, *right.cell[3:]))
    assert explained(wrong, SHIFT, seen) < explained(right, SHIFT, seen) - 10
    # A cell so large that lines are everywhere explains nothing.
    large = Crystal(1, (15.1, 16.2, 17.3, 82, 85, 98), (Site("O", "a", (0.1, 0.2, 0.3)),))
    assert explained(large, SHIFT, seen) < CONVINCING


def test_cells_of_candidates_whose_atoms_are_wrong(known):
    seen = observation_of(known["rutile"])
    right = known["rutile"].cell
    wrong_atoms = Crystal(136, right, (Site("Ti", "a"), Site("O", "f", (0.45,))))
    wrong_cell = replace(wrong_atoms, cell=(4.8, 4.8, 2.80, 90, 90, 90))

    def trial(name: str, crystal: Crystal) -> Trial:
        return Trial(name, Entry(name, 0, 1, 0, crystal, None), None, crystal)

    trials = [trial("cell", wrong_cell), trial("atoms", wrong_atoms), trial("again", wrong_atoms)]
    fits = {
        t.key: Fitted(t.crystal, "fitted", 0.8, 0.9, 0.5, 0.0, 0.0, zero=SHIFT, values=()) for t in trials
    }
    (cell,) = convincing_cells(seen, trials, fits)
    assert cell.values == pytest.approx(right) and cell.source == "found"
    assert np.isfinite([value for _, value in cell.figures]).all()
    assert convincing_cells(seen, trials[:1], fits) == []
    afar = {key: replace(fit, rwp=None) for key, fit in fits.items()}
    assert convincing_cells(seen, trials, afar) == []
