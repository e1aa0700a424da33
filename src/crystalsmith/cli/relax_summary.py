"""The live line of ``crystalsmith relax`` and the words at its end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crystalsmith.potentials.folder import RelaxFolder


class LiveLine:
    """A bar with rate and time left on standard error, where that is a terminal.

    Args:
        total: crystals asked for.
        done: how many of them are done already.
        quiet: show nothing.
    """

    def __init__(self, total: int, done: int, *, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (
            TextColumn("relaxing"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
        )
        disable = quiet or not sys.stderr.isatty()
        self._progress = Progress(
            *columns, console=Console(stderr=True), disable=disable, transient=True, speed_estimate_period=300
        )
        self._task = self._progress.add_task("", total=total, completed=done, rate="")
        self._began, self._new = time.monotonic(), 0

    def __enter__(self) -> LiveLine:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def advance(self, crystals: int) -> None:
        """So many more are done."""
        self._new += crystals
        rate = 60 * self._new / max(time.monotonic() - self._began, 1e-9)
        self._progress.update(self._task, advance=crystals, rate=f"{rate:.3g} a minute")


def print_summary(folder: RelaxFolder, new: int, seconds: float) -> None:
    """What came of the run, on standard output.

    Args:
        folder: with all crystals done.
        new: crystals that this process relaxed.
        seconds: that it took.
    """
    from crystalsmith.runs.pool import Failed

    outcomes = [entry.outcome for entry in folder.entries]
    done = [o for o in outcomes if not isinstance(o, Failed)]
    relaxed = [o for o in done if o.result is not None]
    print(f"{len(relaxed)} of {len(outcomes)} crystals relaxed, {sum(o.converged for o in done)} converged")
    for reason, count in Counter(o.reason for o in outcomes).most_common():
        if reason != "converged":
            print(f"  {count} {reason}")
    for name in ("symmetric", "free"):
        stages = [o.stages[name] for o in done if name in o.stages]
        if stages:
            print(f"{name}: {sum(s.calls for s in stages) / len(stages):.1f} calls on average")
    changed = sum(o.result.crystal.space_group != o.start.space_group for o in relaxed if o.result)
    if changed:
        print(f"{changed} in another space group than at the start")
    if new:
        print(f"{60 * new / seconds:.1f} crystals a minute")
    print(f"results in {folder.path}")
