"""The progress bar of a run, on standard error."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from crystalsmith.generation import BatchStep


class ProgressBar:
    """Crystals finished of those asked for; drafts and sampler steps count as parts of their crystals.

    Args:
        total: crystals asked for.
        finished: how many of them are done already.
        drafts: that are made of each crystal.
        quiet: show nothing. Nothing is shown either where standard error is no terminal.
    """

    def __init__(self, total: int, finished: int, *, drafts: int = 1, quiet: bool) -> None:
        self._done, self._parts, self._drafts = finished, float(finished), drafts
        self._total = total
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[count]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=quiet or not sys.stderr.isatty(),
            transient=True,
        )
        self._task = self._progress.add_task("crystals", total=total, completed=finished, count=self._count)

    @property
    def _count(self) -> str:
        return f"{self._done}/{self._total}"

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def step(self, event: BatchStep) -> None:
        """A sampler step was done."""
        part = event.crystals * event.step / event.steps / self._drafts
        done = min(self._parts + part, self._total)
        self._progress.update(self._task, completed=done, count=self._count, description="crystals")

    def finished(self, settled: int, parts: float | None = None) -> None:
        """A batch was done: so many crystals are finished or given up in all, others in part."""
        self._done, self._parts = settled, float(settled) if parts is None else parts
        self._progress.update(self._task, completed=self._parts, count=self._count)

    def judged(self, settled: int) -> None:
        """The drafts of one more crystal were judged."""
        self._done, self._parts = settled, max(self._parts, settled)
        self._progress.update(self._task, completed=self._parts, count=self._count, description="judging")
