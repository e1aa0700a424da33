"""Processes of the server: one that waits for a job, and one that answers questions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Queue
from typing import IO, Any

PATIENCE = 20.0
"""Seconds after which a process that was asked to end is ended."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def start_process(
    module: str, arguments: Sequence[str], log: Path, threads: int = 1
) -> subprocess.Popen[str]:
    """Run a module of this package, joined to this process by pipes, in a session of its own.

    A Ctrl-C in the terminal reaches only the server, which then ends the others in its own way.

    Raises:
        OSError: it cannot be started.
    """
    environment = {**os.environ, **dict.fromkeys(_THREADS, str(threads)), "PYTHONUNBUFFERED": "1"}
    with log.open("ab") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
            env=environment,
            start_new_session=True,
        )


class Worker:
    """A process that has loaded the model and waits for one job.

    Args:
        process: from ``start_process``.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._timer: threading.Timer | None = None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def is_over(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def begin(self, job: Mapping[str, Any]) -> None:
        """Give it the job. Its end, however it comes, is told by ``wait``."""
        with suppress(OSError):
            stream = _stream(self._process.stdin)
            stream.write(json.dumps(dict(job)) + "\n")
            stream.flush()

    def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        _signal(self._process, signal.SIGTERM)
        if self._timer is None:
            self._timer = threading.Timer(PATIENCE, _signal, (self._process, signal.SIGKILL))
            self._timer.daemon = True
            self._timer.start()

    def wait(self) -> int:
        """Wait for its end; the exit status, negative for a signal."""
        status = self._process.wait()
        if self._timer is not None:
            self._timer.cancel()
        # Whatever it started ends with it.
        _signal(self._process, signal.SIGKILL)
        for stream in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                _stream(stream).close()
        return status


def lines_of_parent(stream: IO[str]) -> Iterator[str]:
    """The lines that the server sends to a process that was started so; with the last, it ends soon.

    Also where the process is at work on one at that time, and for ever.
    """
    lines: Queue[str] = Queue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put("")
        threading.Event().wait(PATIENCE)
        os._exit(0)

    threading.Thread(target=read, name="parent", daemon=True).start()
    while line := lines.get():
        yield line


def _stream(stream: IO[str] | None) -> IO[str]:
    assert stream is not None
    return stream


def _signal(process: subprocess.Popen[str], number: int) -> None:
    """Signal a process and all that it started, which are of its session."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def end_with_parent(stream: IO[str]) -> None:
    """In a process that was started so: when the server is gone, however it went, end too.

    The server holds the other end of the pipe; nothing comes through it any more.
    """

    def watch() -> None:
        while stream.readline():
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(PATIENCE)
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent", daemon=True).start()
