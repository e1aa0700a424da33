"""Reflections, peaks, and crystals beside patterns."""

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.crystal import Crystal
from crystalsmith.diffraction import radiation
from crystalsmith.diffraction.background import prepared
from crystalsmith.diffraction.listing import lines_of, peaks_in, reflections, usual_range
from crystalsmith.diffraction.pattern import PeakList
from crystalsmith.diffraction.simulation import Optics, Spoiling, measured, simulate
from crystalsmith.diffraction.study import View, fitted_curve, study
from crystalsmith.diffraction.writers import xy_text, xye_text
from crystalsmith.errors import DataError, PatternError

COPPER = radiation("CuKa")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("xrd")
    for name in ("rock salt", "quartz", "spinel"):
        (folder / f"{name.replace(' ', '_')}.cif").write_text(KNOWN[name].to_cif())
    shifted = simulate(KNOWN["rock salt"], COPPER, (15, 80), 0.03, Optics(0.12, mixing=0.4, zero=0.06))
    (folder / "salt.xye").write_text(xye_text(measured(shifted, Spoiling(counts=4000))))
    return folder


def test_reflections_of_rock_salt():
    lines = reflections(KNOWN["rock salt"], COPPER, (20, 70))
    assert [line.index for line in lines] == [
        (1, 1, 1),
        (2, 0, 0),
        (2, 2, 0),
        (3, 1, 1),
        (2, 2, 2),
        (4, 0, 0),
    ]
    assert [line.multiplicity for line in lines] == [8, 6, 12, 24, 8, 6]
    a = 5.6402
    for line in lines:
        assert line.d == pytest.approx(a / np.sqrt(sum(x * x for x in line.index)), abs=1e-5)
        assert line.two_theta == pytest.approx(2 * np.degrees(np.arcsin(1.540593 / 2 / line.d)), abs=1e-4)
    assert max(lines, key=lambda line: line.intensity).index == (2, 0, 0)
    assert lines[0].to_dict()["h"] == 1 and lines[0].to_dict()["multiplicity"] == 8


def test_indices_are_those_that_people_write():
    lines = reflections(KNOWN["quartz"], COPPER, (20, 40))
    assert [line.index for line in lines[:3]] == [(1, 0, 0), (1, 0, 1), (0, 1, 1)] or [
        line.index for line in lines[:3]
    ] == [(1, 0, 0), (0, 1, 1), (1, 0, 1)]


@pytest.mark.parametrize("two_theta", [(-1, 20), (20, 20), (50, 180), (2, 3)])
def test_ranges_without_reflections(two_theta):
    with pytest.raises(PatternError):
        reflections(KNOWN["rock salt"], COPPER, two_theta)


def test_the_usual_range_shows_the_same_distances_with_all_wavelengths():
    low, high = usual_range(COPPER)
    assert (low, high) == (5.0, 90.0)
    molybdenum = radiation("MoKa")
    assert molybdenum.d(np.array(usual_range(molybdenum))) == pytest.approx(
        COPPER.d(np.array([low, high])), rel=0.02
    )
    assert usual_range(radiation("CrKa"))[1] <= 160


def test_peaks_of_a_pattern_are_its_reflections_without_second_lines():
    pattern = measured(simulate(KNOWN["rock salt"], COPPER, (20, 80), 0.02, Optics(0.06)), Spoiling())
    found = peaks_in(prepared(pattern))
    truth = [r for r in reflections(KNOWN["rock salt"], COPPER, (20, 80)) if r.intensity > 1]
    assert [round(p.two_theta, 1) for p in found] == [round(r.two_theta, 1) for r in truth]


def test_lines_of_a_list():
    peaks = PeakList(np.array([3.0, 2.0, 0.7]), np.array([1.0, 4.0, 2.0]), COPPER)
    lines = lines_of(peaks)
    assert [(line.d, line.intensity) for line in lines] == [(3.0, 25.0), (2.0, 100.0)]


def test_a_crystal_alone(files):
    found = study([files / "quartz.cif"])
    assert found.first.kind == "crystal" and not found.comparisons
    assert found.first.pattern.radiation.name == "CuKa"
    assert found.first.pattern.two_theta[[0, -1]] == pytest.approx([5, 90], abs=0.03)
    facts = found.to_dict()["subjects"][0]
    assert facts["space_group"] == 154 and len(facts["lines"]) > 20


def test_a_pattern_alone(files):
    found = study([files / "salt.xye"], View(COPPER))
    assert found.first.kind == "pattern" and found.first.ready is not None
    assert found.first.to_dict()["width"] == pytest.approx(0.12, abs=0.02)


def test_crystals_are_ranked_against_a_pattern_whatever_the_order(files):
    found = study([files / "spinel.cif", files / "rock_salt.cif", files / "salt.xye"], View(COPPER))
    assert found.first.name == "salt.xye"
    assert [c.subject.name for c in found.comparisons] == ["rock_salt", "spinel"]
    right, wrong = found.comparisons
    assert right.plain.similarity > 0.95 > 0.5 > wrong.plain.similarity
    assert right.plain.shift == pytest.approx(0.06, abs=0.02)
    assert right.fit.misfit < 0.3 * wrong.fit.misfit and right.fit.rwp < 0.4 < wrong.fit.rwp
    assert right.fit.crystal.cell == pytest.approx(KNOWN["rock salt"].cell, rel=2e-3)
    x, observed, calculated = fitted_curve(found, right)
    assert len(x) == len(observed) == len(calculated)
    assert np.corrcoef(observed, calculated)[0, 1] > 0.98
    facts = found.to_dict()
    assert facts["reference"] == "salt.xye" and facts["comparisons"][0]["fit"]["misfit"] == right.fit.misfit


def test_without_a_fit(files):
    found = study([files / "salt.xye", files / "rock_salt.cif"], View(COPPER, fit="no"))
    assert found.comparisons[0].fit is None and fitted_curve(found, found.comparisons[0]) is None


def test_two_crystals_of_different_size(files, tmp_path):
    salt = KNOWN["rock salt"]
    larger = Crystal(salt.space_group, tuple(x * 1.02 if x < 20 else x for x in salt.cell), salt.sites)
    (tmp_path / "larger.cif").write_text(larger.to_cif())
    (one,) = study([files / "rock_salt.cif", tmp_path / "larger.cif"]).comparisons
    assert one.plain.similarity < 0.5 < 0.98 < one.stretched.similarity
    assert one.stretched.stretch == pytest.approx(1 / 1.02, abs=1e-3) and one.plain.shift == 0


def test_a_list_of_peaks_against_a_crystal(files, tmp_path):
    lines = reflections(KNOWN["rock salt"], COPPER, (20, 80))
    rows = "".join(f"{line.d:.4f} {line.intensity:.1f}\n" for line in lines)
    (tmp_path / "peaks.txt").write_text("d I\n" + rows)
    (one,) = study([tmp_path / "peaks.txt", files / "rock_salt.cif"]).comparisons
    assert one.plain.similarity > 0.9


def test_several_crystals_of_a_folder_and_one_that_cannot_be_read(files, tmp_path):
    for name in ("rock_salt", "quartz"):
        (tmp_path / f"{name}.cif").write_text((files / f"{name}.cif").read_text())
    (tmp_path / "bad.cif").write_text("data_x\n_cell_length_a 5\n")
    found = study([files / "salt.xye", tmp_path], View(COPPER, fit="no"))
    assert {c.subject.name for c in found.comparisons} == {"rock_salt", "quartz"}


@pytest.mark.parametrize(
    "facts", [{"two_theta": (50, 20)}, {"step": 0}, {"width": -1}, {"fit": "all"}, {"two_theta": (0, 200)}]
)
def test_impossible_views(facts):
    with pytest.raises(PatternError):
        View(**facts)


def test_what_is_not_there_or_no_crystal(files, tmp_path):
    with pytest.raises(PatternError, match="does not exist"):
        study([tmp_path / "none.cif"])
    (tmp_path / "prose.txt").write_text("nothing\nof interest\n")
    with pytest.raises(DataError):
        study([tmp_path / "prose.txt"])
    salt = simulate(KNOWN["rock salt"], radiation("MoKa"), (5, 40))
    (tmp_path / "mo.xy").write_text(xy_text(salt))
    with pytest.raises(PatternError, match="one wavelength"):
        study([files / "salt.xye", tmp_path / "mo.xy"])
