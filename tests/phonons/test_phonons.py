"""Phonons and elastic constants, against Hessians, energies and phonons that others compute."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT
from ase.optimize import BFGS
from ase.units import _amu, _e

from crystals import KNOWN
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.errors import DataError, PhononError

pytest.importorskip("phonopy")
pytest.importorskip("seekpath")

from crystalsmith.phonons import (
    Budget,
    PhononSettings,
    Study,
    choose_supercell,
    compute_elasticity,
    compute_phonons,
    draw_phonons,
    relax_tightly,
    study_crystal,
)
from crystalsmith.phonons.bandpath import band_path, name_of
from crystalsmith.phonons.stability import judge
from crystalsmith.phonons.vibrations import _commensurate, _frequencies


def cubic(number: int, a: float, *sites: tuple[str, str], scale: float = 1.0) -> Crystal:
    return Crystal(number, (a * scale,) * 3 + (90,) * 3, tuple(Site(*site) for site in sites))


FCC = cubic(225, 3.58986, ("Cu", "a"))
BCC = relax_tightly(cubic(229, 2.87, ("Cu", "a")), EMT()).crystal
SIMPLE = relax_tightly(cubic(221, 2.4, ("Cu", "a")), EMT()).crystal


# --- supercells ---


@pytest.mark.parametrize("name", KNOWN)
def test_a_supercell_is_long_enough_and_keeps_the_symmetry(name):
    crystal = KNOWN[name]
    found = choose_supercell(crystal, 9.0, 300)
    lattice = np.array(found.matrix) @ crystal.primitive_lattice
    near = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    lengths = np.linalg.norm(near[near.any(axis=1)] @ lattice, axis=1)
    assert found.shortest == pytest.approx(lengths.min()) and found.shortest >= 9.0 and not found.cut
    assert np.linalg.det(found.matrix) * crystal.n_atoms == pytest.approx(found.n_atoms)
    # Each rotation turns a lattice vector into one of the lattice.
    inverse = np.linalg.inv(crystal.lattice)
    for rotation in crystal.group.rotations:
        turned = lattice @ inverse @ rotation.T @ crystal.lattice @ np.linalg.inv(lattice)
        assert abs(turned - np.rint(turned)).max() < 1e-6


@pytest.mark.parametrize("length", [4.0, 7.0, 10.0, 13.0])
def test_no_smaller_cubic_superlattice_would_do(length):
    # All cubic superlattices of a simple cubic lattice are P, F or I with a whole edge: cells, shortest / a.
    a = 2.5
    known = [(n**3, n, n % 2 == 0) for n in range(1, 12)]
    known += [(n**3 // 4, n / math.sqrt(2), n % 4 == 0) for n in range(2, 24, 2)]
    known += [(n**3 // 2, n * math.sqrt(3) / 2, n % 4 == 0) for n in range(2, 24, 2)]
    fits = [(not even, cells) for cells, shortest, even in known if shortest * a >= length]
    found = choose_supercell(cubic(221, a, ("Cu", "a")), length, 10_000)
    assert (not found.halves, found.n_atoms) == min(fits)


def test_the_cap_cuts_a_supercell_short():
    free = choose_supercell(KNOWN["perovskite"])
    assert (free.n_atoms, free.cut, free.halves) == (80, False, True)
    cut = choose_supercell(KNOWN["perovskite"], 10.0, 45)
    assert (cut.n_atoms, cut.cut, cut.halves) == (40, True, True)
    alone = choose_supercell(KNOWN["perovskite"], 10.0, 5)
    assert (alone.n_atoms, alone.cut, alone.halves) == (5, True, False)
    # The cap leaves none that holds 2 x 2 x 2 cells, but one that is long enough.
    odd = choose_supercell(KNOWN["corundum"], 10.0, 200)
    assert not odd.cut and not odd.halves and odd.shortest > 10
    with pytest.raises(PhononError, match="5 atoms, more than the cap of 4"):
        choose_supercell(KNOWN["perovskite"], 10.0, 4)
    with pytest.raises(PhononError, match="positive"):
        choose_supercell(KNOWN["perovskite"], math.nan)


# --- paths ---


@pytest.mark.parametrize("name", ["rock salt", "anatase", "corundum", "baddeleyite", "tenorite", "quartz"])
def test_a_path_is_in_the_coordinates_of_our_own_cell(name):
    crystal = KNOWN[name]
    path = band_path(crystal)
    reciprocal = 2 * math.pi * np.linalg.inv(crystal.primitive_lattice).T
    for first, end in path.segments:
        steps = np.linalg.norm(np.diff(path.q[first:end], axis=0) @ reciprocal, axis=1)
        assert steps == pytest.approx(np.diff(path.distance[first:end]), abs=1e-6)
    # Special points are half or a whole way to the reciprocal lattice in cells without parameters.
    assert path.ticks[0] == (0.0, "Γ") and name_of(np.zeros(3), path, crystal) == "Γ"


def test_special_points_are_named_up_to_symmetry():
    path = band_path(BCC)
    reciprocal = np.linalg.inv(BCC.primitive_lattice).T
    a = BCC.cell[0]
    for name, cartesian in {"H": (0, 0, -1), "N": (-0.5, 0, 0.5), "P": (0.5, -0.5, 0.5)}.items():
        assert name_of(np.array(cartesian) / a @ np.linalg.inv(reciprocal), path, BCC) == name
    assert name_of(np.array([0.1, 0.2, 0.0]), path, BCC) == ""


# --- frequencies ---


def hessian_frequencies(crystal: Crystal, matrix, step: float) -> np.ndarray:
    """(3 N,) THz of all modes of a supercell, from differences of ASE's forces; no symmetry is used."""
    from ase.build import make_supercell

    atoms = make_supercell(crystal.to_atoms(), np.array(matrix))
    atoms.calc = EMT()
    rows = []
    for i in range(len(atoms)):
        for axis in range(3):
            pulls = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.calc = atoms.calc
                moved.positions[i, axis] += sign * step
                pulls.append(moved.get_forces().ravel())
            rows.append((pulls[1] - pulls[0]) / (2 * step))
    mass = np.repeat(atoms.get_masses(), 3)
    matrix = np.array(rows) / np.sqrt(np.outer(mass, mass))
    squares = np.linalg.eigvalsh((matrix + matrix.T) / 2) * _e * 1e20 / _amu
    return np.sign(squares) * np.sqrt(abs(squares)) / (2e12 * math.pi)


ALLOY = relax_tightly(cubic(221, 3.7, ("Au", "a"), ("Cu", "c")), EMT()).crystal


@pytest.mark.parametrize(("crystal", "length"), [(FCC, 7.0), (BCC, 6.0), (SIMPLE, 6.0), (ALLOY, 7.0)])
def test_modes_of_the_supercell_are_those_of_its_hessian(crystal, length):
    # So small a step that it does not matter that phonopy's are along other directions.
    found = compute_phonons(crystal, EMT(), PhononSettings(length=length, displacement=0.003))
    truth = hessian_frequencies(crystal, found.supercell.matrix, found.displacement)
    # Three translations, which the sum rule makes zero and differences only nearly.
    truth[np.argsort(abs(truth))[:3]] = 0.0
    exact = _frequencies(found.phonopy, _commensurate(found.phonopy))
    assert np.sort(exact.ravel()) == pytest.approx(np.sort(truth), abs=0.01)
    assert found.stability.lowest == pytest.approx(truth.min(), abs=0.01)
    assert found.stability.imaginary == (truth < -found.tolerance).sum()
    assert (found.stability.verdict == "unstable") == bool((truth < -found.tolerance).any())
    assert abs(found.bands[0][np.argsort(abs(found.bands[0]))[:3]]).max() < 1e-3


class Noisy(EMT):
    """EMT with a pull on every atom that has no symmetry, there undisplaced too, and a little at random."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = np.random.default_rng(0)

    def calculate(self, atoms=None, *args, **kwargs):
        super().calculate(atoms, *args, **kwargs)
        shape = (len(atoms), 3)
        steady = np.random.default_rng(1).normal(0, 0.01, shape)
        self.results["forces"] = self.results["forces"] + steady + self.rng.normal(0, 1e-4, shape)


def test_what_pulls_at_undisplaced_atoms_and_noise_do_no_harm():
    clean, noisy = (
        compute_phonons(FCC, calculator(), PhononSettings(length=7.0)) for calculator in (EMT, Noisy)
    )
    assert noisy.residual > 0.01 > 1e-6 > clean.residual and noisy.stable
    assert noisy.bands == pytest.approx(clean.bands, abs=0.05)
    assert abs(noisy.bands[0]).max() < 1e-3


def test_what_is_known_of_copper():
    fcc = compute_phonons(FCC, EMT())
    assert fcc.stable and fcc.stability.imaginary == 0 and fcc.stability.lowest > -1e-3
    bcc, simple = (compute_phonons(c, EMT(), PhononSettings(length=8)) for c in (BCC, SIMPLE))
    assert bcc.stability.imaginary > 0 and simple.stability.imaginary > 0 and not bcc.stable
    assert np.trapezoid(fcc.dos, fcc.dos_frequency) == pytest.approx(3, rel=0.01)


def test_copper_has_the_frequencies_of_ase_phonons(tmp_path):
    from ase.phonons import Phonons as AsePhonons

    ase = AsePhonons(FCC.to_atoms(), EMT(), supercell=(5, 5, 5), delta=0.03, name=str(tmp_path / "p"))
    ase.run()
    ase.read(acoustic=True)
    ours = compute_phonons(FCC, EMT(), PhononSettings(length=12.0))
    path = ours.path
    for name in "XLW":
        row = path.names.index(name)
        theirs = ase.band_structure(path.q[row][None])[0] * _e / 6.62607015e-34 / 1e12  # eV -> THz
        assert ours.bands[row] == pytest.approx(np.sort(theirs), rel=0.01)


def test_phonopy_goes_on_with_its_file(tmp_path):
    import phonopy

    found = compute_phonons(ALLOY, EMT(), PhononSettings(length=7.0))
    found.write_phonopy(tmp_path / "params.yaml")
    again = phonopy.load(tmp_path / "params.yaml", log_level=0)
    again.run_qpoints(found.path.q[:5])
    assert again.qpoints.frequencies == pytest.approx(found.bands[:5], abs=2e-3)


# --- verdicts ---


def test_verdicts():
    path = band_path(FCC)
    exact_q = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0.5, 0.5]])
    exact = np.array([[0.0, 0, 0], [2, 2, 3], [2, 2, 3]])
    near, far = np.array([[0.05, 0.05, 0]]), np.array([[0.4, 0.4, 0]])

    def of(frequencies, q, value):
        between = np.array([[value, 1, 1], [1, 1, 1]])
        return judge(FCC, path, exact_q, frequencies, np.concatenate([q, far]), between, 0.1)

    assert of(exact, near, -0.5).verdict == "stable"  # long waves are left to the Born criteria
    assert of(exact, far, -0.05).verdict == "stable"
    doubt = of(exact, far, -0.5)
    assert (doubt.verdict, doubt.imaginary, doubt.interpolated) == ("open", 0, -0.5)
    unstable = exact.copy()
    unstable[2, 0] = -0.2
    seen = of(unstable, near, 0.5)
    assert (seen.verdict, seen.imaginary, seen.lowest_name) == ("unstable", 1, "L")
    optical = exact.copy()
    optical[0, 0] = -0.2  # at Gamma itself, where waves fit into every supercell
    assert of(optical, near, 0.5).lowest_name == "Γ" and of(optical, near, 0.5).verdict == "unstable"


# --- elastic constants ---


def energy_curvature(crystal: Crystal, voigt: np.ndarray, size: float) -> float:
    """GPa: second derivative of the energy along a strain, atoms relaxed by ASE without symmetry."""

    def energy(x: float) -> float:
        xx, yy, zz, yz, xz, xy = x * voigt
        strain = np.array([[xx, xy / 2, xz / 2], [xy / 2, yy, yz / 2], [xz / 2, yz / 2, zz]])
        atoms = crystal.to_atoms()
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        atoms.calc = EMT()
        if len(atoms) > 1:
            BFGS(atoms, logfile=None).run(fmax=1e-4, steps=100)
        return atoms.get_potential_energy()

    volume = crystal.to_atoms().get_volume()
    return (energy(size) + energy(-size) - 2 * energy(0)) / size**2 / volume * 160.21766


HEXAGONAL = relax_tightly(Crystal(194, (2.56, 2.56, 4.18, 90, 90, 120), (Site("Cu", "c"),)), EMT()).crystal


@pytest.mark.parametrize("crystal", [FCC, HEXAGONAL, ALLOY, BCC])
def test_elastic_constants_are_curvatures_of_the_energy(crystal):
    found = compute_elasticity(crystal, EMT(), strain=0.005)
    for k in range(6):
        truth = energy_curvature(crystal, np.eye(6)[k], 0.005)
        assert found.tensor[k, k] == pytest.approx(truth, rel=0.03, abs=0.5)
    mixed = energy_curvature(crystal, np.array([1, 1, 0, 0, 0, 0]), 0.005)
    assert found.tensor[:2, :2].sum() == pytest.approx(mixed, rel=0.03, abs=0.5)
    assert found.tensor == pytest.approx(found.tensor.T) and found.asymmetry < 0.5
    assert found.stable == (crystal is not BCC) and found.stable == (found.lowest > 0)


def test_moduli_of_a_cubic_crystal():
    found = compute_elasticity(FCC, EMT())
    c11, c12, c44 = found.tensor[0, 0], found.tensor[0, 1], found.tensor[3, 3]
    assert found.bulk == pytest.approx((c11 + 2 * c12) / 3)
    voigt = (c11 - c12 + 3 * c44) / 5
    reuss = 5 * (c11 - c12) * c44 / (4 * c44 + 3 * (c11 - c12))
    assert found.shear == pytest.approx((voigt + reuss) / 2)
    unstable = compute_elasticity(BCC, EMT())
    c = unstable.tensor
    assert c[0, 0] < c[0, 1] and math.isnan(unstable.bulk) and math.isnan(unstable.shear)


# --- records and pictures ---


def test_records_survive_json():
    study = study_crystal(BCC, EMT(), PhononSettings(length=5.0))
    text = json.dumps(study.to_json(), allow_nan=False)
    again = Study.from_json(json.loads(text))
    assert json.dumps(again.to_json(), allow_nan=False) == text
    assert again.phonons.crystal == study.phonons.crystal and not again.stable
    assert again.phonons.stability == study.phonons.stability
    assert (again.phonons.bands == study.phonons.bands).all()
    assert math.isnan(again.elasticity.bulk)
    with pytest.raises(PhononError, match="not kept"):
        again.phonons.write_phonopy("x")
    assert draw_phonons(again.phonons, "EMT") == draw_phonons(study.phonons, "EMT")
    for wrong in ({}, {"phonons": 3}, [], {**study.to_json(), "elasticity": {}}):
        with pytest.raises(DataError, match="not the data of"):
            Study.from_json(wrong)


# --- what goes wrong ---


class Faulty(Calculator):
    implemented_properties = ("energy", "forces")

    def __init__(self, fault):
        super().__init__()
        self.fault = fault

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": self.fault(len(atoms))}


def burst(n):
    raise RuntimeError("no memory\nmore")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (burst, "the potential failed at the undisplaced supercell: RuntimeError: no memory"),
        (lambda n: np.full((n, 3), math.nan), "not finite"),
        (lambda n: np.full((n, 3), 0.1), "not relaxed: a force of 0.17"),
    ],
)
def test_a_fault_of_the_potential_is_told_in_one_line(fault, words):
    with pytest.raises(PhononError, match=words) as caught:
        compute_phonons(FCC, Faulty(fault), PhononSettings(length=5))
    assert "\n" not in str(caught.value)


def test_a_potential_without_stress_still_gives_phonons():
    class NoStress(EMT):
        def get_stress(self, atoms=None):
            raise NotImplementedError("none")

    study = study_crystal(FCC, NoStress(), PhononSettings(length=5.0, relax=False))
    assert study.elasticity is None and "no stress" in study.elastic_failure and study.phonons.stable
    with pytest.raises(PhononError, match="the relaxation did not end"):
        study_crystal(FCC, NoStress(), PhononSettings(length=5.0))


def test_time_and_libraries(monkeypatch):
    with pytest.raises(PhononError, match=r"out of time: 1e-09 s were over at"):
        study_crystal(FCC, EMT(), PhononSettings(seconds=1e-9, relax=False))
    budget = Budget()
    found = compute_phonons(FCC, EMT(), PhononSettings(length=5), budget=budget)
    assert budget.calls == found.calls == 2
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(PhononError, match="phonons needs phonopy and seekpath"):
        compute_phonons(FCC, EMT())


# --- the command ---


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    for name, crystal in {"fcc": FCC, "bcc": BCC}.items():
        (tmp_path / "in" / f"{name}.cif").write_text(crystal.to_cif())
    return tmp_path


RUN = (".lock", "manifest.json", "run.log")
COMMAND = ["phonons", "in", "-o", "out", "--potential", "ase.calculators.emt:EMT", "--length", "5"]


def test_the_command_writes_files_and_resumes(files, capsys):
    assert main(COMMAND) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in shown] == ["crystal", "bcc", "fcc"]
    assert "unstable" in shown[1] and "stable" in shown[2] and "unstable" not in shown[2]
    made = sorted(p.name for p in (files / "out").iterdir() if p.name not in RUN)
    ends = (".json", ".png", "_phonopy_params.yaml")
    assert made == sorted(name + end for name in ("bcc", "fcc") for end in ends)
    assert (files / "out" / "fcc.png").read_bytes()[:4] == b"\x89PNG"
    before = (files / "out" / "fcc.json").read_text()
    (files / "out" / "bcc.json").unlink()
    assert main(COMMAND) == 0
    assert (files / "out" / "fcc.json").read_text() == before  # seconds and all
    assert capsys.readouterr().out.splitlines() == shown
    (files / "in" / "bad.cif").write_text("data_x\n_atom_site_label\n")
    assert main([*COMMAND, "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("crystalsmith: bad: ")
    assert json.loads((files / "out" / "manifest.json").read_text())["failures"].keys() == {"bad"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--potential", "none"], "unknown potential"),
        (["--length", "-1"], "not a positive number"),
        (["--displacement", "1"], "not small"),
        (["--tolerance", "50"], "makes no sense"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(files, capsys, arguments, words):
    assert main([*COMMAND, *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("crystalsmith: error: ") and words in lines[0]
    assert not (files / "out").exists()


def test_a_folder_of_another_run_is_refused(files, capsys):
    one = ["phonons", "in/fcc.cif", *COMMAND[2:], "--no-elastic"]
    assert main(one) == 0 and json.loads((files / "out" / "fcc.json").read_text())["elasticity"] is None
    assert main([*one, "--tolerance", "0.2"]) == 2
    assert "another tolerance: 0.1 there, 0.2 now" in capsys.readouterr().err
    (files / "in" / "fcc.cif").write_text(ALLOY.to_cif())
    assert main(one) == 2 and "another crystal of that name" in capsys.readouterr().err
    (files / "out" / "fcc.json").write_text("{")
    assert main(one) == 2 and "no file of phonons" in capsys.readouterr().err


def test_a_crystal_that_takes_too_long_is_tried_again(files, capsys):
    assert main([*COMMAND, "--seconds", "1e-6"]) == 1
    assert capsys.readouterr().err.count("out of time") == 2
    assert {p.name for p in (files / "out").iterdir()} <= set(RUN)
    assert main(COMMAND) == 0


def test_chgnet_finds_silicon_stable():
    pytest.importorskip("chgnet")
    from crystalsmith.potentials import load_calculator

    silicon = cubic(227, 5.46, ("Si", "a"))
    study = study_crystal(silicon, load_calculator("chgnet"), PhononSettings(length=7.0))
    assert study.stable and 10 < study.phonons.bands.max() < 16
    assert 50 < study.elasticity.bulk < 120


def test_the_recursion_limit_is_left_alone():
    """In a process of its own, where symfc, which raises it, is not loaded yet."""
    code = (
        "import sys; limit = sys.getrecursionlimit()\n"
        "from ase.calculators.emt import EMT\n"
        "from crystalsmith.crystal import Crystal, Site\n"
        "from crystalsmith.phonons import PhononSettings, compute_phonons\n"
        "crystal = Crystal(225, (3.59, 3.59, 3.59, 90, 90, 90), (Site('Cu', 'a'),))\n"
        "compute_phonons(crystal, EMT(), PhononSettings(length=5.0, max_atoms=40))\n"
        "assert 'symfc.eig_solvers.matrix' in sys.modules and sys.getrecursionlimit() == limit\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
