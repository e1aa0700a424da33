"""``crystalsmith relax``: what becomes of good, bad and deadly crystals, and of a run that is killed."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import ase.io
import pytest
import spglib
from ase.build import bulk
from ase.calculators.emt import EMT

import crystalsmith
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal
from held import AT_LINES, Held
from metals import fcc

POTENTIALS = '''
import os
from types import SimpleNamespace
from ase.calculators.emt import EMT
from ase.calculators.calculator import all_changes

class Odd(EMT):
    """EMT, but silver throws, gold kills its process, and platinum takes long where it is told to."""
    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        symbols = set(atoms.get_chemical_symbols())
        if "Ag" in symbols:
            raise RuntimeError("no silver")
        if "Au" in symbols:
            os._exit(9)
        if "Pt" in symbols and "PLATINUM" in os.environ:
            later(100.0)
        super().calculate(atoms, properties, system_changes)

def later(seconds):
    """From now on the search's clock is so much later."""
    from crystalsmith.potentials import search
    before = search.time.perf_counter
    search.time = SimpleNamespace(perf_counter=lambda: before() + seconds)

def emt():
    return EMT()

def broken():
    raise OSError("no such weights")
'''


GOOD = {"cu": fcc("Cu", 3.8), "ni": fcc("Ni", 3.7), "pd": fcc("Pd", 4.1), "pt": fcc("Pt", 4.1)}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of potentials and a folder of CIFs, in which we are."""
    (tmp_path / "odd_potentials.py").write_text(POTENTIALS)
    write(tmp_path / "cifs", GOOD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Processes begin in this folder: a relative path of the package would lead elsewhere.
    paths = [str(tmp_path), str(Path(crystalsmith.__file__).resolve().parents[1])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    return tmp_path


def write(folder: Path, crystals: dict[str, Crystal]) -> None:
    folder.mkdir(exist_ok=True)
    for name, crystal in crystals.items():
        (folder / f"{name}.cif").write_text(crystal.to_cif())


def relax(*arguments: str, potential: str = "odd_potentials:Odd", workers: int = 1) -> int:
    return main(["relax", *arguments, "--potential", potential, "--workers", str(workers)])


def rows(folder: str) -> list[dict[str, str]]:
    with Path(folder, "relaxed.csv").open() as f:
        return list(csv.DictReader(f))


def content(folder: str) -> dict[str, object]:
    """All files whose content should not depend on how the run went; times are left out."""
    path = Path(folder)
    cifs = {p.name: p.read_text() for p in sorted((path / "cif").iterdir())}
    table = [{k: v for k, v in row.items() if k != "seconds"} for row in rows(folder)]
    return {"cif": cifs, "table": table, "frames": (path / "relaxed.extxyz").read_text()}


def test_good_crystals_are_relaxed_and_written(here, capsys):
    assert relax("cifs", "-o", "out") == 0
    printed = capsys.readouterr()
    assert "4 of 4 crystals relaxed, 4 converged" in printed.out and "relaxing: 4 of 4" in printed.err
    assert "crystals a minute" in printed.out and "symmetric: " in printed.out
    table = rows("out")
    assert [row["name"] for row in table] == ["cu", "ni", "pd", "pt"]
    frames = ase.io.read("out/relaxed.extxyz", ":")
    for row, atoms in zip(table, frames, strict=True):
        assert (row["converged"], row["reason"]) == ("yes", "converged")
        assert row["space_group"] == row["space_group_symmetric"] == row["space_group_free"] == "225"
        assert float(row["energy_free"]) <= float(row["energy_symmetric"]) < float(row["energy"])
        assert int(row["calls_symmetric"]) >= 2 and int(row["calls_free"]) >= 2
        assert float(row["fmax"]) < 0.05 and float(row["stress"]) < 0.005
        # The energy of the file is that of its atoms, and that of ASE's own crystal to the criteria.
        energy = atoms.get_potential_energy()
        assert energy / len(atoms) == pytest.approx(float(row["energy_free"]), abs=1e-6)
        again = atoms.copy()
        again.calc = EMT()
        assert again.get_potential_energy() == pytest.approx(energy, abs=1e-4)
        assert atoms.info["name"] == row["name"] and atoms.info["space_group"] == 225
        element = row["formula"]
        assert float(row["volume"]) == pytest.approx(GOOD[row["name"]].volume / 4, abs=1e-3)
        assert float(row["volume_relaxed"]) == pytest.approx(lowest_volume(element), rel=0.02)
        crystal = Crystal.from_cif(Path("out", "cif", row["name"] + ".cif").read_text())
        cell = (crystal.lattice, crystal.positions(primitive=False)[1], [1] * 4)
        assert spglib.get_symmetry_dataset(cell).number == 225
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert (manifest["status"], manifest["asked"], manifest["relaxed"]) == ("finished", 4, 4)
    assert manifest["versions"]["ase"] == ase.__version__ and manifest["reasons"] == {"converged": 4}


def lowest_volume(element: str) -> float:
    """Of ASE's fcc with EMT, by trying lattice constants."""

    def energy(a: float) -> float:
        atoms = bulk(element, "fcc", a)
        atoms.calc = EMT()
        return atoms.get_potential_energy()

    return min((energy(3.4 + 0.01 * k), (3.4 + 0.01 * k) ** 3 / 4) for k in range(80))[1]


def test_every_crystal_is_recorded_whatever_becomes_of_it(here, capsys):
    bad = {"au": fcc("Au", 4.0), "ag": fcc("Ag", 4.0), "squeezed": fcc("Al", 2.0)}
    write(here / "cifs", bad)
    Path("cifs/torn.cif").write_text("data_x\n_cell_length_a 3\n")
    assert relax("cifs", "-o", "one") == 1
    printed = capsys.readouterr()
    table = {row["name"]: row for row in rows("one")}
    assert list(table) == sorted([*GOOD, *bad, "torn"])
    assert all(table[name]["converged"] == "yes" for name in GOOD)
    assert table["ag"]["reason"] == "symmetric: the potential failed: RuntimeError: no silver"
    assert "died" in table["au"]["reason"] and table["au"]["converged"] == "no"
    assert table["torn"]["reason"] and table["torn"]["formula"] == ""
    for name in ("ag", "au", "torn"):
        assert f"crystalsmith: {name}: " in printed.err
    assert not {"ag.cif", "au.cif", "torn.cif"} & {p.name for p in Path("one/cif").iterdir()}
    # Neither a repetition nor other workers change anything; and nothing is computed twice.
    before = content("one")
    journal = Path("one/journal.jsonl").read_bytes()
    assert relax("cifs", "-o", "one") == 1
    assert content("one") == before and Path("one/journal.jsonl").read_bytes() == journal
    assert relax("cifs", "-o", "two", workers=2) == 1
    assert content("two") == before


def test_options_reach_the_relaxation(here):
    assert relax("cifs/cu.cif", "-o", "a", "--only", "symmetric") == 0
    (row,) = rows("a")
    assert row["calls_free"] == row["energy_free"] == "" and row["energy_symmetric"]
    assert relax("cifs/cu.cif", "-o", "b", "--only", "free") == 0
    (row,) = rows("b")
    assert row["calls_symmetric"] == row["energy_symmetric"] == "" and row["space_group_free"] == "225"
    assert float(row["energy"]) > float(row["energy_free"])
    assert relax("cifs/cu.cif", "-o", "c", "--only", "symmetric", "--max-calls", "2", "--fmax", "1e-5") == 0
    (row,) = rows("c")
    assert (row["calls_symmetric"], row["reason"]) == ("2", "symmetric: out of calls")
    assert relax("cifs/cu.cif", "-o", "d", "--max-volume-change", "0.01") == 1
    assert rows("d")[0]["reason"] == "symmetric: left the bounds"


def test_sources_may_be_several_and_of_the_same_names(here):
    write(here / "more", {"cu": fcc("Cu", 3.5), "CU": fcc("Cu", 3.55)})
    ase.io.write("frames.extxyz", [bulk("Ni", "fcc", 3.5), bulk("Pd", "fcc", 3.9)])
    assert relax("cifs/cu.cif", "more", "frames.extxyz", "-o", "out", "--only", "symmetric", "--quiet") == 0
    names = [row["name"] for row in rows("out")]
    assert len(names) == 5 and len({name.casefold() for name in names}) == 5
    assert len(list(Path("out/cif").iterdir())) == 5


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_been(here, kill):
    write(here / "cifs", {f"cu{k}": fcc("Cu", 3.5 + 0.05 * k) for k in range(4)})
    journal = Path("out/journal.jsonl")
    arguments = [
        "relax",
        "cifs",
        "-o",
        "out",
        "--potential",
        "odd_potentials:emt",
        "--workers",
        "2",
        "--quiet",
    ]
    held = Held(here, AT_LINES.format(journal=str(here / journal), lines=2), arguments)
    held.process.send_signal(kill)
    status, _, errors = held.end()
    done = journal.read_bytes()
    assert 2 <= done.count(b"\n") < 8 and not Path("out/relaxed.csv").exists()
    if kill != signal.SIGKILL:
        assert status == 128 + kill and "goes on where it stopped" in errors and "Traceback" not in errors
    journal.write_bytes(done + b'{"name":"cut o')  # and the last line was torn
    (here / "out" / "cif" / "cu.cif.partial").write_text("half")
    assert relax("cifs", "-o", "out", potential="odd_potentials:emt") == 0
    assert journal.read_bytes().startswith(done) and journal.read_bytes().count(b"\n") == 8
    assert relax("cifs", "-o", "whole", potential="odd_potentials:emt") == 0
    assert content("out") == content("whole")


@pytest.mark.parametrize(
    ("potential", "words"),
    [
        ("chgnett", "unknown potential"),
        ("odd_potentials:broken", "no such weights"),
        ("no_such_module:f", "no module no_such_module"),
    ],
)
def test_a_bad_potential_is_refused_before_anything_is_written(here, capsys, potential, words):
    assert relax("cifs", "-o", "out", potential=potential) == 2
    assert words in one_error(capsys) and not Path("out").exists()


def test_a_missing_package_is_named_with_its_command(here, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    assert relax("cifs", "-o", "out", potential="7net-0") == 2
    assert "[sevennet]" in one_error(capsys) and not Path("out").exists()


def one_error(capsys) -> str:
    error = "".join(
        line for line in capsys.readouterr().err.splitlines(True) if not line.startswith("relaxing: ")
    )
    assert error.startswith("crystalsmith: error: ") and error.count("\n") == 1
    return error


def test_sources_that_hold_nothing_are_refused(here, capsys):
    assert relax("absent", "-o", "out") == 2
    assert "absent" in one_error(capsys)
    Path("torn").mkdir()
    Path("torn/torn.cif").write_text("data_x\n_cell_length_a 3\n")
    assert relax("torn", "-o", "out") == 2
    assert "no crystal that can be read; torn" in one_error(capsys) and not Path("out").exists()


def test_the_folders_of_others_are_left_alone(here, capsys):
    Path("mine").mkdir()
    Path("mine/diary.txt").write_text("dear")
    assert relax("cifs", "-o", "mine") == 2
    assert "not empty" in one_error(capsys)
    assert [p.name for p in Path("mine").iterdir()] == ["diary.txt"]
    Path("run").mkdir()
    Path("run/manifest.json").write_text(json.dumps({"format": 1, "status": "finished", "run": {}}))
    for extra in ([], ["--overwrite"]):
        assert relax("cifs", "-o", "run", *extra) == 2
        assert "not of relaxations" in one_error(capsys)
    assert relax("cifs", "-o", "cifs/cu.cif") == 2
    assert "is a file" in one_error(capsys)


def test_another_run_is_refused_and_overwritten_when_told(here, capsys):
    assert relax("cifs", "-o", "out", "--only", "symmetric") == 0
    capsys.readouterr()
    before = content("out")
    for change, words in (
        (["cifs", "--only", "symmetric", "--fmax", "0.01"], "another fmax: 0.05 there, 0.01 now"),
        (["cifs"], "another only"),
        (["cifs/cu.cif", "--only", "symmetric"], "other crystals"),
    ):
        assert relax(*change, "-o", "out") == 2
        assert words in one_error(capsys) and content("out") == before
    assert relax("cifs", "-o", "out", "--overwrite", potential="odd_potentials:broken") == 2
    assert content("out") == before
    Path("out/cif/mine.cif").write_text("kept")
    assert relax("cifs/cu.cif", "-o", "out", "--only", "symmetric", "--overwrite") == 0
    assert {p.name for p in Path("out/cif").iterdir()} == {"cu.cif", "mine.cif"} and len(rows("out")) == 1


def test_a_damaged_journal_is_named(here, capsys):
    assert relax("cifs", "-o", "out", "--only", "symmetric") == 0
    capsys.readouterr()
    journal = Path("out/journal.jsonl")
    journal.write_text("rubbish\n" + journal.read_text())
    assert relax("cifs", "-o", "out", "--only", "symmetric") == 2
    assert "line 1 is damaged" in one_error(capsys)


def test_a_call_that_takes_too_long_costs_its_crystal_only(here, monkeypatch):
    from crystalsmith.potentials import search

    monkeypatch.setattr(search, "time", search.time)  # is put back afterwards
    monkeypatch.setenv("PLATINUM", "")
    assert relax("cifs", "-o", "out", "--seconds", "90") == 0
    table = {row["name"]: row for row in rows("out")}
    assert table["pt"]["reason"].endswith("out of time") and table["cu"]["converged"] == "yes"
