"""The table that a run ends with, on standard output."""

from __future__ import annotations

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from crystalsmith.generation import RunFolder
from crystalsmith.orders import Order

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel

_ROWS = 40
_FORMULAS = 3
_WIDTH = 120  # of a table that goes into a file or pipe


def print_summary(
    folder: RunFolder, manifest: dict[str, Any], before: int, seconds: float, model: AnyModel
) -> None:
    """Print what a run made, order by order.

    Args:
        folder: the run.
        manifest: its manifest.
        before: crystals that were there when this process began.
        seconds: that this process took.
        model: that made it.
    """
    made: dict[str, Counter[str]] = {order.id: Counter() for order in folder.orders}
    letters: dict[str, set[str]] = {order.id: set() for order in folder.orders}
    for entry in folder.entries():
        if entry.crystal is not None:
            made[entry.order_id][entry.crystal.formula] += 1
            letters[entry.order_id].add(entry.crystal.wyckoff)
    table = Table(box=None, pad_edge=False)
    for name, justify in (
        ("order", "left"),
        ("space group", "left"),
        ("made", "right"),
        ("formulas", "left"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    table.add_column("letters", justify="right")
    for order in folder.orders[:_ROWS]:
        table.add_row(
            order.id,
            order.groups_name,
            f"{made[order.id].total()}/{order.count}",
            _formulas(made[order.id]),
            _choices(order, len(letters[order.id]), model),
        )
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    console.print(table)
    if len(folder.orders) > _ROWS:
        console.print(f"... and {len(folder.orders) - _ROWS} more orders")
    fresh = folder.settled - before
    done = "all of them made before" if not fresh else f"{fresh} made now in {seconds:.1f} s"
    notes = [f"{manifest['crystals']} of {manifest['asked']} crystals in {folder.path}", done]
    if manifest["resampled"]:
        notes.append(f"{manifest['resampled']} made again")
    if folder.scores is not None:
        notes.append(_judges(folder))
    if manifest["failures"]:
        notes.append(f"{len(manifest['failures'])} given up, see {folder.path / 'manifest.json'}")
    console.print("; ".join(notes), soft_wrap=True, highlight=False)


def _judges(folder: RunFolder) -> str:
    """How many drafts were made of each crystal, and what their judges took."""
    took = [f"{name} {values['seconds']:.1f} s" for name, values in folder.judge_timings().items() if values]
    judges = ", ".join(took) or "validity"
    return f"best of {folder.best_of} drafts by {judges}" if folder.best_of > 1 else f"scored by {judges}"


def _formulas(counts: Counter[str]) -> str:
    shown = [formula + (f" x{n}" if n > 1 else "") for formula, n in counts.most_common(_FORMULAS)]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _choices(order: Order, drawn: int, model: AnyModel) -> str:
    """How many sets of letters were drawn, of how many."""
    if model.method == "paper":
        return f"{drawn} found"
    if order.wyckoff is not None:
        return "given"
    choices = order.content.choices(order.bounds, model.max_atoms)
    return str(drawn) if choices is None else f"{drawn} of {choices:,}"
