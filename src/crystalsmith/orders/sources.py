"""Where the open parts of an order come from: cells, space groups and Wyckoff letters."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from crystalsmith.assignments import Assignment, Cells, Formula, Request
from crystalsmith.crystal.elements import NUMBERS, formula_order
from crystalsmith.errors import ConfigError, ImpossibleOrder
from crystalsmith.orders.bounds import Bounds
from crystalsmith.orders.frequencies import WyckoffPrior

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.prior import AssignmentPrior, Compositions, Talk

_ATTEMPTS = 100
"""Draws of one crystal of a system until it keeps to its bounds."""

_KEPT = 1024  # compositions whose cells are at hand


class Source(Protocol):
    """Fills in what an order leaves open, the likeliest first or at random."""

    def likely_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, number: int
    ) -> list[Request] | None:
        """About so many likely recipes; None if they can only be drawn."""
        ...

    def ask_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, number: int
    ) -> Talk[list[Request]] | None:
        """``likely_letters`` as a talk, for ``hear``."""
        ...

    def draw_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, rng: np.random.Generator
    ) -> Request:
        """A random recipe for numbers of sites."""
        ...

    def likely_cells(self, formula: Formula, cells: Sequence[Cells], number: int) -> list[Request] | None:
        """About so many likely recipes of a composition; None if they can only be drawn."""
        ...

    def ask_cells(self, formula: Formula, cells: Sequence[Cells], number: int) -> Talk[list[Request]] | None:
        """``likely_cells`` as a talk, for ``hear``."""
        ...

    def hear(self, talks: Sequence[Talk[list[Request]]]) -> list[list[Request]]:
        """What talks find out, all at once."""
        ...

    def draw_cell(self, formula: Formula, cells: Sequence[Cells], rng: np.random.Generator) -> Request:
        """A random recipe of a composition."""
        ...

    def draw_system(
        self, elements: Sequence[str], bounds: Bounds, max_atoms: int, rng: np.random.Generator
    ) -> Request:
        """A random recipe of a chemical system."""
        ...

    def known_cells(self, formula: Formula, cells: Sequence[Cells]) -> list[Request]:
        """Known phases of a composition as recipes, the likeliest first; those of a known stability."""
        ...

    def rate(
        self, elements: tuple[int, ...], counts: tuple[int, ...], cells: Sequence[tuple[int, Assignment]]
    ) -> np.ndarray:
        """(n,) logarithms of the likelihoods of groups with canonical assignments, up to a constant.

        Elements are atomic numbers, cations first, with their numbers of atoms in the primitive cell.
        """
        ...


class Frequencies:
    """Letters by how often positions are occupied; knows nothing of compositions."""

    def __init__(self, prior: WyckoffPrior) -> None:
        self.prior = prior

    def likely_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, number: int
    ) -> list[Request] | None:
        return None

    def ask_letters(self, group: int, sites: Mapping[str, int], max_atoms: int, number: int) -> None:
        return None

    def draw_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, rng: np.random.Generator
    ) -> Request:
        return Request(group, self.prior.draw(group, sites, rng, max_atoms))

    def likely_cells(self, formula: Formula, cells: Sequence[Cells], number: int) -> list[Request] | None:
        raise self._no_prior()

    def ask_cells(self, formula: Formula, cells: Sequence[Cells], number: int) -> Talk[list[Request]] | None:
        raise self._no_prior()

    def hear(self, talks: Sequence[Talk[list[Request]]]) -> list[list[Request]]:
        raise self._no_prior()

    def draw_cell(self, formula: Formula, cells: Sequence[Cells], rng: np.random.Generator) -> Request:
        raise self._no_prior()

    def draw_system(
        self, elements: Sequence[str], bounds: Bounds, max_atoms: int, rng: np.random.Generator
    ) -> Request:
        raise self._no_prior()

    def known_cells(self, formula: Formula, cells: Sequence[Cells]) -> list[Request]:
        return []

    def rate(
        self, elements: tuple[int, ...], counts: tuple[int, ...], cells: Sequence[tuple[int, Assignment]]
    ) -> np.ndarray:
        return np.zeros(len(cells))

    @staticmethod
    def _no_prior() -> ConfigError:
        return ConfigError(
            "frequencies of Wyckoff positions know nothing of compositions; orders for a formula or a system"
            " need the learned prior"
        )


class Learned:
    """The learned prior.

    Args:
        prior: of assignments.
        compositions: of chemical systems.
        draws_only: draw at random where the likeliest would be taken.
    """

    def __init__(self, prior: AssignmentPrior, compositions: Compositions, draws_only: bool = False) -> None:
        self.prior, self.compositions, self.draws_only = prior, compositions, draws_only
        self._looked_at: dict[tuple[object, ...], tuple[Cells, ...]] = {}

    def likely_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, number: int
    ) -> list[Request] | None:
        from crystalsmith.prior import likely_letters

        if self.draws_only:
            return None
        elements, numbers = _by_formula_order(sites)
        return likely_letters(self.prior, group, elements, numbers, max_atoms, number)

    def ask_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, number: int
    ) -> Talk[list[Request]] | None:
        from crystalsmith.prior import ask_likely_letters

        if self.draws_only:
            return None
        elements, numbers = _by_formula_order(sites)
        return ask_likely_letters(self.prior, group, elements, numbers, max_atoms, number)

    def draw_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, rng: np.random.Generator
    ) -> Request:
        from crystalsmith.prior import draw_letters

        elements, numbers = _by_formula_order(sites)
        return draw_letters(self.prior, group, elements, numbers, max_atoms, rng)

    def likely_cells(self, formula: Formula, cells: Sequence[Cells], number: int) -> list[Request] | None:
        from crystalsmith.prior import likely_choices

        if self.draws_only:
            return None
        elements = tuple(NUMBERS[e] for e in formula.elements)
        return likely_choices(self.prior, elements, formula.ratio, self._worth(formula, cells), number)

    def ask_cells(self, formula: Formula, cells: Sequence[Cells], number: int) -> Talk[list[Request]] | None:
        from crystalsmith.prior import ask_likely_choices

        if self.draws_only:
            return None
        elements = tuple(NUMBERS[e] for e in formula.elements)
        return ask_likely_choices(self.prior, elements, formula.ratio, self._worth(formula, cells), number)

    def hear(self, talks: Sequence[Talk[list[Request]]]) -> list[list[Request]]:
        from crystalsmith.prior import each

        return self.prior.hear(each(talks))

    def draw_cell(self, formula: Formula, cells: Sequence[Cells], rng: np.random.Generator) -> Request:
        from crystalsmith.prior import draw_choice

        elements = tuple(NUMBERS[e] for e in formula.elements)
        return draw_choice(self.prior, elements, formula.ratio, self._worth(formula, cells), rng)

    def _worth(self, formula: Formula, cells: Sequence[Cells]) -> tuple[Cells, ...]:
        """The cells that the prior gives weight; asked once for all crystals of an order."""
        from crystalsmith.prior import worth_a_look

        key = formula.elements, formula.ratio, tuple(cells)
        if key not in self._looked_at:
            if len(self._looked_at) >= _KEPT:
                self._looked_at.clear()
            elements = tuple(NUMBERS[e] for e in formula.elements)
            self._looked_at[key] = worth_a_look(self.prior, elements, formula.ratio, cells)
        return self._looked_at[key]

    def draw_system(
        self, elements: Sequence[str], bounds: Bounds, max_atoms: int, rng: np.random.Generator
    ) -> Request:
        from crystalsmith.orders.formula import FormulaKind

        symbols = tuple(sorted(elements, key=formula_order))
        chances = self.compositions.probabilities(tuple(NUMBERS[e] for e in symbols), max_atoms)
        ratios, weights = list(chances), np.array(list(chances.values()))
        # Where luck is against this crystal it becomes the one that showed the order to be possible: the
        # check before a run draws with the second generator.
        attempts = _ATTEMPTS if ratios else 0
        for chance in [rng] * attempts + [np.random.default_rng(0)] * attempts:
            ratio = ratios[int(chance.choice(len(ratios), p=weights))]
            kind = FormulaKind(Formula(tuple(zip(symbols, ratio, strict=True))))
            try:
                cells = kind.cells(replace(bounds, max_sites=None), max_atoms)
            except ImpossibleOrder:
                continue
            recipe = self.draw_cell(kind.formula, cells, chance)
            if bounds.max_sites is None or len(recipe.sites) <= bounds.max_sites:
                return recipe
        raise ImpossibleOrder(
            f"no crystal of {'-'.join(elements)} was found within the bounds in {_ATTEMPTS} draws; raise"
            " max_atoms or max_sites, or allow other space groups"
        )

    def known_cells(self, formula: Formula, cells: Sequence[Cells]) -> list[Request]:
        from crystalsmith.prior import known_recipes

        return [] if self.draws_only else known_recipes(self.prior.prototypes, formula, cells)

    def rate(
        self, elements: tuple[int, ...], counts: tuple[int, ...], cells: Sequence[tuple[int, Assignment]]
    ) -> np.ndarray:
        groups = self.prior.groups(elements, counts)[[g for g, _ in cells]]
        distinct = list(dict.fromkeys(cells))
        found = dict(zip(distinct, self.prior.assignments(elements, counts, distinct), strict=True))
        return np.asarray(groups + np.array([found[cell] for cell in cells]))

    def known_as(self, request: Request) -> str:
        """The known crystal that occupies the same positions, in words; empty if there is none."""
        from crystalsmith.prior import twin_of

        twin = twin_of(self.prior.prototypes, request)
        return "" if twin is None else self.prior.prototypes.known.name(twin)

    def is_known(self, request: Request) -> bool:
        """Whether a known crystal occupies the same positions."""
        return bool(self.known_as(request))


def learned_source(model: AnyModel, draws_only: bool = False) -> Learned | None:
    """The learned prior of a model, with the crystals of its training set; None if it has none."""
    from crystalsmith.diffusion import PaperModel
    from crystalsmith.prior import AssignmentPrior, Compositions, KnownCrystals, Prototypes

    if isinstance(model, PaperModel) or model.prior is None:
        return None
    if id(model) not in _LEARNED:
        known = KnownCrystals.read(model.occupations)
        prior = AssignmentPrior(model.prior, Prototypes(known))
        _LEARNED[id(model)] = prior, Compositions(known)
        weakref.finalize(model, _LEARNED.pop, id(model), None)
    return Learned(*_LEARNED[id(model)], draws_only)


_LEARNED: dict[int, tuple[AssignmentPrior, Compositions]] = {}
"""Of living models, by identity: what is worked out for one order serves the next."""


def _by_formula_order(sites: Mapping[str, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    symbols = sorted(sites, key=formula_order)
    return tuple(NUMBERS[e] for e in symbols), tuple(sites[e] for e in symbols)
