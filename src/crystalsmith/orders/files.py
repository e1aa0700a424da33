"""Reading files of orders: YAML, JSON, JSON lines and CSV, plain or gzipped."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from crystalsmith.errors import OrderError
from crystalsmith.orders.order import Order, parse_order, unique_orders
from crystalsmith.orders.values import short

MOST_BYTES = 1 << 28
"""Of a file, unpacked."""

_DEEPEST = 50
_MOST_MERGED = 1000


def read_orders(path: str | Path) -> list[Order]:
    """Read a file of orders.

    Args:
        path: ``.yaml``, ``.yml`` or ``.json`` (one order, a list of orders, or ``orders:`` with a list),
            ``.jsonl`` (an order a line) or ``.csv`` (a line of keys, then an order a line, its values as in
            YAML); ``.gz`` may follow. Other names are told by their content, but for CSV.

    Returns:
        The orders, with distinct ids.

    Raises:
        OrderError: a file that is missing, unreadable, empty or malformed, or an order that is wrong; with
            its place.
    """
    path = Path(path)
    text = _read(path)
    if not text.strip():
        raise OrderError(
            f"{path}: the file is empty; give orders such as {{space_group: 225, sites: {{Na: 1, Cl: 1}}}}"
        )
    try:
        items = _READERS[_format(path, text)](text)
    except RecursionError:
        raise OrderError(f"{path}: nested too deeply to be a list of orders") from None
    except (ValueError, yaml.YAMLError) as error:
        raise OrderError(f"{path}: {_one_line(error)}") from None
    orders = []
    for where, item in items:
        own_id = isinstance(item, Mapping) and item.get("id") is not None
        orders.append((parse_order(item, f"{path}{where}"), own_id))
    return unique_orders(orders, str(path))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as f:
            raw = f.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise OrderError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise OrderError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    try:
        if raw[:2] == b"\x1f\x8b":
            with gzip.open(io.BytesIO(raw)) as packed:
                raw = packed.read(MOST_BYTES + 1)
        if len(raw) > MOST_BYTES:
            raise OrderError(f"{path}: more than {MOST_BYTES >> 20} MB are no list of orders")
        return raw.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error):
        raise OrderError(f"{path}: the gzip file is truncated or damaged") from None
    except UnicodeDecodeError:
        raise OrderError(f"{path}: not a text file in UTF-8") from None


def _format(path: Path, text: str) -> str:
    name = path.name.lower().removesuffix(".gz")
    for suffix, kind in (
        (".jsonl", "lines"),
        (".ndjson", "lines"),
        (".json", "json"),
        (".csv", "csv"),
        (".yaml", "yaml"),
        (".yml", "yaml"),
    ):
        if name.endswith(suffix):
            return kind
    first = next(line for line in text.splitlines() if line.strip()).strip()
    if not first.startswith(("{", "[")):
        return "yaml"
    try:
        return "lines" if isinstance(json.loads(first), dict) else "json"
    except ValueError:
        # Both JSON over several lines and YAML in flow style; YAML reads either.
        return "yaml"


def _from_lines(text: str) -> list[tuple[str, Any]]:
    items = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                items.append((f" line {number}", _load_json(line)))
            except ValueError as error:
                raise ValueError(f"line {number}: {_one_line(error)}") from None
    return items


def _from_json(text: str) -> list[tuple[str, Any]]:
    return _unpack(_load_json(text))


def _from_yaml(text: str) -> list[tuple[str, Any]]:
    # Before anything is built of it, which goes as deep as the text does, in C.
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise RecursionError
    try:
        return _unpack(yaml.load(text, Loader=_Loader))
    except (ValueError, RecursionError, yaml.YAMLError):
        raise
    except Exception as error:  # PyYAML's constructors let other errors through for wrong explicit tags
        raise ValueError(f"not valid YAML: {_one_line(error)}") from None


def _from_csv(text: str) -> list[tuple[str, Any]]:
    rows = csv.reader(io.StringIO(text), strict=True)
    try:
        keys = [key.strip() for key in next(rows)]
        repeated = next((key for key in keys if keys.count(key) > 1), None)
        if repeated is not None:
            raise ValueError(f"column {short(repeated)} stands twice")
        items = []
        for row in rows:
            where = f" line {rows.line_num}"
            if len(row) > len(keys):
                raise ValueError(
                    f"{where.strip()} has more values than there are columns; quote what has commas"
                )
            filled = zip(keys, row, strict=False)
            items.append((where, {key: _value(key, cell, where) for key, cell in filled if cell.strip()}))
    except csv.Error as error:
        raise ValueError(f"line {rows.line_num}: {error}") from None
    return [(where, item) for where, item in items if item]


def _value(key: str, cell: str, where: str) -> Any:
    """A value of a table as YAML has it; texts as they are, the numbers of a cell without brackets too."""
    if key in _TEXTS:
        return cell.strip()
    text = f"[{cell}]" if key in ("cell", "primitive_cell") and "[" not in cell else cell
    try:
        ((_, value),) = _from_yaml(f"[{text}]")
    except (ValueError, RecursionError, yaml.YAMLError):
        raise ValueError(f"{where.strip()}: {key} cannot be read: {short(cell)}") from None
    return value


_TEXTS = ("id", "formula", "system", "host")
_READERS = {"lines": _from_lines, "json": _from_json, "yaml": _from_yaml, "csv": _from_csv}


def _unpack(data: object) -> list[tuple[str, Any]]:
    """(place, order) of a list, of one order, or of ``orders:``."""
    if isinstance(data, Mapping) and "orders" in data:
        if len(data) > 1:
            other = next(key for key in data if key != "orders")
            raise ValueError(f"unknown key {short(other)} beside orders")
        data = data["orders"]
        if not isinstance(data, list):
            raise ValueError(f"orders must be a list, not {short(data)}")
    if isinstance(data, list):
        return [(f", order {n}", item) for n, item in enumerate(data, start=1)]
    return [("", data)]


def _load_json(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_no_repeats)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {short(next(k for k in keys if keys.count(k) > 1))} stands twice in one place")
    return result


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        problem = getattr(error, "problem", None) or "cannot be understood"
        return f"line {mark.line + 1}, column {mark.column + 1}: {problem}"
    return " ".join(str(error).split())[:200]


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Safe YAML with the plain values of YAML 1.2: ``No`` stays nobelium, ``12:30`` and dates stay text."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > _MOST_MERGED:  # merged merges multiply
            raise yaml.constructor.ConstructorError(
                None, None, f"more than {_MOST_MERGED} keys in one place", node.start_mark
            )

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        self.flatten_mapping(node)
        result: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be plain text", key_node.start_mark
                )
            if key in result:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {short(key)} stands twice in one place", key_node.start_mark
                )
            result[key] = self.construct_object(value_node, deep=deep)
        return result


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


def _whole_number(loader: Any, node: yaml.ScalarNode) -> int:
    return int(loader.construct_scalar(node))  # decimal always: 010 is ten


_Loader.add_constructor("tag:yaml.org,2002:int", _whole_number)
