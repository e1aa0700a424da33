"""Orders for a chemical system: every crystal has a composition of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from crystalsmith.assignments import Request
from crystalsmith.assignments.counting import count_in_all
from crystalsmith.errors import ImpossibleOrder, OrderError
from crystalsmith.orders.bounds import Bounds
from crystalsmith.orders.frequencies import fewest_atoms
from crystalsmith.orders.sources import Source
from crystalsmith.orders.values import name_groups, parse_element, short
from crystalsmith.symmetry import space_group

MOST_ELEMENTS = 6


@dataclass(frozen=True)
class System:
    """All of these elements, in any ratio."""

    key: ClassVar[str] = "system"
    takes: ClassVar[tuple[str, ...]] = ("max_atoms", "max_sites")
    needs_group: ClassVar[bool] = False
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "minLength": 1,
        "description": f"up to {MOST_ELEMENTS} elements, such as Cu-K-Si",
    }
    symbols: tuple[str, ...]

    @classmethod
    def parse(cls, value: object, bounds: Bounds) -> System:
        if not isinstance(value, str):
            raise OrderError(f"system must name elements, such as Cu-K-Si, not {short(value)}")
        symbols = [parse_element(part) for part in re.split(r"[\s,-]+", value.strip()) if part]
        if not symbols:
            raise OrderError("system is empty; name elements, such as Cu-K-Si")
        if len(set(symbols)) < len(symbols):
            raise OrderError(f"system {short(value)} names an element twice")
        if len(symbols) > MOST_ELEMENTS:
            raise OrderError(f"system names {len(symbols)} elements; at most {MOST_ELEMENTS} can be drawn")
        return cls(tuple(sorted(symbols)))

    @property
    def elements(self) -> tuple[str, ...]:
        return self.symbols

    @property
    def value(self) -> str:
        return "-".join(self.symbols)

    @property
    def tag(self) -> str:
        return "-".join(self.symbols)

    def check(self, bounds: Bounds, limit: int) -> int:
        for value, what in ((bounds.largest(limit), "atoms"), (bounds.max_sites, "sites")):
            if value is not None and value < len(self.symbols):
                raise ImpossibleOrder(
                    f"a crystal of {len(self.symbols)} elements has at least as many {what}; raise max_{what}"
                    f" from {value}"
                )
        least = min(fewest_atoms(space_group(g), len(self.symbols)) for g in bounds.allowed)
        if least > bounds.largest(limit):
            raise ImpossibleOrder(
                f"{name_groups(bounds.groups)} needs at least {least} atoms in the primitive cell for"
                f" {len(self.symbols)} elements; the limit is {bounds.largest(limit)}: raise max_atoms or"
                " allow other space groups"
            )
        return least

    def looked_at(self, bounds: Bounds, limit: int) -> int:
        """Atoms in the largest primitive cell that is looked at."""
        return bounds.largest(limit)

    def choices(self, bounds: Bounds, limit: int) -> int | None:
        if bounds.max_sites is not None:
            return None
        most = bounds.largest(limit)
        return sum(count_in_all(g, len(self.symbols), most) for g in bounds.allowed)

    def likely(self, bounds: Bounds, source: Source, limit: int, number: int) -> list[Request] | None:
        return None

    def ask(self, bounds: Bounds, source: Source, limit: int, number: int) -> None:
        return None

    def draw(self, bounds: Bounds, source: Source, limit: int, rng: np.random.Generator) -> Request:
        return source.draw_system(self.symbols, bounds, bounds.largest(limit), rng)

    def known(self, bounds: Bounds, source: Source, limit: int) -> list[Request]:
        return []
