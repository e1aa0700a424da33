"""From what stands in the fields of Make to an order and settings; no page, no model."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from crystalsmith.errors import OrderError
from crystalsmith.orders import words

LONGEST = 500
"""Characters of a field; a browser that sends more is no honest one."""

KINDS = {
    "formula": "A formula",
    "system": "Elements only",
    "sites": "Space group, sites",
    "wyckoff": "Wyckoff letters",
    "host": "A host crystal",
}
"""What an order can be for, as the page calls it."""

TAKES = {
    "formula": ("formula", "space_group", "size", "max_atoms", "cell"),
    "system": ("system", "space_group", "max_atoms", "max_sites", "cell"),
    "sites": ("space_group", "sites", "max_atoms", "cell"),
    "wyckoff": ("space_group", "wyckoff", "cell"),
    "host": ("add", "max_atoms", "cell_tolerance"),
}
"""Fields of each kind, the first ones those that it cannot do without."""

NEEDS = {
    "formula": ("formula",),
    "system": ("system",),
    "sites": ("space_group", "sites"),
    "wyckoff": ("space_group", "wyckoff"),
    "host": ("upload", "add"),
}
"""Fields without which there is no order yet."""

OF_CELL = {
    "": "nothing",
    "cell": "its conventional cell",
    "primitive_cell": "a primitive cell of it",
    "volume": "the volume of the conventional cell",
    "density": "its density",
}
"""What may be known of the cell, by keys of an order."""

OF_SIZE = {
    "": "not known",
    "z": "formula units in the conventional cell (Z)",
    "atoms": "atoms in the primitive cell",
}
"""What may be known of the size, by keys of an order."""

MOST = 500
"""Crystals that the page asks for at a time; the command line takes more."""


@dataclass
class Filled:
    """What the fields say.

    Attributes:
        order: as ``parse_order`` reads it; empty while something that it needs is missing.
        settings: of ``generate`` that are not the usual ones.
        faults: what cannot be read, by the name of the field.
        missing: the first field that has to be filled in; empty if none.
    """

    order: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)
    missing: str = ""


def read_form(values: Mapping[str, Any]) -> Filled:
    """An order of the fields.

    Args:
        values: by name: ``kind``, the fields of ``TAKES`` (``size`` with ``size_value``, ``cell`` with
            ``cell_value`` and ``cell_tolerance`` in per cent), ``upload``, ``min_distance``,
            ``coordination``, ``count``, ``seed``, ``letters``, ``best_of``, ``new_only``, ``potential``.
    """
    kind = str(values.get("kind", "formula"))
    kind = kind if kind in KINDS else "formula"
    filled = Filled()
    filled.missing = next((name for name in NEEDS[kind] if not _text(values, name)), "")
    order: dict[str, Any] = {}
    for name in (*TAKES[kind], "upload", "min_distance", "coordination"):
        if name == "upload" and kind != "host":
            continue
        try:
            order |= _READERS[name](values)
        except OrderError as error:
            filled.faults[_field_of(name)] = str(error)
    count = _whole(values, "count", filled, 12, 1, MOST)
    if count is not None:
        order["count"] = count
    _read_settings(values, filled)
    if not filled.missing:
        filled.order = order
    return filled


def values_of(order: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, str]:
    """Fields that make an order: ``read_form`` the other way round. A host's file is not among them.

    Args:
        order: in plain data, as a job has it.
        settings: of ``generate`` that are not the usual ones.
    """
    kind = next(kind for kind in KINDS if order.get(kind) is not None)
    values = {"kind": kind}
    for key, value in order.items():
        if value is None or key in ("id", "host"):
            continue
        if key == "wyckoff":
            text = ", ".join(f"{element}:{letter}" for element, letter in value)
        elif isinstance(value, Mapping):
            text = ", ".join(f"{name}={number}" for name, number in value.items())
        elif isinstance(value, (list, tuple)):
            text = ", ".join(map(str, value))
        else:
            text = f"{100 * value:g}" if key == "cell_tolerance" else str(value)
        if key in OF_CELL:
            values |= {"cell": key, "cell_value": text}
        elif key in OF_SIZE:
            values |= {"size": key, "size_value": text}
        else:
            values[key] = text
    shown = ("seed", "letters", "best_of", "new_only", "potential")
    return values | {key: str(settings[key]) for key in shown if settings.get(key) is not None}


def fault_field(order: Mapping[str, Any], kind: str, reason: str) -> str:
    """The field to which a refusal belongs: that without which it would not be refused so.

    Args:
        order: that is refused.
        kind: what it is for.
        reason: why; belongs to the field that it names, where leaving out none helps.
    """
    from crystalsmith.orders import parse_order

    if (first := _refusal(parse_order, order)) is not None:
        for key in order:
            rest = {name: value for name, value in order.items() if name != key}
            if key not in NEEDS[kind] and _refusal(parse_order, rest) != first:
                return _field_of(key)
    named = re.match(r"[a-z_]+", reason)
    key = named.group(0) if named else ""
    known = {*TAKES[kind], *OF_CELL, *OF_SIZE, "min_distance", "coordination", "count"} - {""}
    if key in known and order.get(key) is not None:
        return _field_of(key)
    if "space_group" in NEEDS[kind] and _refusal(_group_of, order) is not None:
        return "space_group"
    return NEEDS[kind][-1]


def _group_of(order: Mapping[str, Any]) -> object:
    from crystalsmith.orders.values import parse_groups

    return parse_groups(order["space_group"], "wyckoff" in order)


def _refusal(parse: Callable[[Mapping[str, Any]], object], order: Mapping[str, Any]) -> str | None:
    try:
        parse(order)
    except OrderError as error:
        return str(error)
    return None


def _field_of(key: str) -> str:
    if key in ("cell", "primitive_cell", "volume", "density"):
        return "cell_value"
    return "size_value" if key in ("size", "z", "atoms") else key


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values.get(name) or "")[:LONGEST].strip()


def _plain(name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def read(values: Mapping[str, Any]) -> dict[str, Any]:
        text = _text(values, name)
        return {name: text} if text else {}

    return read


def _read_group(values: Mapping[str, Any]) -> dict[str, Any]:
    text = _text(values, "space_group")
    return {"space_group": words.parse_space_groups(text)} if text else {}


def _read_system(values: Mapping[str, Any]) -> dict[str, Any]:
    text = re.sub(r"[\s,;]+", "-", _text(values, "system"))
    return {"system": text} if text else {}


def _read_sites(name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def read(values: Mapping[str, Any]) -> dict[str, Any]:
        text = _text(values, name).replace(":", "=")
        return {name: words.parse_sites(text, name)} if text else {}

    return read


def _read_letters(values: Mapping[str, Any]) -> dict[str, Any]:
    text = _text(values, "wyckoff").replace("=", ":")
    return {"wyckoff": words.parse_wyckoff(text)} if text else {}


def _read_size(values: Mapping[str, Any]) -> dict[str, Any]:
    key, text = _text(values, "size"), _text(values, "size_value")
    if not key or not text:
        return {}
    return {key: _number_of(text, "give a whole number, such as 4")}


def _read_number(name: str, example: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def read(values: Mapping[str, Any]) -> dict[str, Any]:
        text = _text(values, name)
        return {name: _number_of(text, f"give a whole number, such as {example}")} if text else {}

    return read


def _number_of(text: str, mend: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise OrderError(f"{text[:40]!r} is no whole number; {mend}")
    return int(text)


def _read_cell(values: Mapping[str, Any]) -> dict[str, Any]:
    key, text = _text(values, "cell"), _text(values, "cell_value")
    if not key or not text:
        return {}
    return words.parse_terms({key: text}) | _read_tolerance(values)


def _read_tolerance(values: Mapping[str, Any]) -> dict[str, Any]:
    text = _text(values, "cell_tolerance").removesuffix("%").strip()
    if not text:
        return {}
    try:
        return {"cell_tolerance": float(text) / 100}
    except ValueError:
        raise OrderError(f"{text[:40]!r} is no number; give per cent, such as 2") from None


def _read_pairs(name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def read(values: Mapping[str, Any]) -> dict[str, Any]:
        text = _text(values, name).replace(":", "=")
        return words.parse_terms({name: text}) if text else {}

    return read


def _read_host(values: Mapping[str, Any]) -> dict[str, Any]:
    text = _text(values, "upload")
    return {"host": {"upload": text}} if text else {}


_READERS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "formula": _plain("formula"),
    "system": _read_system,
    "space_group": _read_group,
    "sites": _read_sites("sites"),
    "add": _read_sites("add"),
    "wyckoff": _read_letters,
    "size": _read_size,
    "max_atoms": _read_number("max_atoms", "20"),
    "max_sites": _read_number("max_sites", "6"),
    "cell": _read_cell,
    "cell_tolerance": _read_tolerance,
    "min_distance": _read_pairs("min_distance"),
    "coordination": _read_pairs("coordination"),
    "upload": _read_host,
}


def _whole(
    values: Mapping[str, Any], name: str, filled: Filled, usual: int, least: int, most: int
) -> int | None:
    text = _text(values, name)
    if not text:
        return usual
    try:
        value = _number_of(text, f"give one from {least} to {most}")
    except OrderError as error:
        filled.faults[name] = str(error)
        return None
    if not least <= value <= most:
        filled.faults[name] = f"give a whole number from {least} to {most:,}"
        return None
    return value


def _read_settings(values: Mapping[str, Any], filled: Filled) -> None:
    """Into ``filled.settings``: those that are not the usual ones."""
    seed = _whole(values, "seed", filled, 0, 0, 2**31 - 1)
    best_of = _whole(values, "best_of", filled, 1, 1, 64)
    found = {
        "seed": seed,
        "best_of": best_of,
        "letters": _text(values, "letters") or "likely",
        "new_only": str(values.get("new_only")) == "True",
        "potential": _text(values, "potential") or None,
    }
    usual = {"seed": 0, "best_of": 1, "letters": "likely", "new_only": False, "potential": None}
    filled.settings = {name: value for name, value in found.items() if value not in (None, usual[name])}
