"""Candidates with less symmetry than they were made with."""

from dataclasses import replace

import numpy as np
import pytest

from conftest import counts_of
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffraction import Pattern, radiation
from crystalsmith.generation.journal import Entry
from crystalsmith.runs.progress import silent
from crystalsmith.solving import SolveSettings
from crystalsmith.solving.answers import answers_of, leading
from crystalsmith.solving.fitting import Observation, fit_all, refine_all
from crystalsmith.solving.lowered import lowered
from crystalsmith.solving.trials import Trial, fits_in

# CaCl2 is rutile with its columns of octahedra turned, in Pnnm.
CHLORIDE = Crystal(58, (6.259, 6.444, 4.170, 90, 90, 90), (Site("Ca", "a"), Site("Cl", "g", (0.275, 0.325))))
RUTILE = Crystal(136, (6.25, 6.25, 4.25, 90, 90, 90), (Site("Ca", "a"), Site("Cl", "f", (0.305,))))


def trial(crystal: Crystal, figure: float | None = 2.0) -> Trial:
    return Trial("CaCl2_0", Entry("CaCl2", 0, 1, 0, crystal, None), figure, crystal)


def test_a_distorted_variant_of_a_candidate_is_found(tmp_path):
    x, y = counts_of(CHLORIDE).T
    seen = Observation.read(Pattern.of(x, y, radiation("CuKa")), SolveSettings(formula="CaCl2"))
    fits, refined = fits_in(tmp_path / "fits.jsonl"), fits_in(tmp_path / "refined.jsonl")
    first = [trial(RUTILE)]
    fit_all(seen, first, fits, silent)
    assert fits.found["CaCl2_0"].misfit > 0.5
    order = leading(first, fits.found)
    fresh = lowered(order, fits.found, refined.found, done=())
    assert lowered(order, fits.found, refined.found, done={"CaCl2_0"}) == []
    assert 58 in {t.crystal.space_group for t in fresh} and all(t.figure == 1.0 for t in fresh)
    assert all(t.crystal.formula == "CaCl2" and t.crystal.n_atoms == 6 for t in fresh)
    assert all(len(t.crystal.group.rotations) < 16 for t in fresh)
    fit_all(seen, fresh, fits, silent)
    order = leading([*first, *fresh], fits.found)
    refine_all(seen, order, fits.found, refined, silent)
    best = answers_of(order, fits.found, refined.found)[0]
    assert best.best_fit.misfit < 0.05 and best.trial.key.startswith("CaCl2_0/")
    lengths = np.sort(np.linalg.norm(best.crystal.primitive_lattice, axis=1))
    assert lengths == pytest.approx([4.170, 6.259, 6.444], rel=2e-3)


def test_coordinates_are_moved_in_the_same_way_every_time(tmp_path):
    x, y = counts_of(CHLORIDE).T
    seen = Observation.read(Pattern.of(x, y, radiation("CuKa")), SolveSettings(formula="CaCl2"))
    fits = fits_in(tmp_path / "fits.jsonl")
    fit_all(seen, [trial(RUTILE, None)], fits, silent)
    once, again = (lowered([trial(RUTILE, None)], fits.found, {}, ()) for _ in range(2))
    assert [t.crystal for t in once] == [t.crystal for t in again] and once[0].figure is None
    assert all(t.crystal != RUTILE for t in once)
    # What already has no symmetry has nothing to lose.
    plain = trial(replace(RUTILE, space_group=1, sites=(Site("Ca", "a", (0.1, 0.2, 0.3)),)))
    assert lowered([plain], {plain.key: fits.found[plain.key]}, {}, ()) == []
