"""What a worker of an executor does with a task; it is all plain types, which any version can take apart.

The items are done in a process that the worker starts and keeps: it holds model and potential from task to
task, what kills it costs one item and not the worker, and what never ends is killed from outside.
"""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.util import Finalize
from pathlib import Path

from crystalsmith.runs.engines.likeness import difference, of_worker
from crystalsmith.runs.worker import (
    FALSE_STARTS,
    GRACE,
    NO_START,
    Job,
    Pickler,
    Worker,
    end_with_parent,
    out_of_time,
    start_worker,
)

DONE, REFUSED, LACKING = "done", "refused", "lacking"
"""What an answer begins with: done as far as it says; not by this worker; the function cannot be read."""

Result = tuple[int, bytes | None, float]
"""Place, pickled (result, seconds, log) or None where the process died, and seconds."""

Answer = tuple[str, str, str, list[Result]]
"""Kind, token of the task, why, and results."""

_starting = threading.Lock()
_here = threading.local()


class _NoStart(Exception):
    """The process for the items cannot begin."""


def digest_of(function: bytes) -> str:
    """Names a pickled function."""
    return hashlib.sha256(function).hexdigest()[:16]


def work(
    token: str,
    asker: Mapping[str, str],
    digest: str,
    function: bytes | str,
    seconds: float | None,
    jobs: list[Job],
    rest: float,
) -> Answer:
    """Do a task.

    Args:
        token: names the task.
        asker: likeness of the run that asks, with the files that it relies on.
        digest: names the function.
        function: pickled, or the file in which it is.
        seconds: time limit for one item.
        jobs: places and pickled items.
        rest: seconds to wait before refusing, so that a worker that can do nothing does not draw all tasks.
    """
    _end_with_manager()
    if unlike := difference(asker, of_worker(asker)):
        time.sleep(rest)
        return REFUSED, token, f"a worker on {socket.gethostname()} is another one: {unlike}", []
    helper: _Helper | None = getattr(_here, "helper", None)
    if helper is None or (helper.digest, helper.seconds) != (digest, seconds):
        content = _read(function)
        if content is None or digest_of(content) != digest:
            return LACKING, token, f"{function!s:.200} cannot be read on {socket.gethostname()}", []
        if helper is not None:
            helper.end()
        _here.helper = helper = _Helper(content, digest, seconds)
    try:
        return DONE, token, "", list(helper.results(jobs))
    except _NoStart as error:
        time.sleep(rest)
        return REFUSED, token, f"a worker on {socket.gethostname()}: {error}", []


@cache
def _end_with_manager() -> None:
    """A worker whose manager was killed would go on with what nobody waits for, beside other workers."""
    end_with_parent()


def _read(function: bytes | str) -> bytes | None:
    if isinstance(function, bytes):
        return function
    try:
        return Path(function).read_bytes()
    except OSError:
        return None


@dataclass(eq=False)
class _Helper:
    """The process that does the items of one worker."""

    function: bytes
    digest: str
    seconds: float | None
    process: Worker | None = None
    at_end: Finalize | None = None
    """Kills the process once: when told to, with the thread it belongs to, or before a worker's end, which
    would wait for it."""
    waiting: deque[Job] = field(default_factory=deque)

    def results(self, jobs: list[Job]) -> Iterator[Result]:
        """What came of each item, in their order."""
        self.waiting = deque(jobs)
        while self.waiting:
            process = self._ready()
            with suppress(OSError):  # it has died; that shows when it is to answer
                process.pipe.send([data for _, data in self.waiting])
            yield from self._answers(process)

    def _answers(self, process: Worker) -> Iterator[Result]:
        """Until all is done, or the process is lost."""
        limit = None if self.seconds is None else self.seconds + GRACE
        while self.waiting and self.process is process:
            began, answer = time.perf_counter(), None
            try:
                if process.pipe.poll(limit):
                    answer = process.pipe.recv_bytes()
                else:
                    answer = bytes(Pickler.dumps((out_of_time(self.seconds), self.seconds, [])))
                    self.end()
            except (EOFError, OSError):
                self.end()
            place, _ = self.waiting.popleft()
            yield place, answer, time.perf_counter() - began

    def _ready(self) -> Worker:
        """The process, a new one if need be.

        Raises:
            _NoStart: the function cannot be taken apart here, or processes end before they begin.
        """
        for _ in range(FALSE_STARTS):
            if self.process is not None:
                return self.process
            with _starting:  # changes what all threads see while it starts
                self.process = process = start_worker(self.function, self.seconds)
            self.at_end = Finalize(self, process.end, exitpriority=100)
            try:
                refusal = self.process.pipe.recv()
            except (EOFError, OSError):
                self.end()
                continue
            if refusal is not None:
                self.end()
                raise _NoStart(f"cannot load what it is to do: {refusal}")
        if self.process is None:
            raise _NoStart(NO_START)
        return self.process

    def end(self) -> None:
        """Kill the process."""
        self.process = None
        if self.at_end is not None:
            self.at_end()
