"""A function over many items, on all cores: what hangs, throws or kills its process costs one item only.

Each worker is a fresh interpreter (forking a process that runs threads can hang) with one thread, joined to
this process by a pipe and nothing else: no semaphores that would outlive a kill, no threads here. The
watchdog sits in this process, so that what never comes back from a C call is ended too.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, TypeVar

from crystalsmith.errors import CrystalsmithError
from crystalsmith.runs.worker import (
    DIED,
    FALSE_STARTS,
    GRACE,
    NO_START,
    Failed,
    Job,
    Pickler,
    Worker,
    failed_by,
    guarded,
    out_of_time,
    start_worker,
)

__all__ = ["DIED", "GRACE", "Failed", "available_cores", "guarded", "parallel_each", "parallel_map"]

T = TypeVar("T")
R = TypeVar("R")


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def parallel_map(
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    workers: int | None = None,
    seconds: float | None = None,
    chunk: int = 8,
    on_done: Callable[[list[tuple[int, R | Failed, float]]], None] | None = None,
    apart: bool = False,
) -> list[R | Failed]:
    """Apply a function to all items in worker processes.

    Args:
        function: a function of a module, so that it can be sent to another process; one of the main script
            asks of it the usual ``if __name__ == "__main__"`` guard.
        items: what it is applied to.
        workers: processes; one for each core that may be used if not given. With one, all happens in this
            process, and nothing protects it from an item that kills it or never returns from a C call, unless
            ``apart``.
        seconds: time limit for one item; what takes longer is ``Failed``.
        chunk: most items that go to a worker at once.
        on_done: called in this process with (place, result, seconds) of items as they are done, in any order.
        apart: never in this process, however few workers or items there are.

    Returns:
        Result or ``Failed`` of each item, in the order of the items.
    """
    if len(items) <= 1 and seconds is None:
        workers = 1
    results: list[Any] = [Failed("not done")] * len(items)
    chunk = max(1, min(chunk, len(items) // (2 * (workers or available_cores()))))  # some for every worker
    for done in parallel_each(function, items, workers=workers, seconds=seconds, chunk=chunk, apart=apart):
        for place, result, _ in done:
            results[place] = result
        if on_done is not None:
            on_done(done)
    return results


def parallel_each(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    workers: int | None = None,
    seconds: float | None = None,
    chunk: int = 1,
    apart: bool = False,
) -> Generator[list[tuple[int, R | Failed, float]], None, None]:
    """As ``parallel_map``, for items that come one after another and results that are not to be kept.

    Items are taken when a worker is free for them. Closing the generator ends the workers at once.

    Yields:
        (place, result, seconds) of items as they are done, in any order.
    """
    if workers == 1 and not apart:
        for place, item in enumerate(items):
            began = time.perf_counter()
            result = guarded(function, item, seconds)
            yield [(place, result, time.perf_counter() - began)]
        return
    pool = _Pool(function, workers or available_cores(), seconds, chunk, enumerate(items))
    try:
        yield from pool.results()
        pool.dismiss()
    finally:
        pool.kill()


class _Pool:
    """Workers, chunks that wait for them, and what is done."""

    def __init__(
        self,
        function: Callable[[Any], Any],
        workers: int,
        seconds: float | None,
        chunk: int,
        items: Iterator[tuple[int, Any]],
    ) -> None:
        self.function, self.most = bytes(Pickler.dumps(function)), workers
        self.seconds, self.chunk, self.items = seconds, chunk, items
        self.workers: list[Worker] = []
        self.queue: deque[list[Job]] = deque()
        self.suspects: deque[Job] = deque()
        self.done: list[tuple[int, Any, float]] = []
        self.false_starts = 0

    def results(self) -> Iterator[list[tuple[int, Any, float]]]:
        """What is done, as it comes."""
        while self._hand_out():
            for pipe in wait([w.pipe for w in self.workers], self._patience()):
                self._receive(next(w for w in self.workers if w.pipe is pipe))
            self._watch()
            if self.done:
                done, self.done = self.done, []
                yield done
        if self.done:
            yield self.done

    def _hand_out(self) -> bool:
        """Give work to all that have none, with new workers as far as needed; whether any is at work."""
        for worker in self.workers:
            if worker.ready and not worker.jobs and self._waiting(0):
                worker.jobs.extend(self.queue.popleft())
                worker.since = time.monotonic()
                with suppress(OSError):  # it has died; ``_receive`` finds that out
                    worker.pipe.send([data for _, data in worker.jobs])
        starting = sum(not w.ready for w in self.workers)
        while len(self.workers) < self.most and self._waiting(starting):
            self.workers.append(start_worker(self.function, self.seconds))
            starting += 1
        if not self.queue and not any(w.jobs for w in self.workers) and self.suspects:
            # What was at work in a process that died is tried again, alone: others may have been to blame.
            self.most = 1
            for worker in self.workers[1:]:
                self._part_with(worker)
            self.queue.append([self.suspects.popleft()])
            return self._hand_out()
        return bool(self.queue) or any(w.jobs for w in self.workers)

    def _waiting(self, more_than: int) -> bool:
        """Whether more than so many chunks wait; takes items as far as needed."""
        while len(self.queue) <= more_than and (part := list(islice(self.items, self.chunk))):
            jobs = []
            for place, item in part:
                try:
                    jobs.append((place, bytes(Pickler.dumps(item))))
                except Exception as error:
                    self.done.append((place, failed_by(error), 0.0))
            if jobs:
                self.queue.append(jobs)
        return len(self.queue) > more_than

    def _patience(self) -> float | None:
        """Seconds until a worker is to be given up."""
        since = [w.since for w in self.workers if w.jobs]
        if self.seconds is None or not since:
            return None
        return max(0.0, min(since) + self.seconds + GRACE - time.monotonic())

    def _watch(self) -> None:
        limit = math.inf if self.seconds is None else self.seconds + GRACE
        for worker in list(self.workers):
            late = worker.jobs and time.monotonic() - worker.since > limit
            if late and not worker.pipe.poll():
                self._lose(worker, out_of_time(self.seconds))

    def _receive(self, worker: Worker) -> None:
        try:
            message: Any = worker.pipe.recv()
        except (EOFError, OSError):
            self._lose(worker, None)
            return
        except Exception as error:  # a result that cannot be taken apart here
            message = failed_by(error), 0.0, []
        if worker.ready:
            place, _ = worker.jobs.popleft()
            worker.since = time.monotonic()
            self.done.append((place, *message[:2]))
            for record in message[2]:
                logging.getLogger(record.name).handle(record)
        elif message is None:
            worker.ready, self.false_starts = True, 0
        else:
            raise CrystalsmithError(f"worker processes cannot load what they are to do: {message}")

    def _lose(self, worker: Worker, why: Failed | None) -> None:
        """Part with a worker that died or never ends; what it had not come to goes to others."""
        self._part_with(worker)
        if not worker.ready:
            self.false_starts += 1
            if self.false_starts >= FALSE_STARTS:
                raise CrystalsmithError(NO_START)
        if worker.jobs:
            job = worker.jobs.popleft()
            if why is None and self.most > 1:
                self.suspects.append(job)
            else:
                self.done.append((job[0], why or Failed(DIED), time.monotonic() - worker.since))
            self.queue.extendleft([[job] for job in reversed(worker.jobs)])

    def _part_with(self, worker: Worker) -> None:
        self.workers.remove(worker)
        worker.end()

    def dismiss(self) -> None:
        """Let workers that have nothing to do end by themselves."""
        for worker in self.workers:
            with suppress(OSError):
                worker.pipe.send(None)
        for worker in self.workers:
            worker.process.join(5.0)

    def kill(self) -> None:
        """End all workers at once."""
        for worker in list(self.workers):
            self._part_with(worker)
