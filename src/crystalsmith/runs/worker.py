"""A process that applies one function to what it is sent, and what it does when an item fails it.

It is a fresh interpreter (forking a process that runs threads can hang) with one thread, joined to the
process that started it by a pipe and nothing else, and it ends with that process however it goes.
"""

from __future__ import annotations

import copyreg
import logging
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from types import FrameType
from typing import Any, TypeVar

from crystalsmith.errors import CrystalsmithError
from crystalsmith.runs.stop import SIGNALS, masked

T = TypeVar("T")
R = TypeVar("R")

DIED = "the process that worked on it died, perhaps of lack of memory"

GRACE = 1.0
"""Seconds beyond its limit after which a process that has not given up an item by itself is killed."""

FALSE_STARTS = 3
"""Processes in a row that end before they begin, after which there is no point in another one."""

NO_START = (
    "worker processes end before they begin; functions of a script need the usual guard"
    " if __name__ == '__main__' around its work; and is there memory for so many workers?"
)

_MOST_RECORDS = 100  # of the log of one item
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Failed:
    """What stands in place of a result: why there is none."""

    reason: str


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
        return out_of_time(seconds)
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # whatever a library makes of an absurd crystal; of Rust, no Exception
        return failed_by(error)


def out_of_time(seconds: float | None) -> Failed:
    """Failed for lack of time."""
    return Failed(f"took longer than {seconds:g} s")


def failed_by(error: BaseException) -> Failed:
    """Failed for what was raised."""
    text = str(error) if isinstance(error, CrystalsmithError) else f"{type(error).__name__}: {error}"
    return Failed(" ".join(text.split())[:200])


Job = tuple[int, bytes]
"""Place of an item, and the item as it is sent."""


class Pickler(ForkingPickler):
    """Without the reducers of torch, which send tensors as open files that one process can take, once."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.dispatch_table = copyreg.dispatch_table


@dataclass(eq=False)
class Worker:
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


def start_worker(function: bytes, seconds: float | None) -> Worker:
    """Start a process; it answers None when it has taken the function apart, or why it could not.

    Then it takes lists of pickled items, and answers for each with a pickled (result, seconds, log).

    Args:
        function: pickled.
        seconds: time limit for one item.
    """
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, seconds), daemon=True)
    with _surroundings_of_a_worker(hide_main=b"__main__" not in function):
        process.start()
    theirs.close()
    with suppress(OSError):
        ours.send_bytes(function)
    return Worker(process, ours)


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
    end_with_parent()
    with masked("SIG_UNBLOCK"), suppress(EOFError, OSError):  # the main process has gone
        try:
            function = ForkingPickler.loads(pipe.recv_bytes())
        except Exception as error:
            pipe.send(failed_by(error).reason)
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
                    message = Pickler.dumps((result, spent, log.take()))
                except Exception as error:
                    message = Pickler.dumps((failed_by(error), spent, []))
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


def end_with_parent() -> None:
    """End this process when the one that started it is gone, however it went."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
