"""The table of runs: by ids, read again only where something changed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crystalsmith.serving.errors import NotFound
from crystalsmith.serving.runs import Run, Runs, file_of, stamp_of, table_rows


def make(path: Path, kind: str = "generation", status: str = "finished", when: int = 1) -> Path:
    """A run folder that says no more than that it is one."""
    path.mkdir(parents=True)
    facts = {"kind": kind, "status": status, "run": {}, "timings": {"seconds": 1}, "asked": 3}
    (path / "manifest.json").write_text(json.dumps(facts))
    os.utime(path / "manifest.json", (when, when))
    return path


def names(runs: Runs) -> list[str]:
    return [run.name for run in runs.all()]


def test_folders_are_found_to_some_depth_the_latest_first(tmp_path: Path):
    make(tmp_path / "old", when=1)
    make(tmp_path / "a" / "b" / "new", when=3)
    make(tmp_path / "a" / "b" / "c" / "deep", when=4)
    make(tmp_path / ".hidden", when=5)
    make(tmp_path / "run" / "inside of it", when=6)
    make(tmp_path / "other" / "x", when=2)
    (tmp_path / "run" / "manifest.json").write_text("{")  # damaged: no run, but a folder to look into
    (tmp_path / "link").symlink_to(tmp_path / "old")
    assert names(Runs(tmp_path)) == ["run/inside of it", "a/b/new", "other/x", "old"]


def test_ids_stay_and_tell_no_path(tmp_path: Path):
    make(tmp_path / "my secret project")
    make(tmp_path / "generate-abcdefghijkl")
    first = {run.name: run.id for run in Runs(tmp_path).all()}
    assert first == {run.name: run.id for run in Runs(tmp_path).all()}
    assert first["generate-abcdefghijkl"] == "generate-abcdefghijkl"
    assert "secret" not in first["my secret project"]
    run = Runs(tmp_path).get(first["my secret project"])
    assert str(tmp_path) not in json.dumps(run.to_dict()) and run.to_dict()["facts"]["asked"] == 3


def test_what_changes_is_read_anew_and_what_goes_is_gone(tmp_path: Path):
    runs = Runs(tmp_path)
    path = make(tmp_path / "x", status="running", when=1)
    (run,) = runs.all()
    (path / "manifest.json").write_text((path / "manifest.json").read_text().replace("running", "finished"))
    assert runs.get(run.id).status == "finished" and runs.all()[0].status == "finished"
    for file in path.iterdir():
        file.unlink()
    path.rmdir()
    assert runs.all() == []
    with pytest.raises(NotFound):
        runs.get(run.id)


@pytest.mark.parametrize("run_id", ["", "x", "..", "../x", "x/../x", "/", "run-", "\0"])
def test_names_are_no_ids(tmp_path: Path, run_id: str):
    make(tmp_path / "x")
    with pytest.raises(NotFound):
        Runs(tmp_path).get(run_id)


def only(tmp_path: Path) -> Run:
    return Runs(tmp_path).all()[0]


def test_rows_have_numbers_where_there_are_numbers(tmp_path: Path):
    path = make(tmp_path / "x")
    text = "rank,order,score,index,known_as,seed,e\n1,007,-2.5,0,,12345678901234567890,1e-3\n"
    (path / "crystals.csv").write_text(text)
    (row,) = table_rows(only(tmp_path)) or []
    numbers = {"rank": 1, "score": -2.5, "index": 0, "seed": 12345678901234567890, "e": 0.001}
    assert row == {**numbers, "order": "007", "known_as": None}


@pytest.mark.parametrize("content", [b"\xff\xfe\0", b'a,"b\n1', b""])
def test_a_damaged_table_is_none(tmp_path: Path, content: bytes):
    (make(tmp_path / "x") / "crystals.csv").write_bytes(content)
    assert not table_rows(only(tmp_path))


def test_the_stamp_follows_journals(tmp_path: Path):
    path = make(tmp_path / "x")
    before = stamp_of(only(tmp_path))
    (path / "crystals.jsonl").write_text("{}\n")
    assert stamp_of(only(tmp_path)) != before


@pytest.mark.parametrize("name", ["crystals.jsonl", "cif/a.cif", "../x/report.html", ".lock", "", "run.log"])
def test_only_some_files_are_given_out(tmp_path: Path, name: str):
    path = make(tmp_path / "x")
    (path / "report.html").write_text("x")
    (path / "run.log").symlink_to(path / "report.html")
    with pytest.raises(NotFound):
        file_of(only(tmp_path), name)
    assert file_of(only(tmp_path), "report.html")[1] == "text/html"
