"""Time of the paper's method: of one network call and its parts, and of a crystal, by steps at each level.

    python benchmarks/paper_speed.py orders_sites.jsonl -n 64 --steps 5 20 80

One thread, all orders in one batch. The file of orders comes from ``crystalsmith data orders``. A call is
timed at every noise level on the states that the sampler goes through.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.diffusion import PaperModel, load_model
from crystalsmith.generation.drafts import SiteDrafter
from crystalsmith.graph import GeneralBatch
from crystalsmith.networks.dimenet import make_bonds
from crystalsmith.orders import read_orders


def main() -> None:
    """Parse arguments, time, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("orders")
    p.add_argument("-n", type=int, default=64)
    p.add_argument("--steps", type=int, nargs="+", default=[5, 20, 80])
    p.add_argument("--checkpoint", default="paper")
    a = p.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    model = load_model(a.checkpoint)
    if not isinstance(model, PaperModel):
        raise SystemExit(f"{a.checkpoint} is not of the paper's method")
    orders = read_orders(a.orders)[: a.n]
    drafter = SiteDrafter()
    requests = [drafter.draft(o, 0, np.random.default_rng(k), 1) for k, o in enumerate(orders)]
    sigmas = model.levels.sigmas(model.device, model.dtype)[0]
    seconds: dict[str, list[float]] = defaultdict(list)
    edges: list[int] = []

    @torch.no_grad()
    def measure(number: int, batch: GeneralBatch) -> None:
        n = model.levels.number - 1 - number // 2
        if number % 2 == 0:
            return
        sigma = sigmas[n].expand(batch.size)
        began = time.perf_counter()
        same, graph = model.network.graph(batch, sigma)
        built = time.perf_counter()
        make_bonds(model.network.config, model.network.bessel, batch, same, graph)
        bases = time.perf_counter()
        model.network(batch, torch.full((batch.size,), n), same, graph)
        done = time.perf_counter()
        edges.append(len(graph.source))
        for name, t in (("graph", built - began), ("bases", bases - built), ("all", done - began)):
            seconds[name].append(t - (bases - built if name == "all" else 0))

    model.sample(requests, list(range(len(orders))), steps=2, callback=measure)
    sites = sum(r.n_orbits for r in requests)
    print(f"{len(orders)} crystals, {sites} sites, {sum(edges) / len(edges):.0f} edges in the mean")
    for name in ("graph", "bases", "all"):
        mean = 1e3 * sum(seconds[name]) / len(seconds[name])
        print(f"one call, {name}: {mean:.0f} ms for the batch, {mean / len(orders):.2f} ms a crystal")
    for steps in a.steps:
        began = time.perf_counter()
        model.sample(requests, list(range(len(orders))), steps=steps)
        each = (time.perf_counter() - began) / len(orders)
        calls = 2 * model.callbacks(steps) + 2
        print(f"{steps} steps at each level, {calls} calls: {each:.2f} s a crystal", flush=True)


if __name__ == "__main__":
    main()
