"""Figures of pages: profiles that are thinned where nobody sees it, and phase diagrams."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import run_folders

from crystalsmith.errors import HullError
from crystalsmith.serving.diagram import known_diagram, phase_diagram, places, systems_of
from crystalsmith.serving.opened import Curves, open_run
from crystalsmith.serving.pages.figures import (
    diagram_figure,
    profile_figure,
    spoken_diagram,
    spoken_profile,
    thinned,
)


def curves(points: int) -> Curves:
    x = np.linspace(10, 90, points)
    observed = 1000 * np.exp(-(((x - 40) / 0.05) ** 2)) + 20
    return Curves(x, observed, np.full(points, 20.0), observed - 5, "<b>TiO2", "our fit", 0.02)


def test_a_thinned_line_keeps_its_highest_and_lowest_points():
    c = curves(40_000)
    kept = thinned(c.two_theta, c.observed)
    assert len(kept) <= 2402 and c.observed[kept].max() == c.observed.max()
    assert (kept[0], kept[-1]) == (0, 39_999) and (np.diff(kept) > 0).all()
    assert len(thinned(c.two_theta[:50], c.observed[:50])) == 50


def test_a_profile_has_what_was_observed_calculated_and_the_difference_below():
    figure = profile_figure(curves(500))
    lines = {line["name"]: line for line in figure["data"]}
    assert set(lines) == {"observed", "calculated", "background", "difference"}
    assert max(lines["difference"]["y"]) < 20 and lines["difference"]["customdata"] == [5.0] * 500
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < min(lines["difference"]["y"]) and high > max(lines["observed"]["y"])
    json.dumps(figure, allow_nan=False)
    assert "misfit 0.02" in spoken_profile(curves(500))
    alone = Curves(np.arange(3.0), np.ones(3), np.zeros(3))
    assert [line["name"] for line in profile_figure(alone)["data"]] == ["observed"]


@pytest.fixture(scope="module")
def discovery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "discovery"
    run_folders.discovery(path)
    return path


def test_the_diagram_of_a_run_shows_its_phases_and_crystals(discovery):
    opened = open_run(discovery)
    assert systems_of(opened) == [("Mg", "Al", "O")]
    found = phase_diagram(None, str(discovery), ["Mg", "Al", "O"])
    stable = {p["formula"] for p in found["phases"] if p["above"] == 0}
    assert stable == {"Mg", "Al", "O2", "MgO", "Al2O3", "Mg17Al12"}
    points = {p["formula"]: p["above"] for p in found["points"]}
    assert points["MgAl2O4"] == pytest.approx(-0.0124) and points["MgAlO3"] == pytest.approx(0.0614)
    assert len(found["ties"]) >= 9  # three edges, and those of a triangulation with three phases more
    figure = diagram_figure(found)
    run = figure["data"][-1]
    assert run["name"] == "this run" and run["ids"][-1] == "Mg-Al-O-1-0042"
    assert run["marker"]["symbol"][-1] == "star"  # the spinel, below the hull, drawn on top
    json.dumps(figure, allow_nan=False)
    assert "MgAl2O4 -0.012" in spoken_diagram(found)


def test_two_elements_are_drawn_against_the_formation_energy(tmp_path):
    """Copper and aluminium by CHGNet's references: energies of the run are made up."""
    run_folders.relaxation(tmp_path / "run")
    journal = tmp_path / "run" / "journal.jsonl"
    manifest = tmp_path / "run" / "manifest.json"
    manifest.write_text(manifest.read_text().replace(run_folders.EMT, "chgnet"), encoding="utf-8")
    assert journal.exists()
    found = phase_diagram(None, str(tmp_path / "run"), ["Al", "Cu"])
    assert {p["formula"] for p in found["points"]} == {"Al", "Cu"}
    figure = diagram_figure(found)
    hull = figure["data"][0]
    assert hull["x"] == sorted(hull["x"]) and (hull["x"][0], hull["x"][-1]) == (0.0, 1.0)
    above = places(None, str(tmp_path / "run"))["above"]
    assert set(above) == {"cu", "al"} and all(abs(v) < 10 for v in above.values())


def test_known_phases_are_drawn_without_a_run():
    found = known_diagram(None, ["Na", "Cl"], "chgnet")
    assert {p["formula"] for p in found["phases"] if p["above"] == 0} >= {"Na", "NaCl", "Cl2"}
    assert [one["name"] for one in diagram_figure(found)["data"]][-1] != "this run"
    assert "stable known phases: " in spoken_diagram(found) and "crystals" not in spoken_diagram(found)
    with pytest.raises(HullError, match="cannot be drawn"):
        known_diagram(None, ["Na"], "chgnet")


def test_a_run_without_references_of_its_potential_says_so(tmp_path):
    run_folders.relaxation(tmp_path / "run")
    assert "no reference phases" in places(None, str(tmp_path / "run"))["notes"][0]
    with pytest.raises(HullError, match="no reference phases"):
        phase_diagram(None, str(tmp_path / "run"), ["Al", "Cu"])
    with pytest.raises(HullError, match="cannot be drawn"):
        phase_diagram(None, str(tmp_path / "run"), ["Al"])
