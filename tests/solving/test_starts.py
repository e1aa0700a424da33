"""Candidates on a known cell whose coordinates are looked for from many starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conftest import counts_of
from crystals import ARAGONITE
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffraction import Pattern, radiation
from crystalsmith.generation.journal import Entry
from crystalsmith.runs.progress import silent
from crystalsmith.solving import SolveSettings
from crystalsmith.solving.answers import answers_of, leading, worth_refining
from crystalsmith.solving.cells import FOUND
from crystalsmith.solving.fitting import Observation, fit_all, refine_all, search_all
from crystalsmith.solving.starts import BEST, LIKELIEST, MARK, descended, worth_starts
from crystalsmith.solving.trials import OWN, Trial, fits_in

_OFF = 0.1 * np.random.default_rng(4).normal(size=9)
FAR = replace(
    ARAGONITE,
    sites=tuple(
        replace(site, free=tuple(float(x + d) for x, d in zip(site.free, _OFF[k : k + 3], strict=False)))
        for site, k in zip(ARAGONITE.sites, (0, 2, 4, 6), strict=True)
    ),
)
"""The same arrangement with its atoms off by 0.6 Angstrom or so."""


def trial(crystal: Crystal, number: int = 0, cell: str = FOUND, figure: float | None = 1.0) -> Trial:
    key = f"CaCO3_{number}@1"
    return Trial(key, Entry("CaCO3", number, 1, 0, crystal, None), figure, crystal, cell)


@pytest.fixture(scope="module")
def seen() -> Observation:
    x, y = counts_of(ARAGONITE).T
    return Observation.read(Pattern.of(x, y, radiation("CuKa")), SolveSettings(formula="CaCO3"))


def test_what_is_right_by_and_large_is_found_and_stands_first(tmp_path, seen):
    fits, refined = fits_in(tmp_path / "fits.jsonl"), fits_in(tmp_path / "refined.jsonl")
    first = [trial(FAR)]
    fit_all(seen, first, fits, silent)
    order = leading(first, fits.found)
    refine_all(seen, worth_refining(order, fits.found, 12), fits.found, refined, silent)
    assert answers_of(order, fits.found, refined.found)[0].best_fit.misfit > 0.3
    fresh = worth_starts(order, fits.found, refined.found, ())
    assert [t.key for t in fresh] == ["CaCO3_0@1" + MARK]
    search_all(seen, fresh, fits, refined, silent, 0.003)
    best = answers_of([*order, *fresh], fits.found, refined.found)[0]
    assert best.trial.key.endswith(MARK) and best.best_fit.misfit < 0.08 and best.best_fit.moved > 0.2
    assert best.fit.to_dict() == fits.found["CaCO3_0@1"].to_dict() and best.best_fit.profile is not None
    # A run that goes on finds all of it on the disk and nothing to do.
    again = fits_in(tmp_path / "fits.jsonl"), fits_in(tmp_path / "refined.jsonl")
    length = (tmp_path / "refined.jsonl").stat().st_size
    search_all(seen, worth_starts(order, again[0].found, again[1].found, ()), *again, silent, 0.003)
    assert (tmp_path / "refined.jsonl").stat().st_size == length
    assert again[1].found.keys() == refined.found.keys()
    # What was found goes on in its subgroups, once.
    less = descended(list(fresh), fits.found, refined.found)
    assert less and all(t.lowered_from == "CaCO3_0@1" + MARK and t.key.endswith(MARK) for t in less)
    assert all(len(t.crystal.group.rotations) < 8 and t.figure == 0.0 for t in less)
    assert set(less.values()) == {fits.found["CaCO3_0@1" + MARK]}
    assert descended([*fresh, *less], fits.found, refined.found) == {}


def test_only_trials_on_known_cells_with_something_free_are_looked_for(tmp_path, seen):
    salt = Crystal(225, (5.64,) * 3 + (90,) * 3, (Site("Na", "a"), Site("Cl", "b")))
    many = [trial(replace(FAR, cell=(5.7 + 0.01 * k, *FAR.cell[1:])), k, figure=float(k)) for k in range(30)]
    others = [trial(FAR, 40, OWN), trial(salt, 41)]
    fits = fits_in(tmp_path / "fits.jsonl")
    fit_all(seen, [*many, *others], fits, silent)
    found = {t.key: fits.found[t.key] for t in others} | {
        t.key: replace(fits.found[t.key], misfit=0.5 + 0.01 * k) for k, t in enumerate(many)
    }
    chosen = [t.key for t in worth_starts([*others, *many], found, {}, ())]
    assert chosen[:BEST] == [t.key + MARK for t in many[:BEST]]
    assert set(chosen[BEST:]) == {t.key + MARK for t in many[-LIKELIEST:]}
    rest = [t.key for t in worth_starts([*others, *many], found, {}, chosen)]
    assert rest[0] == many[BEST].key + MARK and not set(rest) & set(chosen)
    # A cell of its own that explains some of the pattern is as good, and is taken as it was refined.
    far = others[0]
    near = replace(found[far.key], misfit=0.4, crystal=ARAGONITE)
    ((own, fit),) = worth_starts([far], found, {far.key: near}, ()).items()
    assert own.key == far.key + MARK and own.crystal == ARAGONITE and fit is found[far.key]
    assert worth_starts([far], found, {far.key: replace(near, misfit=0.9)}, ()) == {}
