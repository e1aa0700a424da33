"""JSON schema of an order, made of what the kinds of order declare.

Whatever the parser takes is valid. What is valid can still be refused for what no schema can say: names of
space groups that do not exist, formulas that cannot be read, letters of another group.
"""

from __future__ import annotations

from itertools import combinations
from typing import Any

from crystalsmith.orders.hosts import Host
from crystalsmith.orders.kinds import KINDS
from crystalsmith.orders.order import MAX_ATOMS, MAX_COUNT, SAFE_ID
from crystalsmith.orders.terms import SCHEMAS as TERMS

_NULL: dict[str, Any] = {"type": "null"}
_GROUP: dict[str, Any] = {
    "anyOf": [{"type": "integer", "minimum": 1, "maximum": 230}, {"type": "string", "maxLength": 40}],
    "description": "number of a space group, or a symbol such as Fm-3m",
}
_GROUPS: dict[str, Any] = {"anyOf": [_GROUP, {"type": "array", "items": _GROUP, "minItems": 1}]}
_SIZE: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": MAX_ATOMS}
_WORDS = {
    "z": "formula units in the conventional cell",
    "atoms": "atoms in the primitive cell, exactly",
    "max_atoms": "largest primitive cell",
    "max_sites": "most inequivalent sites",
}


def order_schema() -> dict[str, Any]:
    """The schema of one order; keys with the value null are as if they were left out."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "order",
        "oneOf": [_of_kind(key) for key in KINDS],
    }


def orders_schema() -> dict[str, Any]:
    """The schema of a file of orders: one, a list, or a list under ``orders``."""
    order = order_schema()
    dialect = order.pop("$schema")
    several = {"type": "array", "items": {"$ref": "#/$defs/order"}, "minItems": 1}
    mapping = {
        "type": "object",
        "properties": {"orders": several},
        "required": ["orders"],
        "additionalProperties": False,
    }
    return {
        "$schema": dialect,
        "$defs": {"order": order},
        "anyOf": [{"$ref": "#/$defs/order"}, several, mapping],
    }


def _of_kind(key: str) -> dict[str, Any]:
    kind = KINDS[key]
    groups = _GROUPS if kind.needs_group else _or_null(_GROUPS)
    schema: dict[str, Any] = {
        "title": key,
        "type": "object",
        "properties": {
            "id": {"anyOf": [{"type": "string", "pattern": f"^{SAFE_ID}$"}, {"type": "integer"}, _NULL]},
            "space_group": groups,
            key: kind.schema,
            "add": Host.added_schema if kind is Host else _NULL,
            **{name: _or_null(_SIZE | {"description": _WORDS[name]}) for name in kind.takes},
            **{name: _or_null(one) for name, one in TERMS.items()},
            "count": _or_null({"type": "integer", "minimum": 1, "maximum": MAX_COUNT, "default": 1}),
            **{name: _NULL for name in (*KINDS, *_WORDS) if name != key and name not in kind.takes},
        },
        "required": [key, *(["space_group"] if kind.needs_group else ["add"] if kind is Host else [])],
        "additionalProperties": False,
    }
    names = ("cell", "primitive_cell", "volume", "density")
    exclusive = [list(pair) for pair in combinations(names, 2)]
    if kind is Host:
        exclusive = [[name] for name in names]
    if {"z", "atoms"} <= set(kind.takes):
        exclusive.append(["z", "atoms"])
    schema["allOf"] = [{"not": _given(pair)} for pair in exclusive]
    if kind is not Host:
        sizes = [_given([name]) for name in names]
        schema["allOf"].append({"anyOf": [{"not": _given(["cell_tolerance"])}, *sizes]})
    return schema


def _given(names: list[str]) -> dict[str, Any]:
    """Where all of these keys stand, with other values than null."""
    return {"properties": {name: {"not": _NULL} for name in names}, "required": names}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, _NULL]}
