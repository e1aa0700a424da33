"""Orders whose targets are known: for crystals of a reference, what a model is told of them."""

from __future__ import annotations

from collections import Counter
from math import gcd
from typing import Any

import numpy as np

from crystalsmith.conditions import reduced_cell
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.elements import reduced_formula
from crystalsmith.crystal.io import warn_first
from crystalsmith.errors import EvaluationError, OrderError
from crystalsmith.evaluation.samples import SampleSet
from crystalsmith.orders import parse_order

GIVEN = ("sites", "wyckoff", "formula", "group", "atoms", "cell", "name")
"""What an order tells: the space group with the inequivalent sites by element (the paper's setting), or with
their letters, or with the formula and Z, or with the formula and no size (``group``); or, no space group
told, formula and atoms in the primitive cell (``atoms``), the same with a primitive cell, reduced (``cell``),
or the formula and nothing else (``name``)."""


def target_orders(
    reference: SampleSet,
    number: int | None = None,
    *,
    give: str = "sites",
    count: int = 1,
    space_groups: tuple[int, int] = (1, 230),
    max_atoms: int | None = None,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Orders for random crystals of a reference, under their ids.

    Args:
        reference: real crystals; ids that repeat or that no order may have are mended.
        number: how many orders; all that qualify, in the reference's order, if None.
        give: one of ``GIVEN``.
        count: crystals of each order.
        space_groups: smallest and largest space group.
        max_atoms: largest primitive cell.
        seed: of the choice.

    Returns:
        Mappings as ``generation.parse_order`` takes them.

    Raises:
        EvaluationError: too few crystals qualify, or no order can be made of a crystal.
    """
    if give not in GIVEN:
        raise EvaluationError(f"an order gives {' or '.join(GIVEN)}, not {give!r}")
    warn_first([f"{s.id} is left out: {s.failure}" for s in reference.failures])
    rows = np.arange(len(reference))
    if number is not None:
        rows = np.random.default_rng(seed).permutation(rows)
    orders: list[dict[str, Any]] = []
    for row in rows:
        if len(orders) == number:
            break
        sample = reference.samples[int(row)]
        crystal = sample.standard
        if crystal is None or not space_groups[0] <= crystal.space_group <= space_groups[1]:
            continue
        if max_atoms is not None and crystal.n_atoms > max_atoms:
            continue
        name = reference.order_ids[int(row)]
        order = {"id": name, **_given(crystal, give)}
        try:
            parse_order({**order, "count": count})
        except OrderError as error:
            raise EvaluationError(f"{reference.name}: no order can be made of {sample.id}: {error}") from None
        orders.append({**order, "count": count})
    if not orders or (number is not None and len(orders) < number):
        raise EvaluationError(f"only {len(orders)} crystals of {reference.name} qualify; ask for fewer")
    return orders


def _given(crystal: Crystal, give: str) -> dict[str, Any]:
    group = {"space_group": crystal.space_group}
    if give == "sites":
        return {**group, "sites": dict(Counter(site.element for site in crystal.sites))}
    if give == "wyckoff":
        return {**group, "wyckoff": [[site.element, site.letter] for site in crystal.sites]}
    counts: Counter[str] = Counter()
    for site, position in zip(crystal.sites, crystal.positions_of_sites, strict=True):
        counts[site.element] += position.multiplicity
    formula = {"formula": reduced_formula(counts)}
    if give == "formula":
        return {**group, **formula, "z": gcd(*counts.values())}
    if give == "group":
        return {**group, **formula}
    if give == "name":
        return formula
    cell = {} if give == "atoms" else {"primitive_cell": reduced_cell(crystal.primitive_lattice)}
    return {**formula, "atoms": crystal.n_atoms, **cell}
