"""Structures in JSON: of this program, pymatgen, ASE, the Materials Project, OPTIMADE and JARVIS.

Read here and not by those libraries, whose decoders import whatever module a file names.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.elements import atomic_number
from crystalsmith.errors import DataError, StructureError

TEXTS = ("cif", "cif_string", "cif_text", "structure", "poscar")
"""Keys, in lower case, under which the text of a structure stands; of JSON rows and of tables."""

WRAPPED = ("entries", "data", "response", "results", "structures", "materials", "documents", "candidates")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class Atoms(NamedTuple):
    """What a JSON object says of a crystal."""

    lattice: np.ndarray  # (3, 3)
    fractional: np.ndarray  # (n, 3)
    numbers: np.ndarray  # (n,)
    energy: float = math.nan  # eV/atom
    crystal: Crystal | None = None


def load(data: bytes | str, nesting: int) -> Any:
    """Decode JSON that is not nested too deeply for Python's decoder, which would end the process.

    Raises:
        DataError: nested too deeply.
        ValueError: no JSON.
    """
    raw = data.encode(errors="replace") if isinstance(data, str) else data
    if _depth(_STRING.sub(b"", raw)) > nesting:
        raise DataError(f"too large: its JSON has more than {nesting} brackets within brackets")
    try:
        return json.loads(data)
    except RecursionError:
        raise DataError("too large: its JSON is nested too deeply") from None


def _depth(raw: bytes) -> int:
    """How deeply brackets are nested."""
    level = deepest = 0
    for at in range(0, len(raw), 1 << 24):
        byte = np.frombuffer(raw, np.uint8, min(1 << 24, len(raw) - at), at)
        byte = byte[(byte | 0x26) == 0x7F]  # brackets are among the few of that pattern
        steps = np.cumsum(((byte == 91) | (byte == 123)).astype(int) - ((byte == 93) | (byte == 125)))
        if len(steps):
            deepest, level = max(deepest, level + int(steps.max())), level + int(steps[-1])
    return deepest


def is_structure(row: Any) -> bool:
    """Whether an object is a structure or holds one."""
    if not isinstance(row, Mapping):
        return False
    return (
        ("cell" in row and ("frac" in row or "numbers" in row or "sites" in row))
        or ("lattice" in row and "sites" in row)
        or ("lattice_mat" in row and "coords" in row)
        or "lattice_vectors" in row
        or (isinstance(row.get("attributes"), Mapping) and "lattice_vectors" in row["attributes"])
        or (isinstance(row.get("states"), list) and "name" in row)
        or any(is_structure(row.get(key)) for key in ("structure", "atoms", "crystal"))
        or any(isinstance(value, str) and str(key).lower() in TEXTS for key, value in row.items())
        or ("composition" in row and "energy" in row)
    )


def rows(data: Any) -> Iterator[tuple[str, Any]]:
    """Name and object of each structure of a document, whatever it is wrapped in.

    A mapping without a structure at its top is taken for structures by name, or for columns.
    """
    if isinstance(data, list):
        yield from ((str(i), value) for i, value in enumerate(data))
    elif not isinstance(data, Mapping) or is_structure(data):
        yield "0", data
    elif isinstance(data.get("columns"), list) and isinstance(data.get("data"), list):
        names = data.get("index") or range(len(data["data"]))
        for name, values in zip(names, data["data"], strict=False):
            yield str(name), dict(zip(map(str, data["columns"]), values, strict=False))
    elif isinstance(data.get("ids"), list) and "nextid" in data:
        yield from ((str(key), data[str(key)]) for key in data["ids"] if str(key) in data)
    elif wrapped := next((key for key in WRAPPED if isinstance(data.get(key), list)), None):
        yield from rows(data[wrapped])
    elif wrapped := next((key for key in WRAPPED if isinstance(data.get(key), Mapping)), None):
        yield from rows(data[wrapped])
    elif any(key.lower() in (*TEXTS, "atoms") and isinstance(data[key], Mapping) for key in data):
        columns = {key: value for key, value in data.items() if isinstance(value, Mapping)}
        for name in next(columns[k] for k in columns if k.lower() in (*TEXTS, "atoms")):
            yield str(name), {key: column.get(name) for key, column in columns.items()}
    else:
        yield from ((str(key), value) for key, value in data.items() if isinstance(value, (Mapping, list)))


def text_of(row: Mapping[str, Any]) -> str | None:
    """The text of a structure that stands in an object, None if none does."""
    found = {
        str(key).lower(): value for key, value in row.items() if isinstance(value, str) and value.strip()
    }
    return next((found[key] for key in TEXTS if key in found), None)


def atoms_of(row: Mapping[str, Any]) -> Atoms:
    """The structure of an object.

    Raises:
        StructureError: it has none, or one that is disordered.
        KeyError, TypeError, ValueError, IndexError: it is not what it looks like.
    """
    if "cell" in row and isinstance(row.get("sites"), list):
        return _stated(Crystal.from_dict(row))
    if isinstance(row.get("crystal"), Mapping):
        return _stated(Crystal.from_dict(row["crystal"]))
    if isinstance(row.get("states"), list) and row["states"]:
        return atoms_of(row["states"][-1])
    if "cell" in row and "frac" in row:
        numbers = np.array([_number(s) for s in row["species"]], dtype=np.int64)
        return Atoms(cell_matrix(row["cell"]), np.array(row["frac"], dtype=float).reshape(-1, 3), numbers)
    if "lattice" in row and "sites" in row:
        return _pymatgen(row)
    if "cell" in row and "numbers" in row:
        return _ase(row)
    if "lattice_mat" in row:
        return _jarvis(row)
    if isinstance(row.get("_crystalsmith_crystal"), Mapping):
        return _stated(Crystal.from_dict(row["_crystalsmith_crystal"]))
    if "lattice_vectors" in row:
        return _optimade(row)
    for key in ("attributes", "structure", "atoms"):
        if isinstance(row.get(key), Mapping):
            found = atoms_of(row[key])
            return found._replace(energy=_entry_energy(row, len(found.numbers)))
    if "composition" in row:
        raise StructureError("unreadable: the entry has a composition and no structure")
    raise StructureError(
        "unreadable: the JSON row has neither cell, species and frac nor a pymatgen structure nor a cif"
    )


def _stated(crystal: Crystal) -> Atoms:
    symbols, fractional = crystal.positions(primitive=True)
    numbers = np.array([atomic_number(s) for s in symbols], dtype=np.int64)
    return Atoms(crystal.primitive_lattice, fractional, numbers, crystal=crystal)


def _number(symbol: Any) -> int:
    """Atomic number of a symbol; deuterium and tritium are hydrogen."""
    return 1 if symbol in ("D", "T") else atomic_number(symbol)


def _pymatgen(row: Mapping[str, Any]) -> Atoms:
    numbers = []
    for site in row["sites"]:
        if len(site["species"]) != 1 or abs(float(site["species"][0].get("occu", 1)) - 1) > 1e-3:
            raise StructureError("disordered: the structure has a site that is partly or jointly occupied")
        numbers.append(_number(str(site["species"][0]["element"])))
    fractional = np.array([site["abc"] for site in row["sites"]], dtype=float).reshape(-1, 3)
    lattice = np.array(row["lattice"]["matrix"], dtype=float)
    return Atoms(lattice, fractional, np.array(numbers, dtype=np.int64))


def _entry_energy(row: Mapping[str, Any], atoms: int) -> float:
    """eV per atom of a pymatgen entry, whose energy is that of all its atoms; NaN for any other object."""
    if not str(row.get("@class", "")).endswith("Entry") or not atoms:
        return math.nan
    adjustments = row.get("energy_adjustments") or ()
    correction = row.get("correction")
    if correction is None:
        correction = sum(float(a.get("value") or 0) for a in adjustments if isinstance(a, Mapping))
    return (float(row["energy"]) + float(correction)) / atoms


def _array(value: Any) -> np.ndarray:
    """An array as ASE writes it: a list, or shape, type and flat data."""
    if isinstance(value, Mapping):
        value = value.get("array", value)
    if isinstance(value, Mapping):
        shape, _, flat = value["__ndarray__"]
        return np.array(flat, dtype=float).reshape(shape)
    return np.array(value, dtype=float)


def _ase(row: Mapping[str, Any]) -> Atoms:
    pbc = _array(row.get("pbc", (1, 1, 1)))
    lattice = _array(row["cell"])
    if lattice.shape == (3,):
        lattice = np.diag(lattice)
    if not pbc.all() or abs(np.linalg.det(lattice)) < 1e-12:
        raise StructureError("not periodic: the atoms have no three-dimensional periodic cell")
    numbers = _array(row["numbers"]).astype(np.int64)
    energy = row.get("energy")
    data = row.get("data")
    state = data.get("state") if isinstance(data, Mapping) else None
    crystal = None
    if isinstance(state, Mapping) and isinstance(state.get("crystal"), Mapping):
        crystal = Crystal.from_dict(state["crystal"])
    return Atoms(
        lattice,
        _array(row["positions"]).reshape(-1, 3) @ np.linalg.inv(lattice),
        numbers,
        math.nan if energy is None else float(energy) / max(len(numbers), 1),
        crystal,
    )


def _jarvis(row: Mapping[str, Any]) -> Atoms:
    lattice = np.array(row["lattice_mat"], dtype=float)
    points = np.array(row["coords"], dtype=float).reshape(-1, 3)
    if row.get("cartesian"):
        points = points @ np.linalg.inv(lattice)
    numbers = np.array([_number(str(s).strip()) for s in row["elements"]], dtype=np.int64)
    return Atoms(lattice, points, numbers)


def _optimade(row: Mapping[str, Any]) -> Atoms:
    if not all(x == 1 for x in row.get("dimension_types") or (1, 1, 1)):
        raise StructureError("not periodic: the atoms have no three-dimensional periodic cell")
    species = {s["name"]: s for s in row.get("species") or ()}
    numbers = []
    for name in row["species_at_sites"]:
        symbols: Sequence[str] = species.get(name, {}).get("chemical_symbols", [name])
        shares = species.get(name, {}).get("concentration") or [1.0] * len(symbols)
        if len(symbols) != 1 or abs(float(shares[0]) - 1) > 1e-3:
            raise StructureError("disordered: the structure has a site that is partly or jointly occupied")
        numbers.append(_number(symbols[0]))
    lattice = np.array(row["lattice_vectors"], dtype=float)
    points = np.array(row["cartesian_site_positions"], dtype=float).reshape(-1, 3)
    return Atoms(lattice, points @ np.linalg.inv(lattice), np.array(numbers, dtype=np.int64))


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
