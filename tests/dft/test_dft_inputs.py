"""Inputs for DFT: potentials of every element, smearing, and competing phases that are missing."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from pymatgen.io.vasp import Incar
from pymatgen.io.vasp.inputs import _load_potcar_summary_stats

from crystals import KNOWN
from crystalsmith.cli.main import main
from crystalsmith.crystal import SYMBOLS, Crystal, Site
from crystalsmith.data import pack
from crystalsmith.dft import DftSettings, Subject, missing_references, structures_of, write_inputs
from crystalsmith.dft.competing import from_materials_project
from crystalsmith.dft.potcars import RELEASES, potcars
from crystalsmith.dft.qe_inputs import write_qe
from crystalsmith.dft.vasp_inputs import write_vasp
from crystalsmith.discovery.shortlist import read_shortlist, write_shortlist
from crystalsmith.errors import ConfigError, DataError, HullError
from discovered import ROCK_SALT, run_summary

WITHOUT = {"Bk", "Es", "Fm", "Md", "No", "Lr"}
"""Elements up to 103 of which VASP has no PBE potential."""


def fluorite(cation: str, anion: str = "O") -> Crystal:
    return Crystal(225, (5.2, 5.2, 5.2, 90, 90, 90), (Site(cation, "a"), Site(anion, "c")))


def rock_salt(cation: str, anion: str = "O") -> Crystal:
    return Crystal(225, (4.9, 4.9, 4.9, 90, 90, 90), (Site(cation, "a"), Site(anion, "b")))


def element(symbol: str) -> Crystal:
    return Crystal(225, (4.0, 4.0, 4.0, 90, 90, 90), (Site(symbol, "a"),))


def spec(folder: Path, step: str = "relax") -> list[str]:
    return (folder / step / "POTCAR.spec").read_text().split()


def known_potentials(release: str) -> str:
    """Titles of all potentials of a release, without blanks, as pymatgen tells them apart."""
    return "\n".join(_load_potcar_summary_stats()[release])


@pytest.mark.parametrize("release", RELEASES)
def test_every_element_gets_a_potential_that_the_release_holds(release):
    titles = known_potentials(release)
    names, notes = potcars(release, [])
    assert notes == []
    lacking = {s for s in SYMBOLS[1:104] if s not in names}
    assert lacking == (WITHOUT if release == "PBE_54" else WITHOUT | {"Cm", "Cf"})
    for symbol in set(SYMBOLS[1:104]) - lacking:
        assert names[symbol].split("_")[0] == symbol
        # The date follows the name; hydrogen's has none.
        assert re.search(rf"^PAW_PBE{names[symbol]}(\d\d[A-Z][a-z]{{2}}\d{{4}}.*)?$", titles, re.M), symbol


def test_an_element_without_a_potential_costs_its_own_crystal_only(tmp_path):
    subjects = [Subject(symbol, element(symbol)) for symbol in SYMBOLS[1:104]]
    inputs = write_inputs(subjects, tmp_path)
    vasp, qe = inputs.codes["vasp"], inputs.codes["qe"]
    assert {name.split("-")[1] for name in vasp.left_out} == WITHOUT and qe.left_out == {}
    assert all("no potential of" in why for why in vasp.left_out.values())
    assert len(vasp.jobs) == 103 - len(WITHOUT) and len(qe.jobs) == 103
    for job in vasp.jobs:
        assert (vasp.folder / job.folder / "static/INCAR").is_file()
    for job in qe.jobs:
        symbol = job.folder.split("-")[1]
        assert f"{symbol}.upf" in (qe.folder / job.folder / "vc-relax.in").read_text()
    text = (tmp_path / "README.txt").read_text()
    assert all(f"-{symbol} is left out" in text for symbol in WITHOUT)
    assert not [p for p in vasp.folder.iterdir() if p.name in vasp.left_out]


@pytest.mark.parametrize("symbol", ["Po", "At", "Rn", "Fr", "Ra", "Am"])
def test_rare_elements_beside_common_ones(tmp_path, symbol):
    crystals = {"rare": fluorite(symbol), "common": ROCK_SALT}
    inputs = write_inputs(crystals, tmp_path, DftSettings(code=("vasp",)))
    assert inputs.codes["vasp"].left_out == {} and len(inputs.codes["vasp"].jobs) == 2
    assert spec(tmp_path / "vasp/01-rare")[0].split("_")[0] in (symbol, "O")


def test_no_crystal_at_all_is_refused(tmp_path):
    with pytest.raises(DataError, match="no potential of Bk"):
        write_inputs({"x": fluorite("Bk")}, tmp_path / "a/dft", DftSettings(code=("vasp",)))
    assert not list(tmp_path.iterdir())
    inputs = write_inputs({"x": fluorite("Bk")}, tmp_path / "dft")  # the other code can
    assert sorted(p.name for p in (tmp_path / "dft").iterdir()) == ["README.txt", "qe"]
    assert inputs.codes["vasp"].left_out


def bixbyite(cation: str) -> Crystal:
    sites = (Site(cation, "b"), Site(cation, "d", (-0.03,)), Site("O", "e", (0.39, 0.15, 0.38)))
    return Crystal(206, (10.43, 10.43, 10.43, 90, 90, 90), sites)


@pytest.mark.parametrize(
    ("crystal", "name"),
    [
        (bixbyite("Yb"), "Yb_3"),
        (rock_salt("Yb", "N"), "Yb_3"),
        (rock_salt("Yb"), "Yb_2"),
        (fluorite("Yb", "F"), "Yb_2"),
        (element("Yb"), "Yb_2"),
        (Crystal(221, (3.5, 3.5, 3.5, 90, 90, 90), (Site("Yb", "a"), Site("Pd", "b"))), "Yb_3"),
    ],
)
def test_ytterbium_by_its_charge(tmp_path, crystal, name):
    path = write_vasp(tmp_path, [Subject("x", crystal)]).folder
    for step in ("relax", "static"):
        assert name in spec(path / "01-x", step)


def test_ytterbium_is_the_same_in_all_that_is_compared(tmp_path):
    subjects = [Subject("two", rock_salt("Yb")), Subject("three", bixbyite("Yb"))]
    done = write_vasp(tmp_path, subjects, [("Yb", element("Yb"))])
    assert all("Yb_3" in spec(done.folder / job.folder) for job in done.jobs)
    assert any("YbO" in note and "Yb_2" in note for note in done.notes)
    old = write_vasp(tmp_path / "old", subjects[1:], release="PBE")  # has no Yb_3: pymatgen's warning is told
    assert "Yb_2" in spec(old.folder / "01-three")
    assert any("Yb_2 is known to often give bad results" in n and "01-three" in n for n in old.notes)


@pytest.mark.parametrize(("release", "name"), [("PBE_54", "W_sv"), ("PBE", "W_pv")])
def test_tungsten_of_the_release(tmp_path, release, name):
    done = write_vasp(tmp_path, [Subject("w", element("W"))], release=release)
    assert spec(done.folder / "01-w") == [name] and release in (done.folder / "README.txt").read_text()


def test_warnings_of_pymatgen_reach_the_user_once(tmp_path):
    subjects = [Subject(f"c{k}", rock_salt("Co")) for k in range(5)]
    (note,) = write_vasp(tmp_path, subjects).notes
    assert "low spin" in note and "01-c0" in note and "2 more" in note


@pytest.mark.parametrize(
    ("crystal", "smearing"),
    [
        (element("Cu"), (1, 0.2)),
        (Crystal(221, (3.5, 3.5, 3.5, 90, 90, 90), (Site("Ni", "a"), Site("Al", "b"))), (1, 0.2)),
        (ROCK_SALT, (0, 0.05)),
        (KNOWN["diamond"], (0, 0.05)),
        (rock_salt("Ti", "C"), (0, 0.05)),  # a metal, but not of metals alone: a narrow Gaussian suits both
    ],
)
def test_smearing_of_relaxations(tmp_path, crystal, smearing):
    path = write_vasp(tmp_path, [Subject("x", crystal)]).folder / "01-x"
    relax, static = Incar.from_file(path / "relax/INCAR"), Incar.from_file(path / "static/INCAR")
    assert (relax["ISMEAR"], relax["SIGMA"]) == smearing and relax["NSW"] == 99
    assert static["ISMEAR"] == -5 and static["NSW"] == 0


def test_the_tetrahedron_method_is_not_asked_of_two_points(tmp_path):
    huge = Crystal(221, (24.0,) * 3 + (90.0,) * 3, (Site("Na", "a"), Site("Cl", "b")))
    done = write_vasp(tmp_path, [Subject("x", huge)])
    assert Incar.from_file(done.folder / "01-x/static/INCAR")["ISMEAR"] == 0
    assert any("tetrahedron" in note for note in done.notes)


# ---- competing phases


def salt(**facts) -> Subject:
    return Subject("salt", KNOWN["rock salt"], **facts)


def test_missing_phases_are_named_with_who_wants_them():
    subjects = [
        salt(competitors=("NaCl3 (mp-1)", "Na (mp-127)")),
        Subject("cesium", KNOWN["rock salt"], ("NaCl3 (mp-1)",)),
    ]
    found = missing_references(subjects, [("Na-bcc", element("Na"))], ["NaCl (mp-22862)", "NaCl3 (mp-1)"])
    assert [(m.formula, m.wanted_by) for m in found] == [
        ("Cl", ()),
        ("NaCl3", ("salt", "cesium")),
        ("NaCl", ()),
    ]
    assert str(found[1]) == "NaCl3 (mp-1), which salt, cesium would fall into"


def test_structures_come_from_files_that_bring_them(tmp_path):
    missing = missing_references([salt()], [], ["MgO (mp-1265)"])
    high = Crystal(221, (2.6, 2.6, 2.6, 90, 90, 90), (Site("Mg", "a"), Site("O", "b")))
    (tmp_path / "other.cif").write_text(high.to_cif())
    (tmp_path / "mp-1265.cif").write_text(ROCK_SALT.to_cif())
    (tmp_path / "energies.csv").write_text("formula,energy_per_atom\nNaCl,-3.0\n")
    sources = [tmp_path / "energies.csv", tmp_path / "other.cif", tmp_path / "mp-1265.cif"]
    assert [(n, c.space_group) for n, c in structures_of(missing, sources)] == [("MgO (mp-1265)", 225)]
    assert [n for n, _ in structures_of(missing, sources[:2])] == ["MgO (other)"]


def test_structures_come_from_the_materials_project(monkeypatch):
    missing = missing_references([salt()], [("Na", element("Na"))], ["NaCl (mp-1)"])
    assert {m.formula for m in missing} == {"Cl", "NaCl"}
    asked: list = []

    def fetch(elements, above):
        asked.append(tuple(elements))
        crystals = [rock_salt("Na", "Cl"), KNOWN["rock salt"], element("Cl")]
        return pack(crystals, ["mp-9", "mp-1", "mp-7"], e_above_hull=[0.0, 0.02, 0.0])

    monkeypatch.setattr("crystalsmith.hull.materials_project.fetch_system", fetch)
    found = dict(from_materials_project(missing, ["Na", "Cl"]))
    assert set(found) == {"NaCl (mp-1)", "Cl (mp-7)"} and asked == [("Na", "Cl")]
    assert found["NaCl (mp-1)"].cell[0] == pytest.approx(KNOWN["rock salt"].cell[0])


@pytest.fixture
def run_folder(tmp_path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    write_shortlist(folder / "shortlist.json", run_summary())
    return folder


def test_what_is_missing_is_said_where_the_inputs_are_written(run_folder, capsys):
    assert main(["dft", "inputs", str(run_folder), "-o", str(run_folder), "--code", "vasp"]) == 0
    said = capsys.readouterr().out
    for text in (said, (run_folder / "dft/README.txt").read_text()):
        assert "MgO (mp-1265), which Mg-Al-O-1-0042 would fall into" in text
        assert "Al2O3, which Mg-Al-O-1-0042" in text and "Mg17Al12" in text
        assert "--references" in text and "--materials-project" in text and "--entries" in text
    # Elements come with the package.
    names = {p.name for p in (run_folder / "dft/vasp/references").iterdir()}
    assert {"Mg-hcp", "Al-fcc", "O-monoclinic"} <= names


def test_inputs_with_references_replace_those_without(run_folder, capsys):
    command = ["dft", "inputs", str(run_folder), "-o", str(run_folder), "--code", "vasp"]
    assert main(command) == 0
    (run_folder.parent / "MgO.cif").write_text(ROCK_SALT.to_cif())
    more = ["--references", str(run_folder.parent / "MgO.cif")]
    assert main([*command, *more]) == 2 and "holds inputs already" in capsys.readouterr().err
    assert main([*command, *more, "--overwrite"]) == 0
    assert (run_folder / "dft/vasp/references/MgO/relax/INCAR").is_file()
    assert "MgO (mp-1265)" not in (run_folder / "dft/README.txt").read_text()
    (run_folder / "dft/vasp/references/MgO/relax/OUTCAR").write_text("")
    assert main([*command, *more, "--overwrite"]) == 2
    assert "calculations already" in capsys.readouterr().err


def test_references_of_a_run_stay_with_its_short_list(run_folder):
    summary = replace(run_summary(), references=(("MgO (mp-1265)", ROCK_SALT),))
    write_shortlist(run_folder / "shortlist.json", summary)
    assert read_shortlist(run_folder).references == summary.references
    data = json.loads((run_folder / "shortlist.json").read_text())
    del data["references"]  # as earlier versions wrote it
    (run_folder / "shortlist.json").write_text(json.dumps(data))
    assert read_shortlist(run_folder).references == ()


def test_the_materials_project_without_a_key_is_one_line(run_folder, capsys, monkeypatch):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    command = ["dft", "inputs", str(run_folder), "-o", str(run_folder), "--materials-project"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "MP_API_KEY" in error and error.count("\n") == 1 and not (run_folder / "dft").exists()
    with pytest.raises(HullError):
        from_materials_project([SimpleNamespace(formula="MgO", name="MgO")], ["Mg", "O"])


def test_a_member_that_cannot_be_read_costs_itself_alone(tmp_path, capsys):
    folder = tmp_path / "cifs"
    folder.mkdir()
    (folder / "good.cif").write_text(ROCK_SALT.to_cif())
    (folder / "bad.cif").write_text("data_x\n_cell_length_a 1\n")
    assert main(["dft", "inputs", str(folder), "-o", str(tmp_path / "o"), "--code", "qe"]) == 1
    assert "bad" in capsys.readouterr().err
    assert (tmp_path / "o/dft/qe/01-good/vc-relax.in").is_file()


def test_bad_settings_are_refused_in_a_script_too(tmp_path):
    for settings in ({"code": "abinit"}, {"ecutwfc": -1.0}, {"potcars": "PBE_99"}):
        with pytest.raises(ConfigError):
            DftSettings(**settings)


def test_folders_of_names_lie_beside_each_other(tmp_path):
    """Names of references are made fit for folders, told apart, and lie in one folder."""
    references = [
        ("KSi (mp-1)", ROCK_SALT),
        ("KSi (mp-1)", ROCK_SALT),
        ("a/b\\c", ROCK_SALT),
        ("長" * 120, ROCK_SALT),
    ]
    done = write_qe(tmp_path, [salt()], references)
    names = [job.folder for job in done.jobs[1:]]
    assert len(set(names)) == 4 and all(len(n.encode()) < 255 and n.count("/") == 1 for n in names)
    for job in done.jobs:
        text = (done.folder / job.folder / "vc-relax.in").read_text()
        pseudo = next(line.split("'")[1] for line in text.splitlines() if "pseudo_dir" in line)
        assert (done.folder / job.folder / pseudo).resolve() == (done.folder / "pseudo").resolve()


def test_inputs_as_json(run_folder, capsys):
    assert main(["dft", "inputs", str(run_folder), "-o", str(run_folder), "--code", "qe", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert "01-Mg-Al-O-1-0042" in result["codes"]["qe"]["jobs"]
    assert {m["formula"] for m in result["missing"]} >= {"MgO", "Al2O3"}
