"""The queue, with processes that do as they are told in place of the model's."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crystalsmith.errors import OutputError
from crystalsmith.serving.errors import Busy, Conflict, NotFound
from crystalsmith.serving.jobs import MOST_DEATHS, Job, Jobs
from crystalsmith.serving.process import Worker

OBEYS = """
import json, os, pathlib, sys
line = sys.stdin.readline()
if not line:
    sys.exit(0)
job = json.loads(line)
notes = pathlib.Path(job["notes"])
told = job["options"]
with open(notes / "begun.txt", "a") as file:
    file.write("x")
if "stage" in told:
    (notes / "progress.json").write_text(json.dumps({"stage": told["stage"], "done": 1, "total": 4}))
if told.get("dies") and len((notes / "begun.txt").read_text()) <= told["dies"]:
    os.kill(os.getpid(), 9)
if told.get("waits"):
    sys.stdin.readline()
    sys.exit(0)
outcome = {"state": "failed", "error": told["error"]} if "error" in told else {"state": "done"}
(notes / "outcome.json").write_text(json.dumps(outcome))
"""
"""A process that writes what the options of its job say."""


def obedient() -> Worker:
    """Start it, as ``start_process`` does."""
    return Worker(
        subprocess.Popen(
            [sys.executable, "-S", "-c", OBEYS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    )


Open = Callable[..., Jobs]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the jobs of one folder, and closes them in the end."""
    all_jobs: list[Jobs] = []

    def jobs(**limits: int) -> Jobs:
        all_jobs.append(Jobs(tmp_path / "runs", obedient, **limits))
        return all_jobs[-1]

    yield jobs
    for one in all_jobs:
        one.close()


def wait(jobs: Jobs, job: Job, until: Callable[[Job], bool] = lambda job: job.is_over) -> Job:
    """The job, once this is true of it."""
    for _ in range(6000):
        if until(jobs.get(job.id)):
            return jobs.get(job.id)
        time.sleep(0.01)
    raise AssertionError(jobs.get(job.id))


def begun(jobs: Jobs, job: Job) -> int:
    """How often its process was started."""
    file = jobs._folder / job.id / "begun.txt"
    return len(file.read_text()) if file.exists() else 0


def test_jobs_are_done_in_turn_and_say_how_they_ended(opened: Open):
    jobs = opened()
    first = jobs.submit("generate", {"a": 1}, "salt", {"large": [1, 2]})
    second = jobs.submit("relax", {"error": "no such potential"})
    assert wait(jobs, first).state == "done" and wait(jobs, second).state == "failed"
    found = jobs.get(second.id)
    assert found.error == "no such potential" and found.started >= jobs.get(first.id).ended
    assert [job.id for job in jobs.all()] == [second.id, first.id]
    assert json.loads((jobs._folder / first.id / "data.json").read_text()) == {"large": [1, 2]}
    assert jobs.get(first.id).name == "salt" and first.id.startswith("generate-")


def test_a_running_job_tells_how_far_it_is(opened: Open):
    jobs = opened()
    job = wait(
        jobs, jobs.submit("generate", {"stage": "crystals", "waits": True}), lambda job: job.stage != ""
    )
    assert (job.state, job.stage, job.done, job.total) == ("running", "crystals", 1.0, 4.0)
    assert job.to_dict()["progress"] == {"stage": "crystals", "done": 1.0, "total": 4.0}


def test_too_many_are_refused_and_leave_nothing(opened: Open):
    jobs = opened(queued=2)
    running = jobs.submit("generate", {"waits": True})
    wait(jobs, running, lambda job: job.state == "running")
    waiting = [jobs.submit("generate", {}) for _ in range(2)]
    with pytest.raises(Busy):
        jobs.submit("generate", {})
    assert len(list(jobs._folder.iterdir())) == 3
    assert [jobs.place(job.id) for job in waiting] == [0, 1]


def test_cancelling_ends_what_runs_and_takes_out_what_waits(opened: Open):
    jobs = opened()
    running = jobs.submit("generate", {"waits": True})
    waiting = jobs.submit("generate", {})
    wait(jobs, running, lambda job: job.state == "running")
    assert jobs.cancel(waiting.id).state == "cancelled"
    jobs.cancel(running.id)
    assert wait(jobs, running).state == "cancelled" and jobs.get(running.id).error is None
    for job in (running, waiting):
        with pytest.raises(Conflict):
            jobs.cancel(job.id)
    assert not (jobs._folder / waiting.id / "begun.txt").exists()


def test_a_process_that_dies_is_started_again_but_not_for_ever(opened: Open):
    jobs = opened()
    once = wait(jobs, jobs.submit("generate", {"dies": 1}))
    assert once.state == "done" and once.deaths == 1 and begun(jobs, once) == 2
    always = wait(jobs, jobs.submit("generate", {"dies": 99}))
    assert always.state == "failed" and begun(jobs, always) == MOST_DEATHS and "died" in str(always.error)


def test_what_failed_or_was_cancelled_can_go_on(opened: Open):
    jobs = opened()
    job = wait(jobs, jobs.submit("generate", {"dies": MOST_DEATHS}))
    assert job.state == "failed"
    assert wait(jobs, jobs.resume(job.id)).state == "done"
    with pytest.raises(Conflict):
        jobs.resume(job.id)


def test_jobs_outlive_the_server_however_it_ends(opened: Open):
    jobs = opened()
    running = jobs.submit("generate", {"waits": True})
    waiting = jobs.submit("generate", {"a": 2})
    wait(jobs, running, lambda job: begun(jobs, job) == 1)
    jobs.close()
    again = opened()
    wait(again, running, lambda job: begun(again, job) == 2)
    assert again.get(running.id).state == "running" and again.get(waiting.id).state == "queued"
    again.cancel(running.id)
    assert wait(again, waiting).state == "done"


def test_a_job_that_ended_when_nobody_looked_is_not_done_again(opened: Open):
    jobs = opened()
    job = wait(jobs, jobs.submit("generate", {}))
    jobs.close()
    file = jobs._folder / job.id / "job.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "state": "running"}))
    again = opened()
    assert again.get(job.id).state == "done" and begun(again, job) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "x"}', "null", "\0"])
def test_notes_that_are_damaged_are_left_out(opened: Open, text: str):
    jobs = opened()
    job = wait(jobs, jobs.submit("generate", {}))
    jobs.close()
    (jobs._folder / job.id / "job.json").write_text(text)
    (jobs._folder / "stray").mkdir()
    assert opened().all() == []


def test_another_server_of_the_same_folder_is_refused(opened: Open):
    opened()
    with pytest.raises(OutputError, match="another process"):
        opened()


def test_what_is_over_can_be_forgotten(opened: Open):
    jobs = opened()
    running = jobs.submit("generate", {"waits": True})
    wait(jobs, running, lambda job: job.state == "running")
    with pytest.raises(Conflict):
        jobs.forget(running.id)
    jobs.cancel(running.id)
    jobs.forget(wait(jobs, running).id)
    assert jobs.all() == [] and list(jobs._folder.iterdir()) == []


@pytest.mark.parametrize("job_id", ["", "generate-aaaaaaaaaaaa", "../x", "/etc/passwd", "\0"])
def test_other_names_are_no_jobs(opened: Open, job_id: str):
    jobs = opened()
    asked: list[Any] = [jobs.get, jobs.cancel, jobs.resume, jobs.forget]
    for function in asked:
        with pytest.raises(NotFound):
            function(job_id)
