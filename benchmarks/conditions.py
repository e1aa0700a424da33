"""Atoms sought in a host: hydrogen or lithium taken out of known crystals, and put back.

    python benchmarks/conditions.py orders mp20_test.safetensors -n 300 -k 8 -o hosts.jsonl
    crystalsmith generate hosts.jsonl -o hosts --new-only --checkpoint benchmark.safetensors
    python benchmarks/conditions.py score hosts mp20_test.safetensors --potential chgnet

An order gives the host as it stands in the crystal: the atoms that are left, in the primitive cell of the
whole crystal, without a word of symmetry (it is found again, and may be more than the crystal has); and how
many atoms are missing. A crystal is right where all of its atoms, in one cell, lie within 0.3 Angstrom of the
true ones: the sites of the host are there by themselves, up to a symmetry that the host has. Percent of
orders, with the standard error: the crystal that stands first, and any of all. Beside them, where a
potential is named, how often the energy of the first crystal, as it is, is no higher than that of the true
one (by 5 meV an atom), and how often any one's is. What was not made counts as wrong.

How often a crystal is right whose cell is given, without a host, is measured by first.py:

    crystalsmith data orders mp20_test.safetensors -n 500 --give cell -k 20 -o cell.jsonl
    crystalsmith generate cell.jsonl -o cell --new-only --checkpoint benchmark.safetensors
    python benchmarks/first.py cell mp20_test.safetensors --new-only
"""

from __future__ import annotations

import argparse
import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from ase.io import iread

from crystalsmith.crystal import Crystal, Site
from crystalsmith.data import Dataset
from crystalsmith.generation import read_entries
from crystalsmith.potentials import load_calculator, single_points
from crystalsmith.symmetry import lattice_to_cell

ELEMENTS = ("H", "Li")
WITHIN = 0.3
"""Angstrom."""

NO_HIGHER = 0.005
"""eV/atom."""


def host_of(crystal: Crystal, element: str) -> Crystal:
    """What is left of a crystal, in its primitive cell and without symmetry."""
    symbols, fractional = crystal.positions(primitive=True)
    sites = [
        Site(symbol, "a", tuple(x.tolist()))
        for symbol, x in zip(symbols, fractional, strict=True)
        if symbol != element
    ]
    cell = tuple(lattice_to_cell(crystal.primitive_lattice).tolist())
    return Crystal(1, cell, tuple(sites))


def orders(source: str, number: int, count: int, seed: int) -> list[dict[str, Any]]:
    """Orders for random crystals that hold one of ``ELEMENTS`` and others."""
    data = Dataset.open(source)
    found: list[dict[str, Any]] = []
    for row in np.random.default_rng(seed).permutation(len(data)).tolist():
        crystal = data[row]
        element = next((e for e in ELEMENTS if e in crystal.counts), None)
        if element is None or len(crystal.counts) < 2:
            continue
        host = host_of(crystal, element).to_dict()
        add = {element: crystal.counts[element]}
        found.append({"id": data.ids[row], "host": host, "add": add, "count": count})
        if len(found) == number:
            break
    return found


def farthest(made: Any, truth: Any) -> float:
    """Angstrom between the atoms of two structures laid on each other; infinite where they cannot be."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher(ltol=0.02, stol=0.5, angle_tol=1.0, primitive_cell=False, scale=False)
    found = matcher.get_rms_dist(truth, made)
    return np.inf if found is None else float(found[1]) * (truth.volume / len(truth)) ** (1 / 3)


def score(folder: Path, source: str, potential: str | None) -> None:
    """Print the table of a finished run."""
    data = Dataset.open(source)
    row = {name: k for k, name in enumerate(data.ids)}
    made: dict[str, list[Crystal]] = defaultdict(list)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    asked = {o["id"]: o for o in manifest["run"]["orders"]}
    crystals = {(e.order_id, e.index): e.crystal for e in read_entries(folder)}
    for atoms in iread(folder / "crystals.extxyz", index=":"):  # best first within each order
        crystal = crystals[str(atoms.info["order"]), int(atoms.info["index"])]
        if crystal is not None:
            made[str(atoms.info["order"])].append(crystal)
    calculator = None if potential is None else load_calculator(potential)
    right: dict[str, list[list[bool]]] = defaultdict(list)
    low: dict[str, list[list[bool]]] = defaultdict(list)
    for name, order in asked.items():
        truth = data[row[name]]
        kind = next(iter(order["add"]))
        structure = truth.to_structure(primitive=True)
        own = [farthest(c.to_structure(primitive=True), structure) <= WITHIN for c in made[name]]
        right[kind].append(own)
        if calculator is not None:
            energies = np.array([e.value for e in single_points([truth, *made[name]], calculator)])
            low[kind].append((energies[1:] <= energies[0] + NO_HIGHER).tolist())
    print(f"{folder}: {len(asked)} hosts, {sum(map(len, made.values()))} crystals; % ± standard error")
    head = "| | hosts | all sites, first | all sites, any |"
    if calculator is not None:
        head += f" {potential} no higher, first | any |"
    print(head + "\n|" + "---|" * (head.count("|") - 1))
    for kind in (*ELEMENTS, "all"):
        rows = [x for k, own in right.items() if kind in (k, "all") for x in own]
        cells = [_share([x[:1] for x in rows]), _share(rows)]
        if calculator is not None:
            energies_of = [x for k, own in low.items() if kind in (k, "all") for x in own]
            cells += [_share([x[:1] for x in energies_of]), _share(energies_of)]
        print(f"| {kind} | {len(rows)} | " + " | ".join(cells) + " |")


def _share(rows: list[list[bool]]) -> str:
    if not rows:
        return "-"
    p = float(np.mean([any(x) for x in rows]))
    return f"{100 * p:.1f} ± {100 * max(p * (1 - p), 0.25 / len(rows)) ** 0.5 / len(rows) ** 0.5:.1f}"


def main() -> None:
    """Read the arguments and go."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(required=True, dest="action")
    make = actions.add_parser("orders")
    make.add_argument("source")
    make.add_argument("-n", type=int, default=300)
    make.add_argument("-k", type=int, default=8)
    make.add_argument("--seed", type=int, default=0)
    make.add_argument("-o", "--output", required=True)
    count = actions.add_parser("score")
    count.add_argument("folder", type=Path)
    count.add_argument("source")
    count.add_argument("--potential")
    args = parser.parse_args()
    if args.action == "orders":
        lines = [json.dumps(order) for order in orders(args.source, args.n, args.k, args.seed)]
        Path(args.output).write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{len(lines)} orders in {args.output}")
    else:
        score(args.folder, args.source, args.potential)


if __name__ == "__main__":
    main()
