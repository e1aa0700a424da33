"""The process of one job: loads the model, waits for the job, does it, says how it ended.

``python -m crystalsmith.serving.worker`` is started by the server with a pipe for its input: the first line
is the job, the end of the pipe is the end of the server.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

from crystalsmith.errors import CrystalsmithError, OutputError
from crystalsmith.runs.atomic import write_whole
from crystalsmith.runs.lock import LOCK, FolderLock
from crystalsmith.runs.stop import stop_signals
from crystalsmith.serving.process import Worker, end_with_parent, start_process
from crystalsmith.serving.settings import ModelChoice

EVERY = 0.2
"""Seconds between two notes of how far a job is."""

LOCKED = 60.0
"""Seconds that a job waits for another process to leave its folder: one of a server that just died."""


def start_worker(model: ModelChoice, log: Path) -> Worker:
    """Start a process that waits for a job.

    Raises:
        OSError: it cannot be started.
    """
    process = start_process("crystalsmith.serving.worker", [json.dumps(asdict(model))], log, model.threads)
    return Worker(process)


class Noted:
    """Progress as a small file.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._next, self._stage = path, 0.0, ""

    def __call__(self, stage: str, done: float, total: float) -> None:
        """A stage is so far."""
        now = time.monotonic()
        if stage == self._stage and now < self._next and done < total:
            return
        self._stage, self._next = stage, now + EVERY
        with suppress(OSError):  # a disk that is full is told by what the job writes
            text = json.dumps({"stage": stage, "done": float(done), "total": float(total)})
            write_whole(self._path, text, durable=False)


def load(model: ModelChoice) -> Any:
    """The model, the process being made ready for it.

    Raises:
        CheckpointError: from ``load_model``.
    """
    from crystalsmith.allocator import keep_freed_memory

    keep_freed_memory()
    import torch

    torch.set_num_threads(model.threads)
    from crystalsmith.diffusion import load_model

    return load_model(model.checkpoint or model.method, device=model.device)


def carry_out(job: Mapping[str, Any], model: Any) -> None:
    """Do a job and write down how it ended; one that is stopped writes nothing.

    Args:
        job: as ``Jobs`` gives it: kind, options, folder of the run, folder for notes.
        model: from ``load``.
    """
    from crystalsmith.serving.work import WORK

    folder, notes = Path(job["folder"]), Path(job["notes"])
    outcome: dict[str, Any] = {"state": "done"}
    try:
        _wait_for(folder)
        data = json.loads((notes / "data.json").read_text(encoding="utf-8"))
        WORK[job["kind"]](dict(job["options"]), data, folder, model, Noted(notes / "progress.json"))
    except CrystalsmithError as error:
        outcome = {"state": "failed", "error": " ".join(str(error).split())}
    except MemoryError:
        outcome = {"state": "failed", "error": "not enough memory; ask for fewer or smaller crystals"}
    except Exception as error:
        logging.getLogger(__name__).exception("%s failed", job["kind"])
        what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        outcome = {"state": "failed", "error": f"an error that should not be: {what}"}
    with suppress(OSError):
        write_whole(notes / "outcome.json", json.dumps(outcome))


def _wait_for(folder: Path) -> None:
    """Until no other process is at work in the folder."""
    until = time.monotonic() + LOCKED
    while folder.exists():
        try:
            FolderLock.take(folder / LOCK).release()
            return
        except OutputError:
            if time.monotonic() > until:
                raise
            time.sleep(EVERY)


def _quit(number: int, frame: FrameType | None) -> None:
    os._exit(128 + number)


def main() -> int:
    """Wait for the job and do it; exit status."""
    for number in (signal.SIGTERM, signal.SIGINT):  # until a job handles them
        signal.signal(number, _quit)
    logging.basicConfig(level=logging.WARNING)
    choice = ModelChoice(**json.loads(sys.argv[1]))
    model, trouble = None, None
    try:
        model = load(choice)
    except CrystalsmithError as error:  # told by the job that needs it
        trouble = error
    import crystalsmith.generation.run  # noqa: F401

    line = sys.stdin.readline()
    if not line:
        return 0
    end_with_parent(sys.stdin)
    sys.stdout = sys.stderr
    job = json.loads(line)
    try:
        if trouble is not None:
            raise trouble
        with stop_signals():
            carry_out(job, model)
    except CrystalsmithError as error:
        text = json.dumps({"state": "failed", "error": " ".join(str(error).split())})
        write_whole(Path(job["notes"]) / "outcome.json", text)
    except KeyboardInterrupt as error:
        return getattr(error, "status", 130)
    return 0


if __name__ == "__main__":
    sys.exit(main())
