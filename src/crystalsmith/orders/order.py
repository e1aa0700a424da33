"""Orders: which crystals to make."""

from __future__ import annotations

import copy
import difflib
import hashlib
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.errors import OrderError
from crystalsmith.orders.bounds import ALL_GROUPS, Bounds
from crystalsmith.orders.hosts import Host
from crystalsmith.orders.kinds import KINDS, Kind
from crystalsmith.orders.terms import KEYS as TERMS
from crystalsmith.orders.terms import Terms
from crystalsmith.orders.values import name_groups, parse_count, parse_groups, short

MAX_COUNT = 1_000_000
"""Crystals in one order."""

MAX_ATOMS = 1000
"""Larger cells are taken for a mistake."""

_BOUNDS = ("z", "atoms", "max_atoms", "max_sites")
_KEYS = ("id", "space_group", *KINDS, "add", *_BOUNDS, *TERMS, "count")
SAFE_ID = "[A-Za-z0-9][A-Za-z0-9._+-]{0,99}"
"""Pattern of ids, which are names of files too."""

_SAFE_ID = re.compile(SAFE_ID, re.ASCII)


@dataclass(frozen=True)
class Order:
    """Crystals asked for: a valid order, or no Order comes to be.

    Attributes:
        space_group: number of the space group, a tuple of several, or None for any; Hermann-Mauguin symbols
            are turned into numbers.
        sites: inequivalent sites by element, such as ``{"Na": 1, "Cl": "1-2"}``; their Wyckoff letters will
            be drawn.
        wyckoff: or the sites with their letters, such as ``[("Na", "a"), ("Cl", "b")]``.
        formula: or an exact composition, such as ``"BaTiO3"``.
        system: or a chemical system, such as ``"Cu-K-Si"``, whose compositions will be drawn.
        host: or a crystal whose atoms stay where they are: a file, a ``Crystal`` or its plain data.
        add: atoms of each element that are added to the host's primitive cell, such as ``{"Li": 4}`` or
            ``{"H": "any"}``; with ``host``.
        z: formula units in the conventional cell; with ``formula``.
        atoms: exact number of atoms in the primitive cell; with ``formula``.
        max_atoms: largest primitive cell; with all but ``wyckoff``.
        max_sites: most inequivalent sites; with ``system``.
        cell: a, b, c (Angstrom), alpha, beta, gamma (degrees) of the conventional cell, axes in any order.
        primitive_cell: or those of a primitive cell, in any choice.
        volume: or the volume of the conventional cell, Angstrom^3.
        density: or the density, g/cm^3.
        cell_tolerance: how well one of these four is known: a standard deviation, relative; 0 for exactly.
        min_distance: shortest distance between atoms, Angstrom, or by pair, such as ``{"Li-O": 1.8}``.
        coordination: neighbours wanted around each atom of an element, such as ``{"Ti-O": 6}``.
        count: crystals.
        id: name of the order, fit for file names; it takes part in the seeds of its crystals. Made from the
            rest if left out.
        place: where the order was read, for messages.

    Raises:
        OrderError: anything wrong with it, with the mend.
    """

    space_group: int | tuple[int, ...] | None = None
    sites: Mapping[str, int | str] | None = field(default=None, hash=False)
    wyckoff: Sequence[tuple[str, str]] | None = None
    formula: str | None = None
    system: str | None = None
    host: str | os.PathLike[str] | Crystal | Mapping[str, Any] | None = field(default=None, hash=False)
    add: Mapping[str, int | str] | None = field(default=None, hash=False)
    z: int | None = None
    atoms: int | None = None
    max_atoms: int | None = None
    max_sites: int | None = None
    cell: Sequence[float] | None = None
    primitive_cell: Sequence[float] | None = None
    volume: float | None = None
    density: float | None = None
    cell_tolerance: float | None = None
    min_distance: float | Mapping[str, float] | None = field(default=None, hash=False)
    coordination: Mapping[str, float] | None = field(default=None, hash=False)
    count: int = 1
    id: str = ""
    place: str = field(default="", compare=False, repr=False)
    bounds: Bounds = field(init=False, repr=False, compare=False)
    """Space groups and sizes that the order allows."""
    content: Kind = field(init=False, repr=False, compare=False)
    """What of ``sites``, ``wyckoff``, ``formula``, ``system``, ``host`` was given, with its behaviour."""
    terms: Terms = field(init=False, repr=False, compare=False)
    """What the order says of its crystals beside that: the cell, the volume, distances."""

    def __post_init__(self) -> None:
        letters = self.wyckoff is not None
        groups = () if self.space_group is None else parse_groups(self.space_group, letters)
        given = [key for key in KINDS if getattr(self, key) is not None]
        if len(given) != 1:
            named = " and ".join(given) if given else "none of them"
            raise OrderError(f"an order needs one of {', '.join(KINDS)}, and this one has {named}")
        kind = KINDS[given[0]]
        sizes = {}
        for name in _BOUNDS:
            value = getattr(self, name)
            if value is not None:
                if name not in kind.takes:
                    takes = f"it takes {', '.join(kind.takes)}" if kind.takes else "leave it out"
                    raise OrderError(f"{name} does not go with {kind.key}; {takes}")
                sizes[name] = parse_count(value, name, MAX_ATOMS)
        hosted = self.host is not None
        if self.add is not None and not hosted:
            raise OrderError("add goes with host, to which the atoms are added")
        terms = Terms.parse({key: v for key in TERMS if (v := getattr(self, key)) is not None}, hosted)
        bounds = Bounds(_with_cell(groups, terms), **sizes, cell=terms.cell, volume=terms.volume)
        value = getattr(self, given[0])
        content = kind.parse((value, self.add) if hosted else value, bounds)
        terms.check(content.elements)
        value = content.value
        hidden = {
            "space_group": None if not groups else groups[0] if len(groups) == 1 else groups,
            given[0]: tuple(tuple(pair) for pair in value) if isinstance(value, list) else value,
            **sizes,
            "count": parse_count(self.count, "count", MAX_COUNT),
            "bounds": bounds,
            "content": content,
            "terms": terms,
            "add": content.added if isinstance(content, Host) else None,
            **{key: tuple(v) if isinstance(v, list) else v for key, v in terms.values.items()},
        }
        for key, normal in hidden.items():
            object.__setattr__(self, key, normal)
        object.__setattr__(self, "id", _default_id(self) if self.id == "" else _parse_id(self.id))

    def renamed(self, name: str) -> Order:
        """The same order under another id, which must be a valid one."""
        result = copy.copy(self)
        object.__setattr__(result, "id", name)
        return result

    @property
    def groups_name(self) -> str:
        """The space groups, for people: ``Fm-3m (225)``, or ``any``."""
        return name_groups(self.bounds.groups) if self.bounds.groups else "any"

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON types, such that ``parse_order`` gives an equal order."""
        result: dict[str, Any] = {"id": self.id}
        if self.space_group is not None:
            groups = self.space_group
            result["space_group"] = list(groups) if isinstance(groups, tuple) else groups
        result[self.content.key] = self.content.value
        if self.add is not None:
            result["add"] = dict(self.add)
        result |= {name: getattr(self, name) for name in _BOUNDS if getattr(self, name) is not None}
        result |= self.terms.values
        result["count"] = self.count
        return result


def parse_order(mapping: object, where: str = "order") -> Order:
    """Make an order from plain data.

    Args:
        mapping: keys as the attributes of ``Order``: one of ``sites``, ``wyckoff``, ``formula``, ``system``
            and ``host``, what bounds it, and optionally ``id`` and ``count``.
        where: what to call it in errors, such as ``"orders.yaml, order 3"``.

    Raises:
        OrderError: anything wrong with it, naming ``where`` and the mend.
    """
    try:
        order = _parse(mapping)
    except OrderError as error:
        name = mapping.get("id") if isinstance(mapping, Mapping) else None
        known = f" ({name})" if isinstance(name, str) and _SAFE_ID.fullmatch(name) else ""
        raise OrderError(f"{where}{known}: {error}") from None
    object.__setattr__(order, "place", where)
    return order


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
    numbers: dict[str, int] = {}  # up to which names are taken, so that many equal orders are no burden
    for order, own_id in orders:
        if not own_id:
            name, number = order.id, numbers.get(order.id.lower(), 1)
            if number > 1:
                name = f"{order.id}-{number}"
            while name.lower() in taken:
                number += 1
                name = f"{order.id}-{number}"
            taken.add(name.lower())
            numbers[order.id.lower()] = number + 1
            order = order.renamed(name)
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
    values = {key: value for key, value in mapping.items() if value is not None}
    # A number is a fine name in YAML; booleans and the like are a slip.
    if isinstance(values.get("id"), int) and not isinstance(values["id"], bool):
        values["id"] = short(values["id"])
    elif values.get("id") == "":
        raise OrderError("id is empty; give a name such as salt or leave the key out")
    return Order(**values)


def _with_cell(groups: tuple[int, ...], terms: Terms) -> tuple[int, ...]:
    """Those of the space groups, of all where none is named, that can have the cell of an order.

    Raises:
        OrderError: none can.
    """
    if terms.cell is None:
        return groups
    kept = tuple(g for g in groups or ALL_GROUPS if terms.cell.settings(g))
    if not kept:
        shape = "(" + ", ".join(f"{x:.5g}" for x in terms.cell.cell) + ")"
        raise OrderError(
            f"no crystal of {name_groups(groups)} has the cell {shape}: another family's symmetry is needed;"
            " check the cell, or leave space_group out"
        )
    return kept


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
    given = order.space_group
    groups: tuple[int, ...] = given if isinstance(given, tuple) else () if given is None else (given,)
    bounds = [f"{k}{getattr(order, k)}" for k in _BOUNDS if getattr(order, k) is not None]
    several = [f"{groups[0]}to{groups[-1]}x{len(groups)}"] if len(groups) > 1 else [str(g) for g in groups]
    name = "-".join(filter(None, [*several, order.content.tag, *bounds, order.terms.tag]))
    if len(name) > 60:
        name = f"{name[:48]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
    return name
