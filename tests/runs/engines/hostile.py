"""An executor that does what it is given at once, in this thread, unless its script says otherwise."""

import math
import os
import threading
import time
from collections import deque
from concurrent.futures import Executor, Future
from contextlib import suppress
from itertools import repeat

from crystalsmith.runs.engines.remote import Backend, Remote


class Lost(Exception):
    """A worker was lost."""


class Hostile(Executor):
    """What happens to tasks, one after another, and then to all further ones:

    fine; lost; hung (at work for ever); silent (never begun); twice (done and told twice); late (told after
    the next one); swapped (told with the answer to the one before); nonsense; refused (as by a worker of
    another version); blind (as by one that cannot read the run's folder); half (the second half of its
    results is missing); raises (cannot be submitted to).
    """

    def __init__(self, faults=(), then="fine", slots=2, lose=lambda jobs: False):
        self.faults, self.then, self.slots, self.lose = deque(faults), then, slots, lose
        self.held: deque = deque()
        self.answers, self.sizes, self.stopped = [], [], 0
        self.kinds = []

    def submit(self, fn, /, token, asker, digest, function, *more):
        fault = self.faults.popleft() if self.faults else self.then
        self.kinds.append((fault, type(function).__name__))
        self.sizes.append(len(more[1]))
        if fault == "raises":
            raise RuntimeError("cannot schedule new futures after shutdown")
        future = Future()
        if fault in ("lost", "hung", "silent", "nonsense") or self.lose(more[1]):
            if fault == "hung":
                future.set_running_or_notify_cancel()
            elif fault == "nonsense":
                future.set_result("42")
            elif fault != "silent":
                future.set_exception(Lost("node07 has gone"))
            return future
        if fault == "refused":
            asker = {**asker, "crystalsmith": "0.0.1"}
        if fault == "blind" and isinstance(function, str):
            function += ".gone"
        answer = fn(token, asker, digest, function, *more)
        if fault == "half":
            answer = (*answer[:3], answer[3][: len(answer[3]) // 2])
        if fault == "swapped" and self.answers:
            answer = self.answers[-1]
        if fault == "twice":
            answer = (*answer[:3], answer[3] * 2)
        self.answers.append(answer)
        if fault == "late":
            self.held.append((future, answer))
            threading.Timer(0.5, self.release).start()  # where there is no next one
            return future
        future.set_result(answer)
        self.release()
        return future

    def release(self):
        while self.held:
            with suppress(IndexError):  # the other thread was quicker
                future, answer = self.held.popleft()
                future.set_result(answer)

    def shutdown(self, wait=True, *, cancel_futures=False):
        self.stopped += 1


def engine(tmp_path, *executors, rest=0.0, **options):
    """A remote engine whose executors follow one another."""
    waiting = deque(executors)

    def start(scratch):
        executor = waiting.popleft()
        return Backend(
            executor, executor.slots, lambda at_work: executor.shutdown(wait=not at_work), **options
        )

    return Remote("hostile", start, executors[0].slots, tmp_path / "run", rest=rest)


def collect(remote, function, items, **options):
    """Results by place; none may come twice."""
    found = {}
    for done in remote.each(function, items, **options):
        for place, result, _ in done:
            assert place not in found
            found[place] = result
    return found


def root(x):
    """Work that may go wrong in all ways."""
    if x == "die":
        os._exit(9)
    if x == "never":  # one C call, which looks at no signals
        deque(repeat(0), maxlen=0)
    if x == "sleep":
        time.sleep(0.01)
        return "slept"
    if x == "long":
        time.sleep(600)
    if x == "where":
        return os.getpid()
    return math.sqrt(x)


def root_by(potential: str, x: float) -> float:
    """As ``root``, in a run that names a potential."""
    return root(x)


class Large:
    """A function with much in it, as one with a model."""

    def __init__(self):
        self.weights = os.urandom(1 << 17)

    def __call__(self, x):
        return x + len(self.weights)
