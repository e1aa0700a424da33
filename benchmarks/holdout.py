"""Hold large crystals out of the training data, and join what is left: the split behind the benchmark model.

    python benchmarks/holdout.py mp_train.safetensors mp_large.safetensors -o split \\
        --benchmark mp20_val.safetensors mp20_test.safetensors

Writes ``train.safetensors`` and four sets of held-out crystals: ``large_val`` and ``large_test`` of 21 to 52
atoms in the primitive cell, ``huge_val`` and ``huge_test`` of 53 to 200. No formula (ratio of elements) of
theirs is left in ``train``, and none of them occurs among crystals of at most 20 atoms. Crystals with the
composition and space group of a row of the benchmark files are left out too. What is held out depends on the
data and the seed alone.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from crystalsmith.data import Dataset, concatenate
from crystalsmith.symmetry.tables import tables

SETS = (
    ("large_test", 21, 52, 300),
    ("huge_test", 53, 200, 100),
    ("large_val", 21, 52, 200),
    ("huge_val", 53, 200, 60),
)
MOST_SITES = 24


def formulas(data: Dataset) -> list[tuple[tuple[int, int], ...]]:
    """Ratio of the elements of every crystal, smallest whole numbers, by atomic number."""
    a = data.arrays
    size = tables().multiplicity_primitive[a["wyckoff"].astype(int)]
    result = []
    for i in range(len(data)):
        rows = slice(a["start"][i], a["start"][i + 1])
        count: dict[int, int] = {}
        for z, n in zip(a["element"][rows].tolist(), size[rows].tolist(), strict=True):
            count[z] = count.get(z, 0) + n
        unit = math.gcd(*count.values())
        result.append(tuple(sorted((z, n // unit) for z, n in count.items())))
    return result


def split(
    train: Dataset, benchmark: Iterable[Dataset], seed: int = 0
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Rows of each held-out set, and rows to train on."""
    a = train.arrays
    formula = formulas(train)
    group = a["space_group"].tolist()
    taken = {
        (f, g) for d in benchmark for f, g in zip(formulas(d), d.arrays["space_group"].tolist(), strict=True)
    }
    clean = np.array([(f, g) not in taken for f, g in zip(formula, group, strict=True)])
    small = {f for f, n in zip(formula, a["atoms"].tolist(), strict=True) if n <= 20}
    sites = np.diff(a["start"])
    order = np.random.default_rng(seed).permutation(len(train))
    held: set[tuple[tuple[int, int], ...]] = set()
    sets = {}
    for name, least, most, count in SETS:
        rows = []
        for i in order:
            if len(rows) == count:
                break
            if not least <= a["atoms"][i] <= most or sites[i] > MOST_SITES or not clean[i]:
                continue
            if formula[i] in held or formula[i] in small:
                continue
            rows.append(int(i))
            held.add(formula[i])
        sets[name] = np.array(rows)
    left = np.flatnonzero(clean & np.array([f not in held for f in formula]))
    return sets, left


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("train", nargs="+", help="data files to join and split")
    parser.add_argument(
        "--benchmark", nargs="*", default=[], help="data files whose crystals must not be there"
    )
    parser.add_argument("-o", "--out", default="split")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    whole = concatenate([Dataset.open(path) for path in args.train])
    sets, left = split(whole, [Dataset.open(path) for path in args.benchmark], args.seed)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    for name, rows in (*sets.items(), ("train", left)):
        whole.subset(indices=rows).save(out / f"{name}.safetensors")
        print(f"{name:12} {len(rows)}")
    print(f"left out     {len(whole) - len(left)}")


if __name__ == "__main__":
    main()
