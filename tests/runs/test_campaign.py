"""How a run stands is read from its folder, and a file there stops it, whoever holds it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crystalsmith.cli.main import main
from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.io import write_crystals
from crystalsmith.errors import OutputError
from crystalsmith.runs.campaign import ASKED, _into, ask_to_stop, command_again, standing
from crystalsmith.runs.command import begun_by
from crystalsmith.runs.folder import RunFolder, RunKind
from metals import fcc

KIND = RunKind("demo", "run of demo", owned=("rows.jsonl",))
PATIENCE = 300.0

WORKS = """
import sys, time
from crystalsmith.runs.folder import RunFolder, RunKind
from crystalsmith.runs.progress import Display
from crystalsmith.runs.stop import stop_signals
with stop_signals(), RunFolder.open(sys.argv[1], RunKind("demo", "run of demo"), {"seed": 0}) as run:
    display = Display(quiet=True)
    for done in (3, 4, 5):
        display("relaxing", done, 10)
    run.journal("rows.jsonl").append([{"id": 1}, {"failure": "no  energy"}, {"failure": "no energy"}])
    run.write("ready", "")
    time.sleep(3600)  # one long call of the system
"""


@pytest.fixture
def at_work(tmp_path: Path):
    """A process at work in a run folder."""
    folder = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", WORKS, str(folder)], env={**os.environ, **PATHS})
    until = time.monotonic() + PATIENCE
    while not (folder / "ready").exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.1)
    yield folder, process
    process.kill()
    process.wait()


PATHS = {"PYTHONPATH": os.pathsep.join(sys.path)}


def test_a_run_tells_how_it_stands_and_stops_when_a_file_asks_it_to(at_work):
    folder, process = at_work
    found = standing(folder)
    assert (found.kind, found.status, found.rows) == ("demo", "running", {"rows.jsonl": 3})
    assert found.failures == {"no energy": 2}
    assert [(s.name, s.done, s.total) for s in found.stages] == [("relaxing", 3, 10)]
    assert "relaxing: 3 of 10" in str(found) and "failed, 2 times: no energy" in str(found)
    with pytest.raises(OutputError, match="another process is at work"):
        command_again(folder)
    assert ask_to_stop(folder, PATIENCE)
    assert process.wait(PATIENCE) != 0  # Stopped goes all the way up
    ended = standing(folder)
    assert ended.status == "interrupted" and not (folder / ASKED).exists()
    assert [(s.name, s.done, s.total) for s in ended.stages] == [("relaxing", 5, 10)]  # not told before
    with pytest.raises(OutputError, match="nobody is at work"):
        ask_to_stop(folder)


def test_a_run_that_was_killed_is_called_so(at_work, capsys):
    folder, process = at_work
    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)
    assert standing(folder).status == "killed"
    (folder / ASKED).touch()  # of one who asked just before
    with RunFolder.open(folder, KIND, {"seed": 0}) as run:
        assert not (folder / ASKED).exists()
        run.write_manifest("finished")
    assert main(["campaign", "status", str(folder), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)["result"]
    assert result["status"] == "finished" and result["failures"] == {"no energy": 2}


def test_rate_and_time_left_are_those_of_the_process_at_work(tmp_path: Path):
    with RunFolder.open(tmp_path, KIND, {}):
        pass
    lines = [
        "2026-01-01 00:00:00,000 INFO crystalsmith.demo: begun: {}",
        "2026-01-01 00:00:00,000 INFO crystalsmith.progress: relaxing: 0 of 1,000",
        "2026-01-01 00:01:00,000 INFO crystalsmith.progress: relaxing: 600 of 1,000",
        "2026-01-02 00:00:00,000 INFO crystalsmith.demo: gone on with: {}",
        "2026-01-02 00:00:00,000 INFO crystalsmith.progress: relaxing: 600 of 1,000",
        "2026-01-02 00:01:40,000 INFO crystalsmith.progress: relaxing: 800 of 1,000",
    ]
    (tmp_path / "run.log").write_text("\n".join(lines) + "\n")
    (stage,) = standing(tmp_path).stages
    assert (stage.done, stage.total, stage.rate, stage.seconds_left) == (800, 1000, 2.0, 100.0)


def test_relaxed_crystals_are_counted_in_the_journal_which_is_newer_than_the_log(tmp_path: Path):
    relaxation = RunKind("relaxation", "relaxations", owned=("journal.jsonl",))
    with RunFolder.open(tmp_path, relaxation, {}) as run:
        run.journal("journal.jsonl").append([{"name": f"{k}"} for k in range(7)])
    lines = [
        "2026-01-01 00:00:00,000 INFO crystalsmith.progress: reading: 1 of 9",
        "2026-01-01 00:00:00,000 INFO crystalsmith.progress: relaxing: 3 of 9",
    ]
    (tmp_path / "run.log").write_text("\n".join(lines) + "\n")
    assert [(s.done, s.total) for s in standing(tmp_path).stages] == [(1, 9), (7, 9)]


def test_no_rate_is_told_of_what_took_no_time(tmp_path: Path):
    with RunFolder.open(tmp_path, KIND, {}):
        pass
    lines = [
        "2026-01-01 00:00:00,000 INFO crystalsmith.progress: judging: 0 of 1,000",
        "2026-01-01 00:00:00,500 INFO crystalsmith.progress: judging: 1,000 of 1,000",
    ]
    (tmp_path / "run.log").write_text("\n".join(lines) + "\n")
    assert "  judging: 1,000 of 1,000\n" in f"{standing(tmp_path)}\n"


def test_a_file_that_is_being_built_tells_how_it_stands(tmp_path: Path, monkeypatch, capsys):
    """What data build and hull build leave beside their file, at work and afterwards."""
    from crystalsmith.data import build as of_data
    from crystalsmith.hull.build import build_references
    from crystalsmith.hull.settings import BuildSettings

    source, out = tmp_path / "source.jsonl", tmp_path / "set.safetensors"
    rows = [{"id": "a", "crystal": fcc("Cu").to_dict()}, {"id": "bad", "cell": [1], "frac": []}]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    seen = []

    def stopped(*_):
        seen.append(standing(out))
        raise KeyboardInterrupt

    monkeypatch.setattr(of_data, "_join", stopped)
    with pytest.raises(KeyboardInterrupt):
        of_data.build(source, out, workers=1)
    assert [seen[0].kind, seen[0].status] == ["data build", "running"]
    found = standing(out)
    assert (
        found.status == "interrupted"
        and list(found.rows.values()) == [1]
        and sum(found.failures.values()) == 1
    )
    assert "set.safetensors.parts: parts: 1\n" in str(found)
    monkeypatch.undo()
    of_data.build(source, out, workers=1)
    for part in ("status", "cancel", "resume"):
        assert main(["campaign", part, str(out)]) == 2
        assert "holds no run" in capsys.readouterr().err

    from crystalsmith.data import Dataset

    references = tmp_path / "refs.npz"
    settings = BuildSettings(potential="emt_potential:make", workers=1, max_calls=1)
    build_references(Dataset.open(out), references, settings)
    found = standing(references)
    assert (found.kind, found.status, list(found.rows.values())) == ("hull build", "finished", [1])
    references.unlink()
    assert standing(references).status == "interrupted"


def test_tries_of_discover_that_failed_are_told(tmp_path: Path):
    from crystalsmith.assignments import Request
    from crystalsmith.discovery.candidate import Candidate, State
    from crystalsmith.discovery.database import CrystalDatabase
    from crystalsmith.generation.tries import Generated

    with RunFolder.open(tmp_path, KIND, {}):
        base = CrystalDatabase(str(tmp_path / "crystals.db"), "one")
        base.load()
        copper, request = fcc("Cu"), Request(225, (("Cu", "a"),))
        for k in range(5):
            good = k < 2
            made = Generated(
                "o", k, 1, k, request, copper if good else None, None if good else "too  close", True
            )
            candidate = Candidate(f"o-{k}", {}, k, (State("generated", copper),)) if good else None
            base.add_generated([(made, candidate)])
        found = standing(tmp_path)
    assert found.failures == {"too close": 3} and found.rows == {"crystals.db: candidates": 2}


def test_a_manifest_keeps_the_command_without_passwords_or_what_removes(tmp_path: Path):
    with begun_by(["discover", "--overwrite", "--database", "postgresql://me:secret@host/db"]):
        with RunFolder.open(tmp_path / "a", KIND, {}):
            pass
    assert "secret" not in (tmp_path / "a" / "manifest.json").read_text()
    assert "--overwrite" not in (tmp_path / "a" / "manifest.json").read_text()
    with pytest.raises(OutputError, match="held a password"):
        command_again(tmp_path / "a")
    with RunFolder.open(tmp_path / "b", KIND, {}):
        pass
    with pytest.raises(OutputError, match="by which command"):
        command_again(tmp_path / "b")


def test_resume_gives_the_command_again_where_it_was_given(tmp_path: Path, monkeypatch, capsys):
    here = tmp_path / "here"
    here.mkdir()
    (here / "emts.py").write_text("from ase.calculators.emt import EMT\n")
    monkeypatch.syspath_prepend(here)
    monkeypatch.chdir(here)
    cu = Crystal(225, (3.7, 3.7, 3.7, 90, 90, 90), (Site("Cu", "a"),))
    write_crystals("cu.cif", {"cu": cu})
    words = "relax cu.cif -o out --potential emts:EMT --only symmetric --workers 1 --quiet --overwrite"
    assert main(words.split()) == 0
    table = (here / "out" / "relaxed.csv").read_bytes()
    manifest = json.loads((here / "out" / "manifest.json").read_text())
    (here / "out" / "manifest.json").write_text(json.dumps({**manifest, "status": "running"}))
    (here / "out" / "relaxed.csv").unlink()
    monkeypatch.chdir(tmp_path)
    (here / "out").rename("moved")  # the run is where it is now, and not where it was begun
    assert standing("moved").status == "killed"
    assert main(["campaign", "resume", "moved"]) == 0
    assert Path.cwd() == tmp_path and standing("moved").status == "finished"
    assert (tmp_path / "moved" / "relaxed.csv").read_bytes() == table and not (here / "out").exists()


@pytest.mark.parametrize(
    ("words", "again"),
    [
        ("relax a.cif -o out --quiet", "relax a.cif -o /run --quiet"),
        ("relax a.cif --output out", "relax a.cif --output /run"),
        ("relax a.cif --out=out --quiet", "relax a.cif --out=/run --quiet"),
        ("relax -oout a.cif", "relax -o/run a.cif"),
        ("rediscover a.cif", "rediscover a.cif -o /run"),
    ],
)
def test_the_command_is_given_for_the_folder_where_it_is(words: str, again: str):
    assert _into(Path("/run"), words.split()) == again.split()


@pytest.mark.parametrize("part", ["status", "cancel", "resume"])
def test_a_folder_without_a_run_is_refused_in_one_line(part: str, tmp_path: Path, capsys):
    assert main(["campaign", part, str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "holds no run" in error and error.count("\n") == 1 and not list(tmp_path.iterdir())
