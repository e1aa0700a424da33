"""How far a crystal changes with the batch that it is made in: each request alone against all together.

python benchmarks/batch_independence.py mp20_test.safetensors -n 64
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from crystalsmith.data import Dataset
from crystalsmith.diffusion import Model, Request, load_model


def main() -> None:
    """Parse arguments, generate twice, print the largest differences."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("-n", type=int, default=64)
    p.add_argument("--seed", type=int, default=0)
    a = p.parse_args()
    torch.set_num_threads(1)
    model = load_model()
    assert isinstance(model, Model)
    data = Dataset.open(a.data)
    rows = np.random.default_rng(a.seed).permutation(len(data))[: a.n]
    truth = [data[int(i)] for i in rows]
    requests = [Request(c.space_group, tuple((s.element, s.letter) for s in c.sites)) for c in truth]
    together = model.sample(requests, list(range(a.n)))
    free, cell = [0.0], [0.0]
    for k, (request, c) in enumerate(zip(requests, together, strict=True)):
        alone = model.sample([request], [k])[0]
        cell.append(float(np.abs(np.array(alone.cell) / np.array(c.cell) - 1).max()))
        for s, t in zip(alone.sites, c.sites, strict=True):
            away = np.array(s.free) - np.array(t.free)
            free += np.abs(away - np.round(away)).tolist()
    print(
        f"{a.n} crystals, alone against a batch of {a.n}: largest change {max(free):.1e} of a free parameter"
    )
    print(f"{max(cell):.1e} of a cell length or angle (relative)")


if __name__ == "__main__":
    main()
