"""From an order to what one crystal of it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from crystalsmith.generation.analogues import Analogues
from crystalsmith.generation.limits import resolve_letters
from crystalsmith.generation.orders import Order
from crystalsmith.generation.wyckoff_prior import WyckoffPrior

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel, Request

# crystalsmith.diffusion is imported inside functions: torch takes seconds, and bad orders are refused before.

ANALOGUE_TRIES = 4
"""Tries with letters by analogy; where there are few analogues, they all give the same letters."""

ATOMS_PER_SITE = 4
"""What a site of the paper's method counts for in a batch, which has no atoms before it is drawn."""


class Drafter(Protocol):
    """Makes requests of orders, as a method takes them."""

    def draft(self, order: Order, rng: np.random.Generator, number: int) -> Request:
        """What to make at try ``number``, from 1."""
        ...

    def size(self, request: Request) -> int:
        """Atoms that it counts for in a batch."""
        ...


class LetterDrafter:
    """Draws the Wyckoff letters that an order leaves open.

    Args:
        prior: where from; without its analogues after ``ANALOGUE_TRIES`` tries.
        max_atoms: largest primitive cell.
    """

    def __init__(self, prior: WyckoffPrior, max_atoms: int) -> None:
        self.prior, self.max_atoms = prior, max_atoms

    def draft(self, order: Order, rng: np.random.Generator, number: int) -> Request:
        from crystalsmith.diffusion import Request

        letters = self.prior if number <= ANALOGUE_TRIES else self.prior.frequencies_only
        return Request(order.space_group, order.content.draw(order.group, letters, rng, self.max_atoms))

    def size(self, request: Request) -> int:
        return request.n_atoms


class SiteDrafter:
    """Leaves the letters to the method: elements and numbers of sites are all it takes from an order."""

    def draft(self, order: Order, rng: np.random.Generator, number: int) -> Request:
        from crystalsmith.diffusion import Request

        return Request(order.space_group, tuple((element, "*") for element in order.content.site_elements))

    def size(self, request: Request) -> int:
        return ATOMS_PER_SITE * request.n_orbits


def drafter_of(model: AnyModel, letters: str) -> Drafter:
    """The drafter that a model needs.

    Args:
        model: of any method.
        letters: where letters come from that an order leaves open, one of ``limits.LETTERS``.

    Raises:
        ConfigError: another source of letters.
    """
    from crystalsmith.diffusion import PaperModel

    source = resolve_letters(letters)
    if isinstance(model, PaperModel):
        return SiteDrafter()
    analogues = Analogues(model.occupations) if source == "analogues" else None
    return LetterDrafter(WyckoffPrior(model.wyckoff_counts, analogues), model.max_atoms)
