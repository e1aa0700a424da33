"""What the elements' properties buy, by how rare the rarest element of a crystal is.

    python benchmarks/properties.py mp_train.safetensors mp20_val.safetensors --crystals 160000 -o properties

Two networks are trained from scratch on the same crystals in the same order, one with the elements'
properties (and a tenth of the elements told by them alone), one without. Losses on held-out crystals are the
means over the levels of validation: positions relative to saying nothing, the lattice per coordinate.
``hidden`` is the first network, told every element by its place in the periodic table and its properties
alone: what it would do with elements that it never saw. Networks that are there are not trained again.
"""

from __future__ import annotations

import argparse
import copy
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.data import Dataset
from crystalsmith.data.volumes import compositions
from crystalsmith.diffusion import Model, load_model
from crystalsmith.training import train
from crystalsmith.training.examples import Examples
from crystalsmith.training.loss import denoising_losses
from crystalsmith.training.validate import LEVELS

BINS = ((0, 1), (1, 300), (300, 600), (600, 1000), (1000, 2000), (2000, 10**9))


@torch.no_grad()
def losses(model: Model, examples: Examples) -> np.ndarray:
    """(n, 4) squared residuals and targets of positions, squared residuals and numbers of strains."""
    result = np.zeros((len(examples), 4))
    for k, part in enumerate(torch.arange(len(examples)).split(128)):
        clean = examples.batch(part)
        for j, t in enumerate(LEVELS):
            generator = torch.Generator().manual_seed(1_000 * k + j)
            found = denoising_losses(model, clean, torch.full((len(part),), t), generator)
            parts = (found.position, found.position_target, found.lattice, found.lattice_count)
            result[part.numpy()] += np.stack([x.double().numpy() for x in parts], 1)
    return result


@torch.no_grad()
def hide(model: Model) -> Model:
    """The model with nothing learned of single elements."""
    network = copy.deepcopy(model.network)
    network.element.weight.zero_()
    return replace(model, network=network)


def main() -> None:
    """Parse arguments, train, compare."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("train")
    p.add_argument("validation")
    p.add_argument("--crystals", type=int, default=160_000)
    p.add_argument("-n", type=int, default=3000, help="held-out crystals")
    p.add_argument("-o", "--output", default="properties")
    a = p.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    models = {}
    for name, on in (("without", False), ("with", True)):
        out = Path(a.output) / name
        config = {
            "train": a.train,
            "validation": a.validation,
            "out": str(out),
            "crystals": a.crystals,
            "decay": 0.7,
            "network": {"properties": on},
            "forget": 0.1 if on else 0.0,
            "bfloat16": True,
            "compile": True,
            "validate_every": 10**6,
        }
        if not (out / "model.safetensors").exists() or not (out / "done").exists():
            train(config, quiet=True)
            (out / "done").touch()
        model = load_model(out / "model.safetensors")
        assert isinstance(model, Model)
        models[name] = model
    seen = (compositions(Dataset.open(a.train).subset(max_atoms=20)) > 0).sum(0)
    held = Dataset.open(a.validation).subset(max_atoms=20)
    held = held.subset(indices=np.random.default_rng(0).permutation(len(held))[: a.n])
    present = compositions(held) > 0
    rarest = np.where(present, seen[None, :], 10**9).min(1)
    rows = {}
    models["hidden"] = hide(models["with"])
    for name, model in models.items():
        rows[name] = losses(model, Examples(held, model.statistics.atomic_volume))
    print(f"{a.crystals} crystals seen; {len(held)} held out; loss of positions / of the lattice")
    print("rarest element in         crystals  " + "  ".join(f"{name:>15}" for name in rows))
    for low, high in (*BINS, (0, 10**10)):
        chosen = (rarest >= low) & (rarest < high)
        if not chosen.any():
            continue
        label = (
            "all" if high == 10**10 else f"{low}-{high - 1} crystals" if high < 10**9 else f"{low} and more"
        )
        cells = []
        for table in rows.values():
            position, target, lattice, count = table[chosen].sum(0)
            cells.append(f"{position / target:.3f} / {lattice / count:.3f}")
        print(f"{label:24} {chosen.sum():9d}  " + "  ".join(f"{c:>15}" for c in cells))


if __name__ == "__main__":
    main()
