"""What is asked of the generator: orders for all compositions, cells and groups that are left open."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from crystalsmith.assignments import Formula, parse_formula
from crystalsmith.crystal import NUMBERS
from crystalsmith.crystal.elements import formula_order
from crystalsmith.errors import ConfigError, OrderError
from crystalsmith.orders import Order, parse_orders
from crystalsmith.solving.cells import Cell
from crystalsmith.solving.settings import SolveSettings

MOST_FORMULAS = 60
"""Compositions that ranges of elements may stand for."""

DENSITY = (0.55, 1.8)
"""By what factor the volume of a cell with its formula units may differ from their atoms' typical volumes."""


def formulas(settings: SolveSettings) -> list[Formula]:
    """The compositions that are looked at; none where elements are given without numbers.

    Raises:
        OrderError: no formula.
        ConfigError: ranges that stand for too many.
    """
    if settings.formula is not None:
        return [parse_formula(settings.formula)]
    ranges = [(s, range(least, most + 1)) for s, least, most in settings.elements]
    if not ranges[0][1].stop > 1:
        return []
    number = math.prod(len(r) for _, r in ranges)
    if number > 20 * MOST_FORMULAS:
        raise ConfigError(f"these ranges of elements stand for {number} compositions; make them narrower")
    found: dict[tuple[int, ...], Formula] = {}
    symbols = sorted((s for s, _ in ranges), key=formula_order)
    wanted = dict(ranges)
    for counts in itertools.product(*(wanted[s] for s in symbols)):
        divisor = reduce(math.gcd, counts)
        key = tuple(n // divisor for n in counts)
        found.setdefault(key, Formula(tuple(zip(symbols, key, strict=True))))
    if len(found) > MOST_FORMULAS:
        raise ConfigError(
            f"these ranges of elements stand for {len(found)} compositions; at most {MOST_FORMULAS} are tried"
        )
    return list(found.values())


def orders_of(
    settings: SolveSettings,
    cells: Sequence[Cell],
    atomic_volume: np.ndarray,
    count: int | None = None,
) -> list[Order]:
    """Orders whose crystals are candidates.

    Args:
        settings: what is known.
        cells: that the sample may have; none where candidates keep their own.
        atomic_volume: (119,) Angstrom^3 by atomic number.
        count: candidates in all; that of the settings if None.

    Raises:
        OrderError: nothing can be made of what is known: no composition, or formula units that do not fill
            the cell.
        ConfigError: ranges of elements that stand for too many compositions.
    """
    count = count or settings.candidates
    contents: list[dict[str, Any]] = [{"formula": str(formula)} for formula in formulas(settings)]
    if not contents:
        contents = [{"system": "-".join(symbol for symbol, _, _ in settings.elements)}]
    sizes = {"z": settings.z, "atoms": settings.atoms, "max_atoms": settings.max_atoms}
    if "system" in contents[0]:
        sizes = {"max_atoms": settings.atoms or settings.max_atoms}
    common = {"space_group": settings.space_group, **sizes}
    orders = []
    options: Sequence[Cell | None] = cells or (None,)
    for content, cell in itertools.product(contents, options):
        if cell is not None and settings.z is not None:
            check_density(parse_formula(content["formula"]), settings.z, cell, atomic_volume)
        given = {} if cell is None else {"cell": list(cell.values)}
        fields = {key: value for key, value in {**common, **content, **given}.items() if value is not None}
        orders.append(Order(**fields, count=1))
    share, more = divmod(count, len(orders))
    return parse_orders(
        {**order.to_mapping(), "id": None, "count": max(1, share + (k < more))}
        for k, order in enumerate(orders)
    )


def check_density(formula: Formula, z: int, cell: Cell, atomic_volume: np.ndarray) -> None:
    """Refuse formula units that cannot fill a cell.

    Args:
        formula: of one unit.
        z: units in the cell.
        cell: conventional.
        atomic_volume: (119,) Angstrom^3 by atomic number.

    Raises:
        OrderError: they are too many or too few by far.
    """
    unit = sum(n * float(atomic_volume[NUMBERS[symbol]]) for symbol, n in formula.counts)
    if not DENSITY[0] <= cell.volume / (z * unit) <= DENSITY[1]:
        raise OrderError(
            f"{z} formula units of {formula} cannot fill a cell of {cell.volume:.0f} A^3: one takes about"
            f" {unit:.0f} A^3, so it would hold {max(cell.volume / unit, 0.1):.1f}"
        )
