"""Relaxation in free parameters and strains: gradients, minima, and potentials that misbehave."""

import json
import math
import re
import sys
import types

import numpy as np
import pytest
import spglib
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS

from crystals import KNOWN, random_crystal
from crystalsmith.crystal import Crystal, Site
from crystalsmith.errors import ConfigError, CrystalsmithError, RelaxationError
from crystalsmith.potentials import (
    Outcome,
    RelaxSettings,
    check_potential,
    load_calculator,
    relax_crystal,
    relax_free,
    relax_symmetric,
    single_points,
)
from crystalsmith.potentials.variables import SymmetricVariables
from crystalsmith.runs.extras import install_command
from crystalsmith.symmetry import cell_to_lattice, lattice_to_cell, space_group


class Springs(Calculator):
    """Smooth repulsive Gaussians and an outside pressure: cheap, and forces that vanish nowhere by chance."""

    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        from ase.neighborlist import neighbor_list

        i, j, vector = neighbor_list("ijD", atoms, 6.0)
        z = atoms.numbers / 10
        width = 1.2  # exp(-30) at the cutoff: no step there that finite differences would see
        value = z[i] * z[j] * np.exp(-(vector**2).sum(1) / width)
        pull = value[:, None] * vector * (-2 / width)  # d(value)/d(vector)
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, pull)
        volume = atoms.get_volume()
        self.results = {
            "energy": value.sum() / 2 + 0.1 * volume,
            "forces": forces,
            "stress": np.einsum("ki,kj->ij", pull, vector) / 2 / volume + 0.1 * np.eye(3),
        }


def evaluate(variables: SymmetricVariables, x: np.ndarray, calculator: Calculator):
    atoms = variables.to_atoms(x)
    atoms.calc = calculator
    return atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False)


# --- variables and gradients ---

GROUPS = (1, 2, 5, 9, 14, 15, 33, 62, 70, 88, 122, 146, 148, 155, 160, 161, 166, 167, 176, 186, 205, 227, 230)


@pytest.mark.parametrize("number", GROUPS)
def test_gradient_agrees_with_finite_differences(number):
    rng = np.random.default_rng(number)
    group = space_group(number)
    crystal = random_crystal(number, rng, max_sites=3, max_atoms=max(24, 2 * len(group.rotations)))
    free = [letter for letter, p in group.wyckoff.items() if p.dof]
    assert free
    variables = SymmetricVariables(crystal)
    # Away from the start, so that the strain and the parameters have moved.
    x = variables.start + rng.uniform(-0.02, 0.02, len(variables.start))
    _, forces, stress = evaluate(variables, x, Springs())
    gradient = variables.gradient(x, forces, stress)
    step = 1e-4
    for k in range(len(x)):
        move = np.zeros_like(x)
        move[k] = step
        numeric = (
            evaluate(variables, x + move, Springs())[0] - evaluate(variables, x - move, Springs())[0]
        ) / (2 * step)
        assert gradient[k] == pytest.approx(numeric, rel=1e-4, abs=1e-4 * max(1, abs(gradient).max()))
    # The springs know nothing of symmetry: what it forbids vanishes, what it allows is all there is.
    assert variables.stress(stress) == pytest.approx(stress, abs=1e-8)
    lengths = np.linalg.norm(forces, axis=1)
    assert variables.forces(x, gradient)[variables.orbits] == pytest.approx(lengths, abs=1e-8)


def test_any_allowed_strain_keeps_the_lattice_family_of_all_groups():
    for number in range(1, 231):
        rng = np.random.default_rng(number)
        letter, position = max(space_group(number).wyckoff.items(), key=lambda item: item[1].dof)
        cell = lattice_to_cell(
            cell_to_lattice(number, np.array([6.0, 7.0, 8.5, 83.0, 104.0, 97.0 if number < 3 else 120.0]))
        )
        free = tuple(rng.random(position.dof).tolist())
        variables = SymmetricVariables(Crystal(number, tuple(cell.tolist()), (Site("Na", letter, free),)))
        x = variables.start.copy()
        x[variables.n_free :] += rng.uniform(-0.15, 0.15, len(variables.strains))
        lattice = variables.lattice(x)
        # The metric is the same after every rotation of the group, in fractional coordinates.
        metric = lattice @ lattice.T
        rotations = space_group(number).rotations
        turned = np.einsum("nki,kl,nlj->nij", rotations, metric, rotations)
        assert abs(turned - metric).max() < 1e-10, number
        # The crystal there is the same as its atoms: same cell, same fractional coordinates.
        crystal = variables.to_crystal(x)
        assert np.array(crystal.cell) == pytest.approx(lattice_to_cell(lattice), abs=1e-9)
        inside = variables.positions(x) @ np.linalg.inv(variables.cell(x)) - crystal.positions()[1]
        assert abs(inside - np.rint(inside)).max() < 1e-9, number


def test_atoms_move_steadily_across_the_edge_of_the_cell():
    variables = SymmetricVariables(KNOWN["quartz"])
    step = np.zeros_like(variables.start)
    step[0] = 1e-3
    ways = [variables.positions(variables.start + k * step) for k in range(0, 2000, 100)]
    assert np.ptp(np.diff(ways, axis=0), axis=0).max() < 1e-9


# --- minima, against ASE's own relaxation ---


def copper(a: float) -> Crystal:
    return Crystal(225, (a, a, a, 90, 90, 90), (Site("Cu", "a"),))


def ase_minimum(crystal: Crystal, calculator: Calculator) -> Atoms:
    atoms = crystal.to_atoms()
    atoms.set_constraint(FixSymmetry(atoms))
    atoms.calc = calculator
    BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-3, steps=300)
    return atoms


def test_fcc_copper_has_the_lattice_constant_that_ase_finds():
    relaxed = relax_symmetric(copper(3.9), EMT(), RelaxSettings(smax=1e-4))
    atoms = ase_minimum(copper(3.9), EMT())
    assert relaxed.converged and relaxed.reason == "converged" and relaxed.calls <= 8
    assert relaxed.crystal.cell[0] == pytest.approx((4 * atoms.get_volume()) ** (1 / 3), abs=1e-3)
    assert relaxed.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-4)
    assert relaxed.energy < relaxed.energy_start and relaxed.stress < 1e-4


def test_hcp_finds_its_axial_ratio():
    start = Crystal(194, (2.9, 2.9, 4.2, 90, 90, 120), (Site("Cu", "c"),))
    relaxed = relax_symmetric(start, EMT(), RelaxSettings(smax=1e-4))
    cell = ase_minimum(start, EMT()).cell.cellpar()
    assert relaxed.converged
    assert relaxed.crystal.cell[2] / relaxed.crystal.cell[0] == pytest.approx(cell[2] / cell[0], rel=2e-3)
    assert relaxed.crystal.cell[0] == pytest.approx(cell[0], rel=2e-3)


@pytest.mark.parametrize(
    ("number", "cell", "sites"),
    [
        (14, (3.2, 4.6, 3.4, 90, 99, 90), [("e", (0.22, 0.09, 0.19))]),
        (166, (2.75, 2.75, 18.8, 90, 90, 120), [("a", ()), ("c", (0.232,))]),  # nine close-packed layers
        (1, (3.0, 3.2, 3.3, 80, 95, 103), [("a", (0.0, 0.0, 0.0)), ("a", (0.45, 0.55, 0.4))]),
    ],
)
def test_low_symmetry_reaches_the_energy_that_ase_finds(number, cell, sites):
    start = Crystal(number, cell, tuple(Site("Ar", letter, free) for letter, free in sites))
    calculator = LennardJones(sigma=2.4, epsilon=0.5, rc=6.0, ro=5.0, smooth=True)
    relaxed = relax_symmetric(start, calculator, RelaxSettings(fmax=2e-3, smax=2e-4, max_calls=200))
    atoms = ase_minimum(start, calculator)
    assert relaxed.converged
    assert relaxed.energy == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-3)
    assert relaxed.crystal.space_group == number and relaxed.crystal.wyckoff == start.wyckoff


def test_a_far_start_does_not_make_wild_steps():
    volumes = []

    class Watched(LennardJones):
        def calculate(self, atoms=None, *args, **kwargs):
            volumes.append(atoms.get_volume())
            super().calculate(atoms, *args, **kwargs)

    calculator = Watched(sigma=2.4, epsilon=0.5, rc=6.0, ro=5.0, smooth=True)
    relaxed = relax_symmetric(copper(3.1), calculator)
    assert relaxed.converged and relaxed.energy_start > relaxed.energy + 5
    assert max(np.abs(np.diff(np.log(volumes)))) < 0.35


# --- potentials that misbehave ---


class Faulty(EMT):
    """EMT until a given call, then whatever ``fault`` makes of it."""

    def __init__(self, good: int, fault) -> None:
        super().__init__()
        self.left, self.fault = good, fault

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.left -= 1
        if self.left < 0:
            self.fault(self.results)


def burst(results):
    raise RuntimeError("out of memory\nsecond line")


def not_a_number(results):
    results["forces"] = results["forces"] * math.nan


def no_energy(results):
    results["energy"] = math.inf


def hole(results):
    results["energy"] -= 1000


@pytest.mark.parametrize(
    ("fault", "reason", "good"),
    [
        (burst, "the potential failed: RuntimeError: out of memory", 0),
        (burst, "the potential failed: RuntimeError: out of memory", 2),
        (not_a_number, "not finite", 0),
        (not_a_number, "not finite", 2),
        (no_energy, "not finite", 2),
        (hole, "collapsed", 2),
    ],
)
def test_a_fault_of_the_potential_ends_with_its_reason(fault, reason, good):
    relaxed = relax_symmetric(copper(3.9), Faulty(good, fault))
    assert relaxed.reason == reason and not relaxed.converged and relaxed.calls == good + 1
    if good:
        assert relaxed.energy < relaxed.energy_start and relaxed.crystal.cell[0] < 3.9
    else:
        assert relaxed.crystal == copper(3.9) and math.isnan(relaxed.energy)


class Slope(Calculator):
    """A constant pull on the lattice, with no minimum."""

    implemented_properties = ("energy", "forces", "stress")

    def __init__(self, sign: float = 1.0, truth: float = 1.0) -> None:
        super().__init__()
        self.sign, self.truth = sign, truth

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {
            "energy": self.truth * self.sign * 0.3 * atoms.get_volume(),
            "forces": np.zeros((len(atoms), 3)),
            "stress": self.sign * 0.3 * np.eye(3),
        }


def test_ends_that_are_no_minimum_have_their_reasons():
    assert relax_symmetric(copper(3.9), Slope(-1)).reason == "left the bounds"
    assert relax_symmetric(copper(3.9), Slope(), RelaxSettings(max_strain=0.1)).reason == "left the bounds"
    assert (
        relax_symmetric(copper(0.9), Slope(), RelaxSettings(max_strain=0.9, max_calls=200)).reason
        == "too close"
    )
    close = relax_symmetric(copper(0.6), EMT())
    assert close.reason == "too close" and close.calls == 0 and close.crystal == copper(0.6)
    wrong = relax_symmetric(copper(3.9), Slope(truth=-1.0))
    assert wrong.reason == "stalled" and wrong.crystal == copper(3.9)
    short = relax_symmetric(copper(3.9), EMT(), RelaxSettings(max_calls=2))
    assert (short.reason, short.calls, short.converged) == ("out of calls", 2, False)
    assert short.energy < short.energy_start
    assert "the potential failed" in relax_symmetric(KNOWN["rock salt"], EMT()).reason  # EMT has no sodium


# --- free of symmetry ---


def group_by_spglib(crystal: Crystal) -> int:
    atoms = crystal.to_atoms()
    return spglib.get_symmetry_dataset((atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)).number


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_stable_crystal_comes_back_from_the_push(seed):
    lowest = relax_symmetric(copper(3.7), EMT(), RelaxSettings(fmax=1e-3, smax=1e-5))
    free = relax_free(lowest.crystal, EMT(), RelaxSettings(smax=1e-4), seed=seed)
    assert free.converged and free.crystal.space_group == 225 == group_by_spglib(free.crystal)
    assert free.energy == pytest.approx(lowest.energy, abs=1e-4)
    assert free.crystal == lowest.crystal  # it has no soft way out
    off = relax_free(copper(3.9), EMT(), RelaxSettings(smax=1e-4), seed=seed)
    assert off.converged and off.crystal.space_group == 225 == group_by_spglib(off.crystal)
    assert off.energy == pytest.approx(lowest.energy, abs=1e-3) and off.energy_start > lowest.energy + 0.02
    assert off.crystal.cell[0] == pytest.approx(lowest.crystal.cell[0], abs=0.01)


# --- both stages ---


def test_both_stages_bring_copper_home_without_traces_of_the_push():
    done = relax_crystal(copper(3.9), EMT())
    assert done.converged and done.reason == "converged" and list(done.stages) == ["symmetric", "free"]
    assert done.result is not None and done.result.crystal == done.stages["symmetric"].crystal
    assert done.stages["free"].calls > 0
    atoms = ase_minimum(copper(3.9), EMT())
    assert done.result.energy == pytest.approx(atoms.get_potential_energy(), abs=2e-3)
    assert done.energy_start == pytest.approx(energies_of_the_library(EMT(), copper(3.9)), abs=1e-9)
    # What the calculator did before does not show.
    used = EMT()
    relax_crystal(Crystal(194, (2.9, 2.9, 4.2, 90, 90, 120), (Site("Cu", "c"),)), used)
    assert relax_crystal(copper(3.9), used).to_json() == done.to_json()


def test_an_outcome_survives_json():
    for good, only in ((0, None), (2, None), (99, None), (99, "free"), (0, "free")):
        done = relax_crystal(copper(3.9), Faulty(good, burst), RelaxSettings(only=only))
        again = Outcome.from_json(json.loads(json.dumps(done.to_json(), allow_nan=False)))
        assert again.to_json() == done.to_json()
        assert (again.converged, again.reason) == (done.converged, done.reason)
        assert (again.result is None) == (good < 99)
        if good < 99:
            assert done.reason == f"{only or 'symmetric'}: the potential failed: RuntimeError: out of memory"
            assert len(done.stages) == 1
    assert math.isfinite(relax_crystal(copper(3.9), EMT(), RelaxSettings(only="free")).energy_start)
    with pytest.raises(ValueError, match="stages"):
        Outcome.from_json({**done.to_json(), "stages": {}})


def test_a_sound_first_stage_outlives_a_bad_second_one():
    calls = relax_symmetric(copper(3.9), EMT()).calls
    done = relax_crystal(copper(3.9), Faulty(calls + 1, burst))
    assert not done.converged and done.reason.startswith("free: the potential failed")
    assert done.result is done.stages["symmetric"]


@pytest.mark.parametrize(
    "wrong",
    [
        *({"only": "both"}, {"fmax": 0}, {"smax": -1}, {"max_calls": 0}, {"seconds": 0.0}),
        *({"seconds": math.nan}, {"max_strain": 0}, {"max_shift": math.nan}, {"max_drop": -1.0}),
    ],
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        RelaxSettings(**wrong)


# --- potentials by name ---


@pytest.mark.parametrize(
    ("name", "module"),
    [("chgnet", "chgnet"), ("7net-0", "sevenn"), ("7net-l3i5", "sevenn"), ("mace:model.pt", "mace")],
)
def test_a_missing_package_is_named_with_its_command(monkeypatch, name, module):
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    words = re.escape(f"not installed: {install_command([module])}")
    for ask in (check_potential, load_calculator):
        with pytest.raises(RelaxationError, match=words) as caught:
            ask(name)
        assert "\n" not in str(caught.value) and isinstance(caught.value, CrystalsmithError | ValueError)


@pytest.mark.parametrize("name", ["", "chgnett", "mace", ":", "chgnet:x", "7net-9", "a b:", "x:y z"])
def test_an_unknown_potential_lists_the_known(name):
    for ask in (check_potential, load_calculator):
        with pytest.raises(RelaxationError, match=r"known are chgnet, 7net-0, .*module:factory"):
            ask(name)


def test_a_factory_of_ones_own(monkeypatch):
    module = types.ModuleType("own_potentials")
    module.copper = EMT
    module.broken = lambda: 1 / 0
    module.number = lambda: 3
    module.__spec__ = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "own_potentials", module)
    check_potential("own_potentials:copper")
    assert isinstance(load_calculator("own_potentials:copper"), EMT)
    for name, words in (
        ("own_potentials:broken", "ZeroDivisionError"),
        ("own_potentials:absent", "AttributeError"),
        ("own_potentials:number", "must return an ASE calculator"),
        ("no_such_module:f", "no module no_such_module"),
        ("no_such.module:f", "no module no_such.module"),
    ):
        with pytest.raises(RelaxationError, match=words):
            load_calculator(name)


def test_a_mace_model_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda module: object())
    with pytest.raises(RelaxationError, match="is not one"):
        check_potential(f"mace:{tmp_path}")


def test_chgnet_finds_rock_salt(capsys):
    pytest.importorskip("chgnet")
    calculator = load_calculator("chgnet")
    assert capsys.readouterr() == ("", "")
    a = 1.06 * 5.69
    start = Crystal(225, (a, a, a, 90, 90, 90), (Site("Na", "a"), Site("Cl", "b")))
    relaxed = relax_symmetric(start, calculator)
    assert relaxed.converged and relaxed.crystal.cell[0] == pytest.approx(5.69, rel=0.02)


def test_chgnet_is_as_its_library_computes_it():
    pytest.importorskip("chgnet")
    from chgnet.model.dynamics import CHGNetCalculator

    ours = load_calculator("chgnet")
    theirs = CHGNetCalculator(use_device="cpu", on_isolated_atoms="ignore")
    for name in ("rock salt", "quartz"):
        variables = SymmetricVariables(KNOWN[name])
        x = variables.start + 0.01
        energy, forces, stress = evaluate(variables, x, ours)
        known, known_forces, known_stress = evaluate(variables, x, theirs)
        assert energy == pytest.approx(known, abs=1e-5)
        assert forces == pytest.approx(known_forces, abs=1e-4)
        assert stress == pytest.approx(known_stress, abs=1e-5)
    atoms = KNOWN["rock salt"].to_atoms()
    atoms.calc = ours
    assert len(atoms.get_magnetic_moments()) == 2
    assert single_points([KNOWN["quartz"]], ours)[0].value == pytest.approx(
        energies_of_the_library(theirs, KNOWN["quartz"]), abs=1e-5
    )


def energies_of_the_library(calculator, crystal) -> float:
    atoms = crystal.to_atoms()
    atoms.calc = calculator
    return float(atoms.get_potential_energy()) / len(atoms)
