"""Parsl's manager of a node, which ends when it can do no more work.

By itself it lives on, and keeps its tasks, when the process is killed in which it notes what workers are at.
"""

from __future__ import annotations

import os
import runpy
import threading
from typing import Any

import psutil

MODULE = "parsl.executors.high_throughput.process_worker_pool"


def end_with(process: Any) -> None:
    """End this process and all its workers when another one has ended."""

    def watch() -> None:
        process.join()
        for child in psutil.Process().children(recursive=True):
            try:
                child.kill()
            except psutil.Error:
                continue
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def watch_notes() -> None:
    """Watch every process that is started to hold what several processes share."""
    from parsl.multiprocessing import SpawnContext

    make = SpawnContext.Manager

    def made() -> Any:
        notes = make()
        end_with(notes._process)  # type: ignore[attr-defined]
        return notes

    SpawnContext.Manager = made  # type: ignore[method-assign]


if __name__ == "__main__":
    watch_notes()
    runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
