"""Known phases of a formula or a system, the most stable first; as recipes, the one to be asked for first."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from crystalsmith.assignments import Cells, Formula, Request, canonical, from_pairs, to_pairs
from crystalsmith.crystal.elements import NUMBERS, SYMBOLS, formula_order
from crystalsmith.prior.known import Known
from crystalsmith.prior.polymorphs import asked_for
from crystalsmith.prior.prototypes import Key, Prototypes


def phases_of_formula(prototypes: Prototypes, elements: Key, ratio: Key) -> list[int]:
    """Known crystals of a composition, the most stable first, each set of occupied positions once.

    Args:
        prototypes: where from.
        elements: atomic numbers, cations first.
        ratio: atoms of each, up to a common factor.
    """
    return distinct_phases(prototypes, prototypes.of_composition(elements, ratio))


def phases_of_system(prototypes: Prototypes, elements: Sequence[int]) -> list[int]:
    """Known crystals of all of these elements and no others, the most stable first."""
    known = prototypes.known
    asked = np.sort(np.asarray(elements))
    for number, crystals, rows in known.by_number_of_elements():
        if number == len(asked):
            own = (np.sort(known.element[rows], axis=1) == asked).all(axis=1)
            return distinct_phases(prototypes, crystals[own].tolist())
    return []


def known_recipes(prototypes: Prototypes, formula: Formula, cells: Sequence[Cells]) -> list[Request]:
    """Known crystals of a formula as recipes, the one most likely to be asked for first.

    Args:
        prototypes: where from; crystals whose distance to the hull it does not tell are left out.
        formula: what they are made of.
        cells: what is allowed.
    """
    groups = {c.units: set(c.groups) for c in cells}
    elements = tuple(NUMBERS[e] for e in formula.elements)
    rows = []
    for i in phases_of_formula(prototypes, elements, formula.ratio):
        k = prototypes.known[i]
        allowed = k.space_group in groups.get(math.gcd(*k.counts), ())
        if allowed and prototypes.known.above_hull(i) is not None:
            rows.append(i)
    figures, _ = asked_for(prototypes, rows)
    return [recipe_of(prototypes.known[rows[k]]) for k in np.argsort(-figures, kind="stable").tolist()]


def recipe_of(known: Known) -> Request:
    """What a known crystal is made of."""
    symbols = [SYMBOLS[z] for z in known.elements]
    return Request(known.space_group, to_pairs(known.space_group, symbols, known.assignment))


def twin_of(prototypes: Prototypes, request: Request) -> int | None:
    """The most stable known crystal that occupies the positions of a recipe; None if there is none."""
    if any(letter == "*" for _, letter in request.sites):
        return None
    symbols, assignment = from_pairs(request.space_group, request.sites)
    order = sorted(range(len(symbols)), key=lambda k: formula_order(symbols[k]))
    own = canonical(request.space_group, tuple(assignment[k] for k in order))
    elements = tuple(NUMBERS[symbols[k]] for k in order)
    whole = Known(request.space_group, elements, own)
    found = (i for i in phases_of_formula(prototypes, elements, whole.counts) if prototypes.known[i] == whole)
    return next(found, None)


def distinct_phases(prototypes: Prototypes, rows: Sequence[int]) -> list[int]:
    """Known crystals, each set of occupied positions once, the most stable first.

    By distance to the hull, unknown ones last, then the smallest cell and the highest group.
    """
    known = prototypes.known

    def key(i: int) -> tuple[float, int, int, int]:
        above = known.above_hull(i)
        atoms = int(known.atoms[known.start[i] : known.start[i + 1]].sum())
        return math.inf if above is None else above, atoms, -int(known.space_group[i]), i

    result: dict[Known, int] = {}
    for i in sorted(rows, key=key):
        result.setdefault(known[i], i)
    return list(result.values())
