"""``crystalsmith hull`` as typed, right and wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.calculators.emt import EMT
from matplotlib.image import imread

from crystals import KNOWN
from crystalsmith.cli.main import build_parser, main
from crystalsmith.crystal import SYMBOLS, Crystal, Site
from crystalsmith.data import pack
from crystalsmith.errors import HullError
from crystalsmith.hull import KJ_PER_MOL, Phase, References
from crystalsmith.hull.system import parse_system
from references import references

EMT_NAME = "ase.calculators.emt:EMT"


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    references("chgnet").save(tmp_path / "r.npz")
    (tmp_path / "mine.csv").write_text("formula,energy_per_atom,id\nLiO,-4.9,mine\n")
    return tmp_path


def show(*arguments: str) -> list[str]:
    return ["hull", "show", *arguments, "--references", "r.npz"]


def phases(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What ``hull show --json`` printed."""
    return json.loads(capsys.readouterr().out)["result"]["phases"]


def test_a_table_of_a_system(files, capsys):
    assert main(show("Li-P-O")) == 0
    shown = capsys.readouterr().out
    assert shown == (
        "                             formation           above hull\n"
        "phase   id      space group    eV/atom   kJ/mol     eV/atom  kJ/mol\n"
        "Li      li-1    Im-3m            0.000     0.00       on it\n"
        "Li      li-2    Fm-3m            0.100     9.65       0.100    9.65\n"
        "P       p-1     Cmce             0.000     0.00       on it\n"
        "O       o-1     C2/m             0.000     0.00       on it\n"
        "Li3P    li3p    P6_3/mmc        -0.500   -48.24       on it\n"
        "Li2O    li2o    Fm-3m           -2.000  -192.97       on it\n"
        "LiO     li2o2   P6_3/mmc        -1.500  -144.73       on it\n"
        "Li3PO4  li3po4  Pnma            -2.500  -241.21       on it\n"
        "10 reference phases by chgnet, single points\n"
        "note: no reference phase with all elements of O-P\n"
    )


def test_elements_stand_in_the_order_that_was_asked_for(files, capsys):
    assert main(show("Fe O")) == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()[2:5]]
    assert rows == [["Fe", "fe-1"], ["O", "o-1"], ["FeO", "feo"]]
    assert main(show("O,Fe")) == 0
    assert capsys.readouterr().out.splitlines()[2].startswith("O ")


def test_json_lines(files, capsys):
    assert main([*show("Li-O", "--json"), "--entries", "mine.csv"]) == 0
    rows = phases(capsys)
    assert [r["id"] for r in rows] == ["li-1", "li-2", "o-1", "li2o", "mine", "li2o2"]
    assert rows[3] == {
        "id": "li2o",
        "formula": "Li2O",
        "space_group": 225,
        "energy_per_atom": pytest.approx(-4.666667),
        "formation": pytest.approx(-2.0),
        "above_hull": 0.0,
    }
    assert rows[4]["space_group"] is None and rows[4]["formation"] == pytest.approx(-1.9)
    assert rows[5]["above_hull"] == pytest.approx(0.4)  # the user's phase lies lower
    assert "-0.0" not in [str(r["above_hull"]) for r in rows]


def test_units_and_columns(files, capsys):
    assert main(show("Li-O", "--json")) == 0
    high = phases(capsys)[1]
    assert main(show("Li-O")) == 0
    line = capsys.readouterr().out.splitlines()[3]
    assert line.split()[-1] == f"{high['above_hull'] * KJ_PER_MOL:.2f}" == "9.65"


@pytest.mark.parametrize("system", ["Li-O", "Li-P-O", "Li-Fe-P-O"])
@pytest.mark.parametrize("form", ["png", "svg", "PDF"])
def test_pictures(files, capsys, system, form):
    assert main(show(system, "-o", f"a.{form}")) == 0
    assert "on it" in capsys.readouterr().out
    content = (files / f"a.{form}").read_bytes()
    if form == "png":
        picture = imread(files / "a.png")[..., :3]
        assert picture.shape[0] > 400 and (picture.min(axis=2) < 0.8).mean() > 0.005
    elif form == "svg":
        assert b"<svg" in content
        main(show(system, "-o", "b.svg"))
        assert (files / "b.svg").read_bytes() == content  # no date in it
    else:
        assert content.startswith(b"%PDF")
    assert not list(files.glob("*.partial"))


def test_references_need_not_ship(files, capsys):
    """Without --references those of the package are taken; there are none for this potential."""
    assert main(["hull", "show", "Li-O", "--potential", EMT_NAME]) == 2
    error = capsys.readouterr().err
    assert f"no reference phases come with the package for {EMT_NAME}" in error and "hull build" in error
    (files / "all.csv").write_text("formula,energy_per_atom\nLi,-2\nO,-4\nLi2O,-4.5\n")
    assert main(["hull", "show", "Li-O", "--potential", EMT_NAME, "--entries", "all.csv", "--json"]) == 0
    rows = phases(capsys)
    assert [r["id"] for r in rows] == ["all-2", "all-3", "all-4"]
    assert rows[2]["formation"] == pytest.approx(-4.5 + 8 / 3, abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (show("Li"), "has 1 element; give 2 to 7"),
        (show(""), "has 0 elements; give 2 to 7"),
        (show("Li-Be-B-C-N-O-F-Ne"), "has 8 elements; give 2 to 7"),
        (show("Li-Xx"), "'Xx' is no element; write it like Cu-K-Si"),
        (show("li-o"), "'li' is no element"),
        (show("Li2O"), "'Li2O' is no element"),
        (show("Li-O-Li"), "names an element twice"),
        (show("Li-Cu-Si"), "no reference phase of Cu, Si alone; add one with --entries"),
        (["hull", "show", "Li-O", "--references", "none.npz"], "there is no file none.npz"),
        (["hull", "show", "Li-O", "--references", "mine.csv"], "mine.csv is damaged or holds no reference"),
        (show("Li-O", "--potential", "mace"), "holds energies of chgnet; add --potential chgnet"),
        (show("Li-O", "--entries", "none.csv"), "there is no file of entries none.csv"),
        (show("Li-O", "--entries", "other.csv"), "energies of mace, and the hull is of chgnet"),
        (show("Li-O", "-o", "a.txt"), "a.txt is no .png, .svg or .pdf file"),
        (show("Li-O", "-o", "none/a.png"), "there is no folder"),
        (show("Li-O", "-o", "folder.png"), "folder.png is a folder"),
        (show("Li-Be-B-C-N", "-o", "a.png"), "a system of 5 elements cannot be drawn"),
        (["hull"], "required: ACTION"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(files, capsys, arguments, words):
    (files / "other.csv").write_text("formula,energy_per_atom,potential\nLiO,-4.9,mace\n")
    (files / "folder.png").mkdir()
    before = sorted(files.iterdir())
    assert main(arguments) == 2
    captured = capsys.readouterr()
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("crystalsmith: error: ") and words in lines[0]
    assert captured.out == "" and sorted(files.iterdir()) == before


def test_a_system_is_read_in_its_order():
    assert parse_system(" K, Cu-Si ", 7) == ("K", "Cu", "Si")
    with pytest.raises(HullError, match="give 2 to 3"):
        parse_system("K-Cu-Si-O", 3, 2)


# --- build ---


def write_structures(path: Path) -> Path:
    """Copper and gold and two of their compounds, in the lines of JSON that data build reads."""
    crystals = {
        "cu": Crystal(225, (3.7,) * 3 + (90,) * 3, (Site("Cu", "a"),)),
        "au": Crystal(225, (4.2,) * 3 + (90,) * 3, (Site("Au", "a"),)),
        "cu3au": Crystal(221, (3.8,) * 3 + (90,) * 3, (Site("Au", "a"), Site("Cu", "c"))),
        "cuau3": Crystal(221, (4.0,) * 3 + (90,) * 3, (Site("Cu", "a"), Site("Au", "c"))),
    }
    lines = []
    for name, crystal in crystals.items():
        symbols, fractional = crystal.positions(primitive=False)
        row = {"id": name, "cell": list(crystal.cell), "species": symbols, "frac": fractional.tolist()}
        lines.append(json.dumps(row) + "\n")
    path.write_text("".join(lines))
    return path


BUILD = ["hull", "build", "s.jsonl", "--potential", EMT_NAME, "--no-elements", "--workers", "1"]


def test_build_and_show_end_to_end(files, capsys):
    write_structures(files / "s.jsonl")
    assert main([*BUILD, "-o", "cuau.npz", "--max-calls", "4"]) == 0
    captured = capsys.readouterr()
    made = (
        "4 reference phases by ase.calculators.emt:EMT, 4 of them relaxed under their symmetry; in cuau.npz\n"
    )
    assert captured.out == made and "relaxations: 4 of 4" in captured.err
    command = ["hull", "show", "Cu-Au", "--potential", EMT_NAME, "--references", "cuau.npz", "-o", "cuau.png"]
    assert main([*command, "--json"]) == 0
    rows = {r["id"]: r for r in phases(capsys)}
    assert rows["cu"]["above_hull"] == rows["au"]["above_hull"] == 0
    # The relaxed elements of EMT, along their only degree of freedom.
    for name, symbol, start in (("cu", "Cu", 3.5), ("au", "Au", 3.95)):
        curve = []
        for a in np.arange(start, start + 0.3, 0.001):
            atoms = Crystal(225, (a,) * 3 + (90,) * 3, (Site(symbol, "a"),)).to_atoms()
            atoms.calc = EMT()
            curve.append(atoms.get_potential_energy())
        assert rows[name]["energy_per_atom"] == pytest.approx(min(curve), abs=2e-3)
    expected = rows["cu3au"]["energy_per_atom"] - (
        0.75 * rows["cu"]["energy_per_atom"] + 0.25 * rows["au"]["energy_per_atom"]
    )
    assert rows["cu3au"]["formation"] == pytest.approx(expected, abs=2e-6)
    assert imread(files / "cuau.png").shape[0] > 400
    # As entries of another hull of the same potential.
    (files / "ends.csv").write_text("formula,energy_per_atom\nCu,9\nAu,9\n")
    command = ["hull", "show", "Cu-Au", "--potential", EMT_NAME, "--entries", "ends.csv"]
    assert main([*command, "--entries", "cuau.npz", "--json"]) == 0
    again = {r["id"]: r for r in phases(capsys)}
    assert again["cu3au"] == rows["cu3au"] and again["ends-2"]["above_hull"] > 8


def test_a_finished_build_is_only_written_again(files, capsys):
    write_structures(files / "s.jsonl")
    command = [*BUILD, "-o", "cuau.npz", "--max-calls", "1", "--quiet"]
    assert main(command) == 0 and capsys.readouterr().out == ""
    first, journal = (files / "cuau.npz").read_bytes(), (files / "cuau.npz.journal").read_bytes()
    (files / "cuau.npz").unlink()
    assert main(command) == 0
    assert (files / "cuau.npz.journal").read_bytes() == journal
    assert list(References.open("cuau.npz")) == read(first, files)


def read(content: bytes, folder: Path) -> list[Phase]:
    (folder / "first.npz").write_bytes(content)
    return list(References.open(folder / "first.npz"))


def test_a_data_set_as_source_with_the_elements(files, capsys):
    crystals = [KNOWN["rock salt"], Crystal(225, (3.7,) * 3 + (90,) * 3, (Site("Cu", "a"),))]
    pack(crystals, ["salt", "cu"], e_above_hull=[0.0, 0.3]).save(files / "d.safetensors")
    command = ["hull", "build", "d.safetensors", "--potential", "ase.calculators.lj:LennardJones"]
    command += ["--workers", "1", "--max-calls", "1"]
    assert main([*command, "-o", "d.npz"]) == 0
    assert "single points; in d.npz" in capsys.readouterr().out
    found = {p.id for p in References.open("d.npz")}
    assert {"salt", "Cu-fcc", "Pu-monoclinic"} <= found and "cu" not in found
    assert {next(iter(p.elements)) for p in References.open("d.npz") if len(p.elements) == 1} == (
        set(SYMBOLS[1:95]) - {"F", "Po", "At", "Rn", "Fr", "Ra"}
    )


def test_failures_are_told(files, capsys, monkeypatch):
    pack([KNOWN["rock salt"], Crystal(225, (3.7,) * 3 + (90,) * 3, (Site("Cu", "a"),))], ["salt", "cu"]).save(
        files / "d.safetensors"
    )
    command = [*BUILD, "-o", "d.npz", "--max-calls", "1"]
    command[2] = "d.safetensors"
    assert main(command) == 0
    captured = capsys.readouterr()
    assert "crystalsmith: salt: the potential failed: " in captured.err
    assert captured.out.splitlines() == [
        "1 reference phase by ase.calculators.emt:EMT, single points; in d.npz",
        "1 crystal got no energy; d.npz.journal says why",
    ]
    assert re.search(r'"reason": ?"the potential failed: \w+', (files / "d.npz.journal").read_text())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--potential", "nonsense"], "unknown potential 'nonsense'"),
        (["--potential", "no_such_module:make"], "there is no module no_such_module"),
        (["--potential", "ase.calculators.emt:Nothing"], "cannot be loaded: AttributeError"),
        (["-o", "none/a.npz"], "there is no folder"),
        (["-o", "."], ". is a folder; name a file to write"),
        (["--max-calls", "0"], "'0' is not a whole number of at least 1"),
        (["--minutes", "-1"], "'-1' is not a number of at least 0"),
        (["--materials-project", "Cu-Au"], "the Materials Project wants a key; set MP_API_KEY"),
        (["--materials-project", "Cu-Xx"], "'Xx' is no element"),
    ],
)
def test_builds_that_cannot_be(files, capsys, monkeypatch, arguments, words):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    write_structures(files / "s.jsonl")
    before = sorted(files.iterdir())
    assert main([*BUILD, "-o", "a.npz", *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("crystalsmith: error: ") and words in lines[0]
    assert sorted(files.iterdir()) == before


def test_a_build_without_a_source(files, capsys):
    assert main(["hull", "build", "-o", "a.npz", "--potential", EMT_NAME]) == 2
    assert "give a SOURCE or --materials-project SYSTEM" in capsys.readouterr().err
    assert main(["hull", "build", "none.jsonl", "-o", "a.npz", "--potential", EMT_NAME]) == 2
    assert "none.jsonl" in capsys.readouterr().err
    assert sorted(p.name for p in files.iterdir()) == ["mine.csv", "r.npz"]


def test_another_builds_journal_is_left_alone(files, capsys):
    write_structures(files / "s.jsonl")
    assert main([*BUILD, "-o", "a.npz", "--max-calls", "1", "--quiet"]) == 0
    before = {p: p.read_bytes() for p in files.iterdir()}
    assert main([*BUILD, "-o", "a.npz", "--max-calls", "2", "--quiet"]) == 2
    assert "a.npz.journal is of another build" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in files.iterdir()} == before


def test_defaults_of_the_command_line_are_those_of_the_library():
    from crystalsmith.cli.options import settings_from
    from crystalsmith.hull.settings import BuildSettings, HullSettings

    args = build_parser().parse_args(["hull", "build", "-o", "a.npz"])
    assert settings_from(args, BuildSettings) == BuildSettings()
    args = build_parser().parse_args(["hull", "show", "Li-O"])
    assert settings_from(args, HullSettings) == HullSettings()
