"""The kinds of order: what, besides space groups and bounds, pins down the crystals asked for.

Each kind is one class in a file of its own. ``parse`` reads its value in an order (the value under ``key``),
``check`` refuses what no crystal can satisfy, ``likely`` and ``draw`` decide what one crystal is made of. A
new kind is a new class in ``KINDS`` and a field of its name in ``Order``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np

from crystalsmith.assignments import Request
from crystalsmith.orders.bounds import Bounds
from crystalsmith.orders.formula import FormulaKind
from crystalsmith.orders.hosts import Host
from crystalsmith.orders.letters import Letters
from crystalsmith.orders.sites import Sites
from crystalsmith.orders.sources import Source
from crystalsmith.orders.system import System

if TYPE_CHECKING:
    from crystalsmith.prior import Talk


class Kind(Protocol):
    """What every kind of order can do."""

    key: ClassVar[str]
    takes: ClassVar[tuple[str, ...]]
    """Fields of ``Bounds`` that go with it, besides ``groups``."""

    needs_group: ClassVar[bool]
    """Whether a space group must be named."""
    schema: ClassVar[dict[str, Any]]
    """JSON schema of the value that ``parse`` reads."""

    @classmethod
    def parse(cls, value: object, bounds: Bounds) -> Kind:
        """Read and check the value of ``key``; raises OrderError."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Distinct element symbols."""

    @property
    def value(self) -> object:
        """The value that ``parse`` turns into this, of plain JSON types."""

    @property
    def tag(self) -> str:
        """A short description that may stand in a file name."""

    def check(self, bounds: Bounds, limit: int) -> int:
        """Atoms in the smallest primitive cell that satisfies the order; raises ImpossibleOrder if none
        does. ``limit`` is the largest cell that is looked at where the order does not say."""

    def looked_at(self, bounds: Bounds, limit: int) -> int:
        """Atoms in the largest primitive cell that is looked at."""

    def choices(self, bounds: Bounds, limit: int) -> int | None:
        """Number of distinct assignments that the order can draw from; None where counting takes long."""

    def likely(self, bounds: Bounds, source: Source, limit: int, number: int) -> list[Request] | None:
        """About so many likely recipes, the likeliest first; None where each crystal is drawn on its own."""

    def ask(self, bounds: Bounds, source: Source, limit: int, number: int) -> Talk[list[Request]] | None:
        """``likely`` as a talk that goes on beside those of other orders; None where it needs none."""

    def draw(self, bounds: Bounds, source: Source, limit: int, rng: np.random.Generator) -> Request:
        """A random recipe."""

    def known(self, bounds: Bounds, source: Source, limit: int) -> list[Request]:
        """Known phases among what the order allows, the likeliest first, where it is for a composition."""


KINDS: dict[str, type[Sites] | type[Letters] | type[FormulaKind] | type[System] | type[Host]] = {
    kind.key: kind for kind in (Sites, Letters, FormulaKind, System, Host)
}
"""Kinds of order by the key that marks them."""
