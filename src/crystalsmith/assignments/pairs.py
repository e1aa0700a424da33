"""Assignments as orders write them: a list of (element, letter), and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crystalsmith.assignments.equivalence import Assignment
from crystalsmith.assignments.positions import positions_of
from crystalsmith.crystal.elements import NUMBERS, formula_order
from crystalsmith.errors import OrderError
from crystalsmith.symmetry import space_group

Pairs = tuple[tuple[str, str], ...]
"""(element, letter) of every site; an order takes it as its ``wyckoff``."""


def to_pairs(number: int, elements: Sequence[str], assignment: Assignment) -> Pairs:
    """(element, letter) of every site, element after element, letters ascending.

    Args:
        number: space group, 1 to 230.
        elements: symbols, as many as the assignment has elements.
        assignment: for each element its positions, counted within the group from 0.
    """
    letters = list(space_group(number).wyckoff)
    return tuple(
        (element, letters[p]) for element, own in zip(elements, assignment, strict=True) for p in own
    )


def from_pairs(number: int, pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, ...], Assignment]:
    """The elements of some (element, letter), cations first, and their assignment.

    It is the assignment of these letters; see ``canonical`` for the one that stands for all equivalent ones.

    Args:
        number: space group, 1 to 230.
        pairs: (element, letter) of every site, in any order.

    Raises:
        OrderError: an unknown element, or a letter without freedom that is given twice.
        SymmetryError: no such letter in the group.
    """
    group, first = space_group(number), positions_of(number).first
    positions: dict[str, list[int]] = {}
    taken: set[str] = set()
    for element, letter in pairs:
        if element not in NUMBERS:
            raise OrderError(f"unknown element {element!r}; give a symbol such as Na")
        position = group.position(letter)
        if position.dof == 0 and letter in taken:
            raise OrderError(
                f"letter {letter} of {group.symbol} ({group.number}) has no free parameter and cannot be"
                " given twice"
            )
        taken.add(letter)
        positions.setdefault(element, []).append(position.index - first)
    elements = tuple(sorted(positions, key=formula_order))
    return elements, tuple(tuple(sorted(positions[element])) for element in elements)
