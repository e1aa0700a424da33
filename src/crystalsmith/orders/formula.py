"""Orders for an exact composition."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from crystalsmith.assignments import (
    Cells,
    Formula,
    Request,
    count_assignments,
    parse_formula,
    positions_of,
    possible_cells,
)
from crystalsmith.assignments.possible_groups import possible_groups
from crystalsmith.errors import ImpossibleOrder, OrderError
from crystalsmith.orders.bounds import MOST_SITES, Bounds
from crystalsmith.orders.sources import Source
from crystalsmith.orders.values import name_groups

if TYPE_CHECKING:
    from crystalsmith.prior import Talk

_COUNTABLE = 5000  # pairs of cell and space group up to which counting takes a second or two


@dataclass(frozen=True)
class FormulaKind:
    """Exactly this composition; cell, space group and Wyckoff letters are left open as far as no bound
    fixes them."""

    key: ClassVar[str] = "formula"
    takes: ClassVar[tuple[str, ...]] = ("z", "atoms", "max_atoms")
    needs_group: ClassVar[bool] = False
    schema: ClassVar[dict[str, Any]] = {
        "type": "string",
        "minLength": 1,
        "description": "a composition such as BaTiO3 or CuSO4·5H2O",
    }
    formula: Formula

    @classmethod
    def parse(cls, value: object, bounds: Bounds) -> FormulaKind:
        if bounds.z is not None and bounds.atoms is not None:
            raise OrderError("z and atoms both tell how large the cell is; give one of them")
        return cls(parse_formula(value))

    @property
    def elements(self) -> tuple[str, ...]:
        return self.formula.elements

    @property
    def value(self) -> str:
        return str(self.formula)

    @property
    def tag(self) -> str:
        return str(self.formula)

    def check(self, bounds: Bounds, limit: int) -> int:
        return min(c.units for c in self.cells(bounds, limit)) * sum(self.formula.ratio)

    def choices(self, bounds: Bounds, limit: int) -> int | None:
        cells = self.cells(bounds, limit)
        if sum(len(c.groups) for c in cells) > _COUNTABLE:
            return None
        return sum(
            count_assignments(g, tuple(n * c.units for n in self.formula.ratio))
            for c in cells
            for g in c.groups
        )

    def likely(self, bounds: Bounds, source: Source, limit: int, number: int) -> list[Request] | None:
        return source.likely_cells(self.formula, self.cells(bounds, limit), number)

    def ask(self, bounds: Bounds, source: Source, limit: int, number: int) -> Talk[list[Request]] | None:
        return source.ask_cells(self.formula, self.cells(bounds, limit), number)

    def draw(self, bounds: Bounds, source: Source, limit: int, rng: np.random.Generator) -> Request:
        return source.draw_cell(self.formula, self.cells(bounds, limit), rng)

    def known(self, bounds: Bounds, source: Source, limit: int) -> list[Request]:
        return source.known_cells(self.formula, self.cells(bounds, limit))

    def cells(self, bounds: Bounds, limit: int) -> tuple[Cells, ...]:
        """The cells that the bounds allow and some assignment fills, small ones first.

        Raises:
            ImpossibleOrder: there is none.
        """
        # One formula unit may be more than the model was trained on, which is warned about elsewhere.
        largest = bounds.max_atoms or max(limit, sum(self.formula.ratio))
        return _cells(self.formula, bounds, largest)

    def looked_at(self, bounds: Bounds, limit: int) -> int:
        """Atoms in the largest primitive cell that is looked at."""
        return max(c.units for c in self.cells(bounds, limit)) * sum(self.formula.ratio)


@lru_cache(maxsize=1024)
def _cells(formula: Formula, bounds: Bounds, largest: int) -> tuple[Cells, ...]:
    unit = sum(formula.ratio)
    by_units: dict[int, list[int]] = {}
    if bounds.z is not None:
        for g in bounds.allowed:
            units, rest = divmod(bounds.z * formula.units, positions_of(g).centring)
            if not rest:
                by_units.setdefault(units, []).append(g)
    elif bounds.atoms is not None:
        units, rest = divmod(bounds.atoms, unit)
        if not rest:
            by_units[units] = list(bounds.allowed)
    else:
        by_units = {k: list(bounds.allowed) for k in range(1, largest // unit + 1)}
    found = []
    for units in sorted(by_units):
        if bounds.max_atoms is None or units * unit <= bounds.max_atoms:
            counts = {e: n * units for e, n in zip(formula.elements, formula.ratio, strict=True)}
            possible = possible_groups(tuple(counts.values()))
            # What the order says of numbers of atoms goes before what the size of the cell lets expect.
            told = bounds.z is not None or bounds.atoms is not None
            groups = tuple(
                g for g in by_units[units] if possible[g] and (told or bounds.have_room(counts, g))
            )
            if groups:
                found.append(Cells(units, groups))
    if not found:
        _refuse(formula, bounds, largest)
    sized = bounds.cell is not None or bounds.volume is not None
    if not sized and (bounds.z, bounds.atoms, bounds.max_atoms) == (None, None, None):
        found = _of_few_sites(formula, found) or found[:1]
    return tuple(found)


def _of_few_sites(formula: Formula, cells: list[Cells]) -> list[Cells]:
    """What is left of some cells without the groups that need more than ``MOST_SITES`` sites to fill them."""
    result = []
    for c in cells:
        counts = np.array([n * c.units for n in formula.ratio])
        groups = np.array(c.groups)
        sites = np.ceil(counts[None, :] / _largest_position()[groups][:, None]).sum(1)
        if (kept := groups[sites <= MOST_SITES]).size:
            result.append(Cells(c.units, tuple(kept.tolist())))
    return result


@lru_cache(maxsize=1)
def _largest_position() -> np.ndarray:
    """(231,) atoms in the primitive cell on the general position of each space group."""
    return np.array([1, *(max(positions_of(g).size) for g in range(1, 231))])


def _refuse(formula: Formula, bounds: Bounds, largest: int) -> None:
    if bounds.cell is not None or bounds.volume is not None:
        _refuse_size(formula, bounds, largest)
    if len(bounds.groups) == 1:
        open_size = bounds.z is None and bounds.atoms is None
        limit = bounds.max_atoms or (largest if open_size else None)
        try:
            possible_cells(formula, bounds.groups[0], bounds.z, bounds.atoms, limit)
        except OrderError as error:
            raise ImpossibleOrder(str(error)) from None
    if bounds.atoms is not None and bounds.atoms % sum(formula.ratio):
        raise ImpossibleOrder(
            f"{bounds.atoms} atoms are no multiple of the {sum(formula.ratio)} atoms of {formula.name}"
        )
    where = f"in {name_groups(bounds.groups)}" if bounds.groups else "in any space group"
    size = next(
        (
            text
            for value, text in (
                (bounds.z, f"z = {bounds.z}"),
                (bounds.atoms, f"{bounds.atoms} atoms"),
                (largest, f"at most {largest} atoms"),
            )
            if value is not None
        ),
        "",
    )
    raise ImpossibleOrder(
        f"no cell of {formula} with {size} {where}; raise max_atoms or allow other cells or space groups"
    )


def _refuse_size(formula: Formula, bounds: Bounds, largest: int) -> None:
    """Refuse a formula whose number of units the cell's size leaves none for."""
    from crystalsmith.conditions.volumes import volume_of

    open_size = replace(bounds, cell=None, volume=None)
    if not any(c.groups for c in _cells(formula, open_size, largest)):
        return
    unit = volume_of(dict(zip(formula.elements, formula.ratio, strict=True)))
    volume = bounds.volume if bounds.cell is None else bounds.cell.volume
    raise ImpossibleOrder(
        f"no whole number of {formula.name} fills a cell of {volume:.5g} Angstrom^3 in"
        f" {name_groups(bounds.groups) if bounds.groups else 'any space group'}: one takes about {unit:.3g};"
        " check the cell, or give atoms"
    )
