"""Crystals as files: CIF, POSCAR, extended XYZ, JSON lines, CSV and Parquet.

All but POSCAR keep group and letters.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.errors import OutputError
from crystalsmith.runs.atomic import write_whole, writing
from crystalsmith.runs.csv_text import csv_text


def extxyz_frame(crystal: Crystal, info: Mapping[str, Any], energy: float | None = None) -> str:
    """The primitive cell with formula, group and letters, and what else is to be said of it.

    Args:
        crystal: what is written.
        info: keys and values; those that are None are left out.
        energy: eV/atom; that of the cell stands where ASE looks for it.
    """
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    atoms = crystal.to_atoms(primitive=True)
    told = {"formula": crystal.formula, "space_group": crystal.space_group, "wyckoff": crystal.wyckoff}
    atoms.info = {k: v for k, v in {**told, **info}.items() if v is not None}
    if energy is not None:
        atoms.calc = SinglePointCalculator(atoms, energy=round(energy * len(atoms), 6))
    text = io.StringIO()
    write(text, atoms, format="extxyz")
    return text.getvalue()


def poscar(crystal: Crystal, comment: str) -> str:
    """POSCAR of VASP 5, the primitive cell, one block for each element."""
    from pymatgen.io.vasp import Poscar

    structure = crystal.to_structure(primitive=True).get_sorted_structure()
    return str(Poscar(structure, comment=comment).get_str(significant_figures=12))


def write_crystals(path: str | os.PathLike[str], crystals: Mapping[str, Crystal]) -> None:
    """Write crystals into one file, whole or not at all; its ending names the kind.

    Args:
        path: ending in .cif, .extxyz, .xyz, .vasp (one crystal), .jsonl, .csv or .parquet.
        crystals: by name.

    Raises:
        OutputError: another ending, several crystals for a POSCAR, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        from crystalsmith.crystal.io.parquet import write_parquet
        from crystalsmith.crystal.io.rows import Row

        write_parquet(path, (Row(name, crystal) for name, crystal in crystals.items()))
        return
    make = _WRITERS.get(path.suffix.lower())
    if make is None:
        raise OutputError(f"cannot write {path}: its name must end in {', '.join(_WRITERS)}, .parquet")
    if make is _poscar and len(crystals) != 1:
        raise OutputError(f"cannot write {path}: a POSCAR holds one crystal, not {len(crystals)}")
    with writing(path):
        write_whole(path, make(crystals))


def as_text(ending: str, crystals: Mapping[str, Crystal]) -> str:
    """The text that ``write_crystals`` writes.

    Args:
        ending: of the file's name, such as ``.cif``.
        crystals: by name.

    Raises:
        OutputError: there is no such ending.
    """
    if ending not in _WRITERS:
        raise OutputError(f"there is no file {ending}; there are {', '.join(_WRITERS)}")
    return _WRITERS[ending](crystals)


def _cif(crystals: Mapping[str, Crystal]) -> str:
    texts = [c.to_cif().split("\n", 1)[1] for c in crystals.values()]
    names = ["".join(x if (x.isascii() and x.isalnum()) or x in "._+-" else "_" for x in n) for n in crystals]
    return "\n".join(f"data_{name}\n{text}" for name, text in zip(names, texts, strict=True))


def _poscar(crystals: Mapping[str, Crystal]) -> str:
    return "".join(poscar(crystal, f"{crystal.formula} {name}") for name, crystal in crystals.items())


def _extxyz(crystals: Mapping[str, Crystal]) -> str:
    return "".join(extxyz_frame(crystal, {"name": name}) for name, crystal in crystals.items())


def _jsonl(crystals: Mapping[str, Crystal]) -> str:
    return "".join(json.dumps({"id": n, "crystal": c.to_dict()}) + "\n" for n, c in crystals.items())


def _csv(crystals: Mapping[str, Crystal]) -> str:
    rows = (
        {"id": name, "formula": c.formula, "space_group": c.space_group, "cif": c.to_cif()}
        for name, c in crystals.items()
    )
    return csv_text(rows, ("id", "formula", "space_group", "cif"))


_WRITERS: dict[str, Callable[[Mapping[str, Crystal]], str]] = {
    ".cif": _cif,
    ".extxyz": _extxyz,
    ".xyz": _extxyz,
    ".vasp": _poscar,
    ".jsonl": _jsonl,
    ".csv": _csv,
}
