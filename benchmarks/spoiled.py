"""Real crystals spoiled on purpose, to see which figures of an evaluation notice.

    python benchmarks/spoiled.py mp20_val.jsonl.gz -n 500 --space-groups 16-230 -o spoiled
    crystalsmith evaluate spoiled/real.jsonl spoiled/elements.jsonl spoiled/volume.jsonl \
        spoiled/positions.jsonl --reference mp20_test.jsonl.gz --space-groups 16-230

Writes the crystals as they are, with their elements exchanged for random ones of the set, with 20 % more
volume, and with random coordinates.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from crystalsmith.cli.options import group_range
from crystalsmith.crystal import SYMBOLS
from crystalsmith.evaluation import read_samples
from crystalsmith.evaluation.measures.arrays import Arrays
from crystalsmith.evaluation.measures.geometry import standard_crystal
from crystalsmith.symmetry import lattice_to_cell


def elements(a: Arrays, rng: np.random.Generator, seen: np.ndarray) -> Arrays:
    """Other elements in the same places."""
    kinds = np.unique(a.numbers)
    return replace(a, numbers=rng.choice(seen, len(kinds), replace=False)[np.searchsorted(kinds, a.numbers)])


def volume(a: Arrays, rng: np.random.Generator, seen: np.ndarray) -> Arrays:
    """The same crystal with a fifth more volume."""
    return replace(a, lattice=a.lattice * 1.2 ** (1 / 3))


def positions(a: Arrays, rng: np.random.Generator, seen: np.ndarray) -> Arrays:
    """The same atoms anywhere in the cell."""
    return replace(a, fractional=rng.random(a.fractional.shape))


def main() -> None:
    """Parse arguments, choose, spoil, write."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("source")
    p.add_argument("-n", type=int, default=500)
    p.add_argument("--space-groups", type=group_range, default=(1, 230))
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("-o", "--output", default="spoiled")
    a = p.parse_args()
    samples = [s for s in read_samples(a.source) if s.arrays is not None]
    rng = np.random.default_rng(a.seed)
    chosen = []
    for k in rng.permutation(len(samples)):
        crystal = standard_crystal(samples[k].arrays)
        if crystal is not None and a.space_groups[0] <= crystal.space_group <= a.space_groups[1]:
            chosen.append(samples[k])
        if len(chosen) == a.n:
            break
    seen = np.unique(np.concatenate([s.arrays.numbers for s in chosen]))
    folder = Path(a.output)
    folder.mkdir(parents=True, exist_ok=True)
    for name, change in (
        ("real", None),
        ("elements", elements),
        ("volume", volume),
        ("positions", positions),
    ):
        with (folder / f"{name}.jsonl").open("w") as f:
            for s in chosen:
                x = s.arrays if change is None else change(s.arrays, rng, seen)
                row = {
                    "id": s.id,
                    "cell": lattice_to_cell(x.lattice).tolist(),
                    "species": [SYMBOLS[z] for z in x.numbers],
                    "frac": x.fractional.tolist(),
                }
                f.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    main()
