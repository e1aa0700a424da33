"""Whether the cell, volume or density of an order leaves its atoms the room that atoms have in crystals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from crystalsmith.crystal.validity import ATOMIC_VOLUME
from crystalsmith.errors import ImpossibleOrder
from crystalsmith.orders.formula import FormulaKind
from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    from crystalsmith.orders.order import Order

_WIDE = 3.0
"""Standard deviations of a size that is known to some tolerance."""


def check_room(order: Order, least: int, most: int) -> None:
    """Refuse a size at which whatever is made would be thrown away as absurd (``crystal.validity.fault``).

    Args:
        order: its terms tell the size, if anything does.
        least, most: atoms that its primitive cells may hold.

    Raises:
        ImpossibleOrder: no atom would have a volume of 4 to 150 Angstrom^3.
    """
    terms = order.terms
    if terms.density is not None:
        _check_density(order, terms.density)
    if order.host is not None or (terms.volume is None and terms.cell is None):
        return
    if order.wyckoff is not None or order.atoms is not None:
        most = least
    volumes = [_primitive_volume(order, g) for g in order.bounds.allowed]
    smallest, largest = min(volumes) / most, max(volumes) / least
    if order.z is not None and isinstance(order.content, FormulaKind) and terms.volume is not None:
        smallest = largest = terms.volume / (order.z * sum(order.content.formula.ratio))
    if not _fits(smallest, largest, terms.tolerance):
        whole, name = (terms.volume, "volume") if terms.cell is None else (terms.cell.volume, "cell")
        seen = largest if largest < ATOMIC_VOLUME[0] else smallest
        raise ImpossibleOrder(
            f"a cell of {whole:.5g} Angstrom^3 leaves {seen:.3g} Angstrom^3 for an atom, and atoms have"
            f" {ATOMIC_VOLUME[0]:g} to {ATOMIC_VOLUME[1]:g}; check {name} and the"
            " number of atoms"
        )


def _check_density(order: Order, density: float) -> None:
    from crystalsmith.conditions.cell import AVOGADRO, mass_of

    content = order.content
    if isinstance(content, FormulaKind):
        formula = content.formula
        unit = mass_of(dict(zip(formula.elements, formula.ratio, strict=True)))
        masses = [unit / sum(formula.ratio)]
    else:
        masses = [mass_of({element: 1}) for element in content.elements]
    volumes = [mass / (density * AVOGADRO) for mass in masses]
    if not _fits(min(volumes), max(volumes), order.terms.tolerance):
        low = min(masses) / (ATOMIC_VOLUME[1] * AVOGADRO)
        high = max(masses) / (ATOMIC_VOLUME[0] * AVOGADRO)
        names = content.formula.name if isinstance(content, FormulaKind) else "-".join(content.elements)
        raise ImpossibleOrder(
            f"no crystal of {names} has a density of {density:g} g/cm^3: atoms have {ATOMIC_VOLUME[0]:g} to"
            f" {ATOMIC_VOLUME[1]:g} Angstrom^3, which is {low:.2g} to {high:.3g} g/cm^3; check density"
        )


def _primitive_volume(order: Order, number: int) -> float:
    """Angstrom^3 that the order gives to the primitive cell of a space group."""
    if order.terms.cell is not None:
        return order.terms.cell.primitive_volume(number)
    return (order.terms.volume or math.nan) / len(space_group(number).centring)


def _fits(smallest: float, largest: float, tolerance: float) -> bool:
    slack = 1.0 + _WIDE * tolerance
    return largest * slack >= ATOMIC_VOLUME[0] and smallest / slack <= ATOMIC_VOLUME[1]
