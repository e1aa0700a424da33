"""Inputs for DFT codes, and finished calculations read back."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.io.espresso import read_espresso_in
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure
from pymatgen.entries.computed_entries import ComputedEntry
from pymatgen.io.vasp import Incar, Kpoints, Poscar

from crystals import KNOWN
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.dft import collect, read_entries
from crystalsmith.dft.jobs import Subject
from crystalsmith.dft.places import read_folder
from crystalsmith.dft.qe_inputs import write_qe
from crystalsmith.dft.qe_output import read_pw_output
from crystalsmith.dft.vasp_inputs import write_vasp
from crystalsmith.dft.vasp_output import read_vasprun
from crystalsmith.discovery.calculations import subjects_of, with_dft
from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.shortlist import read_shortlist, write_shortlist
from crystalsmith.errors import DataError, OutputError
from dft_outputs import pw_output, vasprun
from discovered import PEROVSKITE, ROCK_SALT, run_summary

SPINEL = KNOWN["spinel"]
ALUMINA = KNOWN["corundum"]
IRON = Crystal(229, (2.87, 2.87, 2.87, 90, 90, 90), (Site("Fe", "a"),))


@pytest.fixture(autouse=True)
def no_potentials(monkeypatch):
    monkeypatch.delenv("PMG_VASP_PSP_DIR", raising=False)


def primitive(crystal: Crystal) -> Structure:
    return crystal.to_structure(primitive=True).get_sorted_structure()


def candidate(name: str, crystal: Crystal, **facts) -> Candidate:
    return Candidate(name, {}, 0, (State("free", crystal, -1.0, True),), **facts)


def listed() -> list[Subject]:
    return subjects_of(run_summary().shortlist)


# ---- inputs


def test_vasp_inputs_are_read_back_by_pymatgen(tmp_path):
    path = write_vasp(tmp_path, listed(), [("MgO (mp-1265)", ROCK_SALT), ("Fe", IRON)]).folder
    for place, crystal, potentials in (
        ("01-Mg-Al-O-1-0042", SPINEL, ["Mg_pv", "Al", "O"]),
        ("02-Mg-Al-O-2-0007", PEROVSKITE, ["Mg_pv", "Al", "O"]),
        ("references/MgO_mp-1265", ROCK_SALT, ["Mg_pv", "O"]),
    ):
        for step in ("relax", "static"):
            folder = path / place / step
            assert sorted(p.name for p in folder.iterdir()) == ["INCAR", "KPOINTS", "POSCAR", "POTCAR.spec"]
            structure = Poscar.from_file(folder / "POSCAR", check_for_potcar=False).structure
            assert StructureMatcher(scale=False).fit(structure, primitive(crystal))
            symbols = [s.split()[0] for s in (folder / "POTCAR.spec").read_text().split("\n") if s]
            assert symbols == potentials
            assert [s.symbol for s in structure.composition] == [p.split("_")[0] for p in potentials]
            incar = Incar.from_file(folder / "INCAR")
            assert incar["ENCUT"] == 520 and incar["NSW"] == (99 if step == "relax" else 0)
            assert np.prod(Kpoints.from_file(folder / "KPOINTS").kpts[0]) >= 8
    assert Incar.from_file(path / "references/Fe/relax/INCAR")["MAGMOM"] == [5.0]
    jobs = (path / "jobs.txt").read_text().split()
    assert len(jobs) == 4 and all((path / job / "relax/INCAR").is_file() for job in jobs)
    assert "--array=1-4" in (path / "submit.sh").read_text()
    assert "POTCAR" in (path / "README.txt").read_text()
    assert not list(path.rglob("POTCAR"))


def test_pw_inputs_are_read_back_by_ase(tmp_path):
    path = write_qe(tmp_path, listed(), [("Fe", IRON)], ecutwfc=70).folder
    for place, crystal in (("01-Mg-Al-O-1-0042", SPINEL), ("references/Fe", IRON)):
        text = (path / place / "vc-relax.in").read_text()
        with (path / place / "vc-relax.in").open() as f:
            atoms = read_espresso_in(f)
        assert np.allclose(atoms.cell.array, crystal.to_atoms().cell.array, atol=1e-8)
        assert np.allclose(
            (atoms.get_scaled_positions() - crystal.to_atoms().get_scaled_positions() + 0.5) % 1,
            0.5,
            atol=1e-8,
        )
        assert atoms.get_chemical_symbols() == crystal.to_atoms().get_chemical_symbols()
        assert "ecutwfc          = 70.0" in text and "ecutrho          = 560.0" in text
        for symbol in set(atoms.get_chemical_symbols()):
            assert f"{symbol}.upf" in text
        spin = "nspin" in text
        assert spin == (place == "references/Fe")
        # The folder of the pseudopotentials is found from where the calculation runs.
        name = next(line.split("'")[1] for line in text.splitlines() if "pseudo_dir" in line)
        assert (path / place / name).resolve() == (path / "pseudo").resolve()
        grid = np.array(text.split("K_POINTS automatic")[1].split()[:3], dtype=int)
        assert np.all(np.linalg.norm(atoms.cell.reciprocal(), axis=1) / grid <= 0.03)


def test_inputs_do_not_overwrite_calculations(tmp_path):
    path = write_qe(tmp_path, listed()).folder
    with pytest.raises(OutputError, match="holds inputs already"):
        write_qe(tmp_path, listed())
    write_qe(tmp_path, subjects_of(salts()), overwrite=True)
    assert (path / "03-salt").is_dir() and not (path / "01-Mg-Al-O-1-0042").exists()
    (path / "03-salt" / "vc-relax.out").write_text("x")
    with pytest.raises(OutputError, match="holds calculations already"):
        write_qe(tmp_path, subjects_of(salts()), overwrite=True)
    assert (path / "03-salt" / "vc-relax.out").read_text() == "x"


def test_inputs_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("crystalsmith.dft.vasp_inputs.write_script", fail)
    with pytest.raises(OutputError, match="No space left"):
        write_vasp(tmp_path / "dft", subjects_of(salts()))
    assert not [p for p in tmp_path.rglob("*") if p.name != "dft"]


# ---- outputs


def put(folder: Path, text: str, name: str = "vasprun.xml") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def test_a_finished_vasprun(tmp_path):
    put(tmp_path, vasprun(primitive(ROCK_SALT), [-11.0, -12.0]))
    found = read_vasprun(tmp_path / "vasprun.xml")
    assert found.sound and found.energy == -6.0 and found.problems == ()
    assert found.structure.matches(primitive(ROCK_SALT))
    assert found.settings["potential of Mg"] == "PAW_PBE Mg 01Jan2001"
    assert found.settings["cutoff"] == "520 eV" and found.settings["Hubbard U of O"] == "0 eV"
    with gzip.open(tmp_path / "vasprun.xml.gz", "wt") as f:
        f.write((tmp_path / "vasprun.xml").read_text())
    (tmp_path / "vasprun.xml").unlink()
    assert read_folder(tmp_path).energy == -6.0


@pytest.mark.parametrize(
    ("settings", "words", "electronic", "ionic"),
    [
        ({"nsw": 2}, "relaxation did not converge", True, False),
        ({"cycles": 100}, "electrons did not converge", False, True),
    ],
)
def test_an_unconverged_vasprun_is_told(tmp_path, settings, words, electronic, ionic):
    put(tmp_path, vasprun(primitive(ROCK_SALT), [-11.0, -12.0], **settings))
    found = read_vasprun(tmp_path / "vasprun.xml")
    assert (found.electronic, found.ionic, found.sound) == (electronic, ionic, False)
    assert any(words in p for p in found.problems)


def test_a_vasprun_that_was_cut_off_or_is_none_gives_no_energy(tmp_path):
    text = vasprun(primitive(ROCK_SALT), [-11.0, -12.0, -12.5])
    put(tmp_path / "a", text[: text.rindex("<calculation>") + 200])
    put(tmp_path / "b", "not xml")
    put(tmp_path / "c", "")
    stopped = read_folder(tmp_path / "a")
    assert not stopped.sound and "ends early after 2 ionic steps" in stopped.problems[0]
    for name in "bc":
        broken = read_folder(tmp_path / name)
        assert broken.energy is None and "cannot be read" in broken.problems[0]
        assert "\n" not in broken.problems[0]


def test_a_finished_pw_output(tmp_path):
    put(tmp_path, pw_output(primitive(ROCK_SALT), -2000.0), "vc-relax.out")
    found = read_pw_output(tmp_path / "vc-relax.out")
    assert found.sound and found.problems == ()
    assert found.energy == pytest.approx(-1000.0, abs=1e-4)
    assert StructureMatcher(scale=False).fit(found.structure, primitive(ROCK_SALT))
    assert found.settings["potential of O"] == "O.upf 2abc" and found.settings["cutoff"] == "90 Ry"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"electronic": False}, "electrons did not converge"),
        ({"ionic": False}, "relaxation did not converge"),
        ({"finished": False}, "ends early"),
    ],
)
def test_an_unconverged_pw_output_is_told(tmp_path, settings, words):
    put(tmp_path, pw_output(primitive(ROCK_SALT), -2000.0, **settings), "vc-relax.out")
    found = read_folder(tmp_path)
    assert not found.sound and any(words in p for p in found.problems)


def test_a_pw_output_without_energy_is_told(tmp_path):
    text = pw_output(primitive(ROCK_SALT), -2000.0)
    put(tmp_path, text[: text.index("!    total")], "vc-relax.out")
    put(tmp_path, "slurmstepd: cancelled", "slurm.out")
    found = read_folder(tmp_path)
    assert found.energy is None and "did not finish" in found.problems[0]


def test_relax_and_static_together(tmp_path):
    cell = primitive(ROCK_SALT)
    put(tmp_path / "relax", vasprun(cell, [-12.0]))
    assert any("no static" in p for p in read_folder(tmp_path).problems)
    put(tmp_path / "static", vasprun(cell, [-12.2], nsw=0))
    assert read_folder(tmp_path).energy == -6.1 and read_folder(tmp_path).problems == ()
    bigger = cell.copy()
    bigger.scale_lattice(cell.volume * 1.02)
    put(tmp_path / "static", vasprun(bigger, [-12.2], nsw=0))
    found = read_folder(tmp_path)
    assert found.energy == -6.0 and "does not start from where relax ended" in found.problems[-1]
    put(tmp_path / "static", vasprun(cell, [-12.2], nsw=0, cycles=100))
    assert "static: the electrons" in read_folder(tmp_path).problems[0]


# ---- ranking

SALT = KNOWN["rock salt"]
CESIUM = Crystal(221, (3.4, 3.4, 3.4, 90, 90, 90), (Site("Na", "a"), Site("Cl", "b")))
BLENDE = Crystal(216, (6.0, 6.0, 6.0, 90, 90, 90), (Site("Na", "a"), Site("Cl", "c")))
SODIUM = Crystal(229, (4.2, 4.2, 4.2, 90, 90, 90), (Site("Na", "a"),))
CHLORINE = Crystal(139, (4.0, 4.0, 6.0, 90, 90, 90), (Site("Cl", "e", (0.17,)),))


def salts() -> list[Candidate]:
    """Three of one composition in the order of a potential that is wrong."""
    return [
        candidate("cesium", CESIUM, above_hull=-0.01, decomposition={"NaCl (mp-22862)": 1.0}),
        candidate("blende", BLENDE, above_hull=0.0),
        candidate("salt", SALT, above_hull=0.01),
    ]


def calculate(folder: Path, energies: dict[str, float], **settings) -> None:
    """Finished static calculations; energies in eV per atom."""
    for place, energy in energies.items():
        stem = place.split("-")[-1].split("/")[-1]
        crystal = {"cesium": CESIUM, "blende": BLENDE, "salt": SALT, "Na": SODIUM, "Cl": CHLORINE}[stem]
        cell = primitive(crystal)
        for step, nsw in (("relax", 99), ("static", 0)):
            put(folder / place / step, vasprun(cell, [energy * len(cell)], nsw=nsw, **settings))


RANKS = {"vasp/01-cesium": -3.3, "vasp/02-blende": -3.35, "vasp/03-salt": -3.4}
ELEMENTS = {"vasp/references/Na": -1.3, "vasp/references/Cl": -1.8}


def test_within_a_composition_dft_decides_where_references_are_missing(tmp_path):
    calculate(tmp_path, RANKS)
    found = collect(tmp_path, subjects_of(salts()))
    ranked = with_dft(salts(), found.results)
    assert [c.name for c in ranked] == ["salt", "blende", "cesium"]
    assert [c.dft["relative"] for c in ranked] == pytest.approx([0.0, 0.05, 0.1])
    assert all(c.dft["above_hull"] is None for c in ranked)
    assert "no DFT energy of the element Cl, Na" in ranked[0].dft["missing"][0]
    assert all(c.dft["same"] for c in ranked)
    assert [c.dft["space_group"] for c in ranked] == [225, 216, 221]
    assert ranked[0].above_hull == 0.01  # the potential's own figures stay


def test_the_hull_of_dft_is_of_its_own_references(tmp_path):
    calculate(tmp_path, RANKS | ELEMENTS)
    found = collect(tmp_path, subjects_of(salts()))
    by_name = {r.name: r for r in found.results}
    mean = (-1.3 - 1.8) / 2
    assert by_name["salt"].above_hull == pytest.approx(-3.4 - mean)  # no compound among the references
    assert by_name["salt"].formation == pytest.approx(-3.4 - mean) and by_name["salt"].missing == ()
    # Its competitor has no DFT energy: a hull without it would make it look stable.
    assert by_name["cesium"].above_hull is None
    assert by_name["cesium"].formation == pytest.approx(-3.3 - mean)
    assert "NaCl (mp-22862), which it competes with" in by_name["cesium"].missing[0]
    assert [c.name for c in with_dft(salts(), found.results)] == ["salt", "blende", "cesium"]


def test_entries_of_a_file_join_the_hull(tmp_path):
    calculate(tmp_path, RANKS | ELEMENTS)
    rows = tmp_path / "phases.csv"
    rows.write_text("formula,energy_per_atom,name\nNaCl,-3.38,mp-22862\nNaCl3,-2.0,\n")
    found = collect(tmp_path, subjects_of(salts()), entries=read_entries(rows))
    by_name = {r.name: r for r in found.results}
    assert by_name["salt"].above_hull == pytest.approx(-0.02)
    assert by_name["cesium"].above_hull == pytest.approx(0.08) and by_name["cesium"].missing == ()
    assert by_name["cesium"].decomposition == pytest.approx({"NaCl (mp-22862)": 1.0})
    entries = [
        ComputedEntry("Na", -1.3),
        ComputedEntry("Cl2", -3.6),
        ComputedEntry("NaCl", -6.76, correction=9.0),
    ]
    (tmp_path / "e.json").write_text(json.dumps([e.as_dict() for e in entries]))
    energies = {str(r.composition.reduced_formula): r.energy for r in read_entries(tmp_path / "e.json")}
    assert energies == pytest.approx({"Na": -1.3, "Cl2": -1.8, "NaCl": -3.38})  # without the correction


def test_energies_of_other_settings_are_never_mixed(tmp_path):
    calculate(tmp_path, {"vasp/01-cesium": -3.3, **ELEMENTS})
    calculate(tmp_path, {"vasp/03-salt": -3.4}, encut=400.0)
    found = collect(tmp_path, subjects_of(salts()))
    by_name = {r.name: r for r in found.results}
    assert by_name["salt"].above_hull is None and by_name["salt"].relative == 0.0
    assert any("cutoff: 400 eV and 520 eV" in m for m in by_name["salt"].missing)
    assert by_name["cesium"].relative is None and by_name["cesium"].formation is not None
    assert any("other settings" in p for p in by_name["cesium"].problems)


def test_energies_with_and_without_u_are_never_mixed(tmp_path):
    oxide = Crystal(225, (4.3, 4.3, 4.3, 90, 90, 90), (Site("Fe", "a"), Site("O", "b")))
    oxygen = replace(CHLORINE, sites=(Site("O", "e", (0.1,)),))
    put(tmp_path / "vasp/01-feo", vasprun(primitive(oxide), [-12.0], hubbard={"Fe": 5.3}))
    put(tmp_path / "vasp/references/Fe", vasprun(primitive(IRON), [-8.0]))
    put(tmp_path / "vasp/references/O", vasprun(primitive(oxygen), [-9.0]))
    result = collect(tmp_path, [Subject("feo", oxide)]).results[0]
    assert result.above_hull is None and any("Hubbard U of Fe: 5.3 eV and 0 eV" in m for m in result.missing)


def test_results_of_two_codes_stand_apart(tmp_path):
    calculate(tmp_path, RANKS | ELEMENTS)
    put(tmp_path / "qe/03-salt", pw_output(primitive(SALT), -2000.0), "vc-relax.out")
    found = collect(tmp_path, subjects_of(salts()))
    qe = next(r for r in found.results if r.code == "qe")
    assert qe.relative == 0.0 and qe.above_hull is None
    assert next(c for c in with_dft(salts(), found.results) if c.name == "salt").dft["code"] == "vasp"
    rows = tmp_path / "phases.csv"
    rows.write_text("formula,energy_per_atom\nNaCl,-3.38\n")
    with pytest.raises(DataError, match="--code"):
        collect(tmp_path, subjects_of(salts()), entries=read_entries(rows))


def test_a_structure_that_became_another_is_told(tmp_path):
    put(tmp_path / "vasp/01-cesium", vasprun(primitive(SALT), [-6.8]))
    result = collect(tmp_path, subjects_of(salts())).results[0]
    assert result.same is False and result.crystal.space_group == 225
    assert "it has become another structure" in result.problems
    put(tmp_path / "vasp/01-cesium", vasprun(primitive(SODIUM), [-1.3]))
    assert "the calculation is of Na" in collect(tmp_path, subjects_of(salts())).results[0].problems[0]


def test_what_is_not_calculated_yet_is_told(tmp_path):
    write_vasp(tmp_path, subjects_of(salts()), [("Na", SODIUM)])
    found = collect(tmp_path, subjects_of(salts()))
    assert [r.problems for r in found.results] == [("not calculated yet",)] * 3
    assert found.notes == ("reference Na is not calculated yet",)


# ---- the command


@pytest.fixture
def run_folder(tmp_path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    summary = replace(run_summary(), shortlist=tuple(salts()), diagram=None, system=("Na", "Cl"))
    write_shortlist(folder / "shortlist.json", summary)
    return folder


def test_from_inputs_to_a_new_ranking(run_folder, capsys):
    assert main(["dft", "inputs", str(run_folder), "-o", str(run_folder)]) == 0
    assert (run_folder / "dft/vasp/03-salt/relax/INCAR").is_file()
    assert (run_folder / "dft/qe/03-salt/vc-relax.in").is_file()
    assert main(["dft", "collect", str(run_folder)]) == 1  # nothing has run
    calculate(run_folder / "dft", RANKS | ELEMENTS)
    assert main(["dft", "collect", str(run_folder), "--code", "vasp"]) == 0
    capsys.readouterr()
    with (run_folder / "dft.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert [(r["rank"], r["name"]) for r in rows] == [("1", "salt"), ("2", "blende"), ("3", "cesium")]
    assert float(rows[0]["above_hull_ev_atom"]) == pytest.approx(-1.85)
    assert float(rows[0]["above_hull_kj_mol_atoms"]) == pytest.approx(-178.498, abs=1e-3)
    read = read_shortlist(run_folder)
    assert [c.name for c in read.shortlist] == ["salt", "blende", "cesium"]
    assert (run_folder / "cif/01-salt.cif").is_file() and not (run_folder / "cif/01-cesium.cif").exists()
    assert Crystal.from_cif((run_folder / "dft/cif/salt-vasp.cif").read_text()).space_group == 225
    page = (run_folder / "report.html").read_text()
    assert "Above, by DFT" in page and "−1.8500 eV/atom" in page
    # Once more, from the new ranking: the folders keep their old ranks and still belong.
    assert main(["dft", "collect", str(run_folder), "--code", "vasp"]) == 0
    assert [c.name for c in read_shortlist(run_folder).shortlist] == ["salt", "blende", "cesium"]


def test_inputs_of_any_crystals_can_be_collected_too(tmp_path, capsys):
    (tmp_path / "a b.cif").write_text(SALT.to_cif())
    (tmp_path / "POSCAR").write_text(Poscar(primitive(CESIUM)).get_str())
    out = tmp_path / "calc"
    files = [str(tmp_path / "a b.cif"), str(tmp_path / "POSCAR")]
    assert main(["dft", "inputs", *files, "-o", str(out), "--code", "vasp"]) == 0
    assert not (out / "dft/qe").exists()
    assert [c.name for c in read_shortlist(out).shortlist] == ["a_b", "POSCAR"]
    put(out / "dft/vasp/01-a_b", vasprun(primitive(SALT), [-6.8]))
    assert main(["dft", "collect", str(out)]) == 0
    assert "a_b" in capsys.readouterr().out
    assert main(["dft", "inputs", *files, "-o", str(out), "--code", "qe"]) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["dft", "inputs", "absent.cif", "-o", "x"], "absent.cif"),
        (["dft", "inputs", "bad.cif", "-o", "x"], "bad.cif"),
        (["dft", "inputs", "empty", "-o", "x"], "empty"),
        (["dft", "inputs", "bad.cif", "-o", "x", "--code", "abinit"], "not vasp, qe"),
        (["dft", "collect", "absent"], "there is no folder"),
        (["dft", "collect", "empty"], "there is no empty/shortlist.json"),
        (["dft", "collect", "run"], "holds no vasp or qe folder"),
        (["dft", "collect", "run", "--entries", "absent.csv"], "absent.csv cannot be read"),
        (["dft", "collect", "run", "--entries", "wrong.csv"], "needs the columns"),
        (["dft", "collect", "run", "--entries", "nan.csv"], "line 2 is no reference"),
        (["dft", "collect", "run", "--entries", "bad.json"], "not JSON"),
        (["dft", "collect", "run", "--entries", "rows.json"], "entry 1 is none (energy is missing)"),
        (["dft", "collect", "run", "--references", "absent"], "there is no such folder"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run_folder, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(run_folder.parent)
    Path("empty").mkdir()
    Path("bad.cif").write_text("data_x\n")
    Path("wrong.csv").write_text("a,b\n1,2\n")
    Path("nan.csv").write_text("formula,energy_per_atom\nNaCl,nan\n")
    Path("bad.json").write_text("[")
    Path("rows.json").write_text('[{"composition": {"Na": 1}}]')
    before = sorted(Path().rglob("*"))
    assert main(arguments) == 2
    message = capsys.readouterr().err
    assert message.startswith("crystalsmith: error: ") and message.count("\n") == 1 and words in message
    assert sorted(Path().rglob("*")) == before


def test_a_damaged_output_does_not_stop_the_others(run_folder):
    calculate(run_folder / "dft", RANKS)
    shutil.copy(run_folder / "shortlist.json", run_folder / "dft/vasp/01-cesium/static/vasprun.xml")
    assert main(["dft", "collect", str(run_folder)]) == 0
    read = read_shortlist(run_folder)
    cesium = next(c for c in read.shortlist if c.name == "cesium")
    assert cesium.dft["energy"] is not None and any("cannot be read" in p for p in cesium.dft["problems"])
