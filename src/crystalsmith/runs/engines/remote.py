"""Tasks over any ``concurrent.futures.Executor``: made up, handed out, and done again where they were lost.

A task is a chunk of items. No more than a few tasks a slot are handed out, so that neither items nor results
pile up here. What an executor says is not taken on trust: an answer counts if it is to a task that is out, an
item counts once, and a task that never comes back is given up.
"""

from __future__ import annotations

import logging
import math
import queue
import secrets
import shutil
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from concurrent.futures import CancelledError, Executor, Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from crystalsmith.errors import EngineError
from crystalsmith.runs.atomic import replacing, writing
from crystalsmith.runs.engines.likeness import of_asker
from crystalsmith.runs.engines.task import DONE, LACKING, Answer, digest_of, work
from crystalsmith.runs.worker import DIED, GRACE, Failed, Job, Pickler, failed_by

T = TypeVar("T")
R = TypeVar("R")

SCRATCH = "engine-"
"""Folders in a run's folder begin so that belong to an engine."""

_TASK_SECONDS = 60.0  # that a task takes, once the time of an item is known
_MOST_ITEMS = 500  # of a task
_A_SLOT = 2  # tasks handed out
_LOSSES = 5  # of an item that is alone in its task, or in the process that died
_REFUSALS = 10  # of a task
_RESTARTS = 3  # of an executor that gives no result in between
_FIRST_RESTARTS = 2  # of one that has never given any, for what is wrong then stays so
_START_SECONDS = 600.0  # that a worker may take to load what it needs
_LEAST_STALL = 1800.0  # seconds without any answer where no time limit is set
_INLINE = 1 << 16  # bytes of a function that goes with every task; a larger one is a file
_LOOK_SECONDS = 1.0  # between looks at an executor that says nothing
_ALONE_SECONDS = 60.0  # without workers until that is told; then after four times as long, and so on

_log = logging.getLogger("crystalsmith.engine")


@dataclass
class Backend:
    """An executor that runs.

    Attributes:
        executor: takes the tasks.
        slots: tasks that it works on at once, at most.
        stop: ends it and all its workers; told whether it has work left.
        trouble: why it will never answer; empty as long as it may.
        staffed: whether it has any worker; not before that does the clock of a task begin to tick.
        waits: what it waits for, where it has none.
    """

    executor: Executor
    slots: int
    stop: Callable[[bool], None]
    trouble: Callable[[], str] = str
    staffed: Callable[[], bool] = lambda: True
    waits: Callable[[], str] = str


class Remote:
    """An engine on an executor, which starts with the first items; use ``close`` at its end.

    Args:
        name: as ``--engine`` takes it.
        start: starts the executor, with a folder that all its workers see.
        slots: before it is started.
        folder: of the run; the engine's scratch is inside.
        rest: seconds that a worker waits before it refuses a task.
    """

    def __init__(
        self,
        name: str,
        start: Callable[[Path], Backend],
        slots: int,
        folder: Path,
        *,
        rest: float = 5.0,
    ) -> None:
        self._name, self._start, self._slots, self._folder = name, start, slots, folder
        self.rest = rest
        self.scratch: Path | None = None
        self.backend: Backend | None = None
        self._made = False
        self.restarts = 0
        self.answered = False

    @property
    def name(self) -> str:
        """As ``--engine`` takes it."""
        return self._name

    @property
    def slots(self) -> int:
        """Items that are worked on at once, at most."""
        return self._slots

    def each(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        *,
        seconds: float | None = None,
        chunk: int = 1,
        apart: bool = False,
    ) -> Generator[list[tuple[int, R | Failed, float]], None, None]:
        """As ``Engine.each``.

        Raises:
            EngineError: the executor cannot be started, or ends again and again without a result, or none of
                its workers can do the work.
            OutputError: its scratch cannot be written.
        """
        stage = _Stage(self, function, items, seconds, chunk)
        try:
            yield from stage.results()
        finally:
            if stage.out:  # what is at work cannot be called back
                self.halt()

    def running(self) -> Backend:
        """The executor, started if it is not.

        Raises:
            EngineError: it cannot be started.
        """
        if self.backend is None:
            scratch = self._own_folder()
            try:
                self.backend = self._start(scratch)
            except EngineError:
                raise
            except Exception as error:
                raise EngineError(
                    f"engine {self.name} cannot be started: {failed_by(error).reason}"
                ) from error
            self._slots = self.backend.slots
        return self.backend

    def start_again(self, why: str) -> None:
        """Take another executor in place of one that has failed.

        Raises:
            EngineError: too many have, without any result in between.
        """
        self.restarts += 1
        if self.restarts > (_RESTARTS if self.answered else _FIRST_RESTARTS):
            raise EngineError(f"engine {self.name} gives no results: {why}; its logs are in {self.scratch}")
        _log.warning("engine %s is started again: %s", self.name, why)
        self.halt()
        self.running()

    def halt(self) -> None:
        """End the executor and its workers, whatever they are at."""
        self._stop(True)

    def close(self, error: BaseException | None = None) -> None:
        """End the executor; its scratch is removed unless it is to blame for what ends the run."""
        self._stop(error is not None)
        if self.scratch is not None and not isinstance(error, EngineError):
            shutil.rmtree(self.scratch, ignore_errors=True)
            if self._made:
                with suppress(OSError):  # it holds results
                    self._folder.rmdir()

    def _stop(self, at_work: bool) -> None:
        backend, self.backend = self.backend, None
        if backend is not None:
            try:
                backend.stop(at_work)
            except Exception as error:
                _log.warning("engine %s did not end in good order: %s", self.name, failed_by(error).reason)

    def _own_folder(self) -> Path:
        """The scratch; those of coordinators that were killed are removed, for the run's folder is ours."""
        if self.scratch is None:
            with writing(self._folder):
                self._made = not self._folder.exists()
                self._folder.mkdir(parents=True, exist_ok=True)
                for stale in self._folder.glob(SCRATCH + "*"):
                    shutil.rmtree(stale, ignore_errors=True)
                scratch = self._folder.resolve() / f"{SCRATCH}{secrets.token_hex(4)}"
                scratch.mkdir(mode=0o700)
                self.scratch = scratch
        return self.scratch

    def file_of(self, function: bytes, digest: str) -> str:
        """A file that holds a function, for workers to read.

        Raises:
            OutputError: it cannot be written.
        """
        path = self._own_folder() / f"{digest}.function"
        if not path.exists():
            with writing(path), replacing(path) as partial:
                partial.write_bytes(function)
        return str(path)


@dataclass(eq=False)
class _Task:
    """A chunk of items, and what became of it so far."""

    jobs: list[Job]
    losses: int = 0
    refusals: int = 0
    token: str = ""
    future: Future[Any] | None = None
    ticks: float = math.inf
    """When it was seen to be at work, or must have been, on the monotonic clock."""


@dataclass(eq=False)
class _Pace:
    """How many items make a task."""

    first: int
    left: int | None
    items: int = 0
    seconds: float = 0.0
    longest: float = 0.0

    def take(self, seconds: float) -> None:
        """Note an item's time."""
        self.items += 1
        self.seconds += seconds
        self.longest = max(self.longest, seconds)

    def size(self, slots: int) -> int:
        """Items of the next task: few as long as their time is not known, and at the end."""
        want = self.first
        if self.items:
            most = min(_MOST_ITEMS, 2 * self.items + 1)
            want = min(most, int(_TASK_SECONDS * self.items / max(self.seconds, 1e-9)))
        if self.left is not None:
            want = min(want, math.ceil(self.left / (_A_SLOT * slots)))
        return max(1, want)


class _Stage:
    """The items of one function."""

    def __init__(
        self,
        engine: Remote,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        seconds: float | None,
        chunk: int,
    ) -> None:
        self.engine, self.seconds = engine, seconds
        self.function = bytes(Pickler.dumps(function))
        self.digest = digest_of(self.function)
        self.asker = of_asker(self.function)
        self.inline = len(self.function) <= _INLINE
        self.items: Iterator[tuple[int, Any]] = enumerate(items)
        self.pace = _Pace(chunk, len(items) if isinstance(items, Sized) else None)
        self.again: deque[_Task] = deque()
        self.out: dict[str, _Task] = {}
        self.back: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.done: list[tuple[int, Any, float]] = []
        self.heard = self.looked = 0.0
        self.alone, self.tell = math.inf, _ALONE_SECONDS
        self.refusals = 0

    def results(self) -> Iterator[list[tuple[int, Any, float]]]:
        """What is done, as it comes."""
        self._hand_out()
        while self.out or self.done:
            if self.done:
                done, self.done = self.done, []
                yield done
            else:
                self._wait()
            self._hand_out()

    def _hand_out(self) -> None:
        """Keep all slots busy, and a few tasks waiting for them."""
        while task := self._next():
            backend = self.engine.running()
            task.token, task.ticks = secrets.token_hex(8), math.inf
            if not self.out:
                self.heard = time.monotonic()
            self.out[task.token] = task
            source = self.function if self.inline else self.engine.file_of(self.function, self.digest)
            try:
                task.future = backend.executor.submit(
                    work,
                    task.token,
                    self.asker,
                    self.digest,
                    source,
                    self.seconds,
                    task.jobs,
                    self.engine.rest,
                )
            except Exception as error:  # an executor that has ended
                self._start_again(backend.trouble() or failed_by(error).reason)
                continue
            task.future.add_done_callback(partial(self._came_back, task.token))

    def _came_back(self, token: str, future: Future[Any]) -> None:
        """In a thread of the executor."""
        self.back.put(token)

    def _next(self) -> _Task | None:
        """What is to be handed out, if there is room for it: what was lost before new items."""
        if len(self.out) >= _A_SLOT * self.engine.slots:
            return None
        if self.again:
            return self.again.popleft()
        jobs: list[Job] = []
        for place, item in islice(self.items, self.pace.size(self.engine.slots)):
            if self.pace.left is not None:
                self.pace.left -= 1
            try:
                jobs.append((place, bytes(Pickler.dumps(item))))
            except Exception as error:
                self.done.append((place, failed_by(error), 0.0))
        return _Task(jobs) if jobs else None

    def _wait(self) -> None:
        """Until something comes back, or is given up."""
        try:
            self._take(self.back.get(timeout=_LOOK_SECONDS))
            while not self.back.empty():
                self._take(self.back.get())
        except queue.Empty:
            pass
        if time.monotonic() - self.looked >= _LOOK_SECONDS:
            self.looked = time.monotonic()
            backend = self.engine.running()
            if trouble := backend.trouble():
                self._start_again(trouble)
            else:
                self._give_up(backend)

    def _take(self, token: str) -> None:
        """Take what came back, if it is still waited for."""
        task = self.out.get(token)
        if task is None or task.future is None:
            return
        self.heard = time.monotonic()
        try:
            error = task.future.exception(timeout=0)
        except (CancelledError, TimeoutError) as cancelled:
            error = cancelled
        if error is not None:
            self._lose(task, failed_by(error).reason)
            return
        answer: Answer = task.future.result()
        self._see_who_is_late(task)
        if not (isinstance(answer, tuple) and len(answer) == 4 and answer[1] == token):
            self._lose(task, "the engine gave the answer to something else")
        elif answer[0] == DONE:
            self._accept(task, answer)
        elif answer[0] == LACKING and not self.inline:
            self.inline = True  # the workers do not see the run's folder
            self._put_back(task)
        else:
            self._refused(task, answer[2])

    def _accept(self, task: _Task, answer: Answer) -> None:
        """Take the results of a task; what is missing or died goes out again, alone."""
        self.engine.restarts, self.engine.answered = 0, True
        del self.out[task.token]
        jobs = dict(task.jobs)
        for place, message, spent in answer[3]:
            if place not in jobs or (message is None):
                continue
            del jobs[place]
            try:
                result, spent, records = Pickler.loads(message)
            except Exception as error:  # a result that cannot be taken apart here
                result, records = failed_by(error), []
            self.pace.take(spent)
            self.done.append((place, result, spent))
            for record in records:
                logging.getLogger(record.name).handle(record)
        losses = task.losses if len(task.jobs) == 1 else 0
        for job in jobs.items():
            self._lose_one(_Task([job], losses + 1), DIED)

    def _put_back(self, task: _Task) -> None:
        self.out.pop(task.token, None)
        self.again.append(task)

    def _lose(self, task: _Task, why: str) -> None:
        """A task was lost with its worker: done again, in halves from the second time on."""
        if trouble := self.engine.running().trouble():
            self._start_again(trouble)
            return
        _log.info("a task of %d items was lost: %s", len(task.jobs), why)
        self.out.pop(task.token, None)
        task.losses += 1
        if len(task.jobs) == 1:
            self._lose_one(task, why)
        elif task.losses == 1:
            self.again.append(task)
        else:
            half = len(task.jobs) // 2
            self.again.extend(_Task(jobs, 1) for jobs in (task.jobs[:half], task.jobs[half:]))

    def _lose_one(self, task: _Task, why: str) -> None:
        if task.losses < _LOSSES:
            self.again.append(task)
        else:
            reason = why if why == DIED else f"lost {task.losses} times, the last time so: {why}"
            self.done.append((task.jobs[0][0], Failed(reason), 0.0))

    def _refused(self, task: _Task, why: str) -> None:
        """A worker cannot do it: others may, unless none ever could.

        Raises:
            EngineError: no worker has done anything yet.
        """
        self.refusals += 1
        if not self.engine.answered and self.refusals >= min(_REFUSALS, _A_SLOT * self.engine.slots):
            raise EngineError(f"engine {self.engine.name}: {why}")
        self.out.pop(task.token, None)
        task.refusals += 1
        if task.refusals < _REFUSALS:
            self.again.append(task)
        else:
            self.done.extend((place, Failed(why), 0.0) for place, _ in task.jobs)

    def _start_again(self, why: str) -> None:
        """All that is out goes out again, to another executor; nobody's fault."""
        for task in list(self.out.values()):
            self._put_back(task)
        self.engine.start_again(why)

    def _see_who_is_late(self, back: _Task) -> None:
        """A task that was handed out before one that is back already has begun by now, or is lost."""
        now = time.monotonic()
        for task in self.out.values():  # in the order in which they were handed out
            if task is back:
                break
            task.ticks = min(task.ticks, now)

    def _give_up(self, backend: Backend) -> None:
        """Take tasks for lost that take longer than they can, and an executor that answers nothing at all."""
        now = time.monotonic()
        for task in list(self.out.values()):
            if task.future is not None and task.future.running():
                task.ticks = min(task.ticks, now)
            if now - task.ticks > self._limit(task):
                if task.future is not None:
                    with suppress(Exception):  # not all executors can
                        task.future.cancel()
                self._lose(task, f"no answer within {now - task.ticks:.0f} s")
        staffed = backend.staffed()
        self._tell_of_waiting(backend, math.inf if staffed else min(self.alone, now))
        if not self.out or not staffed:
            self.heard = now
        elif now - self.heard > max(map(self._limit, self.out.values())):
            self._start_again(f"no answer to anything for {now - self.heard:.0f} s")

    def _tell_of_waiting(self, backend: Backend, alone: float) -> None:
        """Say that there are no workers, more and more seldom.

        Args:
            backend: that has none.
            alone: since when, on the monotonic clock; infinite where it has some.
        """
        self.alone = alone
        spent = time.monotonic() - alone
        if spent < 0:
            self.tell = _ALONE_SECONDS
        elif spent >= self.tell:
            self.tell *= 4
            why = f": {said}" if (said := backend.waits()) else ""
            _log.warning("engine %s has had no workers for %.0f s%s", self.engine.name, spent, why)

    def _limit(self, task: _Task) -> float:
        """Seconds that a task can take at most, with all that it must load."""
        if self.seconds is None:
            return max(_LEAST_STALL, 20 * self.pace.longest * len(task.jobs))
        return _START_SECONDS + len(task.jobs) * (self.seconds + GRACE)
