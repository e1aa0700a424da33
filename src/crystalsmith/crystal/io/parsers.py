"""From the text or object of one structure to records."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from crystalsmith.crystal.io.cif import read_cif
from crystalsmith.crystal.io.extxyz import read_frame
from crystalsmith.crystal.io.facts import facts_of
from crystalsmith.crystal.io.json_kinds import atoms_of, load, text_of
from crystalsmith.crystal.io.limits import Limits, decoded
from crystalsmith.crystal.io.poscar import looks_like_poscar, read_poscar
from crystalsmith.crystal.io.records import Item, Record
from crystalsmith.crystal.io.stated import stated_crystal
from crystalsmith.errors import CrystalsmithError, StructureError

_APART = 1 << 21
"""Bytes of a text that is read in a process of its own, which can be ended."""


def parse_within(item: Item, limits: Limits) -> list[Record]:
    """As ``parse``; a large text is read in another process, which is ended when its time is over."""
    from crystalsmith.runs.pool import Failed, parallel_map

    if not isinstance(item.data, (str, bytes)) or len(item.data) <= _APART:
        return parse(item, limits)
    (found,) = parallel_map(
        partial(parse, limits=limits), [item], workers=1, seconds=limits.seconds, apart=True
    )
    if isinstance(found, Failed):
        return [Record.failed(item.id, f"unreadable: {found.reason}", source=item.source)]
    return found


def parse(item: Item, limits: Limits | None = None) -> list[Record]:
    """The records of an item, those that cannot be read with their reason; nothing is raised."""
    limits = limits or Limits()
    if item.fault:
        return [Record.failed(item.id, item.fault, source=item.source)]
    try:
        records = _PARSERS[item.kind](item, limits)
    except CrystalsmithError as error:
        reason = " ".join(str(error).split())
        records = [Record.failed(item.id, reason if ":" in reason else f"unreadable: {reason}")]
    except Exception as error:  # whatever absurd data lead a library into
        detail = " ".join(f"{type(error).__name__} {error}".split())[:120]
        records = [Record.failed(item.id, f"unreadable: {detail}")]
    return [_finished(record, item, limits) for record in records]


def _finished(record: Record, item: Item, limits: Limits) -> Record:
    """With what the source says beside the text, and refused if it is no crystal at all."""
    record = replace(record.filled(item.facts), source=record.source or item.source)
    if record.failure:
        return record
    failure = record.fault()
    if not failure and len(record.numbers) > limits.atoms:
        failure = f"too large: it has {len(record.numbers)} atoms; at most {limits.atoms} are read"
    if not failure:
        return record
    facts = {"space_group": record.space_group, "index": record.index, "source": record.source}
    return Record.failed(record.id, failure, warnings=record.warnings, **facts)


def _record(item: Item, limits: Limits) -> list[Record]:
    return [item.data]


def _json(item: Item, limits: Limits) -> list[Record]:
    row = load(item.data, limits.nesting) if isinstance(item.data, str) else item.data
    if not isinstance(row, Mapping):
        raise StructureError("unreadable: the JSON row is no object")
    facts = _facts_of_row(row)
    name = facts.pop("id", item.id)
    try:
        if not isinstance(row.get("structure"), Mapping) and (text := text_of(row)) is not None:
            found = _text(Item(name, "text", text, facts), limits)
            return [record.filled(facts) for record in found]
        atoms = atoms_of(row)
    except (
        CrystalsmithError,
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        AttributeError,
        OverflowError,
    ) as error:
        detail = (
            str(error)
            if isinstance(error, CrystalsmithError)
            else f"unreadable: {type(error).__name__} {error}"
        )
        return [Record.failed(name, " ".join(detail.split())[:200], index=facts["index"])]
    if math.isnan(facts["energy"]):
        facts["energy"] = atoms.energy
    crystal = atoms.crystal
    if crystal is not None:
        facts["space_group"] = crystal.space_group
    return [Record(name, atoms.lattice, atoms.fractional, atoms.numbers, crystal=crystal, **facts)]


def _facts_of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of an object, and of those that stand in it where APIs put them."""
    inner: dict[str, Any] = {}
    for key in ("data", "attributes", "key_value_pairs"):
        if isinstance(row.get(key), Mapping):
            inner |= row[key]
    return facts_of(inner | {k: v for k, v in row.items() if v is not None})


def _cif(item: Item, limits: Limits) -> list[Record]:
    records = read_cif(item.data)
    if len(records) == 1:
        return [replace(records[0], id=item.id)]
    return [replace(record, id=f"{item.id}:{record.id}") for record in records]


def _poscar(item: Item, limits: Limits) -> list[Record]:
    text = decoded(item.data) if isinstance(item.data, bytes) else item.data
    return [Record(item.id, *read_poscar(text, limits.atoms))]


def _text(item: Item, limits: Limits) -> list[Record]:
    """Text whose kind nobody told: CIF, JSON or POSCAR."""
    text = item.data
    if not text.strip():
        raise StructureError("unreadable: the cell of the table is empty")
    if "\n" not in text.strip() and text.strip().lower().endswith((".cif", ".vasp")):
        raise StructureError("unreadable: the table only names a file; give the folder or its files")
    if text.lstrip()[:1] in "{[":
        found = _json(item._replace(kind="json"), limits)
        return [replace(record, id=item.id) for record in found]
    if looks_like_poscar(text) and "_cell_length" not in text:
        return _poscar(item, limits)
    return _cif(item, limits)


def _extxyz(item: Item, limits: Limits) -> list[Record]:
    lattice, fractional, numbers, info = read_frame(item.data)
    facts = facts_of(info)
    if math.isnan(facts["energy"]) and len(numbers):
        facts["energy"] = facts_of({"energy_per_atom": info.get("energy")})["energy"] / len(numbers)
    name = facts.pop("id", item.id)
    crystal = stated_crystal(info, lattice, fractional, numbers)
    return [Record(name, lattice, fractional, numbers, crystal=crystal, **facts)]


_PARSERS: dict[str, Callable[[Item, Limits], list[Record]]] = {
    "record": _record,
    "json": _json,
    "cif": _cif,
    "poscar": _poscar,
    "text": _text,
    "extxyz": _extxyz,
}
