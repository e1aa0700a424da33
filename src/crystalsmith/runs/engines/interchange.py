"""Parsl's interchange, which ends with the process that started it and is deaf to a terminal's Ctrl-C.

By itself it waits for ever when that process is killed.
"""

from __future__ import annotations

import logging
import os
import runpy
import signal
import sys
import threading
import time

LOOK_SECONDS = 1.0


def end_with(parent: int) -> None:
    """End this process when it has another parent than this one, as it may have from the start."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    logging.raiseExceptions = False  # that a log cannot be written on a full disk
    end_with(int(sys.argv.pop()))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    runpy.run_module("parsl.executors.high_throughput.interchange", run_name="__main__", alter_sys=True)
