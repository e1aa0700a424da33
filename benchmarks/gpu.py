"""A thousand crystals on one device: seconds, and milliseconds a crystal and network call.

    python benchmarks/gpu.py mp20_test.safetensors --device cuda
    python benchmarks/gpu.py mp20_test.safetensors --device cpu -n 64 --batch 64 --calls 5

Space groups, elements and Wyckoff letters are those of random rows of the file, which ``crystalsmith data
build`` makes. A first, smaller round is timed by itself: it fills caches, loads kernels and compiles. The
first ``--check`` crystals are compared with those that the CPU makes: sampling amplifies the last digit here
and there, so that a few of them may differ.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset
from crystalsmith.diffusion import Model, Request, load_model, resolve_sampler
from crystalsmith.diffusion.samplers import CALLS_PER_STEP


def finish(device: torch.device) -> None:
    """Wait until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def make(
    model: Model, requests: Sequence[Request], seeds: Sequence[int], steps: int, sampler: str, batch: int
) -> tuple[list[Crystal], float]:
    """Crystals in batches, the largest first, and the seconds that they took."""
    order = sorted(range(len(requests)), key=lambda i: -requests[i].n_atoms)
    made: dict[int, Crystal] = {}
    finish(model.device)
    start = time.perf_counter()
    for begin in range(0, len(order), batch):
        part = order[begin : begin + batch]
        crystals = model.sample(
            [requests[i] for i in part], [seeds[i] for i in part], steps=steps, sampler=sampler
        )
        made.update(zip(part, crystals, strict=True))
    finish(model.device)
    return [made[i] for i in range(len(requests))], time.perf_counter() - start


def apart(a: Crystal, b: Crystal) -> float:
    """Largest difference of cell lengths (Angstrom) or free coordinates."""
    cells = max(abs(x - y) for x, y in zip(a.cell, b.cell, strict=True))
    free = [x - y for s, t in zip(a.sites, b.sites, strict=True) for x, y in zip(s.free, t.free, strict=True)]
    return float(max([cells, *(abs(x - round(x)) for x in free)]))


def main() -> None:
    """Parse arguments, time, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    p.add_argument("--checkpoint")
    p.add_argument("-n", type=int, default=1000)
    p.add_argument("--batch", type=int, default=1000)
    p.add_argument("--calls", type=int)
    p.add_argument("--sampler")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--bfloat16", action="store_true", help="messages in bfloat16")
    p.add_argument("--compile", action="store_true", help="compile the layers")
    p.add_argument("--check", type=int, default=16, help="crystals that the CPU makes too")
    p.add_argument("--json")
    a = p.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    model = load_model(a.checkpoint, device=a.device)
    if not isinstance(model, Model):
        raise SystemExit("the checkpoint is of the paper's method")
    sampler, steps = resolve_sampler(model.method, a.sampler, None)
    if a.calls is not None:
        steps = max(1, (a.calls - 1) // CALLS_PER_STEP[sampler])
    calls = steps * CALLS_PER_STEP[sampler] + 1
    data = Dataset.open(a.data)
    rows = np.random.default_rng(a.seed).permutation(len(data))[: a.n].tolist()
    truth = [data[i] for i in rows]
    requests = [Request(c.space_group, tuple((s.element, s.letter) for s in c.sites)) for c in truth]
    model.network.mixed_precision = a.bfloat16
    if a.compile:
        for layer in model.network.layers:
            layer.compile(dynamic=True)
    few = min(len(rows), 32)
    _, first = make(model, requests[:few], rows[:few], 2, sampler, few)
    crystals, seconds = make(model, requests, rows, steps, sampler, a.batch)
    result = {
        "device": torch.cuda.get_device_name() if model.device.type == "cuda" else str(model.device),
        "crystals": len(rows),
        "calls": calls,
        "sampler": sampler,
        "first_round_s": round(first, 2),
        "seconds": round(seconds, 3),
        "ms_per_crystal_and_call": round(1000 * seconds / len(rows) / calls, 4),
        "atoms_mean": round(float(np.mean([r.n_atoms for r in requests])), 1),
        "peak_memory_GiB": (
            round(torch.cuda.max_memory_allocated() / 2**30, 2) if model.device.type == "cuda" else None
        ),
    }
    if a.check:
        cpu = load_model(a.checkpoint)
        assert isinstance(cpu, Model)
        few = min(len(rows), a.check)
        same, _ = make(cpu, requests[:few], rows[:few], steps, sampler, few)
        away = [apart(x, y) for x, y in zip(crystals[:few], same, strict=True)]
        result |= {"checked": few, "within_0.01": sum(d < 0.01 for d in away), "largest": max(away)}
    print(json.dumps(result, indent=1))
    if a.json:
        with open(a.json, "w") as f:
            json.dump(vars(a) | {"checkpoint": model.hash} | result, f, indent=1)


if __name__ == "__main__":
    main()
