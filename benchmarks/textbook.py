"""Does a formula alone bring the structure that everybody knows?

    python benchmarks/textbook.py orders textbook.jsonl.gz -k 10 -o textbook.jsonl
    crystalsmith generate textbook.jsonl -o textbook
    python benchmarks/textbook.py score textbook.jsonl.gz textbook

A file of compounds holds lines of JSON, ``{"id", "formula", "accepted": [{"cell", "species", "frac", "sg"},
...]}``, cells in Angstrom and degrees, ``sg`` the space group at 0.1 Angstrom. ``builtin`` in place of a file
takes the compounds written down here. An order tells the formula and nothing else. Right is a crystal that
pymatgen's StructureMatcher, at its own tolerances (0.2, 0.3, 5 degrees; volumes scaled), finds like one of
those accepted, of the same space group at 0.1 Angstrom. Crystals count in the order of ``crystals.extxyz``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from crystalsmith.crystal import NUMBERS, Crystal, Site
from crystalsmith.evaluation.measures.arrays import Arrays

SYMPREC = 0.1
Cell = tuple[float, float, float, float, float, float]


def cubic(a: float) -> Cell:
    """Edges and angles."""
    return (a, a, a, 90.0, 90.0, 90.0)


def long(a: float, c: float, gamma: float = 120.0) -> Cell:
    """Hexagonal axes, or tetragonal ones."""
    return (a, a, c, 90.0, 90.0, gamma)


BUILTIN: dict[str, tuple[int, Cell, tuple[tuple[str, str, tuple[float, ...]], ...]]] = {
    "Cu": (225, cubic(3.615), (("Cu", "a", ()),)),
    "Fe": (229, cubic(2.866), (("Fe", "a", ()),)),
    "Mg": (194, long(3.209, 5.211), (("Mg", "c", ()),)),
    "Si": (227, cubic(5.431), (("Si", "a", ()),)),
    "NaCl": (225, cubic(5.640), (("Na", "a", ()), ("Cl", "b", ()))),
    "CsCl": (221, cubic(4.123), (("Cs", "a", ()), ("Cl", "b", ()))),
    "NiAs": (194, long(3.602, 5.009), (("Ni", "a", ()), ("As", "c", ()))),
    "CaF2": (225, cubic(5.463), (("Ca", "a", ()), ("F", "c", ()))),
    "ZnO": (186, long(3.2495, 5.2069), (("Zn", "b", (0.0,)), ("O", "b", (0.3821,)))),
    "MoS2": (194, long(3.161, 12.295), (("Mo", "c", ()), ("S", "f", (0.621,)))),
    "FeS2": (205, cubic(5.416), (("Fe", "a", ()), ("S", "c", (0.385,)))),
    "SnO2": (136, long(4.737, 3.186, 90.0), (("Sn", "a", ()), ("O", "f", (0.3064,)))),
    "SrTiO3": (221, cubic(3.905), (("Ti", "a", ()), ("Sr", "b", ()), ("O", "d", ()))),
    "Al2O3": (167, long(4.759, 12.991), (("Al", "c", (0.3522,)), ("O", "e", (0.3064,)))),
    "MgAl2O4": (227, cubic(8.083), (("Mg", "a", ()), ("Al", "d", ()), ("O", "e", (0.2624,)))),
    "Y3Al5O12": (
        230,
        cubic(12.000),
        (("Y", "c", ()), ("Al", "a", ()), ("Al", "d", ()), ("O", "h", (-0.0306, 0.0512, 0.1500))),
    ),
    "Y2O3": (
        206,
        cubic(10.604),
        (("Y", "b", ()), ("Y", "d", (-0.0327,)), ("O", "e", (0.3907, 0.1520, 0.3804))),
    ),
    "Mg2SiO4": (
        62,
        (10.207, 5.981, 4.756, 90.0, 90.0, 90.0),
        (
            ("Mg", "a", ()),
            ("Mg", "c", (0.2774, 0.9915)),
            ("Si", "c", (0.0940, 0.4262)),
            ("O", "c", (0.0913, 0.7657)),
            ("O", "c", (0.4474, 0.2215)),
            ("O", "d", (0.1633, 0.0332, 0.2777)),
        ),
    ),
}
"""Space group, cell and occupied positions with their free coordinates, as in any book of structures."""


def builtin(formula: str) -> Crystal:
    """A compound of ``BUILTIN``."""
    group, cell, sites = BUILTIN[formula]
    return Crystal(group, cell, tuple(Site(*site) for site in sites))


def read_compounds(source: str) -> list[dict[str, Any]]:
    """Formulas with what counts as right: ``accepted`` holds (arrays, space group) pairs."""
    if source == "builtin":
        result = []
        for formula in BUILTIN:
            crystal = builtin(formula)
            symbols, fractional = crystal.positions(primitive=True)
            numbers = np.array([NUMBERS[s] for s in symbols])
            arrays = Arrays(crystal.primitive_lattice, fractional, numbers)
            result.append({"id": formula, "formula": formula, "accepted": [(arrays, crystal.space_group)]})
        return result
    from pymatgen.core import Lattice

    opened = gzip.open(source, "rt") if source.endswith(".gz") else open(source, encoding="utf-8")
    with opened as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    for row in rows:
        row["accepted"] = [
            (
                Arrays(
                    Lattice.from_parameters(*x["cell"]).matrix,
                    np.array(x["frac"], dtype=float),
                    np.array([NUMBERS[s] for s in x["species"]]),
                ),
                int(x["sg"]),
            )
            for x in row["accepted"]
        ]
    return rows


def group_at(arrays: Arrays, symprec: float = SYMPREC) -> int:
    """Space group within a tolerance in Angstrom; 0 where none is found."""
    from moyopy import Cell, MoyoDataset

    cell = Cell(arrays.lattice.tolist(), arrays.fractional.tolist(), arrays.numbers.tolist())
    try:
        return int(MoyoDataset(cell, symprec=symprec).number)
    except Exception:  # it has no class of its own
        return 0


def hits(made: list[Arrays], accepted: list[tuple[Arrays, int]]) -> list[bool]:
    """Which crystals are right."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher()
    right = [(x.to_structure(), group) for x, group in accepted]
    result = []
    for arrays in made:
        group = group_at(arrays)
        structure = arrays.to_structure()
        result.append(any(group == g and matcher.fit(x, structure) for x, g in right))
    return result


def read_made(folder: Path) -> dict[str, list[Arrays]]:
    """Crystals of a run by order, as they stand."""
    from ase.io import iread

    made: dict[str, list[Arrays]] = defaultdict(list)
    for atoms in iread(folder / "crystals.extxyz", index=":"):
        arrays = Arrays(np.asarray(atoms.cell[:]), atoms.get_scaled_positions(), np.asarray(atoms.numbers))
        made[str(atoms.info["order"])].append(arrays)
    return made


def score(compounds: list[dict[str, Any]], made: dict[str, list[Arrays]]) -> dict[str, Any]:
    """Shares of compounds whose structure stands first, and among all, with standard errors and ranks."""
    ranks: dict[str, int | None] = {}
    for row in compounds:
        found = hits(made.get(str(row["id"]), []), row["accepted"])
        ranks[row["formula"]] = found.index(True) + 1 if any(found) else None
    n = len(compounds)
    result: dict[str, Any] = {"compounds": n}
    for name, count in (
        ("first", sum(r == 1 for r in ranks.values())),
        ("any", sum(r is not None for r in ranks.values())),
    ):
        share = count / n
        result[name] = round(share, 4)
        result[f"{name}_error"] = round(float(np.sqrt(share * (1 - share) / n)), 4)
    result["not_first"] = {formula: rank for formula, rank in ranks.items() if rank != 1}
    return result


def main() -> None:
    """Parse arguments, write orders or score a run."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = p.add_subparsers(dest="action", required=True)
    orders = actions.add_parser("orders", help="one order for each compound, its formula alone")
    orders.add_argument("compounds", help="file of compounds, or builtin")
    orders.add_argument("-k", type=int, default=10, help="crystals of each")
    orders.add_argument("-o", "--output", required=True)
    scored = actions.add_parser("score", help="look at a finished run")
    scored.add_argument("compounds", help="file of compounds, or builtin")
    scored.add_argument("folder")
    a = p.parse_args()
    began = time.time()
    compounds = read_compounds(a.compounds)
    if a.action == "orders":
        lines = [{"id": c["id"], "formula": c["formula"], "count": a.k} for c in compounds]
        Path(a.output).write_text("".join(json.dumps(x) + "\n" for x in lines), encoding="utf-8")
        print(f"{len(lines)} orders in {a.output}")
        return
    result = score(compounds, read_made(Path(a.folder)))
    missed = ", ".join(f"{k} {v or '-'}" for k, v in result.pop("not_first").items())
    print(f"not first (rank of the right one): {missed or 'none'}")
    print(json.dumps(result))
    manifest = Path(a.folder) / "manifest.json"
    spent = json.loads(manifest.read_text(encoding="utf-8")).get("timings", {}).get("seconds")
    made = "" if spent is None else f"generated in {spent:.0f} s, "
    print(f"{made}scored in {time.time() - began:.0f} s")


if __name__ == "__main__":
    main()
