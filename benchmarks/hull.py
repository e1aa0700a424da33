"""Energies above our hulls beside those that come with held-out crystals.

    python benchmarks/hull.py mp20_test.safetensors -n 1000 --more known36.safetensors

Each crystal is relaxed under its symmetry with the potential of the references, and placed relative to the
hull of the reference phases, of which all phases of the two data sets are taken out first. The data's
energies are never below their hull, because it holds the crystal; ours are cut off at zero for that reason.
"""

from __future__ import annotations

import argparse
import json
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset
from crystalsmith.errors import HullError
from crystalsmith.hull import Hull, References, shipped
from crystalsmith.potentials import RelaxSettings, load_calculator, relax_symmetric
from crystalsmith.runs.pool import Failed, parallel_map

STABLE = 0.1


@lru_cache(maxsize=1)
def calculator(potential: str) -> Any:
    import torch

    from crystalsmith.allocator import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    return load_calculator(potential)


def energy(potential: str, calls: int, crystal: Crystal) -> tuple[float, float]:
    """Of the crystal as it is and relaxed, eV per atom."""
    done = relax_symmetric(crystal, calculator(potential), RelaxSettings(max_calls=calls))
    return done.energy_start, done.energy


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", help="held-out crystals, a file of data build")
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("--more", help="further crystals, all of them, such as unstable ones")
    parser.add_argument("--potential", default="chgnet")
    parser.add_argument("--references", help="a file of hull build; default: those of the package")
    parser.add_argument("--calls", type=int, default=8, help="for each relaxation")
    parser.add_argument("--workers", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", help="write every crystal's figures, JSON")
    args = parser.parse_args()

    references = References.open(args.references) if args.references else shipped(args.potential)
    assert references is not None
    data = Dataset.open(args.data)
    rows = np.sort(np.random.default_rng(args.seed).choice(len(data), min(args.n, len(data)), replace=False))
    crystals = [data[int(i)] for i in rows]
    truth = data.arrays["e_above_hull"][rows].tolist()
    ids = [data.ids[int(i)] for i in rows]
    if args.more:
        more = Dataset.open(args.more)
        crystals += list(more)
        truth += more.arrays["e_above_hull"].tolist()
        ids += more.ids
    # The hull that ships holds every known phase; what is held out must not be in it.
    references = references.without({*data.ids, *ids})
    hull = Hull(references)
    energies = parallel_map(partial(energy, args.potential, args.calls), crystals, workers=args.workers)
    lines, pairs = [], []
    for name, crystal, above, found in zip(ids, crystals, truth, energies, strict=True):
        if isinstance(found, Failed) or not np.isfinite(found).all():
            lines.append({"id": name, "failed": str(found)})
            continue
        try:
            single, ours = (hull.place(crystal.counts, e).above_hull for e in found)
        except HullError as error:
            lines.append({"id": name, "failed": str(error)})
            continue
        pairs.append((above, ours, single))
        lines.append({"id": name, "formula": crystal.formula, "data": above, "ours": ours, "single": single})
    if args.output:
        Path(args.output).write_text(json.dumps(lines, indent=1))
    held = np.array(pairs)
    print(f"{references.note}; {len(held)} of {len(crystals)} crystals placed")
    for column, what in ((2, "single points"), (1, f"relaxed, {args.calls} calls")):
        report(held[:, 0], held[:, column], what)


def report(truth: np.ndarray, ours: np.ndarray, what: str) -> None:
    """Print the figures of one kind of energy."""
    from scipy.stats import pearsonr, spearmanr

    cut = np.maximum(ours, 0)
    print(f"{what}:")
    print(f"  below the hull {np.mean(ours < 0):.1%} (data: on it {np.mean(truth < 1e-3):.1%})")
    print(
        f"  mean absolute error {np.mean(abs(cut - truth)):.3f}, median {np.median(abs(cut - truth)):.3f},"
        f" bias {np.mean(cut - truth):+.3f} eV/atom"
    )
    print(f"  Pearson {pearsonr(cut, truth)[0]:.3f}, Spearman {spearmanr(ours, truth)[0]:.3f}")
    for limit in (STABLE, 0.025):
        is_stable, said = truth <= limit, ours <= limit
        both = np.sum(is_stable & said)
        precision, recall = both / max(said.sum(), 1), both / max(is_stable.sum(), 1)
        f1 = 2 * precision * recall / max(precision + recall, 1e-12)
        print(
            f"  within {limit:g} eV/atom ({is_stable.sum()} are): precision {precision:.3f}, recall"
            f" {recall:.3f}, F1 {f1:.3f}"
        )


if __name__ == "__main__":
    main()
