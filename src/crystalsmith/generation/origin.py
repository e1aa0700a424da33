"""How a crystal came about: what a journal keeps of a start, and what people read of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from crystalsmith.assignments import Request

_WORDS = {"prototype": "prototype", "file": "known crystal", "aflow": "prototype"}


@dataclass(frozen=True)
class Origin:
    """How a crystal came about.

    Attributes:
        kind: one of ``assignments.KINDS``.
        source, name, weight, members, spread, time: of its start, as of ``assignments.Start``; without one
            empty, and None where a figure would mean nothing.
    """

    kind: str = "network"
    source: str = ""
    name: str = ""
    weight: float | None = None
    members: int | None = None
    spread: float | None = None
    time: float | None = None

    @staticmethod
    def of(request: Request) -> Origin:
        """Of what a model was asked for."""
        s = request.start
        if s is None:
            return NETWORK
        return Origin(request.kind, s.source, s.name, s.weight, s.members, s.spread, s.time)

    @staticmethod
    def from_dict(data: Mapping[str, Any] | None) -> Origin:
        """What ``to_dict`` gave; None is a network's.

        Raises:
            ValueError, KeyError, TypeError: something else.
        """
        if data is None:
            return NETWORK
        kind, source, name = (str(data[k]) for k in ("kind", "source", "name"))
        weight, spread, time = (float(data[k]) for k in ("weight", "spread", "time"))
        return Origin(kind, source, name, weight, int(data["members"]), spread, time)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @property
    def words(self) -> str:
        """For people, such as ``refined from prototype: MgAl2O4 (Fd-3m), 412 crystals``."""
        if self.kind == "network":
            return self.kind
        what = f"{_WORDS.get(self.source, self.source)}: {self.name}"
        return f"refined from {what}" if self.kind == "refined" else what


NETWORK = Origin()
"""Of a crystal that the network made from noise."""
