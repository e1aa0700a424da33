"""The progress bar of a run, on standard error."""

from __future__ import annotations

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from crystalsmith.generation import BatchStep


class ProgressBar:
    """Crystals finished of those asked for; sampler steps count as parts of their batch's crystals.

    Args:
        total: crystals asked for.
        finished: how many of them are done already.
        quiet: show nothing. Nothing is shown either where standard error is no terminal.
    """

    def __init__(self, total: int, finished: int, *, quiet: bool) -> None:
        self._done = finished
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
        part = event.crystals * event.step / event.steps
        self._progress.update(self._task, completed=min(self._done + part, self._total), count=self._count)

    def finished(self, settled: int) -> None:
        """A batch was done: so many crystals are finished or given up in all."""
        self._done = settled
        self._progress.update(self._task, completed=settled, count=self._count)
