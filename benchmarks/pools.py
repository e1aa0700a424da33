"""Pools of candidates of every kind for crystals whose truth is known, to fit and to try the ranking on.

    python benchmarks/pools.py mp20_val.safetensors --mode group -n 150 --known train.safetensors \\
        --folder pools/val_group
    python benchmarks/pools.py mp20_val.safetensors --mode group -n 150 --known train.safetensors \\
        --folder pools/val_group --potential chgnet --relax

For each row, told as much as ``--mode`` says (``group``: formula, Z and space group; ``atoms``: formula and
atoms in the primitive cell; ``letters``: space group and Wyckoff letters), there are candidates of three
kinds: crystals that the network makes, of the assignments that an order for the same would get; known
arrangements with their elements exchanged, as they are, the most similar first; and the first of these noised
and denoised again. Each one stands with its displacement from the truth (null where it does not match) and
with what judges need. Lines of JSON in the folder, one a row: ``candidates.jsonl``, and with a potential
``energies_NAME.jsonl`` and, of front-runners alone, ``relaxed_NAME.jsonl``. The same command goes on where it
was interrupted; rows are those of a permutation by ``--seed``, so a larger ``-n`` adds to the same.

``--known`` must hold nothing of the rows' compositions and space groups; its assignments also take the place
of those that the checkpoint brings.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from known_templates import Templates
from lines import append, whole_lines

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.assignments import Request, Start, canonical, from_pairs, to_pairs
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.bonds import bond_room
from crystalsmith.crystal.validity import fault
from crystalsmith.data import Dataset
from crystalsmith.data.wyckoff import Occupations
from crystalsmith.diffusion import Model, load_model
from crystalsmith.evaluation.measures.arrays import crystal_arrays
from crystalsmith.evaluation.measures.matching import rms_displacement
from crystalsmith.evaluation.samples import read_samples
from crystalsmith.evaluation.targets import target_orders
from crystalsmith.generation.allocation import share
from crystalsmith.orders import Order, parse_order
from crystalsmith.orders.sources import learned_source
from crystalsmith.potentials.energies import single_points
from crystalsmith.ranking import JUDGES, Ladder, Score
from crystalsmith.ranking.denoising import denoising_error, denoising_errors
from crystalsmith.ranking.ladder import FRONT_RUNNERS
from crystalsmith.runs.pool import Failed, parallel_map

GIVE = {"group": "formula", "atoms": "atoms", "letters": "wyckoff"}
PART = 10
"""Rows that are made and kept together."""

BATCH_ATOMS = 512
WIDTH = 64
"""Likely assignments that are looked at."""

UNLIKELY = -12.0
"""Log-likelihood of assignments that are not among them."""

REFINED_TIME = 0.3
"""Noise time from which known arrangements are denoised."""


@dataclass
class Candidate:
    """One candidate: what it is made of, and the crystal."""

    kind: str
    request: Request
    weight: float | None = None
    members: int | None = None
    crystal: Crystal | None = None


def known_lines(path: Path) -> dict[int, dict[str, Any]]:
    """Lines of a file of the folder by row."""
    return {line["row"]: line for line in whole_lines(path)}


class Builder:
    """Makes the candidates of rows."""

    def __init__(self, a: argparse.Namespace) -> None:
        self.a = a
        known = Dataset.open(a.known)
        model = load_model(a.checkpoint)
        assert isinstance(model, Model)
        arrays = known.arrays
        occupations = Occupations(*(arrays[k] for k in ("space_group", "start", "element", "wyckoff")))
        model.statistics = replace(model.statistics, occupations=occupations)
        self.model, self.source = model, learned_source(model)
        self.templates = Templates(known)

    def candidates(self, order: Order, truth: Crystal) -> list[Candidate]:
        """Of one order, none of them made yet."""
        a = self.a
        likely = order.content.likely(order.bounds, self.source, 20, WIDTH) or []
        logs = {(r.space_group, r.sites): r.log_prior for r in likely}
        found = [Candidate("network", r) for (r,) in share(likely, a.network)] if likely else []
        group = truth.space_group if a.mode != "atoms" else None
        letters = self._key(truth)[1] if a.mode == "letters" else None
        for k, t in enumerate(self.templates.of(truth, group, letters, a.templates)):
            number, sites = self._key(t.crystal)
            # What is not among the likely ones is as unlikely as can be.
            log = logs.get((number, sites), UNLIKELY) if a.mode != "letters" else None
            own = tuple((s.element, s.letter) for s in t.crystal.sites)
            for time_ in (0.0, REFINED_TIME) if k < a.refined else (0.0,):
                start = Start(t.crystal, time_, weight=t.weight, members=t.members)
                request = Request(number, own, log, start=start)
                found.append(Candidate(request.kind, request, t.weight, t.members))
        return found

    @staticmethod
    def _key(crystal: Crystal) -> tuple[int, Any]:
        number = crystal.space_group
        elements, assignment = from_pairs(number, [(s.element, s.letter) for s in crystal.sites])
        return number, to_pairs(number, elements, canonical(number, assignment))

    def make(self, jobs: dict[int, list[Candidate]]) -> dict[str, float]:
        """Make the crystals of some rows; seconds a candidate by kind."""
        seconds: dict[str, float] = {}
        for kind in ("prototype", "network", "refined"):
            queue = sorted(
                (
                    (c.request.n_atoms, row, k)
                    for row, own in jobs.items()
                    for k, c in enumerate(own)
                    if c.kind == kind
                ),
            )
            number, began = len(queue), time.perf_counter()
            while queue:
                batch = [queue.pop(0)]
                size = batch[0][0]
                while queue and size + queue[0][0] <= BATCH_ATOMS:
                    size += queue[0][0]
                    batch.append(queue.pop(0))
                asked = [jobs[row][k].request for _, row, k in batch]
                made = self.model.sample(asked, [1000 * row + k for _, row, k in batch])
                for (_, row, k), crystal in zip(batch, made, strict=True):
                    jobs[row][k].crystal = crystal if fault(crystal) is None else None
            seconds[kind] = (time.perf_counter() - began) / max(number, 1)
        return seconds

    def part(self, rows: dict[int, tuple[Order, Crystal]], workers: int) -> Iterator[dict[str, Any]]:
        """Lines of some rows."""
        jobs = {row: self.candidates(order, truth) for row, (order, truth) in rows.items()}
        seconds = self.make(jobs)
        sound = [(row, c) for row, own in jobs.items() for c in own if c.crystal is not None]
        crystals = [c.crystal for _, c in sound if c.crystal is not None]
        began = time.perf_counter()
        errors = denoising_error(denoising_errors(self.model, crystals))
        seconds["denoising"] = (time.perf_counter() - began) / max(len(crystals), 1)
        pairs = [
            (crystal_arrays(x), crystal_arrays(rows[row][1]))
            for x, (row, _) in zip(crystals, sound, strict=True)
        ]
        if workers > 1:
            found = parallel_map(rms_displacement, pairs, workers=workers, chunk=16, seconds=120)
        else:
            found = [rms_displacement(pair) for pair in pairs]
        lines: dict[int, dict[str, Any]] = {
            row: {"row": row, "atoms": rows[row][1].n_atoms, "seconds": seconds, "candidates": []}
            for row in rows
        }
        for (row, c), error, x in zip(sound, errors, found, strict=True):
            assert c.crystal is not None
            right = not isinstance(x, Failed) and np.isfinite(x[0])
            lines[row]["candidates"].append(
                {
                    "kind": c.kind,
                    "weight": c.weight,
                    "members": c.members,
                    "log_prior": c.request.log_prior,
                    "denoising": round(float(error), 5),
                    "rms": round(float(x[0]), 5) if right else None,
                    "crystal": c.crystal.to_dict(),
                }
            )
        yield from lines.values()


def make_candidates(a: argparse.Namespace, folder: Path) -> None:
    """Candidates of all rows that have none yet."""
    file = folder / "candidates.jsonl"
    data = Dataset.open(a.data)
    rows = [int(r) for r in np.random.default_rng(a.seed).permutation(len(data))[: a.n]]
    left = [r for r in rows if r not in known_lines(file)]
    if not left:
        return
    builder = Builder(a)
    for start in range(0, len(left), PART):
        part = {}
        for row in left[start : start + PART]:
            sample = read_samples([data[row]])
            order = target_orders(sample, give=GIVE[a.mode], count=a.network)[0]
            part[row] = parse_order(order), data[row]
        began = time.perf_counter()
        append(file, list(builder.part(part, a.workers)))
        print(f"{start + len(part)} of {len(left)} rows, {time.perf_counter() - began:.0f} s", flush=True)


def make_energies(a: argparse.Namespace, folder: Path) -> None:
    """Single points of all candidates, and with ``--relax`` energies of relaxed front-runners."""
    ladder = Ladder(load_model(a.checkpoint), JUDGES, a.potential, front_runners=a.front)
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
                for s, e in zip(scores_of(line, crystals), known["energies"][row]["energies"], strict=True)
            ]
            began = time.perf_counter()
            values = [s.relaxed_energy or math.nan for s in ladder.relax(crystals, scores)]
            append(files["relaxed"], [energy_line(row, values, time.perf_counter() - began)])


def energy_line(row: int, energies: Sequence[float], seconds: float) -> dict[str, Any]:
    """A line for one row."""
    found = [round(float(e), 6) if math.isfinite(e) else None for e in energies]
    return {"row": row, "energies": found, "seconds": round(seconds, 3)}


def scores_of(line: dict[str, Any], crystals: Sequence[Crystal]) -> list[Score]:
    """What the model's judges say of the candidates of a row."""
    return [
        Score(
            formula=crystal.formula,
            denoising=c["denoising"],
            agreement=1.0,
            log_prior=c["log_prior"],
            kind=c["kind"],
            weight=c["weight"],
            members=c["members"],
            free=sum(p.dof for p in crystal.positions_of_sites),
            room=bond_room(crystal),
        )
        for c, crystal in zip(line["candidates"], crystals, strict=True)
    ]


def main() -> None:
    """Parse arguments, make what is missing."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("--mode", choices=GIVE, default="group")
    p.add_argument("-n", type=int, default=150)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--known", required=True, help="data file with the crystals that lend their arrangements")
    p.add_argument("--checkpoint")
    p.add_argument("--network", type=int, default=10)
    p.add_argument("--templates", type=int, default=10)
    p.add_argument("--refined", type=int, default=4)
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
    facts = {
        "data": Path(a.data).name,
        "known": Path(a.known).name,
        "mode": a.mode,
        "seed": a.seed,
        "checkpoint": load_model(a.checkpoint).hash,
        "candidates": [a.network, a.templates, a.refined],
    }
    note = folder / "pool.json"
    if note.exists() and json.loads(note.read_text(encoding="utf-8")) != facts:
        raise SystemExit(f"{folder} holds another pool; give another --folder")
    note.write_text(json.dumps(facts) + "\n", encoding="utf-8")
    make_candidates(a, folder)
    if a.potential:
        make_energies(a, folder)


if __name__ == "__main__":
    main()
