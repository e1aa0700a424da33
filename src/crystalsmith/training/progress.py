"""The progress line of a run: crystals seen, rate, losses, time left."""

from __future__ import annotations

import sys
from types import TracebackType

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """A rich progress bar on stderr, silent where asked."""

    def __init__(self, total: int, done: int, quiet: bool) -> None:
        self.bar = Bar(
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} crystals"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            disable=quiet,
            refresh_per_second=1,
            speed_estimate_period=300,
        )
        self.task = self.bar.add_task("", total=total, completed=done, note="")

    def __enter__(self) -> Progress:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def update(self, seen: int, losses: list[tuple[float, float]]) -> None:
        """Show crystals seen and the mean of the last losses."""
        if self.bar.disable:
            return
        position, lattice = np.mean(losses[-100:], 0) if losses else (0.0, 0.0)
        self.bar.update(self.task, completed=seen, note=f"position {position:.3f} lattice {lattice:.3f}")
