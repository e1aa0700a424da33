"""How far a long command is: one shape of callback, and one display."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

Progress = Callable[[str, float, float], None]
"""Told of a stage, how much of it is done, and of how much."""

EVERY = 10.0
"""Seconds between two lines of a stage where there is no terminal."""


def silent(stage: str, done: float, total: float) -> None:
    """Tell nobody."""


class Display:
    """Shows progress on standard error; use it as a context manager and as a ``Progress``.

    On a terminal it is a bar; elsewhere a line now and then, the first and the last one of each stage always.

    Args:
        quiet: show nothing.
        file: in place of standard error.
        clock: tells the seconds.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        file: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._file, self._clock = file or sys.stderr, clock
        self._quiet = quiet or self._file is None  # as Python has it after ``2>&-``
        self._bar: Any = None
        self._task: Any = None
        self._stage, self._note = "", ""
        self._last: tuple[float, float] = (-1.0, -1.0)
        self._shown = 0.0
        if not self._quiet and self._file.isatty():
            self._bar = _bar(self._file)

    def __enter__(self) -> Display:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def note(self, text: str) -> None:
        """Stands beside the numbers from now on, such as a loss."""
        self._note = text

    def __call__(self, stage: str, done: float, total: float) -> None:
        """A stage is so far."""
        begins = stage != self._stage
        if begins and self._bar is not None:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(stage, total=total, count="", note="")
        self._stage = stage
        text = f"{stage}: {int(done):,} of {int(total):,}"
        if begins or (done >= total and (done, total) != self._last):
            logging.getLogger("crystalsmith.progress").info("%s", text)
        if self._bar is not None:
            count = f"{int(done):,}/{int(total):,}"
            self._bar.update(self._task, completed=done, total=total, count=count, note=self._note)
        elif not self._quiet:
            late = self._clock() - self._shown >= EVERY
            if begins or ((late or done >= total) and (done, total) != self._last):
                print(f"{text} {self._note}".rstrip(), file=self._file, flush=True)
                self._shown = self._clock()
        self._last = done, total


def _bar(file: TextIO) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(file=file),
        transient=True,
        speed_estimate_period=300,
    )
