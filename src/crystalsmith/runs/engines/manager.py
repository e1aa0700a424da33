"""Parsl's manager of a node, which ends when it can do no more work, so that another one takes its place.

By itself it lives on, and keeps its tasks, when the process is killed in which it notes what workers are at,
or a worker that held a lock which all of them need: an idle one holds that of the queue of tasks. When it is
killed itself, that process would stay for ever; and so would it where the interchange goes while it connects.
"""

from __future__ import annotations

import argparse
import logging
import os
import runpy
import sys
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from multiprocessing.managers import SyncManager
from typing import Any

import psutil

from crystalsmith.runs.worker import Pickler, end_with_parent

MODULE = "parsl.executors.high_throughput.process_worker_pool"
LOOKS = 6  # signs of life that a node gives while a task lies beside an idle worker
SILENT_LOOKS = 3  # ... after nothing in it listens to the interchange any more


def end() -> None:
    """End this process and all its workers."""
    for child in psutil.Process().children(recursive=True):
        try:
            child.kill()
        except psutil.Error:
            continue
    os._exit(1)


def end_with(process: Any) -> None:
    """End this process when another one has ended."""

    def watch() -> None:
        process.join()
        end()

    threading.Thread(target=watch, daemon=True).start()


def watch_notes() -> None:
    """Have a process that holds what several share end with this one, and the other way round."""
    from parsl.multiprocessing import SpawnContext

    def made() -> SyncManager:
        notes = SyncManager(ctx=SpawnContext)
        notes.start(end_with_parent)
        end_with(notes._process)  # type: ignore[attr-defined]
        return notes

    SpawnContext.Manager = made  # type: ignore[method-assign]


@dataclass
class Stuck:
    """Whether a task lies here although a worker is free, seen at every look."""

    looks: int = 0
    suspects: set[int] = field(default_factory=set)

    def look(self, tasks: Collection[int], at_work: int, idle: int) -> int:
        """For how many looks one of the tasks may have been lying.

        Args:
            tasks: came, and did not go yet.
            at_work: as many of them are.
            idle: workers, as they counted themselves; too many where idle ones were killed.
        """
        lying = idle > 0 and len(tasks) > at_work
        self.suspects &= set(tasks)
        if lying and self.suspects:
            self.looks += 1
        else:
            self.looks, self.suspects = 0, set(tasks) if lying else set()
        return self.looks


def watch_tasks() -> None:
    """End this process when a task does not get to a worker, or its result not out of here."""
    from parsl.executors.high_throughput.mpi_resource_management import TaskScheduler

    here: dict[int, None] = {}
    put, get = TaskScheduler.put_task, TaskScheduler.get_result

    def put_task(self: Any, task: Any) -> None:
        here[task["task_id"]] = None
        put(self, task)

    def get_result(self: Any, *args: Any, **options: Any) -> Any:
        result = get(self, *args, **options)
        if result is not None:
            here.pop(Pickler.loads(result).get("task_id"), None)
        return result

    TaskScheduler.put_task, TaskScheduler.get_result = put_task, get_result  # type: ignore[method-assign]
    threading.Thread(target=_look, args=(here,), daemon=True).start()


def _look(here: dict[int, None]) -> None:
    stuck, silent, manager = Stuck(), 0, None
    while True:
        time.sleep(1.0 if manager is None else manager.heartbeat_period)
        manager = getattr(sys.modules["__main__"], "manager", None)  # of Parsl's script, once it has begun
        if manager is None:
            continue
        listens = any(thread.name == "Interchange-Communicator" for thread in threading.enumerate())
        silent = 0 if listens else silent + 1
        idle = manager.ready_worker_count.get_obj().value  # without its lock, which may be held by the dead
        lying = stuck.look(list(here), len(manager._tasks_in_progress), idle)
        if lying >= LOOKS or silent >= SILENT_LOOKS:
            end()


def listen_no_longer_than(seconds: float) -> None:
    """Give up an answer of the interchange after so long, where Parsl waits for ever."""
    import zmq
    from parsl.curvezmq import ClientContext

    make = ClientContext.socket

    def socket(self: Any, *args: Any, **options: Any) -> Any:
        made = make(self, *args, **options)
        made.setsockopt(zmq.RCVTIMEO, int(1000 * seconds))
        return made

    ClientContext.socket = socket  # type: ignore[method-assign]


def _silence(words: list[str]) -> float:
    """Seconds of silence after which the interchange is lost, by the words of the command."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--hb_threshold", type=float, default=120.0)
    found: float = parser.parse_known_args(words)[0].hb_threshold
    return found


if __name__ == "__main__":
    logging.raiseExceptions = False  # that a log cannot be written on a full disk
    listen_no_longer_than(_silence(sys.argv))
    watch_notes()
    watch_tasks()
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
