"""``crystalsmith evaluate`` and ``data orders`` as typed, right and wrong."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from crystals import KNOWN
from crystalsmith.cli.main import build_parser, main
from crystalsmith.orders import read_orders
from held import Held

NAMES = ["rutile", "quartz", "rock salt", "wurtzite", "perovskite", "zinc blende"]


def write_set(path: Path, names=NAMES, scale: float = 1.0, copies: int = 1) -> Path:
    rows = []
    for name in names:
        symbols, fractional = KNOWN[name].positions(primitive=False)
        cell = [*(x * scale for x in KNOWN[name].cell[:3]), *KNOWN[name].cell[3:]]
        row = {"id": name.replace(" ", "-"), "cell": cell, "species": symbols, "frac": fractional.tolist()}
        rows += [{**row, "id": row["id"] + (f"-{k}" if copies > 1 else "")} for k in range(copies)]
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return path


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_set(tmp_path / "reference.jsonl")
    write_set(tmp_path / "made.jsonl", scale=1.01)
    write_set(tmp_path / "train.jsonl", NAMES[:2])
    return tmp_path


def test_a_table_and_files(files, capsys):
    command = [
        "evaluate",
        "mine=made.jsonl",
        "made.jsonl",
        "--reference",
        "reference.jsonl",
        "--train",
        "train.jsonl",
        "--figures",
        "out.json",
        "--report",
        "out.html",
        "--details",
        "out.csv",
        "--workers",
        "1",
    ]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "mine (6)" in shown and "made (6)" in shown and "COV-P %" in shown and "novel %" in shown
    data = json.loads((files / "out.json").read_text())
    assert [s["name"] for s in data["sets"]] == ["mine", "made"]
    assert data["sets"][0]["figures"]["match"]["value"] == 1
    assert data["sets"][0]["figures"]["novel"]["value"] == pytest.approx(4 / 6)
    assert (files / "out.html").read_text().startswith("<!doctype html>")
    assert len((files / "out.csv").read_text().splitlines()) == 13
    assert (files / "cache" / "crystalsmith" / "features.sqlite").exists()
    assert main([*command, "--quiet"]) == 0 and capsys.readouterr().out == ""
    again = json.loads((files / "out.json").read_text())
    assert again["timings"]["CrystalNN fingerprints"]["computed"] == 0
    assert again["sets"] == data["sets"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["none.jsonl", "--reference", "reference.jsonl"], "no file or folder none.jsonl"),
        (["made.jsonl", "--reference", "none.jsonl"], "no file or folder none.jsonl"),
        (["made.jsonl", "made.jsonl", "--reference", "reference.jsonl"], "two sets have the name made"),
        (["made.jsonl", "--reference", "reference.jsonl", "--metrics", "cov"], "unknown metric 'cov'"),
        (["made.jsonl", "--reference", "reference.jsonl", "--metrics", ","], "no metric asked for"),
        (["made.jsonl", "--reference", "reference.jsonl", "--metrics", "novelty"], "name it with --train"),
        (["made.jsonl", "--reference", "reference.jsonl", "--controls"], "need the training set"),
        (
            [
                "made.jsonl",
                "--reference",
                "reference.jsonl",
                "--train",
                "train.jsonl",
                "--controls",
                "--potential",
                "nonsense",
            ],
            "known",
        ),
        (["made.jsonl", "--reference", "train.jsonl", "--metrics", "match"], "have ids that train lacks"),
        (
            ["renamed.jsonl", "--reference", "reference.jsonl", "--metrics", "match"],
            "has the id of a crystal",
        ),
        (
            ["made.jsonl", "--reference", "reference.jsonl", "--figures", "no/where.json"],
            "there is no folder",
        ),
        (["made.jsonl", "--reference", "reference.jsonl", "--report", "."], "is a folder"),
        (["made.jsonl", "--reference", "reference.jsonl", "--space-groups", "9-3"], "not a range"),
        (["made.jsonl", "--reference", "reference.jsonl", "--space-groups", "3-5"], "no crystal has a space"),
        (["made.jsonl", "--reference", "reference.jsonl", "--structure-cutoff", "-1"], "not a positive"),
        (["made.jsonl"], "--reference"),
        (["empty.jsonl", "--reference", "reference.jsonl"], "empty.jsonl is empty"),
        (["letter.txt", "--reference", "reference.jsonl"], "none of the known sources"),
        (["made.jsonl", "--reference", "torn.jsonl"], "holds no readable crystal"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(files, capsys, arguments, words):
    (files / "empty.jsonl").write_text("")
    (files / "letter.txt").write_text("dear reader\n")
    (files / "torn.jsonl").write_text('{"cell": 3, "frac": [[0, 0, 0]], "species": ["Na"]}\n')
    (files / "renamed.jsonl").write_text((files / "made.jsonl").read_text().replace('"id": "', '"id": "x'))
    before = sorted(files.iterdir())
    assert main(["evaluate", *arguments]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    *progress, error = lines
    assert all(line.startswith("symmetry and distances of ") for line in progress)
    assert error.startswith("crystalsmith: error: ") and words in error
    assert [p for p in sorted(files.iterdir()) if p.name != "cache"] == before


def test_unreadable_members_are_listed_and_count(files, capsys):
    text = (files / "made.jsonl").read_text().splitlines()
    (files / "half.jsonl").write_text("\n".join([*text[:3], "{torn", *text[4:]]) + "\n")
    assert (
        main(
            [
                "evaluate",
                "half.jsonl",
                "--reference",
                "reference.jsonl",
                "--metrics",
                "validity,coverage",
                "--figures",
                "half.json",
            ]
        )
        == 0
    )
    assert "1 of 6 are no crystals" in " ".join(capsys.readouterr().out.split())
    data = json.loads((files / "half.json").read_text())["sets"][0]
    assert data["failures"][0]["crystal"].startswith("line 4")
    assert data["figures"]["cov_p"]["value"] == pytest.approx(5 / 6)


def test_a_set_without_any_crystal_is_measured_and_ends_with_status_1(files, capsys):
    (files / "bad.jsonl").write_text('{"cell": 3, "frac": [[0, 0, 0]], "species": ["Na"]}\n')
    assert main(["evaluate", "bad.jsonl", "--reference", "reference.jsonl", "--metrics", "coverage"]) == 1
    assert "0.0 [0.0, 0.0]" in capsys.readouterr().out


def test_controls(files, capsys):
    command = [
        "evaluate",
        "made.jsonl",
        "--reference",
        "reference.jsonl",
        "--train",
        "train.jsonl",
        "--controls",
        "--potential",
        "none",
        "--metrics",
        "coverage,match",
        "--workers",
        "1",
    ]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "limit (2)" in shown and "PyXtal (6)" in shown
    assert len((files / "controls" / "pyxtal.jsonl").read_text().splitlines()) == 6


def test_orders_of_a_reference(files, capsys):
    assert (
        main(
            [
                "data",
                "orders",
                "reference.jsonl",
                "-n",
                "3",
                "--give",
                "wyckoff",
                "-k",
                "2",
                "--space-groups",
                "130-230",
                "-o",
                "orders.jsonl",
            ]
        )
        == 0
    )
    assert "3 orders in orders.jsonl" in capsys.readouterr().out
    orders = read_orders(files / "orders.jsonl")
    assert len(orders) == 3 and all(o.count == 2 and o.wyckoff and o.space_group >= 130 for o in orders)
    assert main(["data", "orders", "reference.jsonl", "-n", "99", "-o", "orders.jsonl"]) == 2
    assert "only 6 crystals of reference qualify" in capsys.readouterr().err
    assert len(read_orders(files / "orders.jsonl")) == 3  # the old file is untouched


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX signals")
def test_ctrl_c_keeps_what_was_computed(files):
    """Interrupted among the fingerprints, once the symmetry, which comes first, is in the cache."""
    write_set(files / "many.jsonl", list(KNOWN))
    arguments = ["evaluate", "many.jsonl", "--reference", "many.jsonl", "--metrics", "distributions,coverage"]
    arguments += ["--workers", "2", "--cache", "c.sqlite"]
    held = Held(files, AT_VECTORS.format(number=len(KNOWN)), arguments)
    os.killpg(held.process.pid, signal.SIGINT)
    status, output, error = held.end()
    assert status == 130 and output == ""
    assert error.strip().splitlines()[-1].startswith("crystalsmith: interrupted; the same command")
    assert "Traceback" not in error
    kept = stored(files / "c.sqlite")
    assert main([*arguments, "--figures", "after.json"]) == 0
    timings = json.loads((files / "after.json").read_text())["timings"]
    assert timings["symmetry and distances"]["computed"] == 0 and kept >= len(KNOWN)
    assert timings["CrystalNN fingerprints"]["computed"] > 0


AT_VECTORS = """
from crystalsmith.evaluation.cache import Cache
put = Cache.put

def halting(cache, items):
    put(cache, items)
    if cache.connection.execute("SELECT count(*) FROM vector").fetchone()[0] >= {number}:
        halt()

Cache.put = halting
"""
"""Halts once so many vectors are in the cache."""


def stored(path: Path) -> int:
    """Vectors in a cache that another process may be writing."""
    if not path.exists():
        return 0
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        try:
            return int(connection.execute("SELECT count(*) FROM vector").fetchone()[0])
        except sqlite3.OperationalError:  # no table yet
            return 0


def test_choices_on_the_command_line_are_those_of_the_library():
    """Written out there, because the command line loads nothing heavy before it knows the command."""
    from crystalsmith.cli.evaluate import METRICS as SHOWN
    from crystalsmith.evaluation.figures import METRICS
    from crystalsmith.evaluation.settings import VARIANTS
    from crystalsmith.evaluation.targets import GIVEN
    from crystalsmith.orders.limits import LETTERS

    assert tuple(SHOWN.split(", ")) == METRICS
    commands = build_parser()._subparsers._group_actions[0].choices
    for command in commands.values():
        command.format_help()  # options are added when a command is chosen
    choices = {a.dest: a.choices for name in ("evaluate", "generate") for a in commands[name]._actions}
    assert choices["variant"] == VARIANTS and choices["letters"] == LETTERS
    data = commands["data"]._subparsers._group_actions[0].choices["orders"]
    assert next(a.choices for a in data._actions if a.dest == "give") == GIVEN
