"""Which cells an order for a composition allows, and why there is none."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from crystalsmith.assignments.formula import Formula
from crystalsmith.assignments.nearest import (
    cell_counts,
    check_whole,
    nearest_groups,
    nearest_possible,
)
from crystalsmith.assignments.positions import positions_of
from crystalsmith.assignments.possible_groups import is_possible
from crystalsmith.errors import OrderError
from crystalsmith.symmetry import space_group

LARGEST = 1000
"""Atoms in a primitive cell; more are taken for a mistake."""

DEFAULT_MAX_ATOMS = 20
"""Largest primitive cell where neither ``z`` nor ``atoms`` nor a limit is given."""


@dataclass(frozen=True)
class Cell:
    """How much of a formula a cell holds.

    Attributes:
        z: formula units, as the formula was written, in the conventional cell.
        counts: atoms of each element in the primitive cell, in the formula's order.
    """

    z: int
    counts: tuple[int, ...]

    @property
    def atoms(self) -> int:
        """Atoms in the primitive cell."""
        return sum(self.counts)


@dataclass(frozen=True)
class Cells:
    """The cells of one size that an order for a composition allows.

    Attributes:
        units: smallest formula units in the primitive cell.
        groups: space groups that may be; only possible ones.
    """

    units: int
    groups: tuple[int, ...]


def possible_cells(
    formula: Formula,
    number: int,
    z: int | None = None,
    atoms: int | None = None,
    max_atoms: int | None = None,
) -> list[Cell]:
    """The cells for which there is any assignment, small ones first; never an empty list.

    Args:
        formula: what is in the cell.
        number: space group, 1 to 230.
        z: formula units in the conventional cell; one cell then.
        atoms: or atoms in the primitive cell, exactly; one cell then.
        max_atoms: largest primitive cell; ``DEFAULT_MAX_ATOMS`` if nothing is given.

    Raises:
        OrderError: numbers that are not from 1 on, both ``z`` and ``atoms``, or an impossible order: with the
            reason and what is possible near it.
    """
    for value, what in ((z, "z"), (atoms, "atoms"), (max_atoms, "max_atoms")):
        if value is not None:
            check_whole(value, what)
    if z is not None and atoms is not None:
        raise OrderError("z and atoms both tell how large the cell is; give one of them")
    if max_atoms is not None and max_atoms > LARGEST:
        raise OrderError(f"cells of up to {max_atoms} atoms are too large; ask for at most {LARGEST}")
    if z is None and atoms is None:
        return _up_to(formula, number, max_atoms or DEFAULT_MAX_ATOMS)
    return [_one(formula, number, z, atoms, max_atoms or LARGEST)]


def _cells(formula: Formula, number: int, max_atoms: int) -> Iterator[Cell]:
    for z in range(1, max_atoms * positions_of(number).centring // formula.n_atoms + 1):
        counts = cell_counts(formula, number, z)
        if counts is not None and is_possible(number, counts):
            yield Cell(z, counts)


def _up_to(formula: Formula, number: int, max_atoms: int) -> list[Cell]:
    if cells := list(_cells(formula, number, max_atoms)):
        return cells
    larger = next(_cells(formula, number, LARGEST), None)
    reason = f"no primitive cell of up to {max_atoms} atoms in {_name(number)} holds {formula}"
    if larger:
        hints = [f"the smallest possible has {larger.atoms} atoms, z = {larger.z}"]
    else:
        hints = [f"nor does one of up to {LARGEST}"]
    groups = nearest_groups(number, lambda g: next(_cells(formula, g, max_atoms), None) is not None)
    if groups:
        hints.append(f"cells so small are possible in {', '.join(map(_name, groups))}")
    raise OrderError("; ".join([reason, *hints]))


def _one(formula: Formula, number: int, z: int | None, atoms: int | None, limit: int) -> Cell:
    """The cell of z formula units, or of so many atoms."""
    centring = positions_of(number).centring
    units = Fraction((atoms or 0) * centring, formula.n_atoms) if z is None else Fraction(z)
    size = units * formula.n_atoms / centring
    asked = f"{atoms} atoms" if z is None else f"z = {z}"
    smallest = sum(formula.ratio)
    counts = cell_counts(formula, number, int(units)) if units.denominator == 1 else None
    same = True  # whether other groups can be named for it
    if size > limit:
        reason = f"{asked} of {formula}: the primitive cell of {_name(number)} would hold {size} atoms,"
        reason, same = f"{reason} more than the limit of {limit}", False
    elif z is None and size % smallest:
        reason = f"{asked} are no multiple of the {smallest} atoms of {formula.name}"
        same = False
    elif counts is None and z is None:
        reason = f"{asked} in the primitive cell of {_name(number)} are z = {units} of {formula};"
        reason, same = f"{reason} write it as {formula.name}", False
    elif counts is None:
        reason = f"{asked} of {formula} does not fill the {centring} primitive cells in the conventional one"
        reason = f"{reason} of {_name(number)} alike: {Fraction(z or 0, centring)} formula units in each"
    elif is_possible(number, counts):
        return Cell(int(units), counts)
    else:
        reason = _no_combination(formula, number, counts)
    room = min(limit, max(60, 2 * math.ceil(size), 8 * smallest))
    near = nearest_possible(formula, number, max(1, round(units)), room)
    hints = []
    if near.z:
        numbers = sorted(near.z if z is not None else (k * formula.n_atoms // centring for k in near.z))
        unit = "z = {}" if z is not None else "{} atoms"
        hints.append(f"possible in {_name(number)}: {unit.format(', '.join(map(str, numbers)))}")
    if same and near.space_groups:
        what = f"z = {z}" if counts is None else "this primitive cell"
        hints.append(f"{what} is possible in {', '.join(map(_name, near.space_groups))}")
    raise OrderError("; ".join([reason, *hints]))


def _no_combination(formula: Formula, number: int, counts: tuple[int, ...]) -> str:
    sizes = ", ".join(map(str, sorted(set(positions_of(number).size))))
    atoms = [f"{n} {element}" for element, n in zip(formula.elements, counts, strict=True)]
    alone = [a for a, n in zip(atoms, counts, strict=True) if not is_possible(number, (n,))]
    shared = "none serves all elements, as points without freedom are taken once"
    why = f"none makes {alone[0]}" if alone else shared
    return (
        f"no combination of the Wyckoff positions of {_name(number)}, of {sizes} atoms in the primitive cell,"
        f" makes {', '.join(atoms)}: {why}"
    )


def _name(number: int) -> str:
    return f"{space_group(number).symbol} ({number})"
