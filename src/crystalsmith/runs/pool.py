"""A function over many items, on all cores: what hangs, throws or kills its process costs one item only."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from types import FrameType
from typing import Any, Generic, TypeVar

from crystalsmith.errors import CrystalsmithError

T = TypeVar("T")
R = TypeVar("R")

DIED = "the process that worked on it died, perhaps of lack of memory"


@dataclass(frozen=True)
class Failed:
    """What stands in place of a result: why there is none."""

    reason: str


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_worker() -> None:
    """Make a worker process leave Ctrl-C to the main process, and end when that is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
        return Failed(f"took longer than {seconds:g} s")
    except CrystalsmithError as error:
        return Failed(" ".join(str(error).split())[:200])
    except Exception as error:  # whatever a library makes of an absurd crystal
        return Failed(" ".join(f"{type(error).__name__}: {error}".split())[:200])


def _run_chunk(
    function: Callable[[Any], Any], items: Sequence[Any], seconds: float | None
) -> list[tuple[Any, float]]:
    results = []
    for item in items:
        began = time.perf_counter()
        results.append((guarded(function, item, seconds), time.perf_counter() - began))
    return results


@dataclass
class _Chunk(Generic[T]):
    places: list[int]
    items: list[T]
    suspect: bool = False  # was at work when a worker died


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

    With more than one worker the calling script needs the usual ``if __name__ == "__main__"`` guard.

    Args:
        function: a function of a module, so that it can be sent to another process.
        items: what it is applied to.
        workers: processes; one for each core that may be used if not given. With one, all happens in this
            process, and nothing protects it from an item that kills it, unless ``apart``.
        seconds: time limit for one item; what takes longer is ``Failed``.
        chunk: items that go to a worker at once.
        on_done: called in this process with (place, result, seconds) of items as they are done, in any order.
        apart: never in this process, however few workers or items there are.

    Returns:
        Result or ``Failed`` of each item, in the order of the items.
    """
    results: list[Any] = [Failed("not done")] * len(items)

    def take(places: Sequence[int], done: Sequence[tuple[Any, float]]) -> None:
        for place, (result, _) in zip(places, done, strict=True):
            results[place] = result
        if on_done is not None:
            on_done([(p, r, t) for p, (r, t) in zip(places, done, strict=True)])

    workers = available_cores() if workers is None else workers
    if not apart and (workers == 1 or len(items) <= 1):
        for place, item in enumerate(items):
            take([place], _run_chunk(function, [item], seconds))
        return results
    queue = [
        _Chunk(list(range(k, min(k + chunk, len(items)))), list(items[k : k + chunk]))
        for k in range(0, len(items), chunk)
    ]
    while queue:
        queue = _drain(function, queue, workers, seconds, take)
    return results


def _drain(
    function: Callable[[Any], Any],
    queue: list[_Chunk[Any]],
    workers: int,
    seconds: float | None,
    take: Callable[[Sequence[int], Sequence[tuple[Any, float]]], None],
) -> list[_Chunk[Any]]:
    """Work off the queue in one pool; what is left if a worker dies, the suspects one by one in front."""
    alone = queue[0].suspect
    # A fresh interpreter for each worker: forking a process that runs threads (torch) can hang.
    pool = ProcessPoolExecutor(1 if alone else workers, get_context("spawn"), initializer=start_worker)
    pending: dict[Future[Any], _Chunk[Any]] = {}
    waiting = list(reversed(queue))
    finished = False
    try:
        while waiting or pending:
            while waiting and len(pending) < (1 if alone else 2 * workers):
                if alone and not waiting[-1].suspect:
                    break
                part = waiting[-1]  # stays there if the pool breaks at this moment
                pending[pool.submit(_run_chunk, function, part.items, seconds)] = part
                waiting.pop()
            if not pending:
                break
            for future in wait(pending, return_when=FIRST_COMPLETED).done:
                part = pending[future]
                take(part.places, future.result())
                del pending[future]
        finished = True
        return list(reversed(waiting))
    except BrokenProcessPool:
        finished = True
        suspects = [p for p in pending.values() if not (alone and len(p.items) == 1)]
        for part in pending.values():
            if alone and len(part.items) == 1:
                take(part.places, [(Failed(DIED), 0.0)])
        single = [
            _Chunk([place], [item], True)
            for part in suspects
            for place, item in zip(part.places, part.items, strict=True)
        ]
        return single + list(reversed(waiting))
    finally:
        if not finished:  # interrupted: do not wait for what the workers are at
            for process in (getattr(pool, "_processes", None) or {}).values():
                process.terminate()
        pool.shutdown(wait=True, cancel_futures=True)
