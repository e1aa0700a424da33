"""Killed with -9 in the middle: the server, and the process of a job."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from served import SALT, Server

import crystalsmith

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes by /proc")


def workers_of(server: Server) -> list[int]:
    """Processes of jobs that the server started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_text()
        except OSError:
            continue
        if parent == server.process.pid and "crystalsmith.serving.worker" in words:
            found.append(int(folder.name))
    return found


def is_alive(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_job_goes_on_after_both_were_killed_and_ends_as_if_nothing_had_been(tmp_path: Path):
    given = {"orders": {**SALT, "id": "salt", "count": 4}, "seed": 11, "steps": 150}
    server = Server(tmp_path / "runs")
    job = server.submit("generate", given)
    server.wait(job, lambda job: job["progress"]["done"] > 0)
    (pid,) = workers_of(server)
    os.kill(pid, signal.SIGKILL)
    found = server.wait(job, lambda job: job["deaths"] == 1 and job["progress"]["done"] > 0)
    assert found["state"] == "running"
    (pid,) = workers_of(server)
    server.stop(signal.SIGKILL)
    for _ in range(600):  # it ends with the server that started it
        if not is_alive(pid):
            break
        time.sleep(0.1)
    assert not is_alive(pid)
    server = Server(tmp_path / "runs")
    try:
        assert server.wait(job)["state"] == "done"
        crystalsmith.generate(given["orders"], out=tmp_path / "same", seed=11, steps=150)
        for name in ("crystals.extxyz", "crystals.csv"):
            assert (tmp_path / "runs" / job / name).read_bytes() == (tmp_path / "same" / name).read_bytes()
    finally:
        server.stop()


def test_a_cancelled_job_keeps_what_it_made_and_goes_on(tmp_path: Path):
    server = Server(tmp_path / "runs")
    try:
        job = server.submit("generate", {"orders": {**SALT, "count": 3}, "steps": 400})
        server.wait(job, lambda job: job["progress"]["done"] > 0)
        assert server.ask(f"/api/v1/jobs/{job}/cancel", {})[0] == 200
        assert server.wait(job)["state"] == "cancelled"
        assert server.ask(f"/api/v1/runs/{job}")[1]["status"] == "interrupted"
        assert server.ask(f"/api/v1/jobs/{job}/resume", {})[0] == 200
        assert server.wait(job)["state"] == "done"
        assert len(server.ask(f"/api/v1/runs/{job}/crystals")[1]) == 3
    finally:
        server.stop()
