"""Building a training file: the report, the work shared out, and going on after an interruption."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystals import KNOWN, random_crystal
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io.records import Item
from crystalsmith.data import Dataset
from crystalsmith.data import build as module
from crystalsmith.data.build import _make, build
from crystalsmith.errors import DataError, OutputError
from crystalsmith.runs.pool import DIED, Failed, parallel_each
from held import Held

ROOT = str(Path(__file__).parents[1])


def line(name: str, crystal: Crystal, **more: object) -> str:
    symbols, points = crystal.positions()
    from pymatgen.core import Lattice

    parameters = Lattice(crystal.primitive_lattice).parameters
    return (
        json.dumps({"id": name, "cell": parameters, "species": symbols, "frac": points.tolist(), **more})
        + "\n"
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    path = tmp_path / "s.jsonl"
    path.write_text(
        "".join(line(f"r{n}", random_crystal(n, rng, max_sites=3, max_atoms=12)) for n in range(1, 231, 9))
    )
    return path


def test_report_counts_reasons(source: Path, tmp_path: Path) -> None:
    rows = source.read_text()
    salt = json.loads(line("salt", KNOWN["rock salt"]))
    rows += json.dumps({**salt, "frac": [[0, 0, 0], [0, 0, 0.001]]}) + "\n"
    rows += json.dumps({**salt, "id": "bad", "cell": [1, 2, 3]}) + "\n" + "{broken\n"
    rows += line("uranium", KNOWN["rock salt"]).replace("Na", "U")
    rows += line("big", KNOWN["aragonite"])
    source.write_text(rows)
    n = 26
    report = build(source, tmp_path / "o", workers=1, max_atoms=12, max_z=80)
    assert report.kept == n == len(Dataset.open(report.path))
    assert report.total == n + 5
    assert report.dropped == {
        "unreadable": 2,
        "overlapping atoms": 1,
        "heavier than element 80": 1,
        "more than 12 atoms": 1,
    }
    assert report.examples["unreadable"].startswith("bad: unreadable")
    metadata = Dataset.open(report.path).metadata
    assert json.loads(metadata["dropped"]) == report.dropped
    origin = json.loads(metadata["sources"])[0]
    assert origin["name"] == "s.jsonl" and len(origin["sha256"]) == 64
    assert metadata["symprec"] == "0.1" and metadata["kept"] == str(n)


def test_several_workers_and_several_sources_give_the_same(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other.cif"
    other.write_text(KNOWN["quartz"].to_cif())
    one = build([source, other], tmp_path / "one", workers=1)
    monkeypatch.setattr(module, "CHUNK", 5)
    two = build([source, other], tmp_path / "two", workers=2)
    assert one.kept == two.kept == 27
    assert one.path.read_bytes() == two.path.read_bytes()
    assert Dataset.open(one.path).ids[-1] == "other"


def test_a_killed_build_goes_on(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = build(source, tmp_path / "whole", workers=1).path.read_bytes()
    monkeypatch.setattr(module, "CHUNK", 4)
    save, made = module._save_part, []

    def stop_after_three(path: Path, rows: list) -> None:
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(path)
        save(path, rows)

    monkeypatch.setattr(module, "_save_part", stop_after_three)
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        build(source, out, workers=1)
    assert not out.exists()
    parts = tmp_path / "out.parts"
    assert len(list(parts.glob("*.safetensors"))) == 3
    again: list[Path] = []
    monkeypatch.setattr(module, "_save_part", lambda *a: (again.append(a[0]), save(*a)))
    told: list[tuple[str, float, float]] = []
    build(source, out, workers=1, progress=lambda *a: told.append(a))
    assert len(again) == 4 and not set(again) & set(made)
    assert told[0] == ("structures", 0, 26) and told[-1] == ("structures", 26, 26)
    assert out.read_bytes() == whole
    assert not parts.exists()


def test_parts_of_another_job_are_not_used(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    parts = tmp_path / "out.parts"

    def no_saving(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "concatenate", no_saving)
        with pytest.raises(KeyboardInterrupt):
            build(source, out, workers=1)
    assert list(parts.glob("*.safetensors"))
    # Another tolerance, another content: the finished parts would be wrong.
    source.write_text(line("salt", KNOWN["rock salt"]))
    assert build(source, out, workers=1).kept == 1
    assert Dataset.open(out)[0].formula == "NaCl"


def test_a_damaged_part_is_made_again(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"

    def no_saving(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "concatenate", no_saving)
        with pytest.raises(KeyboardInterrupt):
            build(source, out, workers=1)
    part = next((tmp_path / "out.parts").glob("*.safetensors"))
    part.write_bytes(part.read_bytes()[:-10])
    assert build(source, out, workers=1).kept == 26


def test_nothing_kept_is_an_error(tmp_path: Path) -> None:
    source = tmp_path / "s"
    source.write_text('{"cell": 1, "frac": 2}\n{"cell": 3, "frac": 4}\n')
    with pytest.raises(DataError, match=r"nothing could be kept of .*: 2 unreadable"):
        build(source, tmp_path / "out", workers=1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("sources", [[], ["/no/such/file"]])
def test_no_source(sources: list, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no source given|there is no file"):
        build(sources, tmp_path / "out", workers=1)


def test_unwritable_output(source: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(DataError, match="cannot write"):
        build(source, blocked / "out", workers=1)


def test_a_folder_of_someone_else_is_left_alone(source: Path, tmp_path: Path) -> None:
    parts = tmp_path / "out.parts"
    parts.mkdir()
    (parts / "thesis.txt").write_text("x")
    with pytest.raises(DataError, match="holds other files"):
        build(source, tmp_path / "out", workers=1)
    assert (parts / "thesis.txt").exists()
    with pytest.raises(DataError, match="is a folder"):
        build(source, parts, workers=1)


def _deadly(settings: Any, item: Item) -> list[Any]:
    if item.id == "line 3":
        os._exit(9)
    return _make(settings, item)


def test_a_structure_that_kills_its_process_costs_itself_alone(source: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nsys.path.insert(1, {ROOT!r})\n"
        "from crystalsmith.data import build\n"
        "from test_data_build import _deadly\n"
        "build._make = _deadly\n"
        f"print(build.build({str(source)!r}, {str(tmp_path / 'out')!r}, workers=2).dropped)\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{{'{DIED}': 1}}\n"
    assert len(Dataset.open(tmp_path / "out")) == 25


def test_a_structure_has_a_time_limit(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = []

    def each(function: Any, items: Any, *, seconds: float, **options: Any) -> Iterator[Any]:
        limits.append(seconds)
        for batch in parallel_each(function, items, **options):
            yield [(k, Failed("took too long: 1 s") if k == 4 else found, t) for k, found, t in batch]

    monkeypatch.setattr("crystalsmith.runs.engines.local.parallel_each", each)
    report = build(source, tmp_path / "out", workers=1)
    assert limits == [module.SECONDS] and report.kept == 25
    assert report.dropped == {"took too long": 1} and report.examples == {
        "took too long": "line 5: took too long: 1 s"
    }


AT_PARTS = """
from crystalsmith.data import build
build.CHUNK, save = 4, build._save_part

def halting(path, rows):
    save(path, rows)
    halt()

build._save_part = halting
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_no_process_and_one_line(source: Path, tmp_path: Path, number: int) -> None:
    """Sent to all processes, as terminals and batch systems do; the errors of all of them come here."""
    held = Held(
        tmp_path, AT_PARTS, ["data", "build", str(source), "-o", str(tmp_path / "o"), "--workers", "2"]
    )
    os.killpg(held.process.pid, number)
    status, out, err = held.end()  # the workers hold the pipe as well: it ends when the last of them does
    assert (status, out) == (128 + number, "")
    assert err.splitlines()[-1] == "crystalsmith: interrupted; the same command goes on where it stopped"
    assert not [line for line in err.splitlines()[:-1] if not line.startswith("structures: ")]
    assert len(list((tmp_path / "o.parts").glob("*.safetensors"))) == 1


def test_two_builds_of_one_file_do_not_mix(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def begin_another(stage: str, done: float, total: float) -> None:
        with pytest.raises(OutputError, match=f"another process is at work on {out}; wait"):
            build(source, out, workers=1)

    assert build(source, out, workers=1, progress=begin_another).kept == 26
    assert build(source, out, workers=1).kept == 26


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGKILL")
def test_kill_dash_nine(source: Path, tmp_path: Path) -> None:
    """The workers end with their parent, and the next call makes the file that an undisturbed one makes."""
    source.write_text(source.read_text() * 40)
    out = tmp_path / "out"
    script = tmp_path / "script.py"
    script.write_text(
        "from crystalsmith.data import build\n"
        "build.CHUNK = 20\n"
        f"build.build({str(source)!r}, {str(out)!r}, workers=2)\n"
    )
    process = subprocess.Popen([sys.executable, str(script)], stderr=subprocess.PIPE)
    parts = tmp_path / "out.parts"
    while len(list(parts.glob("*.safetensors"))) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    # The workers hold the other end of this pipe: it ends when the last of them does.
    process.communicate()
    assert not out.exists() and len(list(parts.glob("*.safetensors"))) >= 3
    subprocess.run([sys.executable, str(script)], check=True)
    again = build(source, tmp_path / "again", workers=1)
    assert again.kept == 26 * 40
    assert again.path.read_bytes() == out.read_bytes()
