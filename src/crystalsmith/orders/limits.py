"""What a model can be asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.assignments import Request
from crystalsmith.errors import ConfigError, ImpossibleOrder
from crystalsmith.orders.bounds import searched
from crystalsmith.orders.formula import FormulaKind
from crystalsmith.orders.letters import Letters
from crystalsmith.orders.order import Order
from crystalsmith.orders.room import check_room
from crystalsmith.orders.settings import LETTERS
from crystalsmith.orders.sources import Learned, learned_source

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel

MAX_ATOMS = 1000
"""Primitive cells beyond this are refused even when their letters are given."""


class OrderWarning(UserWarning):
    """An order that the model can serve only beyond what it was trained for, or a crystal that it gave up."""


@dataclass(frozen=True)
class Refusal:
    """An order that is not carried out, and why, in one line."""

    order: Order
    reason: str

    def __str__(self) -> str:
        where = f"{self.order.place} ({self.order.id})" if self.order.place else f"order {self.order.id}"
        return f"{where}: {self.reason}"


@dataclass(frozen=True)
class Checked:
    """Orders sorted out.

    Attributes:
        orders: that can be carried out.
        refused: that cannot.
        notes: warnings, one line each.
    """

    orders: list[Order]
    refused: list[Refusal]
    notes: list[str]


def sort_out(
    orders: Sequence[Order], model: AnyModel, letters: str = LETTERS[0], new_only: bool = False
) -> Checked:
    """Compare orders with what the model was trained for, and with what is possible at all.

    Args:
        orders: what is asked for.
        model: of any method.
        letters: one of ``LETTERS``.
        new_only: refuse letters that are those of a known crystal.

    Raises:
        OrderError: no order can be carried out, with the reason of the first.
    """
    result = Checked([], [], [])
    resolve_letters(letters)
    learned: Learned | None = None
    for order in orders:
        try:
            notes = _check(order, model)
            if order.formula is not None or order.system is not None:
                learned = learned or learned_source(model)
                _check_open(order, model, learned, letters)
            if new_only and isinstance(order.content, Letters):
                _check_new(Request(order.bounds.groups[0], order.content.pairs), model)
            result.orders.append(order)
            result.notes.extend(notes)
        except ImpossibleOrder as error:
            result.refused.append(Refusal(order, str(error)))
    if not result.orders:
        more = f" (and {len(result.refused) - 1} more orders)" if len(result.refused) > 1 else ""
        raise ImpossibleOrder(f"{result.refused[0]}{more}")
    new = sorted({e for order in result.orders for e in order.content.elements} - set(model.elements))
    if new:
        result.notes.append(
            f"the model has never seen {', '.join(new)} in training; crystals that hold them are guesses"
        )
    return result


def check_orders(
    orders: Sequence[Order], model: AnyModel, letters: str = LETTERS[0], new_only: bool = False
) -> list[str]:
    """As ``sort_out``, where every order must be possible.

    Returns:
        Warnings, one line each.

    Raises:
        OrderError: an order that no crystal within the model's limit satisfies.
    """
    checked = sort_out(orders, model, letters, new_only)
    if checked.refused:
        raise ImpossibleOrder(str(checked.refused[0]))
    return checked.notes


def _check(order: Order, model: AnyModel) -> list[str]:
    """Warnings about one order; raises ImpossibleOrder."""
    return [*_reduced(order), *_check_size(order, model)]


def _reduced(order: Order) -> list[str]:
    """A note where cells may hold less of a formula than was written."""
    if not isinstance(order.content, FormulaKind) or order.z is not None or order.atoms is not None:
        return []
    formula = order.content.formula
    if formula.units == 1:
        return []
    return [
        f"order {order.id}: {formula} is {formula.units} units of {formula.name}, and cells of any number of"
        " these are made; give z or atoms to fix it"
    ]


def _check_size(order: Order, model: AnyModel) -> list[str]:
    groups = order.bounds.groups
    if model.method == "paper":
        _check_paper(order, model)
        if order.wyckoff is not None:
            return [
                f"order {order.id}: the paper's method finds the letters of its sites itself; it takes"
                " elements and numbers of sites from this order, not its letters"
            ]
    least = order.content.check(order.bounds, searched(model.max_atoms))
    limit = MAX_ATOMS if order.wyckoff is not None else max(model.max_atoms, order.max_atoms or 0)
    if order.formula is not None:
        limit = MAX_ATOMS
    if least > limit:
        where = f"space group {order.groups_name}" if groups else "it"
        sites, mend = " for these sites", "fewer sites or another space group"
        if order.formula is not None:
            sites, mend = "", "a smaller cell or formula"
        raise ImpossibleOrder(
            f"{where} needs at least {least} atoms in the primitive cell{sites}; the limit is {limit}: ask"
            f" for {mend}"
        )
    check_room(order, least, order.bounds.largest(limit))
    largest = max(least, order.max_atoms or 0)
    if largest > model.max_atoms:
        what = "has" if least == largest else "may have"
        return [
            f"order {order.id} {what} {largest} atoms in the primitive cell; the model was trained on at"
            f" most {model.max_atoms}, so expect little of the larger ones"
        ]
    return []


def _check_open(order: Order, model: AnyModel, learned: Learned | None, letters: str) -> None:
    """Refuse an order for a formula or a system for which there is no learned prior, or no recipe."""
    if learned is None:
        raise ImpossibleOrder(
            f"orders for a {order.content.key} need a learned prior over Wyckoff positions, which this"
            " checkpoint lacks; add one with crystalsmith train-prior"
        )
    if letters == "frequencies":
        raise ImpossibleOrder(
            f"orders for a {order.content.key} need the learned prior; leave --letters frequencies out"
        )
    if order.system is not None:
        # As ``Learned.draw_system`` does where luck is against a crystal.
        order.content.draw(order.bounds, learned, searched(model.max_atoms), np.random.default_rng(0))


def _check_new(recipe: Request, model: AnyModel) -> None:
    """Refuse letters that are those of a known crystal."""
    learned = learned_source(model)
    name = "" if learned is None else learned.known_as(recipe)
    if name:
        raise ImpossibleOrder(f"its letters are those of {name}, which is known; leave --new-only out")


def _check_paper(order: Order, model: AnyModel) -> None:
    if order.sites is None and order.wyckoff is None:
        raise ImpossibleOrder(
            "the paper's method takes numbers of sites, and no exact composition; use the default method"
        )
    if order.terms:
        raise ImpossibleOrder(
            f"the paper's method knows no {next(iter(order.terms.values))}; use the default method"
        )
    wrong = [g for g in order.bounds.groups if g < model.least_group]
    if wrong:
        raise ImpossibleOrder(
            f"the paper's method makes crystals of space groups {model.least_group} to 230, not {wrong[0]};"
            " use the default method"
        )


def choose_sampler(method: str, sampler: str | None, steps: int | None) -> tuple[str, int]:
    """Name and steps of the sampler, the method's defaults filled in.

    Raises:
        ConfigError: unknown sampler, or steps that are no number of them.
    """
    from crystalsmith.diffusion import resolve_sampler

    return resolve_sampler(method, sampler, None if steps is None else positive("steps", steps))


def resolve_letters(letters: str) -> str:
    """A member of ``LETTERS``.

    Raises:
        ConfigError: anything else.
    """
    if letters not in LETTERS:
        raise ConfigError(f"letters are {' or '.join(LETTERS)}, not {letters!r}")
    return letters


def positive(name: str, value: object) -> int:
    """A whole number from 1.

    Raises:
        ConfigError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value
