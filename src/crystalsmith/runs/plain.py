"""Records as plain JSON data and back, by the types of their fields."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
UNKEPT = {"kept": False}
"""Metadata of a field that is not written; its default stands in when a record is read."""


def to_plain(value: Any) -> Any:
    """Dataclasses by field, arrays and tuples as lists; a number that is not finite is None."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value) if f.metadata != UNKEPT}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # of numpy; scalars too
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def from_plain(kind: type[T], data: Any) -> T:
    """The inverse of ``to_plain``.

    Raises:
        KeyError, TypeError, ValueError: it is not of such a record.
    """
    return _read(kind, data)


def _read(kind: Any, data: Any) -> Any:
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return None if data is None else _read(inside[0], data)
    if origin is tuple:
        kinds = inside[:1] * len(data) if inside[-1] is Ellipsis else inside
        return tuple(_read(k, item) for k, item in zip(kinds, data, strict=True))
    if origin is not None:
        if not isinstance(data, Mapping):
            raise TypeError(f"{type(data).__name__} in place of a mapping")
        return {inside[0](key): _read(inside[1], item) for key, item in data.items()}
    if hasattr(kind, "from_dict"):
        return kind.from_dict(data)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        kept = [f.name for f in fields(kind) if f.metadata != UNKEPT]
        return kind(**{name: _read(hints[name], data[name]) for name in kept})  # type: ignore[operator]
    if kind is float:
        return math.nan if data is None else float(data)
    if kind.__module__ == "numpy":
        import numpy as np

        return np.array(data, dtype=float)
    if kind is bool and not isinstance(data, bool):
        raise TypeError(f"{data!r} is neither true nor false")
    return kind(data)
