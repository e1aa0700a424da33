"""Free relaxation, its limits and the symmetry found after it."""

from __future__ import annotations

import math
import types
from dataclasses import replace

import numpy as np
import pytest
import scipy.optimize
import spglib
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones

from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.potentials import RelaxSettings, load_calculator, relax_crystal, relax_free, relax_symmetric
from crystalsmith.potentials import relaxation as relaxation_module
from crystalsmith.potentials import search as search_module
from crystalsmith.potentials.relaxation import without_symmetry
from crystalsmith.potentials.search import Search


def lennard_jones() -> LennardJones:
    return LennardJones(sigma=2.4, epsilon=0.5, rc=6.0, ro=5.0, smooth=True)


def cubic(number: int, a: float, element: str = "Ar") -> Crystal:
    return Crystal(number, (a, a, a, 90, 90, 90), (Site(element, "a"),))


HCP = Crystal(194, (2.9, 2.9, 4.2, 90, 90, 120), (Site("Cu", "c"),))


def group_by_spglib(crystal: Crystal) -> int:
    atoms = crystal.to_atoms()
    found = spglib.get_symmetry_dataset(
        (np.array(atoms.cell), atoms.get_scaled_positions(), atoms.numbers), symprec=1e-3
    )
    return int(found.number)


def single_point(crystal: Crystal, calculator) -> float:
    atoms = crystal.to_atoms()
    atoms.calc = calculator
    return atoms.get_potential_energy() / len(atoms)


# --- one crystal ---


def test_a_crystal_on_a_saddle_leaves_it():
    """Along the Bain path: bcc, held there by its symmetry, is fcc when all may move."""
    held = relax_symmetric(cubic(229, 3.0), lennard_jones())
    assert held.converged and held.crystal.space_group == 229
    ended = relax_free(held.crystal, lennard_jones())
    best = relax_symmetric(cubic(225, 3.7), lennard_jones())
    assert ended.converged and ended.energy < held.energy - 0.1
    assert ended.crystal.space_group == group_by_spglib(ended.crystal) == 225
    assert ended.energy == pytest.approx(best.energy, abs=1e-3)
    assert ended.crystal.cell[0] == pytest.approx(best.crystal.cell[0], rel=5e-3)
    assert ended.energy_start == pytest.approx(held.energy, abs=1e-6)


@pytest.mark.parametrize("start", [cubic(225, 3.6, "Cu"), HCP])
def test_a_crystal_that_falls_back_is_returned_as_it_was(start):
    held = relax_symmetric(start, EMT())
    ended = relax_free(held.crystal, EMT())
    assert ended.converged and ended.crystal == held.crystal
    assert ended.energy == pytest.approx(held.energy, abs=1e-9) and 1 < ended.calls < 30


def test_symmetry_that_was_lost_is_found_again():
    """A distorted cell of ordered Cu3Au, without any symmetry, relaxes to it and is described so."""
    ordered = Crystal(221, (3.75, 3.75, 3.75, 90, 90, 90), (Site("Au", "a"), Site("Cu", "c")))
    bare = without_symmetry(ordered)
    rng = np.random.default_rng(1)
    sites = tuple(
        replace(site, free=tuple(np.add(site.free, rng.normal(scale=0.01, size=3)).tolist()))
        for site in bare.sites
    )
    cell = tuple(np.multiply(bare.cell, [1.01, 0.99, 1.02, 1.01, 0.99, 1.01]).tolist())
    start = Crystal(1, cell, sites)
    assert group_by_spglib(start) == 1
    ended = relax_free(start, EMT())
    best = relax_symmetric(ordered, EMT())
    assert ended.converged and ended.crystal.space_group == group_by_spglib(ended.crystal) == 221
    assert ended.energy == pytest.approx(best.energy, abs=2e-3)
    assert ended.energy == pytest.approx(single_point(ended.crystal, EMT()), abs=1e-9)


def test_symmetry_that_costs_energy_is_not_believed(monkeypatch):
    """Whatever is found, a crystal that lies higher is not taken: here the saddle where it began."""
    start = relax_symmetric(cubic(229, 3.0), lennard_jones()).crystal
    ended = relax_free(start, lennard_jones())
    monkeypatch.setattr(relaxation_module, "_symmetric", lambda crystal, tolerance: start)
    again = relax_free(start, lennard_jones())
    assert again.converged and again.crystal.space_group == 1
    assert again.energy == pytest.approx(ended.energy, abs=1e-3)


@pytest.mark.parametrize("name", ["quartz", "rutile", "perovskite", "wurtzite"])
def test_without_symmetry_is_the_same_crystal(name):
    crystal = KNOWN[name]
    bare = without_symmetry(crystal)
    assert bare.space_group == 1 and bare.n_atoms == crystal.n_atoms and bare.formula == crystal.formula
    one, other = (np.sort(c.to_atoms().get_all_distances(mic=True).ravel()) for c in (crystal, bare))
    assert one == pytest.approx(other, abs=1e-6)


def test_the_seed_alone_decides():
    start = cubic(229, 3.0)
    first, second = (relax_free(start, lennard_jones(), seed=3) for _ in range(2))
    assert first == second
    assert relax_free(start, lennard_jones(), seed=4) != first


def test_calls_are_limited_also_those_for_the_symmetry():
    for most in (1, 2, 5, 12, 20):
        ended = relax_free(cubic(229, 3.0), lennard_jones(), RelaxSettings(max_calls=most))
        assert ended.calls <= most and math.isfinite(ended.energy)
        assert ended.energy <= ended.energy_start


class Faulty(EMT):
    """EMT that fails after so many calls."""

    def __init__(self, good: int, error: Exception | None = None) -> None:
        super().__init__()
        self.left, self.error = good, error

    def calculate(self, *args, **kwargs):
        self.left -= 1
        super().calculate(*args, **kwargs)
        if self.left < 0:
            if self.error is not None:
                raise self.error
            self.results["energy"] -= 1000


@pytest.mark.parametrize("good", [0, 1, 2, 4])
@pytest.mark.parametrize("error", [None, RuntimeError("burst")])
def test_a_free_relaxation_survives_its_potential(good, error):
    start = Crystal(194, (2.7, 2.7, 4.0, 90, 90, 120), (Site("Cu", "c"),))
    ended = relax_free(start, Faulty(good, error))
    if good == 0 and error is None:
        return  # a constant shift is no fault
    # It may have converged before, with the calls that were good.
    fault = "collapsed" if error is None else "the potential failed: RuntimeError: burst"
    assert ended.reason == ("converged" if ended.converged else fault)
    assert not (ended.converged and good < 4)
    if good:
        assert ended.energy <= ended.energy_start
        assert ended.energy == pytest.approx(single_point(ended.crystal, EMT()), abs=1e-6)
    else:
        assert ended.crystal == start and math.isnan(ended.energy)


class Rough(LennardJones):
    """Ripples, on which a line search may end a little above the best point that it saw."""

    def calculate(self, atoms=None, *args, **kwargs):
        super().calculate(atoms, *args, **kwargs)
        self.results["energy"] += 0.005 * np.sin(20 * atoms.positions).sum()
        self.results["forces"] = self.results["forces"] - 0.1 * np.cos(20 * atoms.positions)


def test_a_line_search_begins_where_the_minimiser_says(monkeypatch):
    """Else a step that is far too long may not be recognised, and ends the relaxation out of bounds."""
    searches: list[Search] = []
    init, original = Search.__init__, scipy.optimize.minimize
    seen = []

    def made(search: Search, *args):
        init(search, *args)
        searches.append(search)

    def watched(function, begin, *, callback, **options):
        values = {}

        def value(z):
            found = function(z)
            values[z.tobytes()] = found[0]
            return found

        def accepted(z):
            callback(z)
            search = searches[-1]
            seen.append((search.here.energy == values[z.tobytes()], search.here is search.best))

        return original(value, begin, callback=accepted, **options)

    monkeypatch.setattr(Search, "__init__", made)
    monkeypatch.setattr(scipy.optimize, "minimize", watched)
    start = Crystal(14, (3.2, 4.6, 3.4, 90, 99, 90), (Site("Ar", "e", (0.22, 0.09, 0.19)),))
    for seed in range(6):
        calculator = Rough(sigma=2.4, epsilon=0.5, rc=6.0, ro=5.0, smooth=True)
        relax_free(start, calculator, RelaxSettings(fmax=0.01, smax=0.001), seed=seed)
    assert all(right for right, _ in seen)
    assert sum(not best for _, best in seen) > 0


# --- limits ---


def growth(crystal: Crystal, start: Crystal) -> float:
    """Logarithm of the volume per atom over that of the start, by ASE."""
    volumes = [atoms.get_volume() / len(atoms) for atoms in (crystal.to_atoms(), start.to_atoms())]
    return abs(math.log(volumes[0] / volumes[1]))


@pytest.mark.parametrize("how", [relax_symmetric, relax_free])
@pytest.mark.parametrize("a", [3.2, 4.3])
def test_volume_is_limited_both_ways(how, a):
    start = cubic(225, a, "Cu")
    far = how(start, EMT())
    assert far.converged and growth(far.crystal, start) > math.log(1.2)
    held = how(start, EMT(), RelaxSettings(max_volume_change=0.2))
    assert held.reason == "left the bounds" and not held.converged
    assert growth(held.crystal, start) <= math.log(1.2) + 1e-3
    assert held.energy <= held.energy_start


class Watched(EMT):
    """Takes 0.3 s for each call, by its own clock."""

    now = 0.0

    def calculate(self, *args, **kwargs):
        Watched.now += 0.3
        super().calculate(*args, **kwargs)


@pytest.mark.parametrize("how", [relax_symmetric, relax_free])
def test_time_is_limited_and_the_best_so_far_kept(how, monkeypatch):
    clock = types.SimpleNamespace(perf_counter=lambda: Watched.now)
    monkeypatch.setattr(search_module, "time", clock)
    monkeypatch.setattr(relaxation_module, "time", clock)
    start = Crystal(194, (2.6, 2.6, 4.6, 90, 90, 120), (Site("Cu", "c"),))
    ended = how(start, Watched(), RelaxSettings(seconds=1.0, fmax=1e-9, smax=1e-12))
    assert ended.reason == "out of time" and 3 <= ended.calls <= 6
    assert ended.energy < ended.energy_start


@pytest.mark.parametrize("name", ["perovskite", "quartz"])
def test_chgnet_gives_what_its_own_calculator_gives(name):
    chgnet = pytest.importorskip("chgnet.model.dynamics")
    theirs = chgnet.CHGNetCalculator(use_device="cpu", on_isolated_atoms="ignore")
    atoms = KNOWN[name].to_atoms()
    atoms.rattle(0.1, seed=1)
    atoms.set_cell(np.array(atoms.cell) @ [[1.02, 0.01, 0], [0, 0.99, 0.02], [0, 0, 1.01]])
    found = []
    for calculator in (load_calculator("chgnet"), theirs):
        atoms.calc = calculator
        found.append((atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-5)
    assert found[0][1] == pytest.approx(found[1][1], abs=1e-4)
    assert found[0][2] == pytest.approx(found[1][2], abs=1e-5)


def test_chgnet_finds_the_polar_phase_of_lead_titanate():
    pytest.importorskip("chgnet")
    start = Crystal(221, (3.97, 3.97, 3.97, 90, 90, 90), (Site("Pb", "a"), Site("Ti", "b"), Site("O", "c")))
    stages = relax_crystal(start, load_calculator("chgnet")).stages
    symmetric, free = stages["symmetric"], stages["free"]
    assert symmetric.crystal.space_group == 221
    assert free.crystal.space_group == 99 and free.crystal.cell[2] > 1.02 * free.crystal.cell[0]
    assert free.energy < symmetric.energy - 0.02
