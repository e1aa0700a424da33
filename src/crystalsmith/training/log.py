"""log.csv, one row a validation, and the same figures for TensorBoard where that is installed."""

from __future__ import annotations

import contextlib
import csv
import time
from pathlib import Path
from typing import Any

from crystalsmith.runs.atomic import replacing
from crystalsmith.training.state import RunState


class Log:
    """The log of a run. On resuming, rows past the saved state are dropped: those steps are done again."""

    def __init__(self, path: Path, step: int) -> None:
        self.path, self.start = path, time.time()
        self.board: Any = None
        with contextlib.suppress(ImportError):
            from torch.utils.tensorboard import SummaryWriter

            self.board = SummaryWriter(str(path.parent / "tensorboard"), purge_step=step)
        if path.exists():
            with path.open(newline="") as f:
                header, *rows = list(csv.reader(f)) or [[]]
            kept = [r for r in rows if len(r) == len(header) and r[0].isdigit() and int(r[0]) <= step]
            with replacing(path) as partial, partial.open("w", newline="") as f:
                csv.writer(f).writerows([header, *kept])

    def write(
        self, state: RunState, position: float, lattice: float, rate: float, scores: dict[str, float]
    ) -> None:
        """Add a row: training losses, learning rate and validation losses."""
        row = {
            "step": state.step,
            "seen": state.seen,
            "skipped": state.skipped,
            "seconds": round(time.time() - self.start, 1),
            "rate": f"{rate:.3g}",
            "train_position": f"{position:.4f}",
            "train_lattice": f"{lattice:.4f}",
        }
        row.update({k: f"{v:.4f}" for k, v in scores.items()})
        columns = self._columns(list(row))
        fresh = not self.path.exists()
        with self.path.open("a", newline="") as f:
            w = csv.DictWriter(f, columns)
            if fresh:
                w.writeheader()
            w.writerow(row)
        if self.board is not None:
            for k, v in scores.items():
                self.board.add_scalar(k, v, state.seen)
            self.board.flush()

    def _columns(self, wanted: list[str]) -> list[str]:
        """The columns of the log, the wanted ones among them; rows of before get empty cells in new ones."""
        if not self.path.exists():
            return wanted
        with self.path.open(newline="") as f:
            header, *rows = list(csv.reader(f)) or [[]]
        new = [name for name in wanted if name not in header]
        if new:
            with replacing(self.path) as partial, partial.open("w", newline="") as f:
                csv.writer(f).writerows([[*header, *new], *([*r, *("" for _ in new)] for r in rows)])
        return [*header, *new]
