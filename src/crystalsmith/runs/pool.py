"""A function over many items, on all cores: what hangs, throws or kills its process costs one item only.

Each worker is a fresh interpreter (forking a process that runs threads can hang) with one thread, joined to
this process by a pipe and nothing else: no semaphores that would outlive a kill, no threads here. The
watchdog sits in this process, so that what never comes back from a C call is ended too.
"""

from __future__ import annotations

import copyreg
import logging
import math
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.reduction import ForkingPickler
from types import FrameType
from typing import Any, TypeVar

from crystalsmith.errors import CrystalsmithError
from crystalsmith.runs.stop import SIGNALS, masked

T = TypeVar("T")
R = TypeVar("R")

DIED = "the process that worked on it died, perhaps of lack of memory"

GRACE = 1.0
"""Seconds beyond its limit after which a worker that has not given up an item by itself is killed."""

_FALSE_STARTS = 3
_MOST_RECORDS = 100  # of the log of one item
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Failed:
    """What stands in place of a result: why there is none."""

    reason: str


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _OutOfTime(BaseException):
    """Not an Exception, so that no library takes it for an error of its own."""


@contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    """Raise ``_OutOfTime`` inside after so long, where the system has timers for that (not on Windows)."""
    usable = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if seconds is None or not usable:
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def guarded(function: Callable[[T], R], item: T, seconds: float | None = None) -> R | Failed:
    """The function's result, or why there is none: an exception, or out of time."""
    try:
        with _time_limit(seconds):
            return function(item)
    except _OutOfTime:
        return _late(seconds)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # whatever a library makes of an absurd crystal; of Rust, no Exception
        return _why(error)


def _late(seconds: float | None) -> Failed:
    return Failed(f"took longer than {seconds:g} s")


def _why(error: BaseException) -> Failed:
    text = str(error) if isinstance(error, CrystalsmithError) else f"{type(error).__name__}: {error}"
    return Failed(" ".join(text.split())[:200])


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


Job = tuple[int, bytes]
"""Place of an item, and the item as it is sent."""


class _Pickler(ForkingPickler):
    """Without the reducers of torch, which send tensors as open files that one process can take, once."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.dispatch_table = copyreg.dispatch_table


@dataclass(eq=False)
class _Worker:
    """A process, and what it was given: the first of ``jobs`` is what it is at, ``since`` then."""

    process: Any
    pipe: Connection
    jobs: deque[Job] = field(default_factory=deque)
    ready: bool = False
    since: float = 0.0

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.process.close()
        self.pipe.close()


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
        self.function, self.most = bytes(_Pickler.dumps(function)), workers
        self.seconds, self.chunk, self.items = seconds, chunk, items
        self.workers: list[_Worker] = []
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
            self.workers.append(self._start())
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
                    jobs.append((place, bytes(_Pickler.dumps(item))))
                except Exception as error:
                    self.done.append((place, _why(error), 0.0))
            if jobs:
                self.queue.append(jobs)
        return len(self.queue) > more_than

    def _start(self) -> _Worker:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.seconds), daemon=True)
        with _surroundings_of_a_worker(hide_main=b"__main__" not in self.function):
            process.start()
        theirs.close()
        with suppress(OSError):
            ours.send_bytes(self.function)
        return _Worker(process, ours)

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
                self._lose(worker, _late(self.seconds))

    def _receive(self, worker: _Worker) -> None:
        try:
            message: Any = worker.pipe.recv()
        except (EOFError, OSError):
            self._lose(worker, None)
            return
        except Exception as error:  # a result that cannot be taken apart here
            message = _why(error), 0.0, []
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

    def _lose(self, worker: _Worker, why: Failed | None) -> None:
        """Part with a worker that died or never ends; what it had not come to goes to others."""
        self._part_with(worker)
        if not worker.ready:
            self.false_starts += 1
            if self.false_starts >= _FALSE_STARTS:
                raise CrystalsmithError(
                    "worker processes end before they begin; functions of a script need the usual guard"
                    " if __name__ == '__main__' around its work; and is there memory for so many workers?"
                )
        if worker.jobs:
            job = worker.jobs.popleft()
            if why is None and self.most > 1:
                self.suspects.append(job)
            else:
                self.done.append((job[0], why or Failed(DIED), time.monotonic() - worker.since))
            self.queue.extendleft([[job] for job in reversed(worker.jobs)])

    def _part_with(self, worker: _Worker) -> None:
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


@contextmanager
def _surroundings_of_a_worker(hide_main: bool) -> Iterator[None]:
    """What a process that is started within inherits: one thread, and deaf ears until it has its own.

    Args:
        hide_main: nothing of the main script is needed, so that it is not run anew and needs no guard.
    """
    main = vars(sys.modules["__main__"])
    names = ("__file__", "__spec__") if hide_main else ()
    script: dict[str, Any] = {name: main[name] for name in names if name in main}
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    if hide_main:
        main.pop("__file__", None)
        main["__spec__"] = None
    try:
        with masked("SIG_BLOCK"):
            yield
    finally:
        main.update(script)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, seconds: float | None) -> None:
    """What a worker does: take chunks, and send back (result, seconds, log) of each item."""
    for number in SIGNALS:  # they go to all of a terminal's or job's processes; the main one decides
        signal.signal(number, lambda *_: None)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with masked("SIG_UNBLOCK"), suppress(EOFError, OSError):  # the main process has gone
        try:
            function = ForkingPickler.loads(pipe.recv_bytes())
        except Exception as error:
            pipe.send(_why(error).reason)
            return
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        log = _Log()
        pipe.send(None)
        while (chunk := pipe.recv()) is not None:
            for data in chunk:
                began = time.perf_counter()
                result = guarded(lambda data: function(ForkingPickler.loads(data)), data, seconds)
                spent = time.perf_counter() - began
                try:
                    message = _Pickler.dumps((result, spent, log.take()))
                except Exception as error:
                    message = _Pickler.dumps((_why(error), spent, []))
                pipe.send_bytes(message)


class _Log(logging.Handler):
    """What is logged and warned of in a worker; the main process hears of it with the result."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        logging.captureWarnings(True)
        logging.getLogger().addHandler(self)
        logging.getLogger("crystalsmith").setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        if len(self.records) < _MOST_RECORDS:
            self.records.append(record)

    def take(self) -> list[logging.LogRecord]:
        records, self.records = self.records, []
        return records


def _end_with_parent() -> None:
    """End when the main process is gone, however it went."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
