"""Orders that give the number of inequivalent sites of each element, or a range of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from crystalsmith.assignments import Request
from crystalsmith.errors import ImpossibleOrder, OrderError
from crystalsmith.orders.bounds import Bounds
from crystalsmith.orders.frequencies import count_choices, fewest_atoms
from crystalsmith.orders.sources import Source
from crystalsmith.orders.values import (
    ELEMENT,
    MAX_SITES,
    SITES,
    name_groups,
    parse_count,
    parse_element,
    short,
)
from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    from crystalsmith.prior import Talk

_COUNTABLE = 200_000  # table entries up to which counting choices takes well under a second
_ATTEMPTS = 1000  # at numbers within the ranges that some group can hold


@dataclass(frozen=True)
class Sites:
    """Fewest and most inequivalent sites by element; their Wyckoff letters are left open."""

    key: ClassVar[str] = "sites"
    takes: ClassVar[tuple[str, ...]] = ("max_atoms",)
    needs_group: ClassVar[bool] = True
    schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "minProperties": 1,
        "propertyNames": ELEMENT,
        "additionalProperties": {
            "anyOf": [
                SITES,
                {"type": "string", "pattern": "^\\s*[0-9]{1,6}\\s*-\\s*[0-9]{1,6}\\s*$"},
                {"type": "array", "items": SITES, "minItems": 2, "maxItems": 2},
            ]
        },
        "description": "inequivalent sites of each element, or a range such as 1-2",
    }
    ranges: tuple[tuple[str, int, int], ...]

    @classmethod
    def parse(cls, value: object, bounds: Bounds) -> Sites:
        if not bounds.groups:
            raise OrderError(
                "space_group is missing; give a number from 1 to 230 or a symbol such as Fm-3m, or a list of"
                " them"
            )
        if not isinstance(value, Mapping):
            raise OrderError(
                f"sites must map elements to numbers, such as {{Na: 1, Cl: 1}}, not {short(value)}"
            )
        if not value:
            raise OrderError("sites is empty; name at least one element, such as {Na: 1, Cl: 1}")
        ranges = tuple((parse_element(k), *_parse_range(n, f"sites of {short(k)}")) for k, n in value.items())
        if (most := sum(high for _, _, high in ranges)) > MAX_SITES:
            raise OrderError(f"{most} sites in one crystal are too many; ask for at most {MAX_SITES}")
        return cls(ranges)

    @property
    def settled(self) -> bool:
        """Whether every number is one number."""
        return all(low == high for _, low, high in self.ranges)

    @property
    def counts(self) -> dict[str, int]:
        """The fewest sites of each element."""
        return {element: low for element, low, _ in self.ranges}

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(element for element, _, _ in self.ranges)

    @property
    def value(self) -> dict[str, int | str]:
        return {e: low if low == high else f"{low}-{high}" for e, low, high in self.ranges}

    @property
    def tag(self) -> str:
        return "-".join(
            element + (f"{low}to{high}" if low < high else str(low) if low > 1 else "")
            for element, low, high in self.ranges
        )

    def draw_numbers(self, rng: np.random.Generator) -> dict[str, int]:
        """Numbers within the ranges, each as likely as the others."""
        return {e: low if low == high else int(rng.integers(low, high + 1)) for e, low, high in self.ranges}

    def check(self, bounds: Bounds, limit: int) -> int:
        number = sum(self.counts.values())
        least = min(fewest_atoms(space_group(g), number) for g in bounds.groups)
        largest = bounds.largest(limit)
        if least > largest:
            raise ImpossibleOrder(
                f"{name_groups(bounds.groups)} needs at least {least} atoms in the primitive cell for these"
                f" sites; the limit is {largest}: ask for fewer sites or another space group"
            )
        return least

    def looked_at(self, bounds: Bounds, limit: int) -> int:
        """Atoms in the largest primitive cell that is looked at."""
        return bounds.largest(limit)

    def choices(self, bounds: Bounds, limit: int) -> int | None:
        most = bounds.largest(limit)
        size = (most + 1) * float(np.prod([high + 1.0 for _, _, high in self.ranges]))
        ranges = [range(low, high + 1) for _, low, high in self.ranges]
        if size * len(bounds.groups) * prod(map(len, ranges)) > _COUNTABLE:
            return None
        return sum(
            count_choices(space_group(g), dict(zip(self.elements, numbers, strict=True)), most)
            for g in bounds.groups
            for numbers in product(*ranges)
        )

    def likely(self, bounds: Bounds, source: Source, limit: int, number: int) -> list[Request] | None:
        if len(bounds.groups) > 1 or not self.settled:
            return None
        return source.likely_letters(bounds.groups[0], self.counts, bounds.largest(limit), number)

    def ask(self, bounds: Bounds, source: Source, limit: int, number: int) -> Talk[list[Request]] | None:
        if len(bounds.groups) > 1 or not self.settled:
            return None
        return source.ask_letters(bounds.groups[0], self.counts, bounds.largest(limit), number)

    def draw(self, bounds: Bounds, source: Source, limit: int, rng: np.random.Generator) -> Request:
        largest = bounds.largest(limit)
        group, numbers = bounds.groups[0], self.counts
        for _ in range(_ATTEMPTS):
            group = bounds.groups[int(rng.integers(len(bounds.groups)))] if len(bounds.groups) > 1 else group
            numbers = self.draw_numbers(rng)
            if fewest_atoms(space_group(group), sum(numbers.values())) <= largest:
                return source.draw_letters(group, numbers, largest, rng)
        fitting = [
            g for g in bounds.groups if fewest_atoms(space_group(g), sum(self.counts.values())) <= largest
        ]
        return source.draw_letters(fitting[0], self.counts, largest, rng)

    def known(self, bounds: Bounds, source: Source, limit: int) -> list[Request]:
        return []


def _parse_range(value: object, what: str) -> tuple[int, int]:
    """Lowest and highest of a number, ``"1-2"`` or [1, 2]."""
    parts: Sequence[object]
    if isinstance(value, str) and (match := re.fullmatch(r"\s*([0-9]{1,6})\s*-\s*([0-9]{1,6})\s*", value)):
        parts = [int(x) for x in match.groups()]
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        parts = value
        if len(parts) != 2:
            raise OrderError(f"{what}: a range has a lowest and a highest number, such as 1-2")
    else:
        parts = [value, value]
    low, high = (parse_count(part, what, MAX_SITES) for part in parts)
    if low > high:
        raise OrderError(f"{what}: the range {low}-{high} is upside down; write {high}-{low}")
    return low, high
