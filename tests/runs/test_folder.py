"""Run folders: taken up by the same run alone, cleared of their own files alone, of any age."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from crystalsmith.errors import OutputError
from crystalsmith.runs.folder import RunFolder, RunKind, check_folder
from crystalsmith.runs.lock import LOCK
from crystalsmith.runs.manifest import kind_of, read_manifest

KIND = RunKind(
    "demo",
    "run of demo",
    owned=("rows.jsonl", "cif/run_*.cif", "tree/"),
    another={"crystals": "other crystals"},
    absent={"best_of": 1},
)
OTHER = RunKind("other", "run of other")
IDENTITY = {"version": "1", "seed": 0, "crystals": "abc", "pair": (1, 2)}


def make(path: Path, status: str = "finished", **identity) -> None:
    with RunFolder.open(path, KIND, {**IDENTITY, **identity}, arguments={"seed": 0}) as run:
        run.journal("rows.jsonl").append([{"row": 1}])
        run.write("cif/run_1.cif", "data_1\n")
        run.write("tree/deep/er.txt", "x")
        run.write_manifest(status, made=1, timings={"judge": 2.0})


def test_a_folder_tells_of_its_run_and_is_taken_up_by_the_same_one(tmp_path: Path):
    path = tmp_path / "a" / "run"
    make(path)
    manifest = read_manifest(path)
    assert manifest is not None and kind_of(path) == "demo"
    assert manifest["status"] == "finished" and manifest["made"] == 1 and manifest["timings"]["judge"] == 2.0
    assert manifest["arguments"] == {"seed": 0} and "numpy" in manifest["versions"]
    before = (path / "manifest.json").read_bytes()
    with RunFolder.open(path, KIND, IDENTITY) as run:
        assert run.finished == manifest and run.earlier_seconds == manifest["timings"]["seconds"]
        rows: list = []
        run.journal("rows.jsonl").read(lambda row, place: rows.append(row))
        assert rows == [{"row": 1}]
        run.log.info("nothing to do")
    assert (path / "manifest.json").read_bytes() == before
    log = (path / "run.log").read_text()
    assert "begun" in log and "gone on with" in log and "nothing to do" in log


def test_time_adds_up_and_what_was_half_written_goes(tmp_path: Path):
    make(tmp_path, "interrupted")
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    manifest["timings"]["seconds"] = 1000.0
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    halves = [tmp_path / "x.csv.partial", tmp_path / "cif" / "x.cif.partial"]
    for half in halves:
        half.write_text("half")
    with RunFolder.open(tmp_path, KIND, IDENTITY) as run:
        assert run.seconds >= 1000 and not any(half.exists() for half in halves)
        assert run.write_manifest("finished")["timings"]["seconds"] >= 1000


def test_the_log_is_of_its_own_run_alone(tmp_path: Path):
    for name in ("a", "b"):
        with RunFolder.open(tmp_path / name, KIND, IDENTITY):
            logging.getLogger("crystalsmith.anything").warning("in %s", name)
    logging.getLogger("crystalsmith.anything").warning("in neither")
    for name, other in ("ab", "ba"):
        log = (tmp_path / name / "run.log").read_text()
        assert f"in {name}" in log and f"in {other}" not in log and "neither" not in log


def test_journals_and_manifests_are_seen_onto_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda f: (synced.append(os.readlink(f"/proc/self/fd/{f}")), real(f)))
    if not Path("/proc/self/fd").exists():
        pytest.skip("names of open files are not to be had")
    make(tmp_path)
    names = [Path(name).name for name in synced]
    assert names.count("rows.jsonl") == 1 and names.count("manifest.json.partial") == 2
    with RunFolder.open(tmp_path, KIND, IDENTITY) as run:
        synced.clear()
        run.write("cif/run_2.cif", "x", durable=False)
    assert synced == []


def test_a_run_that_ends_early_says_so_and_keeps_its_facts(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt), RunFolder.open(tmp_path, KIND, IDENTITY) as run:
        run.write_manifest("running", made=7)
        raise KeyboardInterrupt
    manifest = read_manifest(tmp_path)
    assert manifest is not None and (manifest["status"], manifest["made"]) == ("interrupted", 7)
    with RunFolder.open(tmp_path, KIND, IDENTITY) as run:
        assert run.finished is None and run.earlier == manifest
        assert json.loads((tmp_path / "manifest.json").read_text())["made"] == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "another seed: 0 there, 1 now"),
        ({"version": "2"}, "another version of crystalsmith: 1 there, 2 now"),
        ({"crystals": "xyz"}, "a run with other crystals; choose another one with -o or add --overwrite"),
        ({"best_of": 4}, "another best of: 1 there, 4 now"),
        ({"pair": [1, 3]}, "another pair;"),
    ],
)
def test_another_run_is_refused_by_what_differs(tmp_path: Path, change: dict, message: str):
    make(tmp_path)
    files = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(OutputError, match=message):
        RunFolder.open(tmp_path, KIND, {**IDENTITY, **change})
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == files
    with RunFolder.open(tmp_path, KIND, {**IDENTITY, "best_of": 1, "pair": [1, 2]}) as run:
        assert run.finished


def test_overwrite_removes_the_runs_own_files_and_no_others(tmp_path: Path):
    make(tmp_path)
    for name in ("mine.txt", "cif/mine.cif"):
        (tmp_path / name).write_text("mine")
    with RunFolder.open(tmp_path, KIND, {**IDENTITY, "seed": 1}, overwrite=True) as run:
        assert run.earlier is None and run.finished is None
        left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
        assert left == {"mine.txt", "cif/mine.cif", "manifest.json", "run.log", LOCK}


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "app"}', "\0\xff", "[" * 100_000])
def test_a_manifest_that_cannot_be_understood_is_refused_and_overwritten(tmp_path: Path, text: str):
    (tmp_path / "manifest.json").write_bytes(text.encode("latin-1"))
    assert read_manifest(tmp_path) is None
    with pytest.raises(OutputError, match="not of run of demo of this version"):
        RunFolder.open(tmp_path, KIND, IDENTITY)
    with RunFolder.open(tmp_path, KIND, IDENTITY, overwrite=True):
        assert kind_of(tmp_path) == "demo"


@pytest.mark.parametrize(
    "change",
    [{"format": 99}, {"status": "odd"}, {"run": 3}, {"timings": {}}, {"timings": {"seconds": "x"}}],
)
def test_a_manifest_without_a_key_or_of_a_newer_version_is_refused(tmp_path: Path, change: dict):
    make(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, **change}))
    with pytest.raises(OutputError, match="of this version"):
        check_folder(tmp_path, KIND, IDENTITY)
    for key in (*change,):
        (tmp_path / "manifest.json").write_text(json.dumps({k: v for k, v in manifest.items() if k != key}))
        with pytest.raises(OutputError, match="of this version"):
            check_folder(tmp_path, KIND, IDENTITY)


def test_a_run_of_another_kind_is_never_overwritten(tmp_path: Path):
    make(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(OutputError, match="but of a run of demo"):
            RunFolder.open(tmp_path, OTHER, IDENTITY, overwrite=overwrite)


def test_files_and_foreign_folders_are_refused(tmp_path: Path):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(OutputError, match="is a file; choose a folder"):
        RunFolder.open(file, KIND, IDENTITY)
    with pytest.raises(OutputError, match="cannot write"):
        RunFolder.open(file / "below", KIND, IDENTITY)
    with pytest.raises(OutputError, match="not empty and holds no run of demo"):
        RunFolder.open(tmp_path, KIND, IDENTITY)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_one_process_at_a_time(tmp_path: Path):
    code = "import sys; from crystalsmith.runs.lock import *; lock = FolderLock.take(Path(sys.argv[1]))"
    held = subprocess.Popen(
        [sys.executable, "-c", f"{code}; print(1, flush=True); sys.stdin.read()", str(tmp_path / LOCK)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert held.stdout is not None and held.stdout.readline()
    with pytest.raises(OutputError, match="another process is at work"):
        RunFolder.open(tmp_path, KIND, IDENTITY)
    held.kill()  # the system lifts the lock
    held.wait()
    with (
        RunFolder.open(tmp_path, KIND, IDENTITY),
        pytest.raises(OutputError, match="another process is at work"),
    ):
        RunFolder.open(tmp_path, KIND, IDENTITY)
    RunFolder.open(tmp_path, KIND, IDENTITY).close()


def test_folders_of_earlier_versions_are_known(tmp_path: Path):
    """Of version 0.1.0 before all runs had one kind of manifest."""
    run = {"version": "0.1.0", "seed": 0, "orders": []}
    old = {"format": 1, "status": "finished", "run": run, "timings": {"seconds": 1.0}}
    discovery = {"format": "crystalsmith.discovery", "id": "ab12", "identity": {"seed": 3}, "arguments": {}}
    files = {
        "generation": {"manifest.json": json.dumps(old)},
        "relaxation": {"manifest.json": json.dumps({"kind": "relaxation", **old})},
        "discovery": {"run.json": json.dumps(discovery), "clock.json": '{"seconds": {"a": 2, "b": 3}}'},
        "rediscovery": {"trials.jsonl": "", "results.json": "{}"},
        "phonons": {"NaCl.json": json.dumps({"version": 1, "made_with": {"potential": "emt"}})},
        "training": {"state.safetensors": "x"},
        "prior": {"prior-state.safetensors": "x", "prior-log.csv": ""},
    }
    for kind, content in files.items():
        for name, text in content.items():
            (tmp_path / kind).mkdir(exist_ok=True)
            (tmp_path / kind / name).write_text(text)
        assert kind_of(tmp_path / kind) == kind
        assert kind_of(tmp_path / kind / name) is None
    found = read_manifest(tmp_path / "discovery")
    assert found is not None and (found["run"], found["id"]) == ({"seed": 3}, "ab12")
    assert found["timings"]["seconds"] == 5.0 and found["status"] == "running"
    with RunFolder.open(tmp_path / "discovery", RunKind("discovery", "x"), {"seed": 3}) as folder:
        assert folder.earlier_seconds == 5.0
    with RunFolder.open(tmp_path / "rediscovery", RunKind("rediscovery", "x"), {"seed": 3}):
        pass  # that version did not note what its runs were
    (tmp_path / "discovery" / "manifest.json").unlink()
    (tmp_path / "discovery" / "run.json").write_text("{")
    assert kind_of(tmp_path / "discovery") is None
    with pytest.raises(OutputError, match=r"run\.json is not of x of this version"):
        RunFolder.open(tmp_path / "discovery", RunKind("discovery", "x"), {"seed": 3})
