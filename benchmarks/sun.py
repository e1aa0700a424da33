"""Stable, unique and novel: of crystals that generate proposes, with and without relaxation.

    python benchmarks/sun.py mp_train.safetensors -n 500 -o sun --references hull.npz

Orders: the chemical systems of random training crystals; composition, cell, space group and Wyckoff positions
are drawn from the prior, one crystal each, by ``crystalsmith generate`` in a folder of its own
(``--generate`` holds further options of it). Stable: at most 0 (or 0.1) eV/atom above the hull of the
reference phases of the same potential. Unique and novel: by pymatgen's StructureMatcher among themselves and
against the training set; novel also means that no training crystal has the same composition, space group and
Wyckoff positions; the others are known. Without relaxation energies are single points of the crystals as
generated. What has no energy counts as unstable. Crystals and energies are kept in the folder, so that the
same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from checkpoints import add_checkpoint

from crystalsmith.crystal import SYMBOLS, Crystal
from crystalsmith.data import Dataset
from crystalsmith.discovery.stages.duplicates import first_matching
from crystalsmith.errors import HullError
from crystalsmith.generation import read_entries
from crystalsmith.generation.known import KnownPhases
from crystalsmith.hull import MOST_ELEMENTS, Hull, References, shipped
from crystalsmith.potentials import RelaxSettings, relax_crystal, single_points
from crystalsmith.potentials.calculators import process_calculator
from crystalsmith.runs.pool import Failed, parallel_map


def both(potential: str, crystal: Crystal) -> dict[str, Any]:
    """Energies and crystals as generated, relaxed under symmetry, and freely."""
    calculator = process_calculator(potential)
    single = single_points([crystal], calculator)[0].value
    line: dict[str, Any] = {"single": single if math.isfinite(single) else None}
    for stage, calls in (("symmetric", 60), ("free", 120)):
        settings = RelaxSettings(only=stage, max_calls=calls, max_volume_change=None, seconds=120.0)
        state = relax_crystal(crystal, calculator, settings).stages[stage]
        line[stage] = state.energy if state.sound else None
        line[f"{stage}_reason"] = state.reason
        line[f"{stage}_calls"] = state.calls
        if not state.sound:
            break
        crystal = state.crystal
        line[f"{stage}_crystal"] = crystal.to_dict()
    return line


def generated(args: argparse.Namespace, folder: Path) -> tuple[list[Crystal | None], list[str]]:
    """The crystals, made by generate, and how each came about."""
    data = Dataset.open(args.train)
    rng = np.random.default_rng(args.seed)
    orders: list[dict[str, Any]] = []
    a = data.arrays
    while len(orders) < args.n:
        i = int(rng.integers(len(data)))
        z = sorted(set(a["element"][a["start"][i] : a["start"][i + 1]].tolist()))
        if 2 <= len(z) <= MOST_ELEMENTS - 1:
            system = "-".join(SYMBOLS[k] for k in z)
            orders.append({"id": f"{len(orders):04d}", "system": system, "max_atoms": args.max_atoms})
    path, run = folder / "orders.jsonl", folder / "run"
    path.write_text("".join(json.dumps(order) + "\n" for order in orders), encoding="utf-8")
    command = [sys.executable, "-m", "crystalsmith", "generate", str(path), "-o", str(run), "--quiet"]
    command += ["--seed", str(args.seed), *(["--checkpoint", args.checkpoint] if args.checkpoint else [])]
    command += shlex.split(args.generate)
    if subprocess.run(command, stdout=subprocess.DEVNULL).returncode not in (0, 1):  # 1: some were given up
        raise SystemExit("generate failed; nothing to measure")
    made = {entry.order_id: entry for entry in read_entries(run) if entry.crystal is not None}
    found = [made.get(order["id"]) for order in orders]
    return [x and x.crystal for x in found], ["none" if x is None else x.kind for x in found]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", help="the training set, a file of data build")
    parser.add_argument("-n", type=int, default=500)
    parser.add_argument("-o", "--output", default="sun", help="folder for energies")
    add_checkpoint(parser)
    parser.add_argument("--max-atoms", type=int, default=20)
    parser.add_argument("--potential", default="chgnet")
    parser.add_argument("--references", help="a file of hull build; default: those of the package")
    parser.add_argument("--generate", default="", help="further options of generate, in one word")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.time()
    crystals, kinds = generated(args, folder)
    print(
        f"generated in {time.time() - began:.0f} s (nothing if it was there); {dict(Counter(kinds))}",
        flush=True,
    )
    cache = folder / "energies.jsonl"
    lines = [json.loads(line) for line in cache.read_text().splitlines()] if cache.exists() else []
    found: dict[int, dict[str, Any]] = {line["place"]: line for line in lines}
    todo = [i for i, c in enumerate(crystals) if c is not None and i not in found]

    def take(done: list[tuple[int, Any, float]]) -> None:
        with cache.open("a") as f:
            for place, result, seconds in done:
                line = {"single": None, "failed": result.reason} if isinstance(result, Failed) else result
                found[todo[place]] = {"place": todo[place], **line, "seconds": round(seconds, 2)}
                f.write(json.dumps(found[todo[place]]) + "\n")

    work = [c for i in todo if (c := crystals[i]) is not None]
    parallel_map(
        partial(both, args.potential), work, workers=args.workers, chunk=1, seconds=600, on_done=take
    )

    references = References.open(args.references) if args.references else shipped(args.potential)
    assert references is not None
    spent = sum(line.get("seconds", 0.0) for line in found.values())
    print(f"energies and relaxations: {spent:.0f} s of {len(found)} crystals")
    report(crystals, kinds, found, Hull(references), args)


def report(
    crystals: list[Crystal | None],
    kinds: list[str],
    found: dict[int, dict[str, Any]],
    hull: Hull,
    args: argparse.Namespace,
) -> None:
    """Print the figures."""
    from crystalsmith.diffusion import Model, load_model
    from crystalsmith.prior import KnownCrystals, Prototypes

    model = load_model(args.checkpoint)
    assert isinstance(model, Model)
    known = KnownPhases(Prototypes(KnownCrystals.read(model.occupations)), files=[args.train])
    print(f"{hull.references.note if hull.references else ''}; {args.n} crystals")
    for title, energy, place in (
        ("as generated", "single", None),
        ("relaxed under symmetry", "symmetric", "symmetric_crystal"),
        ("relaxed freely", "free", "free_crystal"),
    ):
        rows = []
        for i, line in sorted(found.items()):
            own = crystals[i] if place is None else line.get(place) and Crystal.from_dict(line[place])
            if own is None or line.get(energy) is None:
                continue
            try:
                height = hull.place(own.counts, line[energy]).above_hull
            except HullError:
                height = np.inf
            rows.append((own, line[energy], height if height > -1 else np.inf, kinds[i]))
        order = sorted(range(len(rows)), key=lambda k: rows[k][2])
        first = first_matching([rows[k][0] for k in order], [rows[k][1] for k in order])
        unique = np.zeros(len(rows), dtype=bool)
        unique[[order[j] for j, k in enumerate(first) if j == k]] = True
        novel = np.array([known.judge(row[0]).is_new for row in rows], dtype=bool)
        above = np.array([row[2] for row in rows])
        parts = [
            f"{title}: {len(rows)} with an energy, median {np.median(above):+.3f} eV/atom above the hull"
        ]
        parts.append(
            f"unique {100 * unique.sum() / args.n:.1f} %, novel {100 * novel.sum() / args.n:.1f} %,"
            f" known {100 * (~novel).sum() / args.n:.1f} %"
        )
        for limit in (0.0, 0.1):
            stable = above <= limit
            good = stable & unique & novel
            share = good.sum() / args.n
            error = 100 * math.sqrt(share * (1 - share) / args.n)
            by_kind = Counter(row[3] for row, hit in zip(rows, good, strict=True) if hit)
            parts.append(
                f"<= {limit:g}: stable {100 * stable.sum() / args.n:.1f} %,"
                f" S.U.N. {100 * share:.1f} ± {error:.1f} % {dict(by_kind)}"
            )
        print("\n  ".join(parts))


if __name__ == "__main__":
    main()
