"""Candidates on cells by which their strong reflections are lines of the pattern."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conftest import counts_of
from crystals import KYANITE
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffraction import Pattern, radiation
from crystalsmith.generation.journal import Entry
from crystalsmith.runs.progress import silent
from crystalsmith.solving import SolveSettings
from crystalsmith.solving.answers import answers_of, leading
from crystalsmith.solving.assigned import CELLS, MARK, assigned
from crystalsmith.solving.cells import FOUND
from crystalsmith.solving.fitting import Observation, fit_all, refine_all
from crystalsmith.solving.trials import OWN, Trial, fits_in

OFF = replace(KYANITE, cell=(7.35, 7.6, 5.75, 86.5, 104.5, 103.0))


def trial(crystal: Crystal, key: str, cell: str = OWN) -> Trial:
    return Trial(key, Entry("Al2Si", 0, 1, 0, crystal, None), 1.0, crystal, cell)


@pytest.fixture(scope="module")
def seen() -> Observation:
    x, y = counts_of(KYANITE).T
    return Observation.read(Pattern.of(x, y, radiation("CuKa")), SolveSettings(formula="Al2Si"))


def test_a_candidate_whose_cell_is_off_by_percents_becomes_the_answer(tmp_path, seen):
    fits, refined = fits_in(tmp_path / "fits.jsonl"), fits_in(tmp_path / "refined.jsonl")
    first = trial(OFF, "Al2Si_0")
    fit_all(seen, [first], fits, silent)
    assert fits.found["Al2Si_0"].misfit > 0.6
    trials = {first.key: first}
    fresh = assigned(seen, [first], trials)
    assert [t.key for t in fresh] == [f"Al2Si_0{MARK}{k}" for k in range(len(fresh))]
    assert 1 <= len(fresh) <= CELLS and {t.cell for t in fresh} == {FOUND}
    assert all(t.crystal.sites == OFF.sites and t.entry is first.entry for t in fresh)
    trials |= {t.key: t for t in fresh}
    assert assigned(seen, [first], trials) == []
    fit_all(seen, fresh, fits, silent)
    order = leading(list(trials.values()), fits.found)
    refine_all(seen, order, fits.found, refined, silent)
    best = answers_of(order, fits.found, refined.found)[0]
    assert best.best_fit.misfit < 0.1 and best.trial.cell == FOUND
    assert np.allclose(best.crystal.cell, KYANITE.cell, rtol=2e-3)


def test_only_cells_with_many_open_numbers_and_of_their_own_are_changed(seen):
    salt = Crystal(225, (5.64,) * 3 + (90,) * 3, (Site("Na", "a"), Site("Cl", "b")))
    others = [trial(salt, "a_0"), trial(OFF, "b_0", FOUND), trial(OFF, "c_0@1", FOUND)]
    assert assigned(seen, others, {t.key: t for t in others}) == []
    # Subgroups of what is chosen are changed with it, those of others are not.
    less = [trial(OFF, "d_0/3"), trial(OFF, "e_0/1")]
    made = trial(salt, "d_0")
    fresh = assigned(seen, [made], {t.key: t for t in (made, *less)})
    assert fresh and {t.key.partition(MARK)[0] for t in fresh} == {"d_0/3"}
    assert {t.lowered_from for t in fresh} == {"d_0"}
