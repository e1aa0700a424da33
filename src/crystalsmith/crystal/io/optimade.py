"""Crystals as structures of OPTIMADE, in JSON lines that its servers take as they are.

The first line says what the file is and the second what our own properties mean; a structure a line follows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.elements import reduced_formula
from crystalsmith.crystal.io.rows import Row

API, PREFIX = "1.2.0", "_crystalsmith_"
"""Version of the specification, and what our own properties begin with."""

_OWN = {
    "energy_per_atom": ("float", "eV", "Energy by the potential that the run used."),
    "energy_above_hull": ("float", "eV", "Energy per atom above the convex hull of the reference phases."),
    "wyckoff": ("string", None, "Element and Wyckoff letter of each inequivalent site, standard setting."),
    "crystal": ("dictionary", None, "Space group, conventional cell and one representative of each site."),
}


def optimade_lines(rows: Iterable[Row], modified: str) -> Iterator[str]:
    """The file line by line; rows without a crystal are left out.

    Args:
        rows: whose ids are told apart where several have one.
        modified: when they were made, such as ``2026-11-27T12:00:00Z``.
    """
    yield _line({"x-optimade": {"meta": {"api_version": API}}})
    own = {PREFIX + name: _property(name, *told) for name, told in _OWN.items()}
    yield _line({"type": "info", "id": "structures", "properties": own})
    seen: dict[str, int] = {}
    for row in rows:
        if row.crystal is not None:
            name = _unique(row.id if row.index < 0 else f"{row.id}_{row.index}", seen)
            attributes = {"last_modified": modified, **optimade_attributes(row.crystal), **_facts(row)}
            yield _line({"type": "structures", "id": name, "attributes": attributes})


def optimade_attributes(crystal: Crystal) -> dict[str, Any]:
    """What the specification says of a structure; the primitive cell, Angstrom."""
    symbols, fractional = crystal.positions(primitive=True)
    lattice = crystal.primitive_lattice
    counts = dict(sorted(crystal.counts.items()))
    divisor = math.gcd(*counts.values())
    ratio = {element: count // divisor for element, count in counts.items()}
    return {
        "elements": list(counts),
        "nelements": len(counts),
        "elements_ratios": [count / len(symbols) for count in counts.values()],
        "chemical_formula_descriptive": reduced_formula(crystal.counts),
        "chemical_formula_reduced": "".join(f"{e}{_number(n)}" for e, n in ratio.items()),
        "chemical_formula_anonymous": _anonymous(ratio),
        "dimension_types": [1, 1, 1],
        "nperiodic_dimensions": 3,
        "lattice_vectors": lattice.tolist(),
        "cartesian_site_positions": (fractional @ lattice).tolist(),
        "nsites": len(symbols),
        "species": [{"name": e, "chemical_symbols": [e], "concentration": [1.0]} for e in counts],
        "species_at_sites": symbols,
        "space_group_it_number": crystal.space_group,
        "structure_features": [],
    }


def _facts(row: Row) -> dict[str, Any]:
    assert row.crystal is not None
    own = {
        "energy_per_atom": row.energy,
        "energy_above_hull": row.above_hull,
        "wyckoff": row.crystal.wyckoff,
        "crystal": row.crystal.to_dict(),
    }
    return {PREFIX + name: value for name, value in own.items()}


def _property(name: str, kind: str, unit: str | None, words: str) -> dict[str, Any]:
    return {"type": kind, "description": words, **({} if unit is None else {"unit": unit})}


def _unique(name: str, seen: dict[str, int]) -> str:
    """A name that was not given yet; how often each was asked for is kept, so that many alike stay quick."""
    found, number = name, seen.get(name, 0)
    while found in seen:
        number += 1
        found = f"{name}-{number}"
    seen[name] = max(number, 1)
    seen.setdefault(found, 1)
    return found


def _anonymous(ratio: Mapping[str, int]) -> str:
    """Shares in descending order under the letters of the specification: A2B, beyond Z Aa, Ba."""
    shares = sorted(ratio.values(), reverse=True)
    letters = [chr(65 + k % 26) + ("" if k < 26 else chr(96 + k // 26)) for k in range(len(shares))]
    return "".join(f"{letter}{_number(n)}" for letter, n in zip(letters, shares, strict=True))


def _number(count: int) -> str:
    return "" if count == 1 else str(count)


def _line(content: Mapping[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":")) + "\n"
