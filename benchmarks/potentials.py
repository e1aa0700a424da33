"""What a potential costs, and which one puts the right crystal of a pool first.

    python benchmarks/potentials.py speed mp_train.safetensors mp_large.safetensors --potentials chgnet,7net-0
    python benchmarks/potentials.py first pools/val_atoms --potentials chgnet,7net-0

``speed``: milliseconds of processor time a crystal on one thread, energies in batches against energy, forces
and stress of single crystals, and the memory that the process has held at most by then, for primitive cells
of about so many atoms.

``first``: over pools made by benchmarks/pools.py with ``--potential``, rows where some candidates are right
and others wrong: how often the lowest energy is a right one, for each potential, for their agreement (mean
rank; the highest energy above the lowest by any of them), and for the first one with those left out that lie
in its holes by the second.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset
from crystalsmith.potentials import disagreement, load_calculator, single_points
from crystalsmith.potentials.disagreement import HOLE

SIZES = (8, 20, 80)


def some(paths: list[str], atoms: int, number: int, seed: int) -> list[Crystal]:
    """Random crystals of about so many atoms in the primitive cell."""
    found: list[Crystal] = []
    for path in paths:
        data = Dataset.open(path)
        for row in np.random.default_rng(seed).permutation(len(data))[:5000]:
            crystal = data[int(row)]
            if abs(crystal.n_atoms - atoms) <= atoms // 8:
                found.append(crystal)
                if len(found) == number:
                    return found
    return found


def speed(a: argparse.Namespace) -> None:
    """Print the table of costs."""
    print("| potential | atoms | crystals | energies together, ms | forces of each alone, ms | memory, GB |")
    print("|---|---|---|---|---|---|")
    for name in a.potentials.split(","):
        calculator = load_calculator(name)
        for atoms in SIZES:
            crystals = some(a.data, atoms, a.n, a.seed)
            single_points(crystals[:2], calculator)  # the first of a size pays for its compilation
            began = time.process_time()
            single_points(crystals, calculator)
            together = (time.process_time() - began) / len(crystals)
            alone = crystals[: max(2, a.n // 4)]
            began = time.process_time()
            for crystal in alone:
                one = crystal.to_atoms(primitive=True)
                one.calc = calculator
                one.get_forces()
            each = (time.process_time() - began) / len(alone)
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            mean = np.mean([c.n_atoms for c in crystals])
            print(
                f"| {name} | {mean:.0f} | {len(crystals)} | {1000 * together:.0f} | {1000 * each:.0f}"
                f" | {memory:.1f} |",
                flush=True,
            )


def lines_of(path: Path) -> dict[int, dict[str, Any]]:
    """Lines of a file of the pool by row."""
    text = path.read_text(encoding="utf-8")
    return {x["row"]: x for x in map(json.loads, text[: text.rfind("\n") + 1].splitlines())}


def first(a: argparse.Namespace) -> None:
    """Print how often each potential is right."""
    folder = Path(a.pool)
    names = a.potentials.split(",")
    pools = lines_of(folder / "candidates.jsonl")
    given = [
        lines_of(folder / f"{a.what}_{name.replace('/', '_').replace(':', '_')}.jsonl") for name in names
    ]
    right: dict[str, list[bool]] = defaultdict(list)
    for row in pools:
        truth = np.array([c["rms"] is not None for c in pools[row]["candidates"]])
        if not all(row in lines for lines in given) or truth.all() or not truth.any():
            continue
        energies = np.array([lines[row]["energies"] for lines in given], dtype=float)
        above = energies - np.nanmin(energies, axis=1, keepdims=True)
        above[np.isnan(above)] = np.inf
        chosen = {name: int(np.argmin(e)) for name, e in zip(names, above, strict=True)}
        if len(names) > 1:
            ranks = above.argsort(axis=1).argsort(axis=1)
            chosen["mean rank"] = int(np.argmin(ranks.mean(0)))
            chosen["highest of them"] = int(np.argmin(above.max(0)))
            hole = np.nan_to_num(disagreement(energies[0], energies[1])) > HOLE
            believed = np.where(hole, np.inf, above[0])
            chosen[f"{names[0]} without holes"] = int(np.argmin(above[0] if hole.all() else believed))
        for name, k in chosen.items():
            right[name].append(bool(truth[k]))
    for name, hits in right.items():
        share = np.mean(hits)
        error = np.sqrt(share * (1 - share) / len(hits))
        print(f"{name}: {100 * share:.1f} ± {100 * error:.1f} % of {len(hits)}")


def main() -> None:
    """Parse arguments, measure, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = p.add_subparsers(dest="action", required=True)
    cost = actions.add_parser("speed", help="milliseconds and memory")
    cost.add_argument("data", nargs="+", help="data files")
    cost.add_argument("-n", type=int, default=16, help="crystals of each size")
    cost.add_argument("--seed", type=int, default=0)
    judged = actions.add_parser("first", help="which potential is right")
    judged.add_argument("pool", help="a folder of benchmarks/pools.py")
    judged.add_argument("--what", choices=("energies", "relaxed"), default="energies")
    for action in (cost, judged):
        action.add_argument("--potentials", default="chgnet,7net-0", metavar="NAME,NAME")
    a = p.parse_args()
    torch.set_num_threads(1)
    {"speed": speed, "first": first}[a.action](a)


if __name__ == "__main__":
    main()
