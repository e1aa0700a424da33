"""From a formula to the right crystal: match rates, and the rank of the true assignment under the prior.

    crystalsmith data orders mp20_test.jsonl.gz -n 500 --give formula -k 20 -o formula.jsonl
    crystalsmith generate formula.jsonl -o formula
    python benchmarks/composition.py formula mp20_test.safetensors mp_train.safetensors

The same with ``--give atoms``: formula and atoms in the primitive cell alone. A folder holds some crystals of
each order; ``first`` is the crystal of the likeliest assignment, ``ranked`` the one with the best score,
``any`` the best of all. Matching as in benchmarks/match_rate.py. Beside it, a control without any model: the
known crystals of the same numbers of atoms (and space group, where it is given) whose elements are most
similar, with the elements exchanged and the volume scaled to theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from checkpoints import add_checkpoint

from crystalsmith.assignments import canonical, from_pairs, to_pairs
from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.elements import NUMBERS, SYMBOLS
from crystalsmith.data import Dataset
from crystalsmith.data.volumes import fit_atomic_volumes
from crystalsmith.data.wyckoff import Occupations
from crystalsmith.diffusion import Model, load_model
from crystalsmith.evaluation.measures.arrays import crystal_arrays
from crystalsmith.evaluation.measures.matching import (
    ATOM_BINS,
    FREEDOM_BINS,
    bin_label,
    rms_displacement,
    root_mean,
)
from crystalsmith.generation import read_entries
from crystalsmith.generation.drafts import learned_source
from crystalsmith.orders import parse_order
from crystalsmith.prior import KnownCrystals, Prototypes
from crystalsmith.runs.pool import Failed, parallel_map
from crystalsmith.symmetry import space_group


def atoms_of(crystal: Crystal) -> dict[str, int]:
    """Atoms of each element in the primitive cell."""
    result: dict[str, int] = defaultdict(int)
    for site, position in zip(crystal.sites, crystal.positions_of_sites, strict=True):
        result[site.element] += position.multiplicity_primitive
    return dict(result)


def all_known(data: Dataset) -> KnownCrystals:
    """Every crystal of a data set, row by row."""
    a = data.arrays
    return KnownCrystals.read(Occupations(a["space_group"], a["start"], a["element"], a["wyckoff"]))


class Control:
    """Known crystals with exchanged elements."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.prototypes = Prototypes(all_known(data))
        self.volume = fit_atomic_volumes(data)

    def make(self, truth: Crystal, group: int | None, most: int) -> list[Crystal]:
        """Crystals with the truth's composition, the most similar first, each row of the data once."""
        counts = atoms_of(truth)
        elements = tuple(NUMBERS[e] for e in counts)
        found = self.prototypes.matches_by_atoms(elements, tuple(counts.values()))
        result: list[Crystal] = []
        taken = set()
        for _, row, match in sorted(found, key=lambda m: (-m[0], m[1])):
            known = self.prototypes.known[row]
            if row in taken or (group is not None and known.space_group != group):
                continue
            taken.add(row)
            change = {SYMBOLS[known.elements[k]]: SYMBOLS[z] for z, k in zip(elements, match, strict=True)}
            result.append(self._exchange(self.data[row], change))
            if len(result) == most:
                break
        return result

    def _exchange(self, crystal: Crystal, change: dict[str, str]) -> Crystal:
        sites = tuple(Site(change[s.element], s.letter, s.free) for s in crystal.sites)
        changed = Crystal(crystal.space_group, crystal.cell, sites)
        before, after = (
            sum(self.volume[NUMBERS[e]] * n for e, n in atoms_of(c).items()) for c in (crystal, changed)
        )
        scale = (after / before) ** (1 / 3)
        cell = tuple(x * scale if k < 3 else x for k, x in enumerate(crystal.cell))
        return Crystal(crystal.space_group, cell, sites)


def rank_of_truth(source, order, truth: Crystal, most: int) -> float:
    """Place of the true assignment among the likely ones, from 1; inf if it is not among them."""
    elements, assignment = from_pairs(truth.space_group, [(s.element, s.letter) for s in truth.sites])
    target = to_pairs(truth.space_group, elements, canonical(truth.space_group, assignment))
    recipes = order.content.likely(order.bounds, source, 20, most) or []
    for place, recipe in enumerate(recipes, start=1):
        if recipe.space_group == truth.space_group and recipe.sites == target:
            return float(place)
    return np.inf


def row_of(name: str, hits: dict[str, np.ndarray], chosen: np.ndarray) -> str:
    """One line of a table."""
    cells = [
        f"{100 * np.isfinite(x[chosen]).mean():5.1f} ({root_mean(x[chosen]):.3f})" for x in hits.values()
    ]
    return f"{name:>22} {chosen.sum():5d}  " + "  ".join(f"{c:>14}" for c in cells)


def main() -> None:
    """Parse arguments, match, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", help="a run of generate, several crystals of each order")
    p.add_argument("truth", help="data file with the true crystals, under the orders' ids")
    p.add_argument("train", help="data file of the training crystals, for the control and for new formulas")
    add_checkpoint(p)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--json")
    a = p.parse_args()
    began = time.time()
    folder = Path(a.folder)
    orders = [parse_order(o) for o in json.loads((folder / "manifest.json").read_text())["run"]["orders"]]
    data, train = Dataset.open(a.truth), Dataset.open(a.train)
    row = {identifier: k for k, identifier in enumerate(data.ids)}
    truth = {o.id: data[row[o.id]] for o in orders}
    model = load_model(a.checkpoint)
    assert isinstance(model, Model)
    source = learned_source(model)
    samples: dict[str, dict[int, Crystal]] = defaultdict(dict)
    for entry in read_entries(folder):
        if entry.crystal is not None:
            samples[entry.order_id][entry.index] = entry.crystal
    scores: dict[str, dict[int, float]] = defaultdict(dict)
    if (folder / "crystals.extxyz").exists():
        from ase.io import iread

        for atoms in iread(folder / "crystals.extxyz", index=":"):
            if "score" in atoms.info:
                scores[str(atoms.info["order"])][int(atoms.info["index"])] = float(atoms.info["score"])
    most = max(o.count for o in orders)
    control = Control(train)
    jobs, keys = [], []
    exact = same_group = made = 0
    for o in orders:
        target = crystal_arrays(truth[o.id])
        for index, crystal in samples[o.id].items():
            made += 1
            exact += atoms_of(crystal) == atoms_of(truth[o.id])
            same_group += o.space_group in (None, crystal.space_group)
            jobs.append((crystal_arrays(crystal), target))
            keys.append(("ours", o.id, index))
        group = o.space_group if isinstance(o.space_group, int) else None
        for k, crystal in enumerate(control.make(truth[o.id], group, most)):
            jobs.append((crystal_arrays(crystal), target))
            keys.append(("control", o.id, k))
    found = parallel_map(rms_displacement, jobs, workers=a.workers, chunk=16, seconds=120)
    rms = {k: np.inf if isinstance(x, Failed) else float(x[0]) for k, x in zip(keys, found, strict=True)}

    def best(kind: str, identifier: str, indexes: list[int]) -> float:
        return min((rms.get((kind, identifier, k), np.inf) for k in indexes), default=np.inf)

    hits: dict[str, np.ndarray] = {"first": np.array([best("ours", o.id, [0]) for o in orders])}
    if scores:
        leaders = [[max(scores[o.id], key=scores[o.id].__getitem__)] if scores[o.id] else [] for o in orders]
        hits["ranked"] = np.array([best("ours", o.id, k) for o, k in zip(orders, leaders, strict=True)])
    hits[f"any of {most}"] = np.array([best("ours", o.id, list(range(most))) for o in orders])
    hits["control, first"] = np.array([best("control", o.id, [0]) for o in orders])
    hits[f"control, any of {most}"] = np.array([best("control", o.id, list(range(most))) for o in orders])

    known = all_known(train)
    seen = set()
    for i in range(len(known)):
        rows = slice(int(known.start[i]), int(known.start[i + 1]))
        atoms = known.atoms[rows]
        seen.add(
            frozenset(
                zip(known.element[rows].tolist(), (atoms // np.gcd.reduce(atoms)).tolist(), strict=True)
            )
        )
    new = []
    for o in orders:
        counts = atoms_of(truth[o.id])
        units = np.gcd.reduce(list(counts.values()))
        new.append(frozenset((NUMBERS[e], n // units) for e, n in counts.items()) not in seen)
    freedom = np.array(
        [
            sum(space_group(truth[o.id].space_group).position(s.letter).dof for s in truth[o.id].sites)
            for o in orders
        ]
    )
    size = np.array([truth[o.id].n_atoms for o in orders])
    everything = np.ones(len(orders), bool)
    print(f"{folder}: {len(orders)} orders, {made} crystals; match rate % (RMSE)")
    print(" " * 30 + "  ".join(f"{name:>14}" for name in hits))
    print(row_of("all", hits, everything))
    print(row_of("formula not in training", hits, np.array(new)))
    for title, values, bins in (("free parameters", freedom, FREEDOM_BINS), ("atoms", size, ATOM_BINS)):
        for low, high in bins:
            chosen = (values >= low) & (values <= (np.inf if high is None else high))
            if chosen.any():
                print(row_of(f"{title} {bin_label(low, high)}", hits, chosen))
    print(f"as asked: composition {100 * exact / made:.2f} %, space group {100 * same_group / made:.2f} %")
    ranks = np.array([rank_of_truth(source, o, truth[o.id], 64) for o in orders])
    for name, chosen in (("all", everything), ("formula not in training", np.array(new))):
        shares = ", ".join(f"{100 * np.mean(ranks[chosen] <= k):.1f} % in the first {k}" for k in (1, 5, 20))
        print(f"true assignment under the prior ({name}): {shares}")
    print(f"{time.time() - began:.0f} s")
    if a.json:
        Path(a.json).write_text(
            json.dumps(
                {
                    "checkpoint": model.hash,
                    "ids": [o.id for o in orders],
                    "rms": {
                        k: [None if not np.isfinite(x) else x for x in v.tolist()] for k, v in hits.items()
                    },
                    "each": {
                        o.id: [
                            [k, None if not np.isfinite(rms["ours", o.id, k]) else rms["ours", o.id, k]]
                            for k in sorted(samples[o.id])
                        ]
                        for o in orders
                    },
                    "rank": [None if not np.isfinite(x) else x for x in ranks.tolist()],
                }
            )
        )


if __name__ == "__main__":
    main()
