"""Coordinates on a known cell, looked for from many starts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from crystals import ARAGONITE
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffraction import fit, radiation
from crystalsmith.diffraction.background import prepared
from crystalsmith.diffraction.fit import Fit, refine_candidates
from crystalsmith.diffraction.multistart import COPIES, moved_copies, search_coordinates
from crystalsmith.diffraction.simulation import Optics, Spoiling, measured, simulate


@pytest.fixture(scope="module")
def seen():
    clean = simulate(ARAGONITE, radiation("CuKa1"), (10.0, 80.0), 0.02, Optics(width=0.1))
    return prepared(measured(clean, Spoiling(seed=1), 0.1))


def shifted(size: float, seed: int) -> Crystal:
    """Aragonite with its coordinates off by so many Angstrom, a standard deviation."""
    rng = np.random.default_rng(seed)
    sites = tuple(
        replace(s, free=tuple(float(x + size / 6 * rng.normal()) for x in s.free)) for s in ARAGONITE.sites
    )
    return replace(ARAGONITE, sites=sites)


def test_what_a_refinement_does_not_reach_is_found_from_many_starts(seen):
    start = shifted(0.6, 4)
    nan = math.nan
    (alone,) = refine_candidates([Fit(start, 0, "fitted", nan, nan, nan, nan, nan)], seen)
    assert alone.misfit > 0.3
    (found,) = search_coordinates([start], seen, [0])
    assert found is not None and found.stage == "refined" and found.misfit < 0.05
    for site, true in zip(found.crystal.sites, ARAGONITE.sites, strict=True):
        away = np.subtract(site.free, true.free)
        assert np.abs(away - away.round()).max() * 8 < 0.1 and site.element == true.element
    assert np.allclose(found.crystal.cell, ARAGONITE.cell, rtol=2e-3)
    ways = np.concatenate(
        [np.subtract(a.free, b.free) for a, b in zip(found.crystal.sites, start.sites, strict=True)]
    )
    assert 4 * np.abs(ways - ways.round()).max() < found.moved < 9 * np.abs(ways - ways.round()).max()


def test_what_a_crystal_comes_to_does_not_depend_on_the_others(seen):
    first, second = shifted(0.6, 4), shifted(0.6, 3)
    (alone,) = search_coordinates([first], seen, [0])
    together = search_coordinates([second, first], seen, [1, 0])
    assert [f is None for f in together].count(True) == 1
    three = search_coordinates([second, first, shifted(3.0, 6)], seen, [1, 0, 2])
    found = [f for f in (together[1], three[1]) if f is not None]
    assert alone is not None and found and all(f.crystal == alone.crystal for f in found)


def test_copies_are_the_same_for_one_seed():
    once, again, other = (moved_copies(ARAGONITE, COPIES, seed) for seed in (3, 3, 4))
    assert once == again != other and once[0] == other[0] == ARAGONITE
    assert len(set(once)) == COPIES


def test_a_crystal_without_free_coordinates_stays(seen):
    salt = Crystal(225, (5.64,) * 3 + (90,) * 3, (Site("Na", "a"), Site("Cl", "b")))
    (found,) = search_coordinates([salt], seen, [0])
    assert found is not None and found.moved == 0.0 and found.crystal.sites == salt.sites


def test_a_short_wavelength_is_searched_as_far_as_a_long_one(monkeypatch):
    """Aragonite to 0.6 A from a synchrotron: blurred patterns end at 1 A, the last refinement does not."""
    clean = simulate(ARAGONITE, radiation(0.7), (5.0, 71.0), 0.02, Optics(width=0.08))
    short = prepared(measured(clean, Spoiling(seed=1), 0.08))
    shells, real = [], fit.batch_for

    def noted(crystals, observed):
        shells.append(0.35 / np.sin(np.radians(observed.grid.stop) / 2))
        return real(crystals, observed)

    monkeypatch.setattr(fit, "batch_for", noted)
    (found,) = search_coordinates([shifted(0.6, 4)], short, [0])
    assert found is not None and found.misfit < 0.1
    assert shells[:3] == pytest.approx([1.0] * 3, abs=0.02) and min(shells) == pytest.approx(0.6, abs=0.01)


def test_a_pattern_ends_where_it_is_cut(seen):
    whole = fit.observed_of(seen)
    part = whole.up_to(50.0)
    assert part.grid.stop == pytest.approx(50.0, abs=part.grid.step) and part.grid.stop <= 50.0 + 1e-6
    n = part.grid.size
    assert np.array_equal(part.intensity, whole.intensity[:n]) and np.array_equal(part.sigma, whole.sigma[:n])
    assert whole.up_to(500.0) is whole
