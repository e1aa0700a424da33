"""What a run has made, order by order, for people."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from crystalsmith.orders import Order
from crystalsmith.orders.bounds import searched

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.generation.run import GenerationResult

_ROWS = 40
_FORMULAS = 3


def order_table(result: GenerationResult, model: AnyModel) -> Any:
    """A table for rich: what was made of each order."""
    from rich.table import Table

    made: dict[str, Counter[str]] = defaultdict(Counter)
    letters: dict[str, set[str]] = defaultdict(set)
    for r in result.ranked:
        if r.entry.crystal is not None:
            made[r.order.id][r.entry.crystal.formula] += 1
            letters[r.order.id].add(r.entry.crystal.wyckoff)
    more = len(result.orders) - _ROWS
    caption = f"... and {more} more orders" if more > 0 else None
    table = Table(box=None, pad_edge=False, caption=caption, caption_justify="left")
    for name in ("order", "space group", "atoms", "made", "formulas", "letters"):
        justify: Any = "right" if name in ("made", "letters") else "left"
        table.add_column(name, justify=justify, overflow="fold")
    for order in result.orders[:_ROWS]:
        table.add_row(
            order.id,
            order.groups_name,
            _atoms(order, model),
            f"{made[order.id].total()}/{order.count}",
            _formulas(made[order.id]),
            _choices(order, len(letters[order.id]), model),
        )
    return table


def last_line(result: GenerationResult) -> str:
    """How much was made, how, and what was not."""
    manifest = result.manifest
    done = f"{result.made_now} made now in {result.seconds:.1f} s"
    notes = [
        f"{manifest['crystals']} of {manifest['asked']} crystals in {result.folder}",
        done if result.made_now else "all of them made before",
    ]
    if manifest["resampled"]:
        notes.append(f"{manifest['resampled']} made again")
    if "judges" in manifest["run"]:
        notes.append(_judges(manifest))
    if manifest["failures"]:
        notes.append(f"{len(manifest['failures'])} given up, see {result.folder / 'manifest.json'}")
    if result.refused:
        asked = len(result.orders) + len(result.refused)
        notes.append(f"{len(result.refused)} of {asked} orders are impossible and were left out")
    return "; ".join(notes)


def _judges(manifest: Any) -> str:
    """How many drafts were made of each crystal, and what their judges took."""
    timings = manifest["timings"].get("judges", {})
    took = [f"{name} {values['seconds']:.1f} s" for name, values in timings.items() if values]
    judges, drafts = ", ".join(took) or "validity", manifest["run"]["best_of"]
    return f"best of {drafts} drafts by {judges}" if drafts > 1 else f"scored by {judges}"


def _formulas(counts: Counter[str]) -> str:
    shown = [formula + (f" x{n}" if n > 1 else "") for formula, n in counts.most_common(_FORMULAS)]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _atoms(order: Order, model: AnyModel) -> str:
    """Atoms in the primitive cells that were looked at."""
    if model.method == "paper":
        return "found"
    most = order.content.looked_at(order.bounds, searched(model.max_atoms))
    settled = order.wyckoff is not None or order.z is not None or order.atoms is not None
    return f"{most}" if settled else f"up to {most}"


def _choices(order: Order, drawn: int, model: AnyModel) -> str:
    """How many sets of letters were drawn, of how many."""
    if model.method == "paper":
        return f"{drawn} found"
    if order.wyckoff is not None:
        return "given"
    choices = order.content.choices(order.bounds, searched(model.max_atoms))
    return str(drawn) if choices is None else f"{drawn} of {choices:,}"
