"""Orders: which crystals to make."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from crystalsmith.errors import OrderError, SymmetryError
from crystalsmith.generation.order_kinds import KINDS, Kind, parse_count, short
from crystalsmith.symmetry import SpaceGroup, space_group

MAX_COUNT = 1_000_000
"""Crystals in one order."""

_KEYS = ("id", "space_group", *KINDS, "count")
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", re.ASCII)


@dataclass(frozen=True)
class Order:
    """Crystals of one space group asked for: a valid one, or no Order comes to be.

    Attributes:
        space_group: number; a Hermann-Mauguin symbol is turned into one.
        sites: inequivalent sites by element, such as ``{"Na": 1, "Cl": 1}``; their Wyckoff letters will be
            drawn.
        wyckoff: or the sites with their letters, such as ``[("Na", "a"), ("Cl", "b")]``.
        count: crystals.
        id: name of the order, fit for file names; it takes part in the seeds of its crystals. Made from the
            rest if left out.

    Raises:
        OrderError: anything wrong with it, with the mend.
    """

    space_group: int
    sites: Mapping[str, int] | None = field(default=None, hash=False)
    wyckoff: Sequence[tuple[str, str]] | None = None
    count: int = 1
    id: str = ""
    content: Kind = field(init=False, repr=False, compare=False)
    """What of ``sites``, ``wyckoff`` was given, with its behaviour."""

    def __post_init__(self) -> None:
        group = _group(self.space_group)
        given = [key for key in KINDS if getattr(self, key) is not None]
        if len(given) != 1:
            named = " and ".join(given) if given else "none of them"
            raise OrderError(f"an order needs one of {', '.join(KINDS)}, and this one has {named}")
        content = KINDS[given[0]].parse(getattr(self, given[0]), group)
        value = content.value
        hidden = {
            "space_group": group.number,
            given[0]: tuple(tuple(pair) for pair in value) if isinstance(value, list) else value,
            "count": parse_count(self.count, "count", MAX_COUNT),
            "content": content,
        }
        for key, normal in hidden.items():
            object.__setattr__(self, key, normal)
        object.__setattr__(self, "id", _default_id(self) if self.id == "" else _parse_id(self.id))

    @property
    def group(self) -> SpaceGroup:
        """The space group."""
        return space_group(self.space_group)

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON types, such that ``parse_order`` gives an equal order."""
        return {
            "id": self.id,
            "space_group": self.space_group,
            self.content.key: self.content.value,
            "count": self.count,
        }


def parse_order(mapping: object, where: str = "order") -> Order:
    """Make an order from plain data.

    Args:
        mapping: keys ``space_group``, one of ``sites`` and ``wyckoff``, and optionally ``id`` and ``count``.
        where: what to call it in errors, such as ``"orders.yaml, order 3"``.

    Raises:
        OrderError: anything wrong with it, naming ``where`` and the mend.
    """
    try:
        return _parse(mapping)
    except OrderError as error:
        name = mapping.get("id") if isinstance(mapping, Mapping) else None
        known = f" ({name})" if isinstance(name, str) and _SAFE_ID.fullmatch(name) else ""
        raise OrderError(f"{where}{known}: {error}") from None


def parse_orders(orders: Iterable[object], where: str = "orders") -> list[Order]:
    """Make a list of orders from mappings or ``Order`` objects, with distinct ids.

    Orders without an id that would get the same one are numbered.

    Raises:
        OrderError: an order that is wrong, two with the same id, or none at all.
    """
    if isinstance(orders, (Mapping, Order)):
        orders = [orders]
    if isinstance(orders, (str, bytes)) or not isinstance(orders, Iterable):
        raise OrderError(f"{where}: give a list of orders, not {short(orders)}")
    named = []
    for n, item in enumerate(orders, start=1):
        own_id = isinstance(item, Order) or (isinstance(item, Mapping) and item.get("id") not in (None, ""))
        named.append((item if isinstance(item, Order) else parse_order(item, f"{where}, order {n}"), own_id))
    return unique_orders(named, where)


def unique_orders(orders: Sequence[tuple[Order, bool]], where: str) -> list[Order]:
    """Make ids distinct: refuse given ones (True) that repeat, number the others.

    Ids that differ in case only count as equal, because files may not tell them apart.

    Raises:
        OrderError: a given id that repeats, or no orders.
    """
    if not orders:
        raise OrderError(
            f"{where}: no orders; give at least one, such as {{space_group: 225, sites: {{Na: 1, Cl: 1}}}}"
        )
    taken: set[str] = set()
    for order, own_id in orders:
        if own_id:
            if order.id.lower() in taken:
                raise OrderError(f"{where}: two orders have the id {order.id}; give each its own")
            taken.add(order.id.lower())
    result = []
    for order, own_id in orders:
        if not own_id:
            number, name = 1, order.id
            while name.lower() in taken:
                number += 1
                name = f"{order.id}-{number}"
            taken.add(name.lower())
            order = replace(order, id=name) if number > 1 else order
        result.append(order)
    return result


def _parse(mapping: object) -> Order:
    if not isinstance(mapping, Mapping):
        raise OrderError(
            f"an order maps names to values, such as space_group: 225; this one is {short(mapping)}"
        )
    for key in mapping:
        if key not in _KEYS:
            near = (
                difflib.get_close_matches(key.lower()[:40], _KEYS, n=1, cutoff=0.5)
                if isinstance(key, str)
                else []
            )
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(_KEYS)}"
            raise OrderError(f"unknown key {short(key)}; {hint}")
    if mapping.get("space_group") is None:
        raise OrderError("space_group is missing; give a number from 1 to 230 or a symbol such as Fm-3m")
    values = {key: value for key, value in mapping.items() if value is not None}
    # A number is a fine name in YAML; booleans and the like are a slip.
    if isinstance(values.get("id"), int) and not isinstance(values["id"], bool):
        values["id"] = short(values["id"])
    elif values.get("id") == "":
        raise OrderError("id is empty; give a name such as salt or leave the key out")
    return Order(**values)


def _group(value: object) -> SpaceGroup:
    if isinstance(value, str) and len(value) > 40:
        raise OrderError(
            f"unknown space group {short(value)}; give a number from 1 to 230 or a symbol such as Fm-3m"
        )
    try:
        return space_group(value)  # type: ignore[arg-type]
    except SymmetryError as error:
        raise OrderError(str(error)) from None


def _parse_id(value: object) -> str:
    if not isinstance(value, str):
        raise OrderError(f"id must be a name such as salt, not {short(value)}")
    if not _SAFE_ID.fullmatch(value):
        mended = re.sub(r"[^A-Za-z0-9._+-]+", "-", value[:100]).lstrip("._+-")
        hint = f"; {mended!r} would do" if _SAFE_ID.fullmatch(mended) else ""
        raise OrderError(
            f"id {short(value)} is not safe as a file name: use up to 100 letters, digits, dots, dashes and"
            f" underscores{hint}"
        )
    return value


def _default_id(order: Order) -> str:
    name = f"{order.space_group}-{order.content.tag}"
    if len(name) > 60:
        name = f"{name[:48]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
    return name
