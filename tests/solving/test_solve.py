"""The whole road: a pattern and a formula in, a folder with the structure out."""

import csv
import json
import os
import signal
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from test_generation_output import child, die_at

import crystalsmith
from conftest import counts_of
from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.diffraction import Pattern, radiation
from crystalsmith.diffraction.readers import read_pattern
from crystalsmith.errors import ConfigError, OrderError, OutputError
from crystalsmith.generation.journal import Entry
from crystalsmith.runs.progress import Progress
from crystalsmith.solving import SolveSettings, solve_into
from crystalsmith.solving.answers import Answer, answers_of, more_symmetric
from crystalsmith.solving.trials import Fitted, Trial
from crystalsmith.solving.verdict import NONE, ONE
from joints import assert_every_command_reads
from pages import Page

CELL = "4.5941,4.5941,2.9589,90,90,90"


def is_same(crystal: Crystal, other: Crystal) -> bool:
    return bool(StructureMatcher(0.2, 0.3, 5).fit(crystal.to_structure(), other.to_structure()))


def run(*words: str) -> int:
    return main(["solve", *words, "--quiet"])


def test_rutile_is_found_from_its_pattern_and_formula(known, sample, tmp_path):
    out = tmp_path / "out"
    assert run(str(sample), "--formula", "TiO2", "--radiation", "CuKa", "-n", "10", "-o", str(out)) == 0
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert results["verdict"] == ONE
    best = results["candidates"][0]
    assert best["space_group"] == 136 and best["p"] > 0.5 and best["rietveld_rwp"] < 0.2
    assert best["zero_shift"] == pytest.approx(0.03, abs=0.03)
    (cif,) = (out / "cif").glob("001_*.cif")
    found = Crystal.from_cif(cif.read_text(encoding="utf-8"))
    assert is_same(found, known["rutile"]) and found.cell[0] == pytest.approx(4.5941, abs=2e-3)
    with (out / "candidates.csv").open(encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == len(results["candidates"]) and rows[0]["symbol"] == "P4_2/mnm"
    standing = json.loads((out / "standing.json").read_text(encoding="utf-8"))
    assert standing["verdict"] == ONE and standing["answers"][0]["space_group"] == 136
    with (out / "pattern.csv").open(encoding="utf-8") as f:
        observed = [float(row["observed"]) - float(row["background"]) for row in csv.DictReader(f)]
    calculated = standing["best"]["profile"]
    assert np.corrcoef(observed, calculated)[0, 1] > 0.95
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "one answer" in page and 'class="calculated"' in page and Page(page).check_offline() is None
    assert crystalsmith.read(out)[0].space_group == 136
    pattern = read_pattern(next((out / "pdcif").glob("001_*.cif")))
    assert pattern.radiation.wavelengths == pytest.approx((1.540593, 1.544427))
    assert pattern.two_theta[0] == pytest.approx(10.0, abs=0.05) and pattern.intensity.max() > 4000
    (inputs,) = (out / "inputs").glob("001_*")
    assert {path.suffix for path in inputs.iterdir()} >= {".inp", ".pcr", ".instprm", ".xye"}


def test_a_run_that_was_stopped_comes_to_the_same_end(sample, tmp_path):
    settings = SolveSettings(formula="TiO2", radiation="CuKa", cell=CELL, candidates=10, rietveld=0)
    whole = solve_into(sample, tmp_path / "whole", settings)

    def stopping_at(wanted: str) -> Progress:
        def stop(stage: str, done: float, total: float) -> None:
            if stage == wanted:
                raise KeyboardInterrupt

        return stop

    for stage in ("judging", "fits", "refinements"):
        with pytest.raises(KeyboardInterrupt):
            solve_into(sample, tmp_path / "parts", settings, progress=stopping_at(stage))
    assert not (tmp_path / "parts" / "results.json").exists()
    manifest = json.loads((tmp_path / "parts" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["status"] == "interrupted"
    again = solve_into(sample, tmp_path / "parts", settings)
    assert [a.row() for a in again.answers] == [a.row() for a in whole.answers]
    assert again.verdict == whole.verdict
    done = solve_into(sample, tmp_path / "parts", settings)
    assert [a.row() for a in done.answers] == [a.row() for a in whole.answers]
    with pytest.raises(OutputError, match="other settings"):
        solve_into(sample, tmp_path / "parts", SolveSettings(formula="TiO2", radiation="CuKa"))


def test_a_solution_is_read_by_every_command(sample, tmp_path):
    settings = SolveSettings(formula="TiO2", radiation="CuKa", cell=CELL, candidates=8, refine=3, rietveld=0)
    found = solve_into(sample, tmp_path / "out", settings)
    assert_every_command_reads(tmp_path / "out", found.crystals, tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_at_writes_the_run_goes_on_to_the_same_end(sample, tmp_path):
    settings = SolveSettings(formula="TiO2", radiation="CuKa", cell=CELL, candidates=6, refine=3, rietveld=0)
    whole = solve_into(sample, tmp_path / "whole", settings)
    killed = 0
    for moment in (2, 7, 9, 4, 12, 6, 10):

        def work(moment: int = moment) -> None:
            die_at(moment)
            solve_into(sample, tmp_path / "parts", settings)

        status = child(work)
        killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    again = solve_into(sample, tmp_path / "parts", settings)
    assert killed >= 4
    assert [a.row() for a in again.answers] == [a.row() for a in whole.answers]
    assert again.verdict == whole.verdict


def test_elements_in_a_range_stand_for_the_formula(known, sample):
    found = crystalsmith.solve(
        sample, elements="Ti=1,O=1-2", radiation="CuKa", cell=CELL, candidates=10, rietveld=0
    )
    assert {a.crystal.formula for a in found.answers} <= {"TiO", "TiO2"}
    assert found.best.crystal.formula == "TiO2" and is_same(found.best.crystal, known["rutile"])


def test_a_given_cell_is_kept_to(known, sample):
    found = crystalsmith.solve(
        sample, formula="TiO2", radiation="CuKa", cell=CELL, space_group=136, candidates=6, rietveld=0
    )
    assert {a.trial.cell for a in found.answers} == {"given"} and found.verdict.words == ONE
    assert found.best.crystal.cell == pytest.approx(known["rutile"].cell, rel=3e-3)
    assert found.to_dataframe().space_group.unique().tolist() == [136]


def test_a_pattern_of_another_compound_is_refused(known):
    x, y = counts_of(known["corundum"]).T
    pattern = Pattern.of(x, y, radiation("CuKa"), name="corundum")
    found = crystalsmith.solve(pattern, formula="TiO2", candidates=10, refine=6, rietveld=0)
    assert found.verdict.words == NONE and found.verdict.none > 0.5


def test_for_a_given_cell_some_are_made_on_cells_of_their_own_and_brought_onto_it(
    sample, tmp_path, monkeypatch
):
    """Of another compound, so that no round settles it, whatever size most candidates of a later one have."""
    sizes = iter((6, 12, 3, 6))
    monkeypatch.setattr("crystalsmith.solving.run.atoms_of", lambda made: next(sizes))
    settings = SolveSettings(formula="SiO2", radiation="CuKa", cell=CELL, candidates=10, refine=1, rietveld=0)
    found = solve_into(sample, tmp_path / "out", settings)
    lines = (tmp_path / "out" / "crystals.jsonl").read_text(encoding="utf-8").splitlines()
    orders = Counter(json.loads(line)["order"] for line in lines)
    (free,) = (order for order in orders if order.startswith("free-"))
    assert free.startswith("free-SiO2-atoms6") and orders[free] < 4
    assert {a.trial.cell for a in found.answers} == {"given"}
    group = replace(settings, space_group=136)
    told = solve_into(sample, tmp_path / "group", group)
    # Nothing fits, and what fits badly is tried with less symmetry, but in no group that is ruled out.
    assert told.verdict.words == NONE and {a.crystal.space_group for a in told.answers} == {136}
    assert {a.crystal.space_group for a in found.answers} > {136}
    assert "free-" not in (tmp_path / "group" / "crystals.jsonl").read_text(encoding="utf-8")


def test_a_cell_that_explains_the_lines_gets_candidates_of_its_own(known, tmp_path):
    """Of magnesium fluoride solved as titania: the same cell, other intensities. Stopped among these
    candidates, and asked for again when it has ended, the run comes to the same."""
    sellaite = Crystal(136, (4.625, 4.625, 3.052, 90, 90, 90), (Site("Mg", "a"), Site("F", "f", (0.303,))))
    x, y = counts_of(sellaite).T
    pattern = Pattern.of(x, y, radiation("CuKa"), name="sellaite")
    settings = SolveSettings(formula="TiO2", candidates=20, refine=4, rietveld=0)
    found = solve_into(pattern, tmp_path / "whole", settings)
    (cell,) = found.cells
    assert cell.source == "found" and cell.values == pytest.approx(sellaite.cell, rel=3e-3)
    assert any(a.trial.entry.order_id.startswith("found-") for a in found.answers)

    def stop(stage: str, done: float, total: float) -> None:
        journal = tmp_path / "parts" / "crystals.jsonl"
        if stage == "fits" and journal.exists() and "found-" in journal.read_text(encoding="utf-8"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        solve_into(pattern, tmp_path / "parts", settings, progress=stop)
    for folder in ("parts", "whole"):
        again = solve_into(pattern, tmp_path / folder, settings)
        assert [a.row() for a in again.answers] == [a.row() for a in found.answers]
        assert again.verdict == found.verdict


def test_a_structure_is_described_with_all_its_symmetry(known):
    rutile = known["rutile"]
    lower = Crystal(
        58,  # Pnnm, a subgroup: a and b a little apart, the oxygen off the diagonal
        (4.60, 4.59, 2.959, 90, 90, 90),
        (Site("Ti", "a"), Site("O", "g", (0.310, 0.302))),
    )
    fit = Fitted(lower, "refined", 0.05, 0.1, 0.98)
    entry = Entry("TiO2", 0, 1, 0, lower, None)
    answer = Answer(Trial("TiO2_0", entry, None, lower), fit, fit)
    (higher,) = {t.crystal.space_group: t for t in more_symmetric([answer])}.values()
    assert higher.key == "TiO2_0^136" and is_same(higher.crystal, rutile)
    # Both fit alike: the one with fewer parameters stands for them.
    fits = {answer.trial.key: fit, higher.key: Fitted(higher.crystal, "refined", 0.052, 0.1, 0.98)}
    (best,) = answers_of([answer.trial, higher], fits, fits)
    assert best.crystal.space_group == 136 and best.alike == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--formula", "TiO2", "--elements", "Ti,O"], "either its formula"),
        (["--formula", "TiXx"], "Xx"),
        (["--formula", "TiO2", "--cell", "4.6,4.6,2.96,90,90"], "six numbers"),
        (["--formula", "TiO2", "--cell", CELL, "--z", "9"], "cannot fill"),
        (["--formula", "TiO2", "--cell", CELL, "--space-group", "225"], "225"),
        (["--formula", "TiO2", "--radiation", "CuKz"], "radiation"),
        (["--formula", "TiO2", "--two-theta", "70-72"], "degrees"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(sample, tmp_path, capsys, words, said):
    known = [] if "--radiation" in words else ["--radiation", "CuKa"]
    assert run(str(sample), *words, *known, "-o", str(tmp_path / "out")) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_files_that_are_no_patterns_are_refused(tmp_path, capsys):
    for text in ("", "no pattern\nat all\n", "1 2\n2 3\n"):
        path = tmp_path / "bad.xy"
        path.write_text(text, encoding="utf-8")
        assert run(str(path), "--formula", "TiO2", "-o", str(tmp_path / "out")) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert run(str(tmp_path / "none.xy"), "--formula", "TiO2", "-o", str(tmp_path / "out")) == 2
    assert not (tmp_path / "out").exists()


def test_nothing_is_known_of_the_sample_or_its_method(sample):
    with pytest.raises(ConfigError, match="either its formula"):
        crystalsmith.solve(sample)
    with pytest.raises(OrderError):
        crystalsmith.solve(sample, formula="TiO2", radiation="CuKa", atoms=5)
