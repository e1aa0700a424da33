"""Run folders as pages open them: every kind, finished, at work, half written and damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import run_folders

from crystals import KNOWN
from crystalsmith.serving.opened import list_runs, open_run, solution_in
from crystalsmith.serving.opened.phonons import bands
from crystalsmith.serving.opened.reading import Reader


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of every kind, by its name."""
    root = tmp_path_factory.mktemp("runs")
    for name, make in run_folders.MAKERS.items():
        if name != "phonons" or _has_phonopy():
            make(root / name)
    return root


def _has_phonopy() -> bool:
    try:
        import phonopy  # noqa: F401
        import seekpath  # noqa: F401
    except ImportError:
        return False
    return True


def kinds() -> list[str]:
    return [name for name in run_folders.MAKERS if name != "phonons" or _has_phonopy()]


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_opens(folders, kind):
    found = open_run(folders / kind)
    assert found.kind == kind and not [n for n in found.notes if "damaged" in n or "understood" in n]
    assert found.summary and found.rows
    names = [row["name"] for row in found.rows]
    assert len(set(names)) == len(names)
    keys = {key for row in found.rows for key in row}
    assert {column.key for column in found.columns} <= keys
    for name in found.crystals:
        crystal = found.crystal(name)
        assert crystal is not None and crystal.formula == found.row(name)["formula"]
    assert found.crystal("no such row") is None
    for step in found.steps:
        assert 0 <= step.went <= step.came and sum(step.reasons.values()) == step.came - step.went
    for name in found.files:
        assert (found.folder / name).is_file()


def test_what_was_generated_stands_in_rows_with_the_figures_of_its_table(folders):
    found = open_run(folders / "generation")
    assert found.status == "finished" and [row["rank"] for row in found.rows] == [1, 2, 3]
    assert {row["formula"] for row in found.rows} == {"NaCl"} and len(found.crystals) == 3
    tries, drafts = found.steps[:2]
    assert tries.went == 6 and (drafts.came, drafts.went) == (6, 3)
    assert all(row["novelty"] for row in found.rows) and found.rows[0]["score"] is not None


def test_relaxed_crystals_are_shown_beside_those_of_before(folders):
    found = open_run(folders / "relaxation")
    rows = {row["name"]: row for row in found.rows}
    assert rows["cu"]["converged"] and rows["cu"]["gained"] > 0 and rows["cu"]["change"] < -0.05
    assert found.crystal("cu").cell[0] < 3.65 < found.other("cu").cell[0] == 3.7
    assert "rutile" not in found.crystals and "rutile" in rows and found.steps[0].went == 2


def test_the_answer_to_a_pattern_has_its_profile(folders):
    found = open_run(folders / "solution")
    assert found.status == "finished" and found.summary.startswith("One answer: TiO2 in P4_2/mnm (136)")
    assert "a note <b>" in found.notes
    solution = solution_in(folders / "solution")
    curves = solution.curves(found.rows[0]["name"])
    assert len(curves.calculated) == len(curves.observed) == len(curves.two_theta) > 1000
    assert np.corrcoef(curves.observed, curves.calculated)[0, 1] > 0.97
    worse = solution.curves(found.rows[1]["name"])
    assert "141" in worse.label and worse.misfit > curves.misfit + 0.1
    assert solution.verdict.final and solution.verdict.none < 0.5


def test_a_pattern_that_is_being_solved_shows_how_it_stands(tmp_path):
    run_folders.solution(tmp_path / "run", ended=False)
    found = open_run(tmp_path / "run")
    assert found.status == "running" and found.summary.startswith("So far: one answer: TiO2")
    solution = solution_in(tmp_path / "run")
    assert not solution.verdict.final and (solution.verdict.tried, solution.verdict.number) == (2, 1)
    best, newest = solution.curves(), solution.newest
    assert np.corrcoef(best.observed, best.calculated)[0, 1] > 0.97
    assert "141" in newest.label and np.corrcoef(newest.observed, newest.calculated)[0, 1] < 0.9
    second = solution.curves(found.rows[1]["name"])
    assert np.allclose(second.calculated, newest.calculated, rtol=1e-2, atol=0.01 * second.observed.max())
    (tmp_path / "run" / "standing.json").unlink()
    assert open_run(tmp_path / "run").summary == "no answers yet"
    assert solution_in(tmp_path / "run").curves().calculated is None
    (tmp_path / "run" / "pattern.csv").unlink()
    assert len(solution_in(tmp_path / "run").curves().two_theta) == 0


def test_candidates_of_a_funnel_say_where_they_left_it(folders, tmp_path):
    found = open_run(folders / "discovery")
    assert [row["rank"] for row in found.rows] == [1, 2, None]
    assert found.rows[0]["above_hull"] == pytest.approx(-0.0124) and found.rows[0]["novelty"] == "known"
    assert found.rows[2]["left_at"] == "novelty" and found.rows[2]["why"] == "known: MgO"
    assert found.steps[0].came == 2000 and found.steps[0].reasons["other"] == 50
    run_folders.discovery(tmp_path / "run", ended=False)
    at_work = open_run(tmp_path / "run")
    assert at_work.status == "interrupted" and len(at_work.rows) == 3
    last = at_work.steps[-1]
    assert (last.name, last.came, last.went, last.reasons) == ("novelty", 3, 2, {"known": 1})


def test_targets_say_whether_they_were_found_again(folders, tmp_path):
    found = open_run(folders / "rediscovery")
    rows = {row["target"]: row for row in found.rows}
    assert rows["rock-salt"]["found"] and rows["rock-salt"]["first_rank"] == 1
    (step,) = found.steps
    assert (step.came, step.went) == (2, 2) and "told wyckoff" in step.name
    shutil.copytree(folders / "rediscovery", tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    tried = open_run(tmp_path / "run")
    assert len(tried.rows) == 4 and len(tried.crystals) == 4 and "tried" in tried.summary


@pytest.mark.skipif(not _has_phonopy(), reason="phonopy and seekpath are not installed")
def test_phonons_have_bands(folders):
    found = open_run(folders / "phonons")
    rows = {row["name"]: row for row in found.rows}
    assert rows["cu"]["verdict"] == "stable" and rows["salt"]["why"] and found.steps[0].went == 1
    lines = bands(Reader(folders / "phonons"), "cu")
    assert len(lines) == 3 and len(lines[0].x) == len(lines[0].y) > 20 and max(lines[2].y) > 4
    assert bands(Reader(folders / "phonons"), "salt") == ()


def test_an_evaluation_has_a_row_for_each_figure(folders):
    found = open_run(folders / "evaluation")
    assert [c.label for c in found.columns][:2] == ["figure", "ours"]
    values = {row["name"]: row["set0"] for row in found.rows}
    assert values and all(v == 1.0 for k, v in values.items() if k.startswith("valid"))


def test_phases_of_a_hull_are_rows(folders):
    found = open_run(folders / "hull")
    assert len(found.rows) == 10 and found.potential == "springs"
    assert {row["id"] for row in found.rows} >= {"li-1", "li3po4"}


def test_losses_of_a_training_are_lines(folders):
    found = open_run(folders / "training")
    (line,) = found.series
    assert (line.name, list(line.x), list(line.y)) == ("position", [1000, 3000], [0.91, 0.52])


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("part", [0.0, 0.35, 0.8])
def test_folders_that_are_cut_off_anywhere_still_open(folders, tmp_path, kind, part):
    """Each file cut at a place of its own, one after the other, as a kill or a full disk leaves them."""
    files = [p for p in sorted((folders / kind).iterdir()) if p.is_file() and p.stat().st_size]
    assert files
    for file in files:
        out = tmp_path / file.name
        shutil.copytree(folders / kind, out)
        content = file.read_bytes()
        (out / file.name).write_bytes(content[: int(part * len(content))])
        found = open_run(out)
        assert found.kind in (kind, "unknown") and all(isinstance(n, str) for n in found.notes)
        for name in found.crystals:
            found.crystal(name)
        solution = solution_in(out)
        if solution is not None:
            for row in found.rows:
                solution.curves(str(row["name"]))


@pytest.mark.parametrize("kind", kinds())
@pytest.mark.parametrize("seed", range(3))
def test_folders_with_wrong_values_still_open(folders, tmp_path, kind, seed):
    """JSON of the right form with values of the wrong kind in it."""
    rng = np.random.default_rng(seed)
    shutil.copytree(folders / kind, tmp_path / "run")
    for file in sorted((tmp_path / "run").glob("*.json*")):
        if file.name != "manifest.json" or seed == 2:
            lines = (
                file.read_text(encoding="utf-8").splitlines()
                if file.suffix == ".jsonl"
                else [file.read_text()]
            )
            spoilt = [json.dumps(_spoil(json.loads(line), rng)) for line in lines]
            file.write_text("".join(f"{line}\n" for line in spoilt), encoding="utf-8")
    found = open_run(tmp_path / "run")
    for name in [*found.crystals, *found.others]:
        found.crystal(name)
        found.other(name)
    if (solution := solution_in(tmp_path / "run")) is not None:
        for row in found.rows:
            solution.curves(str(row["name"]))
        assert solution.newest is None or len(solution.newest.two_theta)


def _spoil(value: object, rng: np.random.Generator) -> object:
    """The same with some of its values replaced; checksums are left out."""
    if rng.random() < 0.04:
        return [None, "x", -1, 1e300, [], {}, True, float("nan")][rng.integers(8)]
    if isinstance(value, dict):
        return {k: _spoil(v, rng) for k, v in value.items() if k != "crc"}
    return [_spoil(v, rng) for v in value] if isinstance(value, list) else value


def test_damaged_lines_are_told_and_the_rest_is_shown(folders, tmp_path):
    shutil.copytree(folders / "relaxation", tmp_path / "run")
    journal = tmp_path / "run" / "journal.jsonl"
    first, *rest = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(first.replace(b"cell", b"call", 1) + b"".join(rest))
    found = open_run(tmp_path / "run")
    assert len(found.rows) == 2 and "journal.jsonl: 1 damaged line is left out" in found.notes


def test_files_outside_the_folder_are_not_read(folders, tmp_path):
    shutil.copytree(folders / "relaxation", tmp_path / "run")
    journal = tmp_path / "run" / "journal.jsonl"
    journal.rename(tmp_path / "elsewhere.jsonl")
    journal.symlink_to(tmp_path / "elsewhere.jsonl")
    assert open_run(tmp_path / "run").rows == ()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    assert [run.path for run in list_runs(tmp_path)] == ["run"]


def test_runs_below_a_folder_are_listed(folders):
    found = {run.path: run for run in list_runs(folders)}
    assert set(found) == set(kinds())
    assert all(run.kind == path for path, run in found.items())
    assert found["generation"].about == "NaCl" and found["solution"].about == "TiO2"
    assert list_runs(folders / "nothing") == []


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"kind": 1, "status": 2, "run": []}'])
def test_a_folder_of_no_run_opens_as_unknown(tmp_path, content):
    (tmp_path / "manifest.json").write_bytes(content)
    found = open_run(tmp_path)
    assert found.kind == "unknown" and found.rows == () and "no run" in found.summary
    assert open_run(tmp_path / "nothing").kind == "unknown"


def test_known_crystals_are_what_rows_show(folders):
    found = open_run(folders / "solution")
    rutile = found.crystal(found.rows[0]["name"])
    assert rutile.space_group == KNOWN["rutile"].space_group


def test_a_phase_diagram_of_the_server_opens_with_its_candidates_and_phases(tmp_path):
    from crystalsmith.crystal import Crystal, Site
    from crystalsmith.serving.diagram import phase_diagram, systems_of
    from crystalsmith.serving.phases import place_into

    salt = KNOWN["rock salt"]
    odd = Crystal(221, (3.5, 3.5, 3.5, 90, 90, 90), (Site("Na", "a"), Site("Cl", "b")))
    candidates = [
        {"name": name, "counts": dict(c.counts), "energy": energy, "crystal": c.to_dict()}
        for name, c, energy in (("salt", salt, -3.4), ("odd", odd, -3.1))
    ]
    options = {"system": ["Na", "Cl"], "potential": "chgnet"}
    place_into(options, candidates, tmp_path / "run", lambda stage, done, total: None)
    found = open_run(tmp_path / "run")
    assert (found.kind, found.status, found.potential) == ("hull", "finished", "chgnet") and not found.notes
    own = [row for row in found.rows if row["candidate"]]
    assert [row["name"] for row in own] == ["salt", "odd"] and len(found.rows) > 4
    assert own[1]["above_hull"] == pytest.approx(own[0]["above_hull"] + 0.3, abs=1e-4)
    assert found.crystal("salt").space_group == 225 and systems_of(found) == [("Na", "Cl")]
    diagram = phase_diagram(None, str(tmp_path / "run"), ["Na", "Cl"])
    assert [p["name"] for p in diagram["points"]] == ["salt", "odd"]
    (tmp_path / "run" / "hull.json").write_text("{", encoding="utf-8")
    assert open_run(tmp_path / "run").rows == ()
