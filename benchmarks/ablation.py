"""What each step from the paper's method to the default one buys, all else equal.

    python benchmarks/ablation.py mp_train.safetensors orders_sites.jsonl -n 500 -o ablation
    crystalsmith evaluate wrapped=ablation/wrapped/crystals ... --reference mp20_test.jsonl.gz \\
        --space-groups 16-230 --max-atoms 20

Each network is trained on the same crystals (space groups from 16, at most 20 atoms) in the same order with
the same optimizer, for the same number of crystals, and draws one crystal for each of the same orders:

* published: DimeNet++, two scores, positions compared with the noise itself, annealed Langevin, merging;
* wrapped: the same, positions compared with the noise wrapped over the orbit;
* joint: the same, both scores from one state with both noised, in one network call a step;
* constrained: DimeNet++ in the free coordinates of Wyckoff positions and the strains of the lattice, letters
  by analogy, Langevin steps;
* equivariant: the default network in its place;
* few: that network with the default sampler, 50 calls.

Networks and crystals that are there already are not made again.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.data import Dataset
from crystalsmith.diffusion import AnyModel, Model
from crystalsmith.diffusion.edge_scores import position_eps
from crystalsmith.generation import GenerateSettings, generate_into
from crystalsmith.graph import CrystalBatch, GeneralBatch, Multigraph, build_image_graph, find_coincidence
from crystalsmith.graph.ragged import segment_sum
from crystalsmith.networks import DimeNet, DimeNetConfig
from crystalsmith.orders import read_orders
from crystalsmith.training.config import TrainConfig
from crystalsmith.training.examples import Examples
from crystalsmith.training.methods import METHODS

LEVELS = 10


class ConstrainedDimeNet(nn.Module):
    """DimeNet++ called as the default network is: edges' numbers onto what symmetry leaves free."""

    def __init__(self, config: DimeNetConfig, log_range: tuple[float, float]) -> None:
        super().__init__()
        self.config, self.log_range = config, log_range
        self.net = DimeNet(config)

    def forward(
        self,
        batch: CrystalBatch,
        log_sigma: Tensor,
        strain: Tensor,
        graph: Multigraph | None = None,
        known: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Outputs as of ``Denoiser.forward``; no element can be hidden."""
        assert known is None
        lay, t, c = batch.layout, batch.layout.tables, self.config
        lattice = batch.lattice()
        general = GeneralBatch(
            space_group=lay.space_group,
            crystal=lay.crystal,
            element=lay.element,
            position=batch.representative(),
            lengths=torch.linalg.vector_norm(lattice, dim=2),
            tables=t,
        )
        same = find_coincidence(general, 0.02)
        edges = build_image_graph(general, same, c.cutoff, c.crowd)
        low, high = self.log_range
        place = (log_sigma[:, 0] - low) / (high - low)
        level = (place * LEVELS).long().clamp(0, LEVELS - 1)
        out = self.net(general, level, same, edges)
        arrow = position_eps(edges, out[:, 0], len(lay.element))
        step = (t.free_basis @ t.unit)[lay.wyckoff].transpose(1, 2) @ lattice[lay.crystal]
        volume = torch.linalg.det(lattice) / t.cells[lay.space_group]
        position = torch.einsum("sij,sj->si", step, arrow) / volume[lay.crystal, None] ** (1 / 3)
        unit = edges.vector / edges.distance.clamp(min=1e-6)[:, None]
        dyad = torch.einsum("ei,kij,ej->ek", unit, t.strain_basis, unit)
        crystal = lay.crystal[edges.source]
        count = torch.bincount(crystal, minlength=lay.size).clamp(min=1)
        stretch = segment_sum(out[:, 1:] * dyad, crystal, lay.size) / count[:, None]
        return position * lay.free_mask, 5 * stretch * lay.strain_mask


@dataclass(frozen=True)
class Variant:
    """One row: how it is trained, as settings, and how it is sampled."""

    name: str
    method: str
    train: dict[str, Any]
    sampler: str
    steps: int
    dimenet: bool = False
    network: str = ""


VARIANTS = (
    Variant("published", "paper", {"wrapped_target": False}, "annealed", 10),
    Variant("wrapped", "paper", {}, "annealed", 10),
    Variant("joint", "paper", {"joint": True}, "annealed", 20),
    Variant("constrained", "default", {}, "langevin", 40, dimenet=True),
    Variant("equivariant", "default", {}, "langevin", 40),
    Variant("few", "default", {}, "stochastic", 49, network="equivariant"),
)


def model_of(v: Variant, c: TrainConfig, data: Dataset) -> AnyModel:
    """A fresh model."""
    model = METHODS[v.method].make_model(c, data)
    if v.dimenet and isinstance(model, Model):
        torch.manual_seed(c.seed)
        s = model.position.schedule
        model.network = ConstrainedDimeNet(c.dimenet, (float(np.log(s.low)), float(np.log(s.high))))  # type: ignore[assignment]
    return model


def fit(v: Variant, c: TrainConfig, model: AnyModel, data: Dataset) -> None:
    """Train in place, and leave the averaged weights."""
    method = METHODS[v.method]
    examples = Examples(data, method.atomic_volume(model))
    parameters = list(model.network.parameters())
    optimizer = torch.optim.Adam(parameters, c.learning_rate, betas=(0.9, c.beta2), foreach=True)
    average = [p.detach().clone() for p in parameters]
    batches, seen, step = examples.epochs(c.orbits, c.seed, c.batch), 0, 0
    net = model.network.net if isinstance(model.network, ConstrainedDimeNet) else model.network
    net.mixed_precision = True
    for block in (*net.interactions, *net.outputs) if isinstance(net, DimeNet) else net.layers:
        block.compile(dynamic=True)
    model.network.train()
    began, recent = time.time(), []
    while seen < c.crystals:
        index = next(batches)
        generator = torch.Generator().manual_seed(1_000_003 * c.seed + step)
        position, lattice = method.losses(c, model, examples.batch(index), generator)
        (position + lattice).backward()
        nn.utils.clip_grad_norm_(parameters, c.clip)
        left = 1 - seen / c.crystals
        optimizer.param_groups[0]["lr"] = c.learning_rate * min(1.0, (step + 1) / 100, left / 0.6)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step, seen = step + 1, seen + len(index)
        torch._foreach_lerp_(average, parameters, 1 - min(0.999, (1 + step) / (10 + step)))
        recent = [*recent[-99:], (position.item(), lattice.item())]
        if step % 200 == 0:
            losses = np.mean(recent, axis=0).round(3).tolist()
            print(f"{v.name}: {seen} crystals, {seen / (time.time() - began):.0f}/s, {losses}", flush=True)
    with torch.no_grad():
        for p, a in zip(parameters, average, strict=True):
            p.copy_(a)


def main() -> None:
    """Parse arguments, train and sample every variant."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("train")
    p.add_argument("orders")
    p.add_argument("-n", type=int, default=500, help="orders")
    p.add_argument("--crystals", type=int, default=32_000, help="crystals that each network sees")
    p.add_argument("-o", "--output", default="ablation")
    p.add_argument("--only", nargs="+", choices=[v.name for v in VARIANTS], help="these variants alone")
    a = p.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    data = Dataset.open(a.train).subset(max_atoms=20, min_space_group=16)
    out = Path(a.output)
    orders = read_orders(a.orders)[: a.n]
    for v in VARIANTS:
        if a.only and v.name not in a.only:
            continue
        c = TrainConfig(
            method=v.method,
            batch=32,
            crystals=a.crystals,
            learning_rate=1e-3,
            beta2=0.999,
            clip=1.0,
            forget=0.0,  # DimeNet++ is told every element
            seed=7,
        )
        c = replace(c, **v.train)
        fresh = model_of(v, c, data)
        weights = out / (v.network or v.name) / "weights.safetensors"
        if not weights.exists():
            fit(v, c, fresh, data)
            weights.parent.mkdir(parents=True, exist_ok=True)
            save_file({k: x.contiguous() for k, x in fresh.network.state_dict().items()}, weights)
            fresh = model_of(v, c, data)  # one that is not compiled
        fresh.network.load_state_dict(load_file(weights))
        fresh.network.eval()
        fresh.hash = f"{v.name}-{a.crystals}"
        (out / v.name).mkdir(parents=True, exist_ok=True)
        began = time.time()
        settings = GenerateSettings(sampler=v.sampler, steps=v.steps)
        generate_into(orders, out / v.name / "crystals", settings, model=fresh)
        seconds = (time.time() - began) / len(orders)
        (out / v.name / "speed.json").write_text(json.dumps({"seconds_per_crystal": round(seconds, 3)}))
        print(f"{v.name}: {seconds:.2f} s a crystal", flush=True)


if __name__ == "__main__":
    main()
