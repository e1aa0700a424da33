"""Where the open parts of an order come from: cells, space groups and Wyckoff letters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from crystalsmith.assignments import Formula, Pairs, to_pairs
from crystalsmith.crystal.elements import NUMBERS, SYMBOLS, formula_order
from crystalsmith.errors import ConfigError, ImpossibleOrder
from crystalsmith.generation.bounds import Bounds
from crystalsmith.generation.wyckoff_prior import WyckoffPrior
from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    from crystalsmith.prior import AssignmentPrior, Choice, Compositions

_ATTEMPTS = 100
"""Draws of one crystal of a system until it keeps to its bounds."""


@dataclass(frozen=True)
class Units:
    """Cells of one size.

    Attributes:
        units: smallest formula units in the primitive cell.
        groups: space groups that can hold them.
    """

    units: int
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Recipe:
    """What one crystal is made of.

    Attributes:
        space_group: number.
        sites: (element, letter) of every site.
        log_prior: logarithm of its probability within its order; None where nothing is known of it.
    """

    space_group: int
    sites: Pairs
    log_prior: float | None = None

    @property
    def freedom(self) -> int:
        """Free parameters of the positions."""
        group = space_group(self.space_group)
        return sum(group.wyckoff[letter].dof for _, letter in self.sites)


class Source(Protocol):
    """Fills in what an order leaves open, the likeliest first or at random."""

    def likely_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, number: int
    ) -> list[Recipe] | None:
        """About so many likely recipes; None if they can only be drawn."""
        ...

    def draw_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, rng: np.random.Generator
    ) -> Recipe:
        """A random recipe for numbers of sites."""
        ...

    def likely_cells(self, formula: Formula, cells: Sequence[Units], number: int) -> list[Recipe] | None:
        """About so many likely recipes of a composition; None if they can only be drawn."""
        ...

    def draw_cell(self, formula: Formula, cells: Sequence[Units], rng: np.random.Generator) -> Recipe:
        """A random recipe of a composition."""
        ...

    def draw_system(
        self, elements: Sequence[str], bounds: Bounds, max_atoms: int, rng: np.random.Generator
    ) -> Recipe:
        """A random recipe of a chemical system."""
        ...


class Frequencies:
    """Letters by how often positions are occupied; knows nothing of compositions."""

    def __init__(self, prior: WyckoffPrior) -> None:
        self.prior = prior

    def likely_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, number: int
    ) -> list[Recipe] | None:
        return None

    def draw_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, rng: np.random.Generator
    ) -> Recipe:
        return Recipe(group, self.prior.draw(group, sites, rng, max_atoms))

    def likely_cells(self, formula: Formula, cells: Sequence[Units], number: int) -> list[Recipe] | None:
        raise self._no_prior()

    def draw_cell(self, formula: Formula, cells: Sequence[Units], rng: np.random.Generator) -> Recipe:
        raise self._no_prior()

    def draw_system(
        self, elements: Sequence[str], bounds: Bounds, max_atoms: int, rng: np.random.Generator
    ) -> Recipe:
        raise self._no_prior()

    @staticmethod
    def _no_prior() -> ConfigError:
        return ConfigError(
            "orders for a formula or a system need the learned prior over Wyckoff positions, which this"
            " checkpoint lacks; add one with crystalsmith train-prior, and leave --letters frequencies out"
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

    def likely_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, number: int
    ) -> list[Recipe] | None:
        from crystalsmith.prior import likely_letters

        if self.draws_only:
            return None
        elements, numbers = _by_formula_order(sites)
        found = likely_letters(self.prior, group, elements, numbers, max_atoms, number)
        return [_recipe(elements, c) for c in found]

    def draw_letters(
        self, group: int, sites: Mapping[str, int], max_atoms: int, rng: np.random.Generator
    ) -> Recipe:
        from crystalsmith.prior import draw_letters

        elements, numbers = _by_formula_order(sites)
        return _recipe(elements, draw_letters(self.prior, group, elements, numbers, max_atoms, rng))

    def likely_cells(self, formula: Formula, cells: Sequence[Units], number: int) -> list[Recipe] | None:
        from crystalsmith.prior import Cells, likely_choices

        if self.draws_only:
            return None
        elements = tuple(NUMBERS[e] for e in formula.elements)
        allowed = [Cells(c.units, c.groups) for c in cells]
        found = likely_choices(self.prior, elements, formula.ratio, allowed, number)
        return [_recipe(elements, c) for c in found]

    def draw_cell(self, formula: Formula, cells: Sequence[Units], rng: np.random.Generator) -> Recipe:
        from crystalsmith.prior import Cells, draw_choice

        elements = tuple(NUMBERS[e] for e in formula.elements)
        allowed = [Cells(c.units, c.groups) for c in cells]
        return _recipe(elements, draw_choice(self.prior, elements, formula.ratio, allowed, rng))

    def draw_system(
        self, elements: Sequence[str], bounds: Bounds, max_atoms: int, rng: np.random.Generator
    ) -> Recipe:
        from crystalsmith.generation.kind_formula import FormulaKind

        symbols = tuple(sorted(elements, key=formula_order))
        chances = self.compositions.probabilities(tuple(NUMBERS[e] for e in symbols), max_atoms)
        ratios, weights = list(chances), np.array(list(chances.values()))
        for _ in range(_ATTEMPTS if ratios else 0):
            ratio = ratios[int(rng.choice(len(ratios), p=weights))]
            kind = FormulaKind(Formula(tuple(zip(symbols, ratio, strict=True))))
            try:
                cells = kind.cells(Bounds(bounds.groups, max_atoms=max_atoms), max_atoms)
            except ImpossibleOrder:
                continue
            recipe = self.draw_cell(kind.formula, cells, rng)
            if bounds.max_sites is None or len(recipe.sites) <= bounds.max_sites:
                return recipe
        raise ImpossibleOrder(
            f"no crystal of {'-'.join(elements)} was found within the bounds in {_ATTEMPTS} draws; raise"
            " max_atoms or max_sites, or allow other space groups"
        )


def _by_formula_order(sites: Mapping[str, int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    symbols = sorted(sites, key=formula_order)
    return tuple(NUMBERS[e] for e in symbols), tuple(sites[e] for e in symbols)


def _recipe(elements: tuple[int, ...], choice: Choice) -> Recipe:
    symbols = tuple(SYMBOLS[z] for z in elements)
    return Recipe(choice.space_group, to_pairs(choice.space_group, symbols, choice.assignment), choice.log_p)
