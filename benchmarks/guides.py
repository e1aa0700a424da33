"""What known crystals are worth to the network: as they are, as a start, and as its guide.

    crystalsmith data guides mp20_val.safetensors --known train.safetensors -o guides.safetensors
    python benchmarks/guides.py mp20_val.safetensors guides.safetensors --checkpoint model.safetensors -n 150

The space group and the letters of all sites are given. Each of the K crystals of an order begins with another
guide, the most similar first, and from the first again where there are fewer. Percent of crystals whose
first, and any of whose K answers matches (pymatgen, tolerances of length, site and angle 0.3, 0.5, 10
degrees), with the standard error; rows that no guide is known for are left out, and told. Answers are kept
in DATA.guides.jsonl beside the checkpoint, so the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from crystalsmith.assignments import Request, Start
from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset
from crystalsmith.diffusion import Model, load_model
from crystalsmith.evaluation.measures.arrays import crystal_arrays
from crystalsmith.evaluation.measures.matching import rms_displacement
from crystalsmith.graph import to_crystals
from crystalsmith.training.examples import Examples
from crystalsmith.training.guides import Guides

WAYS: dict[str, tuple[float | None, bool]] = {
    "guides as they are": (0.0, False),
    "refined from 0.3": (0.3, False),
    "refined from 0.3, guided": (0.3, True),
    "refined from 0.5": (0.5, False),
    "refined from 0.5, guided": (0.5, True),
    "sampled": (None, False),
    "sampled, guided": (1.0, True),
}
"""Time of the start, and whether the network is told of it."""


def starts_of(examples: Examples, row: int, most: int) -> list[Start]:
    """The guides of a crystal with its elements, the most similar first."""
    guides = examples.guides
    assert guides is not None
    index = torch.full((min(most, int(guides.counts[row])),), row)
    guide = guides.at(index, torch.arange(len(index)))
    crystals = to_crystals(examples.batch(index).with_state(guide.w, guide.strain))
    return [Start(c, source="file", weight=float(w)) for c, w in zip(crystals, guide.weight, strict=True)]


def matches(made: Crystal, truth: Crystal) -> float | None:
    """Displacement, None without a match."""
    try:
        found = float(rms_displacement((crystal_arrays(made), crystal_arrays(truth)))[0])
    except Exception:  # what cannot be compared is no match
        return None
    return found if np.isfinite(found) else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("guides", type=Path)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("-n", type=int, default=150)
    parser.add_argument("-k", type=int, default=6)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--ways", nargs="*", default=list(WAYS), choices=list(WAYS))
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(args.checkpoint)
    assert isinstance(model, Model)
    data = Dataset.open(args.data)
    examples = Examples(data, model.statistics.atomic_volume, guides=Guides.open(args.guides))
    assert examples.guides is not None
    rows = np.random.default_rng(0).permutation(len(data))[: args.n].tolist()
    kept = Path(args.checkpoint).with_name(f"{args.data.stem}.guides.jsonl")
    found: dict[tuple[str, int, int], float | None] = {}
    if kept.exists():
        for line in kept.read_text().splitlines():
            way, row, k, value = json.loads(line)
            found[way, row, k] = value
    guided = [row for row in rows if examples.guides.counts[row] > 0]
    with kept.open("a") as f:
        for way in args.ways:
            time, told = WAYS[way]
            todo = [r for r in guided if (way, r, args.k - 1) not in found]
            for part in (todo[i : i + 10] for i in range(0, len(todo), 10)):
                asked: list[tuple[int, int, Request]] = []
                for row in part:
                    truth = data[row]
                    plain = Request(truth.space_group, tuple((s.element, s.letter) for s in truth.sites))
                    starts = starts_of(examples, row, args.k)
                    for k in range(args.k):
                        start = None if time is None else replace(starts[k % len(starts)], time=time)
                        asked.append((row, k, replace(plain, start=start)))
                requests, seeds = [r for *_, r in asked], [7919 * row + k for row, k, _ in asked]
                made = model.sample(requests, seeds, steps=args.steps, guided=told)
                for (row, k, _), crystal in zip(asked, made, strict=True):
                    found[way, row, k] = matches(crystal, data[row])
                    f.write(json.dumps([way, row, k, found[way, row, k]]) + "\n")
                f.flush()
    print(f"{len(guided)} of {len(rows)} crystals have guides")
    for way in args.ways:
        hits = np.array([[found[way, row, k] is not None for k in range(args.k)] for row in guided])
        rms = [v for row in guided if (v := found[way, row, 0]) is not None]
        text = [
            f"{100 * p:.1f} +- {100 * np.sqrt(p * (1 - p) / len(hits)):.1f}"
            for p in (hits[:, 0].mean(), hits.any(1).mean())
        ]
        print(f"{way:28s} first {text[0]}  any of {args.k} {text[1]}  displacement {np.mean(rms):.4f}")


if __name__ == "__main__":
    main()
