"""A server in a process of its own, as the command starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

SALT = {"space_group": 225, "wyckoff": [["Na", "a"], ["Cl", "b"]]}
"""An order that leaves nothing open but the cell: quick."""


class Server:
    """``crystalsmith serve`` over a folder of runs.

    Args:
        runs: the folder.
        options: further words of the command line.
    """

    def __init__(self, runs: Path, *options: str) -> None:
        self.runs = runs
        command = [
            sys.executable,
            "-m",
            "crystalsmith",
            "serve",
            "--port",
            "0",
            "--runs",
            str(runs),
            *options,
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("crystalsmith: http://"), line + self.errors()
        self.address = line.split()[1]
        self.url = self.address.partition("?")[0].rstrip("/")

    def errors(self) -> str:
        """What it complained of, once it has ended."""
        self.process.kill()
        return self.process.communicate()[1]

    def ask(
        self, path: str, body: Any = None, *, method: str | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and content of an answer, read as JSON where it is."""
        data = None if body is None else json.dumps(body).encode()
        words = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.send(path, data, method=method, headers=words)

    def send(
        self,
        path: str,
        data: bytes | None,
        *,
        method: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """The same with a body as it is."""
        words = headers or {"Content-Type": "application/octet-stream"}
        request = urllib.request.Request(f"{self.url}{path}", data, words, method=method)
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        try:
            return status, json.loads(text) if text else None
        except ValueError:
            return status, text.decode(errors="replace")

    def submit(self, kind: str, options: dict[str, Any]) -> str:
        """Put a job into the queue; its id."""
        status, job = self.ask(f"/api/v1/jobs/{kind}", options)
        assert status == 202, job
        return str(job["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """How a job stands."""
        status, job = self.ask(f"/api/v1/jobs/{job_id}")
        assert status == 200, job
        return dict(job)

    def wait(self, job_id: str, until: Callable[[dict[str, Any]], bool] | None = None) -> dict[str, Any]:
        """Wait until a job is over, or something else is true of it."""
        for _ in range(3000):
            job = self.job(job_id)
            if job["state"] in ("done", "failed", "cancelled") or (until is not None and until(job)):
                return job
            time.sleep(0.05)
        raise AssertionError(f"not over after minutes: {job}")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End it by a signal, and see it gone."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.communicate(timeout=60)
