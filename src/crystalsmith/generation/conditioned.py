"""What an order knows of its crystals, brought to the recipes that they are made of.

A recipe under a given cell becomes one recipe for each setting of the cell that known arrangements speak for:
their own cells say which of the axes is which, and how well the given cell suits them is evidence for the
recipe as a whole. Without any, the settings share the recipe.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from crystalsmith.assignments import Request, Start
from crystalsmith.conditions import FixedCell, GivenCell, finished, unmet
from crystalsmith.crystal.validity import fault
from crystalsmith.errors import CrystalsmithError
from crystalsmith.generation.allocation import Starts
from crystalsmith.orders.formula import FormulaKind
from crystalsmith.orders.order import Order
from crystalsmith.orders.terms import Terms
from crystalsmith.symmetry import (
    STRAIN_BASIS,
    cell_to_lattice,
    lattice_to_strain,
    space_group,
    strain_mask,
)

SHAPE, SIZE = 0.06, 0.12
"""Root mean square of the log-strains, but the isotropic one, between the right known arrangement's cell and
the crystal's; and of the logarithm of the volume, for elements that are not its own."""

FAR = 0.30
"""A log-strain beyond which a known arrangement has nothing to say of a cell."""

UNTOLD = -2.0
"""Logarithm of the likelihood of a cell by a recipe for which no known arrangement speaks, for each strain
but the isotropic one that its family leaves free, beside a known arrangement with just this cell."""

FEWER = -3.0
"""The same for each strain that a family allows and the cell does not show: that would be a coincidence."""

ASTRAY = 0.7
"""Angstrom, root mean square, from the atoms of a host; beyond, a known arrangement is of another one."""

_SETTINGS = 6  # settings of a recipe without known arrangements


def under(order: Order, recipes: Sequence[Request], starts: Starts | None) -> list[Request]:
    """An order's recipes with its conditions, the likeliest first; as they are where it has none.

    Args:
        order: whose recipes they are.
        recipes: likely ones.
        starts: known arrangements for a recipe.
    """
    terms = order.terms
    if not terms:
        return list(recipes)
    if terms.cell is None:
        return [replace(r, conditions=(*_loosened(r, terms), *terms.conditions)) for r in recipes]
    found = []
    if not isinstance(order.content, FormulaKind):  # whose cells are chosen by their size already
        recipes = [r for r in recipes if _has_room(order, r)] or recipes
    for recipe in recipes:
        for cell, log_p in settings(recipe, terms.cell, starts):
            own = (*recipe.conditions, FixedCell(cell, terms.tolerance), *terms.conditions)
            told = None if recipe.log_prior is None else recipe.log_prior + log_p
            found.append(replace(recipe, conditions=own, log_prior=told))
    return sorted(found, key=lambda r: -math.inf if r.log_prior is None else -r.log_prior)


def _has_room(order: Order, recipe: Request) -> bool:
    group = space_group(recipe.space_group)
    counts: Counter[str] = Counter()
    for element, letter in recipe.sites:
        counts[element] += group.position(letter).multiplicity_primitive
    return order.bounds.have_room(counts, group.number)


def _loosened(recipe: Request, terms: Terms) -> tuple[Any, ...]:
    """The conditions of a recipe, the cell of a host known to an order's tolerance."""
    return tuple(
        replace(c, tolerance=terms.tolerance) if isinstance(c, FixedCell) else c for c in recipe.conditions
    )


def settings(
    recipe: Request, given: GivenCell, starts: Starts | None
) -> list[tuple[tuple[float, ...], float]]:
    """Conventional cells for a recipe under a given cell, with the logarithms of their likelihoods."""
    cells = given.settings(recipe.space_group)
    by_cell: dict[int, float] = {}
    for start in () if starts is None else starts(recipe):
        k, away = nearest(recipe.space_group, cells, start.crystal.cell)
        if away is not None:
            by_cell[k] = max(by_cell.get(k, -math.inf), away + 0.5 * math.log(max(start.weight, 1e-3)))
    free = int(strain_mask(recipe.space_group).sum())
    chance = FEWER * max(0, free - given.freedom)
    if by_cell:
        told = [(cells[k], log_p + chance) for k, log_p in by_cell.items()]
        return sorted(told, key=lambda one: -one[1])
    others = cells[:_SETTINGS]
    untold = UNTOLD * (free - 1) + chance - math.log(len(others))
    return [(cell, untold) for cell in others]


def nearest(
    number: int, cells: Sequence[tuple[float, ...]], own: tuple[float, ...]
) -> tuple[int, float | None]:
    """The cell nearest to another crystal's, and the logarithm of its likelihood; None for one that is far.

    Args:
        number: space group.
        cells: those that may be.
        own: the other's.
    """
    away = _strains(number, tuple(cells)) - _strains(number, (own,))
    shape, size = np.abs(away[:, 1:]).max(1, initial=0.0), np.abs(away[:, 0]) * 3**0.5
    log_p = -0.5 * (np.square(away[:, 1:] / SHAPE).sum(1) + np.square(size / SIZE))
    k = int(log_p.argmax())
    # The cell as it was given goes before one that is hardly nearer.
    if k and log_p[0] > log_p[k] - 0.5:
        k = 0
    return k, None if shape[k] > FAR or size[k] > 2 * FAR else float(max(log_p[k], -12.0))


def starts_under(starts: Starts | None) -> Starts | None:
    """Known arrangements for recipes that have conditions: such as suit them, in their cells."""
    if starts is None:
        return None
    plain = starts

    def adapted(recipe: Request) -> Sequence[Start]:
        if not recipe.conditions:
            return plain(recipe)
        found = list(plain(replace(recipe, conditions=())))
        if any(c.sites_held for c in recipe.conditions):
            found = _around_host(recipe, found)
        fixed = next((c for c in recipe.conditions if isinstance(c, FixedCell)), None)
        ranked: list[tuple[float, Start]] = []
        for place, start in enumerate(found):
            log_p = 0.0
            if fixed is not None:
                cell = fixed.of(recipe.space_group)
                _, near = nearest(recipe.space_group, (cell,), start.crystal.cell)
                if near is None:
                    continue
                log_p = near
            try:
                crystal = finished(start.crystal, recipe.conditions, known=True)
            except CrystalsmithError:
                continue
            if fault(crystal) is not None or unmet(crystal, recipe.conditions) is not None:
                continue
            ranked.append((log_p - 0.3 * place, replace(start, crystal=crystal)))
        ranked.sort(key=lambda one: -one[0])
        return [start for _, start in ranked]

    return adapted


def _around_host(recipe: Request, starts: Sequence[Start]) -> list[Start]:
    """Known arrangements in the descriptions in which their atoms lie nearest to those of a host."""
    from crystalsmith.prototypes import nearest_description

    held = {k for c in recipe.conditions for k in c.sites_held}
    inside, added = (
        {e for k, (e, _) in enumerate(recipe.sites) if (k in held) == own} for own in (True, False)
    )
    if inside & added:  # nobody could tell the host's atoms from those that were added to it
        return []
    result = []
    for start in starts:
        try:
            host = finished(start.crystal, recipe.conditions, known=True)
        except CrystalsmithError:
            continue
        crystal, away = nearest_description(host, start.crystal, same_elements=True, counted=held)
        if crystal is not None and away < ASTRAY:
            result.append(replace(start, crystal=crystal))
    return result


@lru_cache(maxsize=4096)
def _strains(number: int, cells: tuple[tuple[float, ...], ...]) -> np.ndarray:
    """(n, 6) log-strains of cells around a reference of volume one."""
    return np.array(
        [lattice_to_strain(number, cell_to_lattice(number, np.array(cell)), 1.0) for cell in cells]
    ).reshape(-1, len(STRAIN_BASIS))
