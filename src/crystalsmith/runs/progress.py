"""How far a long command is: one shape of callback, and one display."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO
from weakref import WeakSet

Progress = Callable[[str, float, float], None]
"""Told of a stage, how much of it is done, and of how much."""

EVERY = 10.0
"""Seconds between two lines of a stage where there is no terminal."""


def silent(stage: str, done: float, total: float) -> None:
    """Tell nobody."""


class Display:
    """Shows progress on standard error; use it as a context manager and as a ``Progress``.

    On a terminal it is a bar; elsewhere a line now and then, the first and the last one of each stage always,
    and never the same one again.

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
        self._tasks: dict[str, Any] = {}  # of the bar, by stage
        self._stage, self._note = "", ""
        self._said: dict[str, tuple[int, int]] = {}  # by stage, the last that a line has told of it
        self._known: dict[str, tuple[int, int]] = {}  # by stage, the last that was heard of it
        self._shown = 0.0
        if not self._quiet and self._file.isatty():
            self._bar = _bar(self._file)
        _DISPLAYS.add(self)

    def __enter__(self) -> Display:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _DISPLAYS.discard(self)
        if self._bar is not None:
            self._bar.stop()

    def note(self, text: str) -> None:
        """Stands beside the numbers from now on, such as a loss."""
        self._note = text

    def __call__(self, stage: str, done: float, total: float) -> None:
        """A stage is so far; stages may take turns, and each goes on where it was."""
        now, said = (int(done), int(total)), self._said.get(stage)
        ended = said is not None and said[0] >= said[1]
        begins = said is None or said[1] != now[1] or (ended and now[0] < now[1])
        ends = now[0] >= now[1] and (begins or not ended)
        text = _line(stage, now)
        self._known[stage] = now
        late = self._clock() - self._shown >= EVERY and said != now
        if begins or ends or late:
            logging.getLogger("crystalsmith.progress").info("%s", text)
        if self._bar is not None:
            self._move(stage, done, total, begins)
        if begins or ends or late:
            self._said[stage] = now
            self._shown = self._clock()
            if self._bar is None and not self._quiet:
                print(f"{text} {self._note}".rstrip(), file=self._file, flush=True)

    def log_rest(self) -> None:
        """Log what no line has told yet."""
        for stage, now in self._known.items():
            if self._said.get(stage) != now:
                logging.getLogger("crystalsmith.progress").info("%s", _line(stage, now))
                self._said[stage] = now

    def _move(self, stage: str, done: float, total: float, begins: bool) -> None:
        """The bar of this stage alone is seen; one that comes again keeps its times."""
        if stage != self._stage and self._stage in self._tasks:
            self._bar.update(self._tasks[self._stage], visible=False)
        self._stage = stage
        if begins and stage in self._tasks:
            self._bar.remove_task(self._tasks.pop(stage))
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total, count="", note="")
        count = f"{int(done):,}/{int(total):,}"
        task = self._tasks[stage]
        self._bar.update(task, completed=done, total=total, count=count, note=self._note, visible=True)


_DISPLAYS: WeakSet[Display] = WeakSet()


def log_rest() -> None:
    """Log how far all stages are, before the log of a run that ends is closed."""
    for display in list(_DISPLAYS):
        display.log_rest()


def _line(stage: str, now: tuple[int, int]) -> str:
    return f"{stage}: {now[0]:,} of {now[1]:,}"


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
