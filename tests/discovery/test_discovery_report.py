"""The report of a run: the page, the table, the crystals as files, the phase diagram, the short list."""

from __future__ import annotations

import base64
import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.core import Structure
from pymatgen.io.cif import CifParser
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from crystals import KNOWN
from crystalsmith.discovery.report import write_report
from crystalsmith.discovery.shortlist import read_shortlist, write_shortlist
from crystalsmith.errors import ConfigError, DataError
from crystalsmith.hull.picture_simplex import tie_lines
from crystalsmith.hull.pictures import draw_phase_diagram
from crystalsmith.reports.drawings import powder_pattern
from crystalsmith.reports.words import duration, formula_html, group_html, lattice_html, number
from discovered import PEROVSKITE, entry, run_summary
from pages import Page


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("run")
    (path / "phonons").mkdir()
    png = base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
    )
    (path / "phonons" / "Mg-Al-O-1-0042.png").write_bytes(png)
    write_report(path, run_summary())
    return path


@pytest.fixture(scope="module")
def page(folder) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_the_page_has_every_stage_and_crystal_with_its_figures(page):
    text = page.text
    for words in (
        "New crystals of Mg-Al-O",
        "2,000",
        "1,828 far above the hull",
        "120 atoms <too> close",
        "No reference for <MgAl>.",
        "6 phases of Mg-Al-O & their energies",
        "−0.0124 eV/atom = −1.20 kJ/mol of atoms",  # 0.0124 x 96.485
        "0.0614 eV/atom = 5.92 kJ/mol of atoms",
        "200 steps <reached>",
        "<b>user</b>.cif",
        "crystalsmith discover Mg-Al-O -n 2000",
        "sha256:abcdef",
        "71 % Al2O3 + 29 % MgO (mp-1265)",
        "per mole of atoms",
    ):
        assert words in text, words
    short = [row for row in page.rows if row and row[-1] == "CIF"]
    assert [row[0] for row in short] == ["1", "2"]
    assert short[0][2].startswith("MgAl2O4") and short[0][3] == "Fd3m (227)"
    assert short[0][5] == "−0.012−1.20\xa0kJ/mol"
    assert short[1][6] == "–"  # no formation energy
    assert "stable" in short[0][7] and short[1][7] == "–"
    assert "new composition" in short[1][8] and "P6_3/mmc" in short[1][8]


def test_the_page_needs_nothing_from_outside_and_its_links_lead_somewhere(page, folder):
    page.check_offline()
    assert len(page.sources) == 1  # phonons of the first crystal
    for link in page.links:
        assert link.startswith(("#", "data:image/png;base64,")) or (folder / link).is_file(), link


def test_pictures_are_drawn_or_pngs(page):
    assert page.raw.count('aria-label="MgAl2O4"') == page.raw.count('aria-label="MgAlO3"') == 2
    for source in page.sources:
        assert base64.b64decode(source.split(",", 1)[1], validate=True).startswith(b"\x89PNG\r\n")


def test_the_table_says_the_same(folder):
    with (folder / "candidates.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert [r["name"] for r in rows] == ["Mg-Al-O-1-0042", "Mg-Al-O-2-0007"]
    first, second = rows
    assert first["formula"] == "MgAl2O4" and first["space_group"] == "227"
    assert float(first["above_hull_ev_atom"]) == -0.0124
    assert float(first["above_hull_kj_mol_atoms"]) == pytest.approx(-1.1964, abs=1e-4)
    assert float(first["a"]) == pytest.approx(8.0806) and float(first["gamma"]) == 90
    assert float(first["volume_per_atom"]) == pytest.approx(8.0806**3 / 56, abs=1e-5)
    assert first["phonons_stable"] == "yes" and first["converged"] == "yes" and second["converged"] == "no"
    assert second["formation_ev_atom"] == "" and second["energy_ev_atom"] == "-5.9"
    assert (folder / first["cif"]).is_file()


@pytest.mark.parametrize(
    ("name", "group", "formula"),
    [("01-Mg-Al-O-1-0042", 227, "MgAl2O4"), ("02-Mg-Al-O-2-0007", 221, "MgAlO3")],
)
def test_files_of_the_crystals_are_read_back_by_pymatgen(folder, name, group, formula):
    cif = folder / "cif" / f"{name}.cif"
    structure = CifParser(str(cif)).parse_structures(primitive=False)[0]
    poscar = Structure.from_file(str(folder / "poscar" / f"{name}.vasp"), primitive=False)
    for read in (structure, poscar):
        assert read.composition.reduced_formula == formula
        assert SpacegroupAnalyzer(read, symprec=0.01).get_space_group_number() == group
    assert "_space_group_symop_operation_xyz" in cif.read_text()


def test_an_empty_short_list_makes_a_page_that_says_so(tmp_path):
    write_report(
        tmp_path, replace(run_summary(), shortlist=(), diagram=None, reference="", notes=(), stages=())
    )
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "The short list is empty" in page.text and "No hull" in page.text
    assert (tmp_path / "candidates.csv").read_text().count("\n") == 1
    assert not list((tmp_path / "cif").iterdir())


def test_a_new_report_leaves_no_file_of_an_old_rank_and_touches_no_other(tmp_path):
    summary = run_summary()
    write_report(tmp_path, summary)
    (tmp_path / "cif" / "mine.cif").write_text("x")
    write_report(tmp_path, replace(summary, shortlist=summary.shortlist[::-1]))
    names = {p.name for p in (tmp_path / "cif").iterdir()}
    assert names == {"01-Mg-Al-O-2-0007.cif", "02-Mg-Al-O-1-0042.cif", "mine.cif"}
    first = CifParser(str(tmp_path / "cif/01-Mg-Al-O-2-0007.cif")).parse_structures(primitive=False)[0]
    assert first.composition.reduced_formula == "MgAlO3"


def test_peaks_of_rock_salt_lie_where_bragg_says():
    a = KNOWN["rock salt"].cell[0]
    angles, intensities, names = powder_pattern(KNOWN["rock salt"])
    wavelength = 1.54184
    expected = {
        h: 2 * np.degrees(np.arcsin(wavelength / 2 / (a / np.sqrt(sum(int(i) ** 2 for i in h)))))
        for h in ("111", "200", "220", "222")
    }
    for hkl, angle in expected.items():
        near = int(np.argmin(np.abs(angles - angle)))
        assert abs(angles[near] - angle) < 0.02 and names[near] == hkl
    assert names[int(np.argmax(intensities))] == "200"


def test_words():
    assert (
        formula_html("MgAl2O4 (P6_3/mmc), <mp-2>") == "MgAl<sub>2</sub>O<sub>4</sub> (P6_3/mmc), &lt;mp-2&gt;"
    )
    assert formula_html("new Na2Cl, mp-12") == "new Na<sub>2</sub>Cl, mp-12"
    assert group_html(194) == "<i>P6<sub>3</sub>/mmc</i> (194)"
    assert number(-0.0001, 3) == "0.000" and number(None, 2) == "–" and number(-1.5, 1) == "−1.5"
    assert duration(5) == "5.0 s" and duration(600) == "10 min" and duration(7200) == "2.0 h"
    assert "α" not in lattice_html(KNOWN["quartz"]) and lattice_html(PEROVSKITE) == "<i>a</i>&nbsp;3.900"


def test_phase_diagrams_of_two_three_and_four_elements_show_all_phases():
    binary = PhaseDiagram([entry("Na", 0), entry("Cl2", 0), entry("NaCl", -2.0)])
    ternary = run_summary().diagram
    four = {"Li": 0, "Fe": 0, "P": 0, "O2": 0, "LiFePO4": -2.5, "Li3PO4": -2.7, "FePO4": -2.2}
    quaternary = PhaseDiagram([entry(f, e) for f, e in four.items()])
    for diagram, points, names in (
        (binary, [("Na2Cl", 0.05, "star")], {"Na", "Cl", "NaCl", "star"}),
        (ternary, [("MgAl2O4", -0.01, "new")], {"Mg", "Al", "O", "MgO", "new"}),
        (quaternary, [("LiFeP2O7", 0.02, "new")], {"Li", "Fe", "P", "O", "new"}),
    ):
        figure = draw_phase_diagram(diagram, points)
        texts = {t.get_text() for t in figure.axes[0].texts}
        assert names <= texts, texts


def test_a_candidate_stands_above_the_hull_line_by_its_energy():
    diagram = PhaseDiagram([entry("Na", 0), entry("Cl2", 0), entry("NaCl", -2.0)])
    axes = draw_phase_diagram(diagram, [("Na3Cl", 0.1, "")]).axes[0]
    places = [p for c in axes.collections for p in np.asarray(c.get_offsets())]
    assert any(np.allclose(p, (0.25, -1.0 + 0.1)) for p in places)


def test_tie_lines_join_phases_that_coexist():
    names = {
        frozenset(e.composition.reduced_formula for e in pair) for pair in tie_lines(run_summary().diagram)
    }
    assert {frozenset(("MgO", "Al2O3")), frozenset(("MgO", "Mg17Al12"))} <= names
    assert frozenset(("Mg", "Al2O3")) not in names  # MgO and Al are lower


def test_a_diagram_that_cannot_be_drawn_is_refused():
    diagram = PhaseDiagram([entry("Na", 0), entry("Cl2", 0)])
    with pytest.raises(ConfigError, match="elements beside Na, Cl"):
        draw_phase_diagram(diagram, [("KCl", 0.1, "")])
    with pytest.raises(ConfigError, match="not finite"):
        draw_phase_diagram(diagram, [("NaCl", float("nan"), "")])
    five = PhaseDiagram([entry(e, 0) for e in ("Li", "Na", "K", "Rb", "Cs")])
    with pytest.raises(ConfigError, match="5 elements"):
        draw_phase_diagram(five)


def test_a_short_list_is_read_back_as_it_was(tmp_path):
    summary = run_summary()
    write_shortlist(tmp_path / "shortlist.json", summary)
    read = read_shortlist(tmp_path)
    assert read.shortlist == summary.shortlist
    assert replace(read, diagram=None) == replace(summary, diagram=None)
    assert read.diagram is not None and summary.diagram is not None
    for formula in ("MgAl2O4", "MgO", "Mg3Al"):
        composition = entry(formula, 0).composition
        assert read.diagram.get_hull_energy_per_atom(composition) == pytest.approx(
            summary.diagram.get_hull_energy_per_atom(composition)
        )
    assert {e.name for e in read.diagram.all_entries} >= {"MgO (mp-1265)", "Al2O3"}
    write_shortlist(tmp_path / "again.json", read)
    assert (tmp_path / "again.json").read_text() == (tmp_path / "shortlist.json").read_text()


def damaged(change) -> str:
    def text(path: Path) -> str:
        data = json.loads(path.read_text())
        change(data)
        return json.dumps(data)

    return text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (lambda p: p.read_text()[:400], "is damaged"),
        (lambda p: "[]", "not a short list"),
        (damaged(lambda d: d.update(version="9")), "version 9"),
        (damaged(lambda d: d.pop("candidates")), "candidates is missing"),
        (damaged(lambda d: d["candidates"][0].update(surprise=1)), "damaged"),
        (damaged(lambda d: d["candidates"][1].update(name="../up")), "no name for a file"),
        (damaged(lambda d: d["candidates"][1].update(name="Mg-Al-O-1-0042")), "two candidates"),
        (damaged(lambda d: d["candidates"][0]["states"][0]["crystal"].update(space_group=999)), "damaged"),
        (damaged(lambda d: d["candidates"][0].update(states=[])), "damaged"),
    ],
)
def test_a_damaged_short_list_is_refused_in_one_line(tmp_path, text, words):
    path = tmp_path / "shortlist.json"
    write_shortlist(path, run_summary())
    path.write_text(text(path))
    with pytest.raises(DataError, match=words) as error:
        read_shortlist(path)
    assert "\n" not in str(error.value)
