"""What an order says of its crystals beside what they are made of: the cell, the volume, distances."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystalsmith.errors import OrderError
from crystalsmith.orders.values import parse_element, short

if TYPE_CHECKING:
    from crystalsmith.conditions import Condition, GivenCell

MOST_VOLUME, MOST_DENSITY, MOST_DISTANCE, MOST_NEIGHBOURS = 1e6, 100.0, 20.0, 24
"""Angstrom^3, g/cm^3, Angstrom and neighbours beyond which a value is taken for a mistake."""

_PAIR = r"\s*([A-Z][a-z]?)\s*-\s*([A-Z][a-z]?)\s*"
_SIZES = ("cell", "primitive_cell", "volume", "density")


def _positive(most: float) -> dict[str, Any]:
    return {"type": "number", "exclusiveMinimum": 0, "maximum": most}


def _pairs(value: dict[str, Any]) -> dict[str, Any]:
    pair = {"type": "string", "pattern": f"^{_PAIR}$"}
    return {"type": "object", "minProperties": 1, "propertyNames": pair, "additionalProperties": value}


_CELL: dict[str, Any] = {
    "type": "array",
    "minItems": 6,
    "maxItems": 6,
    "items": {"type": "number", "exclusiveMinimum": 0, "maximum": 1000},
}

SCHEMAS: dict[str, dict[str, Any]] = {
    "cell": _CELL
    | {
        "description": "a, b, c in Angstrom, alpha, beta, gamma in degrees of the conventional cell,"
        " axes in any order"
    },
    "primitive_cell": _CELL | {"description": "the same of a primitive cell, in any choice"},
    "cell_tolerance": {
        "type": "number",
        "minimum": 0,
        "exclusiveMaximum": 0.5,
        "description": "how well cell, volume or density is known: a standard deviation, relative; 0 for"
        " exactly",
    },
    "volume": _positive(MOST_VOLUME) | {"description": "of the conventional cell, Angstrom^3"},
    "density": _positive(MOST_DENSITY) | {"description": "g/cm^3"},
    "min_distance": {
        "anyOf": [_positive(MOST_DISTANCE), _pairs(_positive(MOST_DISTANCE))],
        "description": "shortest distance between atoms in Angstrom, or by pair, such as {Li-O: 1.8}",
    },
    "coordination": _pairs({"type": "number", "exclusiveMinimum": 0, "maximum": MOST_NEIGHBOURS})
    | {"description": "neighbours wanted around each atom of the first element, such as {Ti-O: 6}"},
}
"""JSON schemas by the keys of an order."""

KEYS = tuple(SCHEMAS)

Pairs = tuple[tuple[str, str, float], ...]
"""Two elements and a number; two empty ones for any."""


@dataclass(frozen=True)
class Terms:
    """What an order says of its crystals beside their contents; hashable.

    Attributes:
        cell: the cell, if it is given.
        tolerance: of the cell, the volume or the density.
        volume: of the conventional cell, Angstrom^3.
        density: g/cm^3.
        distances: shortest distances by pair, Angstrom.
        coordination: neighbours by pair.
    """

    cell: GivenCell | None = None
    tolerance: float = 0.0
    volume: float | None = None
    density: float | None = None
    distances: Pairs = ()
    coordination: Pairs = ()

    @staticmethod
    def parse(given: Mapping[str, Any], hosted: bool = False) -> Terms:
        """Read the keys of an order that are not None.

        Args:
            given: values by key, of ``KEYS``.
            hosted: whether the order names a host, whose cell it is then.

        Raises:
            OrderError: a value that is none of its kind, or keys that exclude each other.
        """
        sizes = [key for key in _SIZES if key in given]
        if len(sizes) > 1:
            raise OrderError(f"{sizes[0]} and {sizes[1]} both tell how large the cell is; give one of them")
        if hosted and sizes:
            raise OrderError(f"{sizes[0]} does not go with host, whose cell it is; give cell_tolerance")
        if "cell_tolerance" in given and not (sizes or hosted):
            raise OrderError("cell_tolerance goes with cell, primitive_cell, volume, density or host")
        values: dict[str, Any] = {}
        if "cell_tolerance" in given:
            values["tolerance"] = _number(given["cell_tolerance"], "cell_tolerance", 0.5, least=0.0)
        for key in ("cell", "primitive_cell"):
            if key in given:
                from crystalsmith.conditions import GivenCell

                six = _six(given[key], key)
                values["cell"] = GivenCell(six, key == "primitive_cell", values.get("tolerance", 0.0))
        for key, most in (("volume", MOST_VOLUME), ("density", MOST_DENSITY)):
            if key in given:
                values[key] = _number(given[key], key, most)
        if "min_distance" in given:
            values["distances"] = _distances(given["min_distance"])
        if "coordination" in given:
            values["coordination"] = _by_pair(
                given["coordination"], "coordination", MOST_NEIGHBOURS, lambda a, b: (a, b)
            )
        return Terms(**values)

    def check(self, elements: Sequence[str]) -> None:
        """Refuse pairs of elements that an order has not.

        Raises:
            OrderError: there is one.
        """
        for key, pairs in (("min_distance", self.distances), ("coordination", self.coordination)):
            for a, b, _ in pairs:
                other = next((e for e in (a, b) if e and e not in elements), None)
                if other is not None:
                    raise OrderError(f"{key} names {other}, which the order does not hold")

    def __bool__(self) -> bool:
        return self != Terms()

    @property
    def values(self) -> dict[str, Any]:
        """Plain JSON types by key, such that ``parse`` gives equal terms."""
        result: dict[str, Any] = {}
        if self.cell is not None:
            result["primitive_cell" if self.cell.primitive else "cell"] = list(self.cell.cell)
        result |= {k: v for k in ("volume", "density") if (v := getattr(self, k)) is not None}
        if self.tolerance:
            result["cell_tolerance"] = self.tolerance
        if self.distances:
            whole = self.distances[0][:2] == ("", "")
            result["min_distance"] = self.distances[0][2] if whole else _named(self.distances)
        if self.coordination:
            result["coordination"] = _named(self.coordination)
        return result

    @property
    def tag(self) -> str:
        """A short description that may stand in a file name."""
        sizes = (
            "cell" if self.cell else "",
            "volume" if self.volume else "",
            "density" if self.density else "",
        )
        return "-".join(x for x in sizes if x)

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Those that are the same for all crystals of an order: all but the cell, which has settings."""
        from crystalsmith.conditions import Coordination, FixedDensity, FixedVolume, MinDistance

        result: list[Condition] = []
        if self.volume is not None:
            result.append(FixedVolume(self.volume, self.tolerance))
        if self.density is not None:
            result.append(FixedDensity(self.density, self.tolerance))
        if self.distances:
            result.append(MinDistance(self.distances))
        if self.coordination:
            result.append(Coordination(self.coordination))
        return tuple(result)


def _six(value: object, key: str) -> tuple[float, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence) or len(value) != 6:
        raise OrderError(f"{key} must be six numbers [a, b, c, alpha, beta, gamma], not {short(value)}")
    return tuple(_number(x, key, 1000.0) for x in value)


def _number(value: object, key: str, most: float, least: float | None = None) -> float:
    """A number above 0 and up to ``most``, or from ``least`` to below ``most``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise OrderError(f"{key} must be a number, not {short(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    good = 0 < number <= most if least is None else least <= number < most
    if not good:
        low = "more than 0" if least is None else f"at least {least:g}"
        high = f"at most {most:g}" if least is None else f"below {most:g}"
        raise OrderError(f"{key} must be {low} and {high}, not {short(value)}")
    return number


def _distances(value: object) -> Pairs:
    if isinstance(value, Mapping):
        # A distance has no direction.
        return _by_pair(value, "min_distance", MOST_DISTANCE, lambda a, b: (min(a, b), max(a, b)))
    return (("", "", _number(value, "min_distance", MOST_DISTANCE)),)


def _by_pair(value: object, key: str, most: float, ordered: Callable[[str, str], tuple[str, str]]) -> Pairs:
    if not isinstance(value, Mapping) or not value:
        raise OrderError(
            f"{key} must map pairs of elements to numbers, such as {{Li-O: 2}}, not {short(value)}"
        )
    found: dict[tuple[str, str], float] = {}
    for name, number in value.items():
        match = (
            re.fullmatch(r"\s*([A-Z][a-z]?)\s*-\s*([A-Z][a-z]?)\s*", name) if isinstance(name, str) else None
        )
        if match is None:
            raise OrderError(f"{key}: a pair is two elements such as Li-O, not {short(name)}")
        pair = ordered(parse_element(match[1]), parse_element(match[2]))
        if pair in found:
            raise OrderError(f"{key} names the pair {pair[0]}-{pair[1]} twice")
        found[pair] = _number(number, f"{key} of {pair[0]}-{pair[1]}", most)
    return tuple((a, b, n) for (a, b), n in sorted(found.items()))


def _named(pairs: Pairs) -> dict[str, float]:
    return {f"{a}-{b}": n for a, b, n in pairs}
