"""From the text of one structure to arrays: JSON rows, CIF, extended XYZ."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from crystalsmith.crystal.convert import structure_to_arrays
from crystalsmith.crystal.elements import atomic_number
from crystalsmith.crystal.io.cif import read_cif
from crystalsmith.crystal.io.records import Item, Record
from crystalsmith.errors import StructureError

ID_KEYS = ("id", "material_id", "task_id", "name", "order")
HULL_KEYS = ("e_above_hull", "energy_above_hull", "e_hull")
GROUP_KEYS = ("space_group", "sg", "spacegroup", "space_group_number", "spacegroup_number")


def parse(kind: str, item: Item) -> Record:
    """Read one structure.

    Args:
        kind: ``json``, ``cif`` or ``extxyz``.
        item: its text.

    Raises:
        StructureError: with the reason before the first colon.
    """
    if item.fault:
        raise StructureError(f"unreadable: {item.fault}")
    try:
        return _PARSERS[kind](item)
    except StructureError:
        raise
    except (
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        RecursionError,
    ) as error:
        detail = " ".join(f"{type(error).__name__} {error}".split())[:120]
        raise StructureError(f"unreadable: {detail}") from None


def first_of(row: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """The first value that is there and not empty, else None."""
    return next((row[key] for key in keys if row.get(key) not in (None, "")), None)


def energy(row: Mapping[str, Any]) -> float:
    """Energy above the hull in eV/atom, NaN if the row has none or it is no number."""
    try:
        value = first_of(row, HULL_KEYS)
        return math.nan if value is None else float(value)
    except (TypeError, ValueError):
        return math.nan


def observed(row: Mapping[str, Any]) -> int:
    """1 if the row says that the crystal was observed in experiment, 0 if it denies it, else -1."""
    text = str(row.get("icsd", "")).lower()
    return {"true": 1, "1": 1, "1.0": 1, "false": 0, "0": 0, "0.0": 0}.get(text, -1)


def named_group(value: Any) -> int:
    """Space-group number of a source's statement, 0 where it is none."""
    text = str(value).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= 230 else 0


def named_index(row: Mapping[str, Any]) -> int:
    """Place among the crystals of one order, -1 where the row does not say."""
    text = str(row.get("index", "")).strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def cell_matrix(cell: Any) -> np.ndarray:
    """(3, 3) rows from a, b, c (Angstrom), alpha, beta, gamma (degrees): a along x, b in the xy plane.

    Raises:
        StructureError: if there is no such cell.
    """
    a, b, c, alpha, beta, gamma = (float(x) for x in cell)
    if not all(map(math.isfinite, (a, b, c, alpha, beta, gamma))):
        raise StructureError("not finite: the cell has a length or angle that is no number")
    cos = [math.cos(math.radians(x)) for x in (alpha, beta, gamma)]
    sin = math.sin(math.radians(gamma))
    y = (cos[0] - cos[1] * cos[2]) / sin if abs(sin) > 1e-6 else math.nan
    square = 1 - cos[1] ** 2 - y * y
    if not square > 0:
        raise StructureError("flat cell: the cell's angles leave no volume")
    return np.array([[a, 0, 0], [b * cos[2], b * sin, 0], [c * cos[1], c * y, c * math.sqrt(square)]])


def _json(item: Item) -> Record:
    row = json.loads(item.text)
    if not isinstance(row, dict):
        raise StructureError("unreadable: the JSON row is no object")
    lattice, fractional, numbers = _json_arrays(row)
    name = first_of(row, ID_KEYS)
    return Record(
        id=item.id if name is None else str(name),
        lattice=lattice,
        fractional=fractional,
        numbers=numbers,
        e_above_hull=energy(row),
        icsd=observed(row),
        space_group=named_group(first_of(row, GROUP_KEYS)),
        index=named_index(row),
    )


def _json_arrays(row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    if "cell" in row and "frac" in row:
        numbers = np.array([atomic_number(s) for s in row["species"]], dtype=np.int64)
        return cell_matrix(row["cell"]), np.array(row["frac"], dtype=float).reshape(-1, 3), numbers
    if "lattice" in row and "sites" in row:
        return _pymatgen_arrays(row)
    if isinstance(row.get("structure"), dict):
        return _json_arrays(row["structure"])
    if isinstance(row.get("cif"), str):
        record = _first(row["cif"])
        return np.asarray(record.lattice), record.fractional, record.numbers
    raise StructureError(
        "unreadable: the JSON row has neither cell, species and frac nor a pymatgen structure nor a cif"
    )


def _pymatgen_arrays(row: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrays of a dictionary that ``Structure.as_dict`` made.

    Read here and not by pymatgen, whose decoder imports whatever module a file names.
    """
    numbers = []
    for site in row["sites"]:
        if len(site["species"]) != 1 or abs(float(site["species"][0].get("occu", 1)) - 1) > 1e-3:
            raise StructureError("disordered: the structure has a site that is partly or jointly occupied")
        symbol = str(site["species"][0]["element"])
        numbers.append(1 if symbol in ("D", "T") else atomic_number(symbol))
    fractional = np.array([site["abc"] for site in row["sites"]], dtype=float).reshape(-1, 3)
    return np.array(row["lattice"]["matrix"], dtype=float), fractional, np.array(numbers, dtype=np.int64)


def _cif(item: Item) -> Record:
    return replace(_first(item.text), id=item.id, e_above_hull=item.e_above_hull, icsd=item.icsd)


def _first(text: str) -> Record:
    """The first crystal of a CIF."""
    record = read_cif(text)[0]
    if record.failure:
        raise StructureError(record.failure)
    return record


def _extxyz(item: Item) -> Record:
    from ase.io import read

    try:
        atoms: Any = read(io.StringIO(item.text), format="extxyz", index=0)
    except Exception as error:  # ASE raises its own classes and bare ones
        raise StructureError(f"unreadable: not extended XYZ ({' '.join(str(error).split())[:100]})") from None
    name = first_of(atoms.info, ID_KEYS)
    return Record(
        item.id if name is None else str(name),
        *structure_to_arrays(atoms),
        e_above_hull=energy(atoms.info),
        icsd=observed(atoms.info),
        space_group=named_group(first_of(atoms.info, GROUP_KEYS)),
        index=named_index(atoms.info),
    )


_PARSERS = {"json": _json, "cif": _cif, "extxyz": _extxyz}
