"""``crystalsmith xrd`` as typed, right and wrong."""

from __future__ import annotations

import csv
import json

import pytest
from matplotlib.image import imread

from crystals import KNOWN
from crystalsmith.cli.main import main
from crystalsmith.diffraction import radiation
from crystalsmith.diffraction.readers import read_pattern
from crystalsmith.diffraction.simulation import Optics, Spoiling, measured, simulate
from crystalsmith.diffraction.writers import xye_text


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "salt.cif").write_text(KNOWN["rock salt"].to_cif())
    (tmp_path / "pyrite.cif").write_text(KNOWN["pyrite"].to_cif())
    pattern = simulate(KNOWN["rock salt"], radiation("CuKa"), (20, 70), 0.04, Optics(0.15))
    text = xye_text(measured(pattern, Spoiling(counts=2000)), comments=False)
    (tmp_path / "salt.xye").write_text(text)
    return tmp_path


def test_a_crystal_in_every_form(files, capsys):
    written = ["a.png", "a.svg", "a.pdf", "a.xy", "a.xye", "a.csv"]
    assert (
        main(["xrd", "salt.cif", "--range", "20", "70", *(w for name in written for w in ("-o", name))]) == 0
    )
    shown = capsys.readouterr()
    assert "NaCl in Fm-3m (225); CuKa, 20.00 to 70.00" in shown.out and "2 0 0" in shown.out
    assert shown.err == f"written: {', '.join(written)}\n"
    image = imread("a.png")
    assert image.shape[0] > 400 and image.shape[1] > 1000 and image[..., :3].std() > 0.05
    assert read_pattern("a.xy").two_theta[0] == pytest.approx(20)  # its comment names the radiation
    rows = list(csv.DictReader(open("a.csv")))
    assert (rows[0]["h"], rows[0]["k"], rows[0]["l"], rows[0]["d"]) == ("1", "1", "1", "3.25637")
    svg = open("a.svg").read()
    main(["xrd", "salt.cif", "--range", "20", "70", "-o", "a.svg"])
    assert open("a.svg").read() == svg


def test_another_radiation(files, capsys):
    assert main(["xrd", "salt.cif", "--radiation", "MoKa1", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["result"]["subjects"]
    assert one["radiation"] == "MoKa1" and one["lines"][0]["two_theta"] == pytest.approx(12.506, abs=2e-3)


def test_a_pattern_and_crystals(files, capsys):
    words = ["xrd", "salt.xye", "pyrite.cif", "salt.cif", "--radiation", "CuKa"]
    assert main([*words, "-o", "both.png", "-o", "both.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("salt.xye: pattern; CuKa, 20.00 to 70.00") and lines[2].startswith("salt ")
    rows = list(csv.DictReader(open("both.csv")))
    assert [row["name"] for row in rows] == ["salt", "pyrite"]
    assert float(rows[0]["similarity"]) > 0.95 and float(rows[0]["a"]) == pytest.approx(5.6402, rel=2e-3)
    assert imread("both.png")[..., :3].std() > 0.05
    assert (
        main(["xrd", "salt.xye", "salt.cif", "--radiation", "CuKa", "-o", "one.png", "--fit", "sites"]) == 0
    )
    assert "fit: misfit" in capsys.readouterr().out and imread("one.png").shape[0] > 500


def test_two_crystals(files, capsys):
    assert main(["xrd", "salt.cif", "pyrite.cif", "-o", "two.pdf"]) == 0
    assert "lengths times" in capsys.readouterr().out
    assert open("two.pdf", "rb").read(4) == b"%PDF"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.cif"], "does not exist"),
        (["salt.xye"], "does not say its wavelength"),
        (["salt.xye", "--radiation", "Unobtainium"], "no radiation 'Unobtainium'"),
        (["salt.cif", "--range", "90", "5"], "no pattern from 90 to 5"),
        (["salt.cif", "--range", "1", "2"], "no "),
        (["salt.cif", "-o", "a.doc"], "is no .png"),
        (["salt.cif", "-o", "nowhere/a.png"], "there is no folder"),
        (["salt.cif", "pyrite.cif", "-o", "a.xy"], "one pattern goes"),
        (["salt.cif", "--fit", "all"], "invalid choice"),
        (["salt.cif", "--width", "-1"], "positive"),
        (["salt.xye", "--radiation", "0.01"], "none of powder diffraction"),
    ],
)
def test_refusals_are_one_line_and_leave_nothing(files, capsys, words, said):
    before = sorted(p.name for p in files.iterdir())
    assert main(["xrd", *words]) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and said in shown.err and shown.err.count("\n") == 1
    assert sorted(p.name for p in files.iterdir()) == before
