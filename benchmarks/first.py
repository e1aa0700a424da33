"""Is the crystal that stands first the right one? A finished run of generate against the truth.

    crystalsmith data orders mp20_test.safetensors -n 500 --give atoms -k 20 -o atoms.jsonl
    crystalsmith generate atoms.jsonl -o atoms
    python benchmarks/first.py atoms mp20_test.safetensors --control train.safetensors

Crystals count in the order in which they stand in ``crystals.extxyz``, that is as ranked. Percent of orders,
with the standard error and, in brackets, the mean displacement (RMSE) of the matched: the first crystal, the
best of all, and by strict tolerances the first, any of the first five (what is reported on CSPBench) and any.
Tolerances of length, site and angle: 0.3, 0.5, 10 degrees as in the field's match rates; strict 0.2, 0.3, 5
degrees, pymatgen's own. What was not made counts as wrong. Where a potential judged, there is also what would
stand first without its energies.

The control knows no model: known crystals with the elements exchanged, the most similar first (see
benchmarks/composition.py), as many as crystals were asked for and by the same rules. Where the order leaves
the size open, so does the control. With ``--new-only`` (as the run was made with it) known crystals of the
very formula are no templates.

Comparisons are kept in FOLDER.matches.jsonl, so the same command goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import gcd
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase.io import iread
from composition import Control, all_known, atoms_of
from lines import whole_lines

from crystalsmith.crystal import NUMBERS, SYMBOLS, Crystal
from crystalsmith.data import Dataset
from crystalsmith.evaluation import read_samples
from crystalsmith.evaluation.measures.arrays import Arrays, crystal_arrays
from crystalsmith.evaluation.measures.matching import FREEDOM_BINS, bin_label, rms_displacement, root_mean
from crystalsmith.generation import read_entries
from crystalsmith.generation.journal import Entry
from crystalsmith.generation.results import rank_all
from crystalsmith.orders import parse_order
from crystalsmith.ranking import verdicts
from crystalsmith.runs.pool import Failed, parallel_map

STRICT = {"ltol": 0.2, "stol": 0.3, "angle_tol": 5.0}
FIRST_FIVE = 5
SIZES = ((1, 4), (5, 8), (9, 12), (13, 16), (17, 20), (21, 36), (37, 52), (53, 100), (101, 200), (201, None))
LARGEST = 200
"""Atoms in the primitive cell up to which the control looks where an order leaves the size open."""

SECONDS = 120.0
"""For one comparison; what takes longer counts as no match."""


def compare(pair: tuple[Arrays, Arrays]) -> tuple[float | None, bool]:
    """Displacement by the field's tolerances, None without a match, and whether the strict ones allow it."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    loose = float(rms_displacement(pair)[0])
    if not np.isfinite(loose):  # the strict tolerances are within these
        return None, False
    return loose, bool(StructureMatcher(**STRICT).fit(pair[0].to_structure(), pair[1].to_structure()))


def read_run(
    folder: Path,
) -> tuple[dict[str, list[Arrays]], dict[str, list[int]], dict[str, list[int]]]:
    """Crystals by order as they stand in the output, their space groups, and their places when made."""
    crystals: dict[str, list[Arrays]] = defaultdict(list)
    groups: dict[str, list[int]] = defaultdict(list)
    places: dict[str, list[int]] = defaultdict(list)
    for atoms in iread(folder / "crystals.extxyz", index=":"):
        name = str(atoms.info["order"])
        cell = np.asarray(atoms.cell[:])
        crystals[name].append(Arrays(cell, atoms.get_scaled_positions(), np.asarray(atoms.numbers)))
        groups[name].append(int(atoms.info["space_group"]))
        places[name].append(int(atoms.info["index"]))
    return crystals, groups, places


def ranked_again(folder: Path, energies: bool) -> dict[str, list[int]]:
    """For each order the places, when made, of its crystals as the score of now sorts them.

    Args:
        folder: a finished run whose crystals were judged.
        energies: whether those of a potential count.
    """
    orders = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["run"]["orders"]
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in read_entries(folder):
        if entry.crystal is not None and entry.score is not None:
            score = entry.score if energies else entry.score.with_(energy=None, relaxed_energy=None)
            found[entry.order_id].append(replace(entry, score=score))
    result = {}
    for order in map(parse_order, orders):
        own = found[order.id]
        said = verdicts([e.crystal for e in own if e.crystal], [e.score for e in own if e.score])
        ranked = rank_all([(order, [(e, v.figure) for e, v in zip(own, said, strict=True)])])
        result[order.id] = [r.entry.index for r in ranked]
    return result


class Templates(Control):
    """Known crystals with exchanged elements, by what an order tells."""

    def of(self, order: dict[str, Any], truth: Crystal, new_only: bool) -> list[Crystal]:
        """The most similar first, as many as the order asks for."""
        counts = atoms_of(truth)
        units = gcd(*counts.values())
        elements = tuple(NUMBERS[e] for e in counts)
        single = [n // units for n in counts.values()]
        sizes = [units]
        if order.get("z") is None and order.get("atoms") is None:
            sizes = list(range(1, LARGEST // sum(single) + 1))
        group = order.get("space_group")
        found = []
        for size in sizes:
            found += self.prototypes.matches_by_atoms(elements, tuple(size * n for n in single))
        result: list[Crystal] = []
        taken = set()
        for _, row, match in sorted(found, key=lambda m: (-m[0], m[1])):
            known = self.prototypes.known[row]
            change = {SYMBOLS[known.elements[k]]: SYMBOLS[z] for z, k in zip(elements, match, strict=True)}
            same = new_only and all(a == b for a, b in change.items())
            if row in taken or same or (isinstance(group, int) and known.space_group != group):
                continue
            taken.add(row)
            result.append(self._exchange(self.data[row], change))
            if len(result) == order["count"]:
                break
        return result


def key_of(kind: str, order: str, arrays: Arrays) -> str:
    """Of one comparison in the cache."""
    data = np.concatenate([arrays.lattice.ravel(), arrays.fractional.ravel(), arrays.numbers.ravel()])
    return f"{kind} {order} {hashlib.sha256(np.round(data, 8).tobytes()).hexdigest()[:16]}"


def kept(path: Path) -> dict[str, tuple[float | None, bool]]:
    """Comparisons that are in the cache."""
    return {line["key"]: (line["rms"], line["strict"]) for line in whole_lines(path)}


def match_all(
    jobs: dict[str, tuple[Arrays, Arrays]], cache: Path, workers: int
) -> dict[str, tuple[float | None, bool]]:
    """Compare what the cache does not hold."""
    done = kept(cache)
    todo = [key for key in jobs if key not in done]

    def take(results: list[tuple[int, Any, float]]) -> None:
        with cache.open("a", encoding="utf-8") as f:
            for place, found, _ in results:
                rms, strict = (None, False) if isinstance(found, Failed) else found
                done[todo[place]] = rms, strict
                f.write(json.dumps({"key": todo[place], "rms": rms, "strict": strict}) + "\n")

    work = [jobs[key] for key in todo]
    parallel_map(compare, work, workers=workers, seconds=SECONDS, chunk=16, on_done=take)
    return done


def formulas(data: Dataset) -> set[frozenset[tuple[int, int]]]:
    """Reduced formulas of a data set."""
    known = all_known(data)
    result = set()
    for i in range(len(known)):
        rows = slice(int(known.start[i]), int(known.start[i + 1]))
        atoms = known.atoms[rows]
        reduced = (atoms // np.gcd.reduce(atoms)).tolist()
        result.add(frozenset(zip(known.element[rows].tolist(), reduced, strict=True)))
    return result


def columns(
    name: str, rms: list[list[float]], strict: list[list[bool]], most: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each column whether an order is right, and its displacement (NaN where that is not asked)."""

    def least(places: int) -> np.ndarray:
        return np.array([min(r[:places], default=np.inf) for r in rms])

    def any_strict(places: int) -> tuple[np.ndarray, np.ndarray]:
        hit = np.array([any(s[:places]) for s in strict], dtype=bool)
        return hit, np.full(len(hit), np.nan)

    first, best = least(1), least(most)
    return {
        f"{name}first": (np.isfinite(first), first),
        f"{name}any of {most}": (np.isfinite(best), best),
        f"{name}strict first": any_strict(1),
        f"{name}strict in {FIRST_FIVE}": any_strict(FIRST_FIVE),
        f"{name}strict any": any_strict(most),
    }


def cell(right: np.ndarray, rms: np.ndarray) -> str:
    """Percent, standard error, and RMSE where there is one."""
    n = len(right)
    share = right.mean()
    # Of none or all of n the plain formula would say that it is certain.
    error = np.sqrt(max(share * (1 - share), 1 / n - 1 / n**2 if n > 1 else 0.25) / n)
    text = f"{100 * share:.1f} ± {100 * error:.1f}"
    return text if np.isnan(rms).all() else f"{text} ({root_mean(rms):.3f})"


def rows_of(
    sizes: np.ndarray, freedom: np.ndarray, new: np.ndarray | None
) -> Iterator[tuple[str, np.ndarray]]:
    """Names of the table's rows and the orders in them."""
    yield "all", np.ones(len(sizes), dtype=bool)
    if new is not None:
        yield "formula not in training", new
    for title, values, bins in (("free parameters", freedom, FREEDOM_BINS), ("atoms", sizes, SIZES)):
        for low, high in bins:
            chosen = (values >= low) & (values <= (np.inf if high is None else high))
            if chosen.any():
                yield f"{title} {bin_label(low, high)}", chosen


def main() -> None:
    """Parse arguments, match, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", help="a run of generate")
    p.add_argument("truth", help="crystals under the orders' ids: what data orders was given")
    p.add_argument("--control", metavar="TRAIN", help="data file that lends the control its crystals")
    p.add_argument("--train", help="data file whose formulas are not new; default: that of the control")
    p.add_argument("--new-only", action="store_true", help="no templates of the very formula")
    p.add_argument("--again", action="store_true", help="sorted by the score of now")
    p.add_argument("--cache", help="default: FOLDER.matches.jsonl")
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--json")
    a = p.parse_args()
    began = time.time()
    folder = Path(a.folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    orders = manifest["run"]["orders"]
    reference = read_samples(a.truth)
    row = {name: k for k, name in enumerate(reference.order_ids)}
    truth: dict[str, Crystal] = {}
    for order in orders:
        standard = reference.samples[row[order["id"]]].standard if order["id"] in row else None
        if standard is None:
            p.error(f"{a.truth} has no crystal {order['id']}, for which {folder} was made")
        truth[order["id"]] = standard
    made, groups, places = read_run(folder)
    if a.again:
        for name, order_of in ranked_again(folder, energies=True).items():
            rows = [places[name].index(place) for place in order_of]
            rows += [k for k in range(len(places[name])) if k not in set(rows)]
            for per_order in (made, groups, places):
                per_order[name] = [per_order[name][k] for k in rows]  # type: ignore[index]
    most = max(order["count"] for order in orders)
    templates = Templates(Dataset.open(a.control)) if a.control else None
    jobs: dict[str, tuple[Arrays, Arrays]] = {}
    keys: dict[str, dict[str, list[str]]] = {"": {}, "control, ": {}}
    exact = right_group = total = 0
    for order in orders:
        name = order["id"]
        target = crystal_arrays(truth[name])
        sources: dict[str, Callable[[], list[Arrays]]] = {"": lambda name=name: made[name]}
        if templates is not None:
            sources["control, "] = lambda order=order, name=name: [
                crystal_arrays(c) for c in templates.of(order, truth[name], a.new_only)
            ]
        for kind, source in sources.items():
            own = source()
            keys[kind][name] = [key_of(kind, name, x) for x in own]
            jobs.update({key: (x, target) for key, x in zip(keys[kind][name], own, strict=True)})
        total += len(made[name])
        exact += sum(x.formula == target.formula for x in made[name])
        asked = order.get("space_group")
        right_group += sum(asked is None or g == asked for g in groups[name])
    prepared = time.time()
    found = match_all(jobs, Path(a.cache or f"{folder}.matches.jsonl"), a.workers)
    table: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for kind, by_order in keys.items():
        if not by_order:
            continue
        results = [[found[key] for key in by_order[o["id"]]] for o in orders]
        rms = [[np.inf if x is None else x for x, _ in r] for r in results]
        if kind == "" and manifest["run"].get("potential"):
            alone = ranked_again(folder, energies=False)
            chosen = [
                r[places[o["id"]].index(alone[o["id"]][0])] if o["id"] in alone else np.inf
                for o, r in zip(orders, rms, strict=True)
            ]
            table["first without potential"] = np.isfinite(chosen), np.array(chosen)
        table |= columns(kind, rms, [[s for _, s in r] for r in results], most)
    new = None
    if a.train or a.control:
        known = formulas(Dataset.open(a.train or a.control))
        counts = [atoms_of(truth[o["id"]]) for o in orders]
        units = [gcd(*c.values()) for c in counts]
        own = [
            frozenset((NUMBERS[e], n // u) for e, n in c.items()) for c, u in zip(counts, units, strict=True)
        ]
        new = np.array([f not in known for f in own], dtype=bool)
    freedom = np.array([sum(x.dof for x in truth[o["id"]].positions_of_sites) for o in orders])
    sizes = np.array([truth[o["id"]].n_atoms for o in orders])
    print(f"{folder}: {len(orders)} orders, {total} crystals; % ± standard error (RMSE)")
    print("| | rows | " + " | ".join(table) + " |")
    print("|" + "---|" * (len(table) + 2))
    for title, chosen in rows_of(sizes, freedom, new):
        if chosen.any():
            cells = [cell(right[chosen], rms[chosen]) for right, rms in table.values()]
            print(f"| {title} | {chosen.sum()} | " + " | ".join(cells) + " |")
    if total:
        print(f"as asked: composition {100 * exact / total:.2f} %, group {100 * right_group / total:.2f} %")
    run, spent = manifest["run"], manifest.get("timings", {}).get("seconds")
    print(f"model {run['checkpoint'][:12]}, {run['sampler']}, steps {run['steps']}", end="")
    print("" if spent is None else f", generated in {spent:.0f} s: {spent / len(orders):.2f} s an order")
    print(
        f"{prepared - began:.0f} s to read and to make the control, {time.time() - prepared:.0f} s to match"
    )
    if a.json:
        result = {
            "checkpoint": run["checkpoint"],
            "ids": [o["id"] for o in orders],
            "right": {k: right.tolist() for k, (right, _) in table.items()},
            "atoms": sizes.tolist(),
            "free": freedom.tolist(),
        }
        Path(a.json).write_text(json.dumps(result) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
