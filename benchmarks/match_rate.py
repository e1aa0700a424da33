"""Match rate and RMSE with the true space group and Wyckoff letters given, by number of free parameters.

    python benchmarks/match_rate.py mp20_test.safetensors -n 1000 --samples 1
    python benchmarks/match_rate.py mp20_val.safetensors -n 500 --calls 10 20 50 100 200

Matching: pymatgen's StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10), the setting of the field; RMSE is the
matcher's own, over matched crystals (the best of the samples where there are several). The rows are chosen by
seed; the data file comes from ``crystalsmith data build``.
"""

from __future__ import annotations

import argparse
import json
import os
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from checkpoints import add_checkpoint

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset
from crystalsmith.diffusion import Model, Request, load_model, resolve_sampler
from crystalsmith.diffusion.samplers import CALLS_PER_STEP
from crystalsmith.evaluation.measures.arrays import crystal_arrays
from crystalsmith.evaluation.measures.matching import FREEDOM_BINS, bin_label, rms_displacement, root_mean
from crystalsmith.runs.pool import Failed, parallel_map
from crystalsmith.symmetry import space_group

BINS = ((0, None), *FREEDOM_BINS)


def table(dof: np.ndarray, best: np.ndarray) -> dict[str, dict[str, float]]:
    """Match rate (%), RMSE and count, whole and by free parameters; ``best`` (n,) inf where unmatched."""
    rows = {}
    for low, high in BINS:
        sel = best[(dof >= low) & (dof <= (np.inf if high is None else high))]
        rows["all" if (low, high) == (0, None) else bin_label(low, high)] = {
            "match": 100 * float(np.isfinite(sel).mean()) if len(sel) else float("nan"),
            "rmse": root_mean(sel),
            "n": len(sel),
        }
    return rows


def main() -> None:
    """Parse arguments, generate, match, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("-n", type=int, default=1000)
    p.add_argument("--seed", type=int, default=0)
    add_checkpoint(p)
    p.add_argument("--samples", type=int, default=1)
    p.add_argument("--calls", type=int, nargs="*", help="network calls; several give the curve")
    p.add_argument("--sampler")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--json")
    a = p.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    model = load_model(a.checkpoint)
    if not isinstance(model, Model):
        raise SystemExit("the checkpoint is of the paper's method, which finds the letters itself")
    data = Dataset.open(a.data)
    rows = np.random.default_rng(a.seed).permutation(len(data))[: a.n]
    truth = [data[int(i)] for i in rows]
    requests = [Request(c.space_group, tuple((s.element, s.letter) for s in c.sites)) for c in truth]
    dof = np.array([sum(space_group(c.space_group).position(s.letter).dof for s in c.sites) for c in truth])
    sampler, usual = resolve_sampler(model.method, a.sampler, None)
    result = {}
    for calls in a.calls or [usual * CALLS_PER_STEP[sampler] + 1]:
        steps = (calls - 1) // CALLS_PER_STEP[sampler]
        jobs = sorted(
            ((r, k) for r in range(len(rows)) for k in range(a.samples)),
            key=lambda j: (requests[j[0]].n_atoms, j),
        )
        made: dict[tuple[int, int], Crystal] = {}
        start = time.time()
        for i in range(0, len(jobs), a.batch):
            part = jobs[i : i + a.batch]
            crystals = model.sample(
                [requests[r] for r, _ in part],
                [int(rows[r]) * 1000 + k for r, k in part],
                steps=steps,
                sampler=a.sampler,
            )
            made.update(zip(part, crystals, strict=True))
        seconds = time.time() - start
        order = sorted(made)
        pairs = [(crystal_arrays(made[r, k]), crystal_arrays(truth[r])) for r, k in order]
        found = parallel_map(rms_displacement, pairs, workers=a.workers, chunk=16, seconds=120)
        rms_of = {
            key: float("inf") if isinstance(x, Failed) else float(x[0])
            for key, x in zip(order, found, strict=True)
        }
        each = np.array([[rms_of[r, k] for k in range(a.samples)] for r in range(len(rows))])
        print(
            f"{a.data} n={len(rows)} samples={a.samples} calls={calls} {sampler}:"
            f" {seconds / len(jobs):.4f} s a crystal"
        )
        for count in sorted({1, a.samples}):
            t = table(dof, each[:, :count].min(1))
            result[f"{calls}/{count}"] = t
            print(
                f"  best of {count}: "
                + "  ".join(f"{k}: {v['match']:.1f} ({v['rmse']:.3f}, {v['n']})" for k, v in t.items()),
                flush=True,
            )
    if a.json:
        with open(a.json, "w") as f:
            json.dump(
                {
                    "arguments": vars(a),
                    "checkpoint": model.hash,
                    "date": time.strftime("%Y-%m-%d"),
                    "result": result,
                },
                f,
                indent=1,
            )


if __name__ == "__main__":
    main()
