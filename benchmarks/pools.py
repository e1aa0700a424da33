"""Pools of candidates of every kind for crystals whose truth is known, to fit and to try the ranking on.

    crystalsmith data orders mp20_val.safetensors -n 300 --give atoms -k 20 -o atoms.jsonl
    crystalsmith generate atoms.jsonl --new-only --checkpoint MODEL -o atoms
    python benchmarks/pools.py atoms mp20_val.safetensors --folder pools/val_atoms
    python benchmarks/pools.py atoms mp20_val.safetensors --folder pools/val_atoms --potential 7net-0 --relax

A pool is a finished run of generate, so that what is ranked is what orders really get: crystals of the
network, known arrangements with their elements exchanged, and these denoised again. Each one stands with its
displacement from the truth (null where it does not match) and with what the model's judges said. Lines of
JSON in the folder, one an order: ``candidates.jsonl``, and with a potential ``energies_NAME.jsonl`` and, of
front-runners alone, ``relaxed_NAME.jsonl``. The same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from lines import append, whole_lines

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.crystal import Crystal
from crystalsmith.diffusion import load_model
from crystalsmith.evaluation import read_samples
from crystalsmith.evaluation.measures.arrays import crystal_arrays
from crystalsmith.evaluation.measures.matching import rms_displacement
from crystalsmith.generation import read_entries
from crystalsmith.generation.journal import Entry
from crystalsmith.potentials.energies import single_points
from crystalsmith.ranking import JUDGES, Ladder, Score
from crystalsmith.ranking.ladder import FRONT_RUNNERS
from crystalsmith.runs.pool import Failed, parallel_map

PART = 10
"""Orders that are compared and kept together."""

SECONDS = 120.0
"""For one comparison; what takes longer counts as no match."""


def known_lines(path: Path) -> dict[int, dict[str, Any]]:
    """Lines of a file of the folder by row."""
    return {line["row"]: line for line in whole_lines(path)}


def row_of(order: str) -> int:
    """Number of an order, the same in every pool of the same data."""
    return zlib.crc32(order.encode())


def mode_of(order: dict[str, Any]) -> str:
    """What orders of a run tell: ``letters``, ``group``, ``atoms`` or ``formula``."""
    if "wyckoff" in order:
        return "letters"
    if isinstance(order.get("space_group"), int):
        return "group"
    return "atoms" if order.get("atoms") or order.get("z") else "formula"


def candidates_of(run: Path) -> dict[str, list[Entry]]:
    """Sound crystals of a run by order, in the order in which they were made."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in read_entries(run):
        if entry.crystal is not None and entry.score is not None:
            found[entry.order_id].append(entry)
    return {name: sorted(own, key=lambda e: e.index) for name, own in found.items()}


def make_candidates(a: argparse.Namespace, folder: Path) -> None:
    """Candidates of all orders that are not there yet."""
    file = folder / "candidates.jsonl"
    done = known_lines(file)
    reference = read_samples(a.data)
    truth = {
        name: s.standard for name, s in zip(reference.order_ids, reference.samples, strict=True) if s.standard
    }
    left = [(name, own) for name, own in candidates_of(a.run).items() if row_of(name) not in done]
    for start in range(0, len(left), PART):
        part, began = left[start : start + PART], time.perf_counter()
        pairs = []
        for name, own in part:
            target = truth.get(name)
            if target is None:
                raise SystemExit(f"{a.data} has no crystal {name}, for which {a.run} was made")
            pairs += [(crystal_arrays(e.crystal), crystal_arrays(target)) for e in own if e.crystal]
        results = parallel_map(rms_displacement, pairs, workers=a.workers, chunk=16, seconds=SECONDS)
        found = iter(results)
        lines = []
        for name, own in part:
            told = [line_of(e, next(found)) for e in own]
            lines.append({"row": row_of(name), "order": name, "candidates": told})
        append(file, lines)
        print(f"{start + len(part)} of {len(left)} orders, {time.perf_counter() - began:.0f} s", flush=True)


def line_of(entry: Entry, found: Any) -> dict[str, Any]:
    """One candidate, with its displacement from the truth."""
    assert entry.crystal is not None and entry.score is not None
    right = not isinstance(found, Failed) and np.isfinite(found[0])
    score = entry.score.with_(energy=None, relaxed_energy=None, energy_failure=None, potential=None)
    return {
        "kind": entry.kind,
        "weight": entry.weight,
        "rms": round(float(found[0]), 5) if right else None,
        "score": replace(score, compared=False).to_dict(),
        "crystal": entry.crystal.to_dict(),
    }


def make_energies(a: argparse.Namespace, folder: Path, checkpoint: str) -> None:
    """Single points of all candidates, and with ``--relax`` energies of relaxed front-runners."""
    ladder = Ladder(load_model(checkpoint), JUDGES, a.potential, front_runners=a.front)
    name = a.potential.replace("/", "_").replace(":", "_")
    files = {w: folder / f"{w}_{name}.jsonl" for w in ("energies", "relaxed")}
    known = {what: known_lines(file) for what, file in files.items()}
    for row, line in list(known_lines(folder / "candidates.jsonl").items())[: a.n]:
        if a.mixed and len({c["rms"] is None for c in line["candidates"]}) < 2:
            continue
        crystals = [Crystal.from_dict(c["crystal"]) for c in line["candidates"]]
        if row not in known["energies"]:
            began = time.perf_counter()
            values = [e.value for e in single_points(crystals, ladder.calculator)]
            known["energies"][row] = energy_line(row, values, time.perf_counter() - began)
            append(files["energies"], [known["energies"][row]])
        if a.relax and row not in known["relaxed"]:
            scores = [
                replace(s, energy=e, potential=a.potential)
                for s, e in zip(scores_of(line), known["energies"][row]["energies"], strict=True)
            ]
            began = time.perf_counter()
            values = [s.relaxed_energy or math.nan for s in ladder.relax(crystals, scores)]
            append(files["relaxed"], [energy_line(row, values, time.perf_counter() - began)])


def energy_line(row: int, energies: Sequence[float], seconds: float) -> dict[str, Any]:
    """A line for one row."""
    found = [round(float(e), 6) if math.isfinite(e) else None for e in energies]
    return {"row": row, "energies": found, "seconds": round(seconds, 3)}


def scores_of(line: dict[str, Any]) -> list[Score]:
    """What the model's judges say of the candidates of a row."""
    return [Score.from_dict(c["score"]) for c in line["candidates"]]


def main() -> None:
    """Parse arguments, make what is missing."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("run", type=Path, help="folder of a finished run, all judges asked, no potential")
    p.add_argument("data", help="what its orders were made of")
    p.add_argument("-n", type=int, help="rows that get energies (default: all)")
    p.add_argument("--checkpoint", help="for relaxation; default: the model that ships")
    p.add_argument("--potential")
    p.add_argument("--relax", action="store_true")
    p.add_argument("--front", type=int, default=FRONT_RUNNERS, help="structures that are relaxed")
    p.add_argument("--mixed", action="store_true", help="energies only where judges can change what is first")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--folder", required=True)
    a = p.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    folder = Path(a.folder)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = json.loads((a.run / "manifest.json").read_text(encoding="utf-8"))
    orders = manifest["run"]["orders"]
    facts = {
        "run": a.run.name,
        "data": Path(a.data).name,
        "mode": mode_of(orders[0]),
        "checkpoint": manifest["run"]["checkpoint"],
        "candidates": orders[0]["count"],
    }
    note = folder / "pool.json"
    if note.exists() and json.loads(note.read_text(encoding="utf-8")) != facts:
        raise SystemExit(f"{folder} holds another pool; give another --folder")
    note.write_text(json.dumps(facts) + "\n", encoding="utf-8")
    make_candidates(a, folder)
    if a.potential:
        make_energies(a, folder, a.checkpoint)


if __name__ == "__main__":
    main()
