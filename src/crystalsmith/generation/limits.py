"""What a model can be asked for, and the settings of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crystalsmith.errors import ConfigError, OrderError
from crystalsmith.generation.orders import Order

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel

BATCH_ATOMS = 512
"""Atoms in the primitive cells of one batch, about 40 crystals; larger ones are hardly faster."""

MAX_TRIES = 10
"""Tries for one crystal before it is given up."""

LETTERS = ("analogues", "frequencies")
"""Where the letters come from that an order leaves open: similar crystals of the training set first, or only
how often each position is occupied. The first is right far more often, the second more inventive."""

MAX_ATOMS = 1000
"""Primitive cells beyond this are refused even when their letters are given."""


class OrderWarning(UserWarning):
    """An order that the model can serve only beyond what it was trained for, or a crystal that it gave up."""


def check_orders(orders: Sequence[Order], model: AnyModel) -> list[str]:
    """Compare orders with what the model was trained for.

    Returns:
        Warnings, one line each.

    Raises:
        OrderError: an order that no crystal within the model's limit satisfies.
    """
    notes = []
    for order in orders:
        if order.space_group < model.least_group:
            raise OrderError(
                f"order {order.id}: the {model.method} method makes crystals of space groups"
                f" {model.least_group} to 230, not {order.space_group}; use the default method"
            )
        least, limit = order.content.fewest_atoms(order.group), model.max_atoms
        if order.wyckoff is not None:
            limit = max(limit, MAX_ATOMS)
        if order.wyckoff is not None and model.method == "paper":
            notes.append(
                f"order {order.id}: the paper's method finds the letters of its sites itself; it takes"
                " elements and numbers of sites from this order, not its letters"
            )
        where = f"order {order.id}: space group {order.space_group} ({order.group.symbol})"
        if model.max_atoms < least <= limit:
            notes.append(
                f"{where} with these letters has {least} atoms in the primitive cell; the model was trained"
                f" on at most {model.max_atoms}, so expect little"
            )
        elif least > limit:
            raise OrderError(
                f"{where} needs at least {least} atoms in the primitive cell for these sites; the limit is"
                f" {limit}: ask for fewer sites or another space group"
            )
    new = sorted({e for order in orders for e in order.content.elements} - set(model.elements))
    if new:
        notes.append(
            f"the model has never seen {', '.join(new)} in training; crystals that hold them are guesses"
        )
    return notes


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
        raise ConfigError(f"letters come from {' or '.join(LETTERS)}, not from {letters!r}")
    return letters


def positive(name: str, value: object) -> int:
    """A whole number from 1.

    Raises:
        ConfigError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value
