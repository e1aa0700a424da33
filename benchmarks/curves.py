"""Learning curves of a training run: validation losses against crystals seen, as a picture.

    python benchmarks/curves.py run/log.csv -o curves.png

Losses by noise time t, positions relative to a network that says nothing (1), without and, where the run was
shown similar crystals, with a guide; below them the learning rate. ``benchmarks/training_log.csv`` is the log
of the weights that are in the repository.
"""

from __future__ import annotations

import argparse
import csv
import math
from pathlib import Path

import numpy as np

TIMES = ("0.05", "0.2", "0.35", "0.5", "0.65", "0.8", "0.95")
MILLION = 1e6


def read_log(path: Path) -> dict[str, np.ndarray]:
    """Columns of a log, NaN where a run did not write them."""
    with path.open(encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))
    names = list(rows[0])
    return {n: np.array([float(r[n]) if r[n] else math.nan for r in rows]) for n in names}


def draw(log: dict[str, np.ndarray], out: Path) -> None:
    """One row of panels for positions and one for the lattice, the rate below."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    guided = "guided_position" in log
    kinds = [("", "without a guide"), *([("guided_", "with a guide")] if guided else [])]
    size = (5.4 * len(kinds), 8.4)
    fig, axes = plt.subplots(3, len(kinds), figsize=size, sharex=True, squeeze=False, height_ratios=(3, 3, 1))
    seen = log["seen"] / MILLION
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.92, len(TIMES)))
    for column, (prefix, title) in enumerate(kinds):
        for row, what in enumerate(("position", "lattice")):
            ax = axes[row][column]
            for t, colour in zip(TIMES, colours, strict=True):
                ax.plot(seen, log[f"{prefix}{what}@{t}"], color=colour, label=f"t = {t}", lw=1.4)
            ax.plot(seen, log[f"{prefix}{what}"], color="black", lw=2, ls="--", label="mean")
            ax.set_ylim(0, 1.1)
            ax.set_ylabel(f"{what} loss")
            ax.grid(alpha=0.3)
            if not row:
                ax.set_title(title)
        axes[2][column].plot(seen, 1e4 * log["rate"], color="tab:red")
        axes[2][column].set_ylabel("rate, 1e-4")
        axes[2][column].set_xlabel("crystals of this run, millions")
    axes[0][-1].legend(fontsize=7, ncols=2, loc="upper right")
    fig.tight_layout()
    fig.savefig(out, dpi=110)


def main() -> None:
    """Parse arguments and draw."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("log", type=Path, help="log.csv of a run of train")
    p.add_argument("-o", "--output", type=Path, required=True)
    a = p.parse_args()
    draw(read_log(a.log), a.output)


if __name__ == "__main__":
    main()
