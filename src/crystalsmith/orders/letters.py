"""Orders that give the Wyckoff letter of every site."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from crystalsmith.assignments import Request
from crystalsmith.errors import OrderError
from crystalsmith.orders.bounds import Bounds
from crystalsmith.orders.sources import Source
from crystalsmith.orders.values import ELEMENT, MAX_SITES, parse_element, parse_letter, short
from crystalsmith.symmetry import space_group


@dataclass(frozen=True)
class Letters:
    """The Wyckoff letter of every site."""

    key: ClassVar[str] = "wyckoff"
    takes: ClassVar[tuple[str, ...]] = ()
    needs_group: ClassVar[bool] = True
    schema: ClassVar[dict[str, Any]] = {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_SITES,
        "items": {
            "type": "array",
            "prefixItems": [ELEMENT, {"type": "string", "pattern": "^[0-9]{0,3}[A-Za-z]$"}],
            "minItems": 2,
            "maxItems": 2,
        },
        "description": "[element, Wyckoff letter] of every site",
    }
    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, value: object, bounds: Bounds) -> Letters:
        if len(bounds.groups) != 1:
            raise OrderError("wyckoff letters are those of one space group; give one with space_group")
        group = space_group(bounds.groups[0])
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            raise OrderError(
                f"wyckoff must be a list of [element, letter], such as [[Na, a], [Cl, b]], not {short(value)}"
            )
        if not value:
            raise OrderError("wyckoff is empty; name at least one [element, letter]")
        if len(value) > MAX_SITES:
            raise OrderError(f"{len(value)} sites in one crystal are too many; ask for at most {MAX_SITES}")
        pairs = []
        owner: dict[str, str] = {}
        for pair in value:
            if isinstance(pair, (str, bytes)) or not isinstance(pair, Sequence) or len(pair) != 2:
                raise OrderError(
                    f"wyckoff must be a list of [element, letter], such as [Na, a]; {short(pair)} is none"
                )
            element = parse_element(pair[0])
            letter = parse_letter(pair[1], group)
            if group.wyckoff[letter].dof == 0:
                if letter in owner:
                    whose = "twice" if owner[letter] == element else f"to both {owner[letter]} and {element}"
                    free = ", ".join(name for name, p in group.wyckoff.items() if p.dof)
                    raise OrderError(
                        f"letter {letter} of {group.symbol} ({group.number}) has no free parameter and"
                        f" cannot be given {whose}; letters that can repeat: {free}"
                    )
                owner[letter] = element
            pairs.append((element, letter))
        return cls(tuple(pairs))

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(element for element, _ in self.pairs))

    @property
    def value(self) -> list[list[str]]:
        return [list(pair) for pair in self.pairs]

    @property
    def tag(self) -> str:
        return "-".join(f"{element}.{letter}" for element, letter in self.pairs)

    def check(self, bounds: Bounds, limit: int) -> int:
        group = space_group(bounds.groups[0])
        return sum(group.wyckoff[letter].multiplicity_primitive for _, letter in self.pairs)

    def looked_at(self, bounds: Bounds, limit: int) -> int:
        """Atoms in the primitive cell."""
        return self.check(bounds, limit)

    def choices(self, bounds: Bounds, limit: int) -> int | None:
        return 1

    def likely(self, bounds: Bounds, source: Source, limit: int, number: int) -> list[Request] | None:
        return [Request(bounds.groups[0], self.pairs)]

    def ask(self, bounds: Bounds, source: Source, limit: int, number: int) -> None:
        return None

    def draw(self, bounds: Bounds, source: Source, limit: int, rng: np.random.Generator) -> Request:
        return Request(bounds.groups[0], self.pairs)

    def known(self, bounds: Bounds, source: Source, limit: int) -> list[Request]:
        return []
