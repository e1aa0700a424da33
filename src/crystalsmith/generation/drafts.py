"""From an order to what one crystal of it is made of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from crystalsmith.assignments import Request
from crystalsmith.errors import OrderError
from crystalsmith.generation.allocation import GUIDED, TIMES, one_of, share
from crystalsmith.generation.conditioned import starts_under, under
from crystalsmith.generation.templates import Arrangements, Templates
from crystalsmith.orders.bounds import searched
from crystalsmith.orders.frequencies import WyckoffPrior
from crystalsmith.orders.letters import Letters
from crystalsmith.orders.limits import resolve_letters
from crystalsmith.orders.order import Order
from crystalsmith.orders.sites import Sites
from crystalsmith.orders.sources import Frequencies, Source, learned_source

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.prior import Talk

# crystalsmith.diffusion is imported inside functions: torch takes seconds, and bad orders are refused before.

LIKELY_TRIES = 4
"""Tries with the assignment that a crystal was given; after them others get their turn."""

DRAWS = 50
"""Draws of a recipe until one is wanted."""

ATOMS_PER_SITE = 4
"""What a site of the paper's method counts for in a batch, which has no atoms before it is drawn."""

_TOGETHER = 32  # orders that the prior is asked about at one time; more are hardly faster
_KEPT = 64  # orders whose likely recipes are at hand; orders come one after another


class Drafter(Protocol):
    """Makes requests of orders, as a method takes them."""

    def expect(self, orders: Sequence[Order]) -> None:
        """Orders that will come, in this turn: several can be thought about at once."""
        ...

    def draft(
        self,
        order: Order,
        index: int,
        rng: np.random.Generator,
        number: int,
        draft: int = 0,
        drafts: int = 1,
    ) -> Request:
        """What to make of crystal ``index``, from 0, at try ``number``, from 1; of so many drafts, one."""
        ...

    def size(self, request: Request) -> int:
        """Atoms that it counts for in a batch."""
        ...


class _Shared(NamedTuple):
    """Likely recipes of an order, and what its crystals are made of: for each its drafts."""

    recipes: list[Request]
    drafts: int
    plan: list[list[Request]]


class LetterDrafter:
    """Fills in what an order leaves open, and says how to make it.

    Orders for a composition or for numbers of sites get the likeliest assignments, shared out as in
    ``generation.allocation`` together with the ways to make them; what cannot be listed is drawn crystal by
    crystal, and the way to make it as well.

    Args:
        source: where from.
        fallback: where letters come from when tries with the source's have failed.
        max_atoms: largest primitive cell that is looked at where an order does not say.
        avoid: says of a recipe that it is not wanted, as that of a known crystal is not where only new ones
            are; orders for a composition begin with their known phases where it is None.
        templates: known arrangements; without them all is made by the network.
        times: from which they are denoised.
    """

    def __init__(
        self,
        source: Source,
        fallback: Source,
        max_atoms: int,
        avoid: Callable[[Request], bool] | None = None,
        templates: Templates | None = None,
        times: Sequence[float] = TIMES,
    ) -> None:
        self._times = tuple(times)
        self.source, self.fallback, self.max_atoms, self.avoid = source, fallback, max_atoms, avoid
        self._plain = None if templates is None else Arrangements(templates).starts
        self._starts = starts_under(self._plain)
        self._shared: OrderedDict[Order, _Shared | None] = OrderedDict()
        self._expected: tuple[Order, ...] = ()
        self._place: dict[Order, int] = {}
        self._heard: dict[Order, list[Request]] = {}

    def expect(self, orders: Sequence[Order]) -> None:
        self._expected = tuple(orders)
        self._place = {order: k for k, order in enumerate(self._expected)}

    def draft(
        self,
        order: Order,
        index: int,
        rng: np.random.Generator,
        number: int,
        draft: int = 0,
        drafts: int = 1,
    ) -> Request:
        shared, late = self._share(order, drafts), number > LIKELY_TRIES
        if shared is None or (late and len(shared.recipes) == 1 and order.wyckoff is None):
            source = self.fallback if late and order.sites is not None else self.source
            drawn = self._drawn(order, source, rng)
            return drawn if number > 1 else self._way(drawn, rng, draft, drafts)
        own = shared.plan[index][draft]
        if number == 1:
            return own
        if own.start is not None and own.start.time and not late and GUIDED in self._times:
            return replace(own, start=replace(own.start, time=GUIDED))
        # A known arrangement that came to nothing as it is would do so again.
        place = shared.recipes.index(own) + max(0, number - LIKELY_TRIES)
        return shared.recipes[place % len(shared.recipes)]

    def size(self, request: Request) -> int:
        return request.n_atoms

    def _way(self, drawn: Request, rng: np.random.Generator, draft: int, drafts: int) -> Request:
        """How a recipe that was drawn is made: several drafts in the best ways, one in a random way."""
        if self._starts is None:
            return drawn
        if drafts > 1:
            return share([drawn], 1, self._starts, drafts, (), self._times)[0][draft]
        return one_of(drawn, self._starts(drawn), rng, self._times)

    def _share(self, order: Order, drafts: int) -> _Shared | None:
        """Likely recipes, and what each crystal is made of."""
        if order not in self._shared:
            recipes = self._likely(order)
            if recipes is not None and self.avoid is not None:
                recipes = [r for r in recipes if not self.avoid(r)] or None
            if recipes is not None:
                recipes = under(order, recipes, self._plain)
            self._shared[order] = None if recipes is None else _Shared(recipes, drafts, [])
            if len(self._shared) > _KEPT:
                self._shared.popitem(last=False)
        found = self._shared[order]
        if found is not None and (found.drafts != drafts or not found.plan):
            found = self._shared[order] = self._shared_out(order, found.recipes, drafts)
        return found

    def _likely(self, order: Order) -> list[Request] | None:
        """Likely recipes; those of the next orders are found beside them, with the same network calls."""
        if order not in self._heard:
            # A fixed place in the list begins a part, so that it does not hang on where a run goes on.
            begin = self._place.get(order, 0) // _TOGETHER * _TOGETHER
            part = self._expected[begin : begin + _TOGETHER] if order in self._place else (order,)
            talks = {o: self._ask(o) for o in part if o not in self._shared}
            asking = {o: talk for o, talk in talks.items() if talk is not None}
            self._heard = {}
            if asking:
                self._heard = dict(zip(asking, self.source.hear(list(asking.values())), strict=True))
        if order in self._heard:
            return self._heard.pop(order)
        return order.content.likely(order.bounds, self.source, self.max_atoms, _width(order))

    def _ask(self, order: Order) -> Talk[list[Request]] | None:
        return order.content.ask(order.bounds, self.source, self.max_atoms, _width(order))

    def _shared_out(self, order: Order, recipes: list[Request], drafts: int) -> _Shared:
        """Every other crystal is a known phase, the likeliest first; the others go by gain."""
        known: list[Request] = []
        if self.avoid is None:
            known = under(order, order.content.known(order.bounds, self.source, self.max_atoms), self._plain)
        # What the search did not find is no likelier than what it found last.
        found, least = set(recipes), recipes[-1].log_prior
        recipes = [*recipes, *(replace(r, log_prior=least) for r in known if r not in found)]
        place = {recipe: k for k, recipe in enumerate(recipes)}
        first = [place[r] for r in known]
        plan = share(recipes, order.count, self._starts, drafts, first, self._times)
        return _Shared(recipes, drafts, plan)

    def _drawn(self, order: Order, source: Source, rng: np.random.Generator) -> Request:
        """A random recipe, one that is wanted if luck allows."""
        for _ in range(DRAWS):
            recipe = order.content.draw(order.bounds, source, self.max_atoms, rng)
            if self.avoid is None or not self.avoid(recipe):
                break
        found = under(order, [recipe], self._plain)
        if len(found) == 1:
            return found[0]
        weight = np.exp([0.0 if r.log_prior is None else r.log_prior for r in found])
        return found[int(rng.choice(len(found), p=weight / weight.sum()))]


def _width(order: Order) -> int:
    """About how many recipes are looked for; more where a cell decides among them."""
    return min(256, max(12 if order.terms.cell is None else 60, 2 * order.count))


class SiteDrafter:
    """Leaves the letters to the method: elements and numbers of sites are all it takes from an order."""

    def expect(self, orders: Sequence[Order]) -> None:
        pass

    def draft(
        self,
        order: Order,
        index: int,
        rng: np.random.Generator,
        number: int,
        draft: int = 0,
        drafts: int = 1,
    ) -> Request:
        groups = order.bounds.groups
        group = groups[int(rng.integers(len(groups)))] if len(groups) > 1 else groups[0]
        if isinstance(order.content, Letters):
            elements = [element for element, _ in order.content.pairs]
        elif isinstance(order.content, Sites):
            elements = [e for e, n in order.content.draw_numbers(rng).items() for _ in range(n)]
        else:
            raise OrderError(f"order {order.id}: the paper's method takes numbers of sites, no composition")
        return Request(group, tuple((element, "*") for element in elements))

    def size(self, request: Request) -> int:
        return ATOMS_PER_SITE * request.n_orbits


def drafter_of(
    model: AnyModel, letters: str, new_only: bool = False, templates: Templates | None = None
) -> Drafter:
    """The drafter that a model needs.

    Args:
        model: of any method.
        letters: how what an order leaves open is filled in, one of ``limits.LETTERS``; with ``frequencies``,
            which are there for what nobody knows, no known arrangement is made use of.
        new_only: avoid the recipes of known crystals.
        templates: known arrangements.

    Raises:
        ConfigError: another way.
    """
    from crystalsmith.diffusion import PaperModel

    how = resolve_letters(letters)
    if isinstance(model, PaperModel):
        return SiteDrafter()
    frequencies = Frequencies(WyckoffPrior(model.wyckoff_counts))
    learned = learned_source(model, how == "drawn")
    avoid = learned.is_known if new_only and learned is not None else None
    limit = searched(model.max_atoms)
    if how == "frequencies":
        return LetterDrafter(frequencies, frequencies, limit, avoid)
    guided = getattr(getattr(getattr(model, "network", None), "config", None), "guide", False)
    times = (*TIMES, GUIDED) if guided else TIMES
    return LetterDrafter(learned or frequencies, frequencies, limit, avoid, templates, times)
