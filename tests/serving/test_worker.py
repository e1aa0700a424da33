"""The process of a job, with work of our own in place of the model's."""

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

import pytest

SCRIPT = """
import sys, time
from crystalsmith.errors import DataError
from crystalsmith.runs.folder import RunFolder, RunKind
from crystalsmith.serving import work, worker

worker.load = lambda choice: "model"

def job(options, data, folder, model, progress):
    assert model == "model" and data == {"large": 1}
    with RunFolder.open(folder, RunKind("relaxation", "relaxations"), {}) as run:
        progress("at work", 1, 2)
        if "sleeps" in options:
            time.sleep(3600)
        if "refused" in options:
            raise DataError(options["refused"])
        if "fails" in options:
            raise ZeroDivisionError("not\\n\\nplanned")
        run.write_manifest("finished")

work.WORK = {"relax": job}
sys.exit(worker.main())
"""


class Started:
    """The process, and the folders that it is told of."""

    def __init__(self, folder: Path) -> None:
        self.run, self.notes = folder / "run", folder / "notes"
        self.notes.mkdir()
        (self.notes / "data.json").write_text('{"large": 1}')
        command = [sys.executable, "-c", SCRIPT, "{}"]
        pipe = subprocess.PIPE
        environment = dict(os.environ)
        self.process = subprocess.Popen(
            command, stdin=pipe, stderr=pipe, text=True, start_new_session=True, env=environment
        )

    def begin(self, **options: Any) -> None:
        """Give it the job."""
        job = {"kind": "relax", "options": options, "folder": str(self.run), "notes": str(self.notes)}
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()

    def outcome(self) -> Any:
        """What it said of the end."""
        file = self.notes / "outcome.json"
        return json.loads(file.read_text()) if file.exists() else None

    def at_work(self) -> None:
        """Wait until it is."""
        for _ in range(6000):
            if (self.notes / "progress.json").exists():
                return
            assert self.process.poll() is None, self.process.communicate()[1]
            time.sleep(0.02)
        raise AssertionError("never at work")

    def status(self) -> str:
        """Of the run folder."""
        return str(json.loads((self.run / "manifest.json").read_text())["status"])


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    """A process that waits for its job."""
    process = Started(tmp_path)
    yield process
    process.process.kill()
    process.process.communicate()


def test_a_job_is_done_and_said_to_be(started: Started):
    started.begin()
    assert started.process.wait(120) == 0
    assert started.outcome() == {"state": "done"} and started.status() == "finished"
    assert json.loads((started.notes / "progress.json").read_text()) == {
        "stage": "at work",
        "done": 1.0,
        "total": 2.0,
    }


def test_a_refusal_and_a_fault_are_one_line(started: Started):
    started.begin(refused="no\n such potential")
    started.process.wait(120)
    assert started.outcome() == {"state": "failed", "error": "no such potential"}


def test_a_fault_of_ours_is_told_too(started: Started):
    started.begin(fails=True)
    started.process.wait(120)
    assert "ZeroDivisionError: not planned" in started.outcome()["error"]


@pytest.mark.parametrize("how", ["asked to end", "the server is gone"])
def test_a_job_that_is_stopped_leaves_a_run_that_can_go_on(started: Started, how: str):
    started.begin(sleeps=True)
    started.at_work()
    if how == "asked to end":
        started.process.send_signal(signal.SIGTERM)
    else:
        assert started.process.stdin is not None
        started.process.stdin.close()
        started.process.stdin = None
    assert started.process.wait(120) == 143
    assert started.outcome() is None and started.status() == "interrupted"


def test_one_without_a_job_ends_with_the_server(started: Started):
    assert started.process.stdin is not None
    started.process.stdin.close()
    started.process.stdin = None
    assert started.process.wait(120) == 0 and list(started.notes.iterdir()) == [started.notes / "data.json"]
