"""Space group of generated crystals against the one asked for, found by moyopy at symprec 0.01.

    python benchmarks/output_symmetry.py mp20_test.safetensors -n 1000

A supergroup is established by its operations: all those of the group asked for, in its conventional cell, are
among those found.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter

os.environ.setdefault("OMP_NUM_THREADS", "1")

import moyopy
import numpy as np
import torch
from checkpoints import add_checkpoint

from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset
from crystalsmith.diffusion import Model, Request, load_model
from crystalsmith.symmetry import space_group


def relation(crystal: Crystal, symprec: float = 0.01) -> str:
    """equal, supergroup or lower: the space group found in a crystal against its own record."""
    species, positions = crystal.positions(primitive=False)
    _, numbers = np.unique(species, return_inverse=True)
    cell = moyopy.Cell(crystal.lattice.tolist(), positions.tolist(), (numbers + 1).tolist())
    found = moyopy.MoyoDataset(cell, symprec=symprec)
    if found.number == crystal.space_group:
        return "equal"
    ops = found.operations
    have: dict[tuple[int, ...], list[np.ndarray]] = {}
    for r, t in zip(np.array(ops.rotations), np.array(ops.translations), strict=True):
        have.setdefault(tuple(r.ravel()), []).append(t)
    group = space_group(crystal.space_group)
    for w, t in zip(group.rotations, group.translations, strict=True):
        near = [np.abs((t - u + 0.5) % 1.0 - 0.5).max() for u in have.get(tuple(w.ravel()), [])]
        near += [
            np.abs((t + c - u + 0.5) % 1.0 - 0.5).max()
            for c in group.centring
            for u in have.get(tuple(w.ravel()), [])
        ]
        if not near or min(near) > 0.02:
            return "lower"
    return "supergroup"


def main() -> None:
    """Parse arguments, generate, classify, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("-n", type=int, default=1000)
    p.add_argument("--seed", type=int, default=0)
    add_checkpoint(p)
    a = p.parse_args()
    torch.set_num_threads(1)
    model = load_model(a.checkpoint)
    if not isinstance(model, Model):
        raise SystemExit("the checkpoint is of the paper's method, which finds the letters itself")
    data = Dataset.open(a.data)
    rows = np.random.default_rng(a.seed).permutation(len(data))[: a.n]
    requests = [
        Request(c.space_group, tuple((s.element, s.letter) for s in c.sites))
        for c in (data[int(i)] for i in rows)
    ]
    requests.sort(key=lambda r: r.n_atoms)
    count: Counter[str] = Counter()
    for i in range(0, len(requests), 64):
        part = requests[i : i + 64]
        for c in model.sample(part, list(range(i, i + len(part)))):
            kind = relation(c)
            count[kind] += 1
            if kind == "lower":
                print("lower:", c.space_group, c.wyckoff, c.cell)
    print(
        f"{len(requests)} crystals: "
        + ", ".join(f"{k} {100 * v / len(requests):.1f} %" for k, v in count.most_common())
    )


if __name__ == "__main__":
    main()
