"""The table of an evaluation on the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from crystalsmith.evaluation.figures import Column, Evaluation, Figure, rate_table

if TYPE_CHECKING:
    from rich.console import Console


def print_evaluation(evaluation: Evaluation, console: Console) -> None:
    """Figures, match rates by freedom, failures and notes."""
    from rich.table import Table

    e = evaluation
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"against {e.reference} ({e.kept})", no_wrap=True)
    for column in e.columns:
        table.add_column(f"{column.name} ({column.size:,})", justify="right")
    table.add_column("rests on", justify="right", style="dim")
    for measure in e.measures():
        unit = " %" if measure.share else ""
        figures = [column.figures.get(measure.key) for column in e.columns]
        numbers = dict.fromkeys(f"{f.n:,}" for f in figures if f is not None)
        table.add_row(measure.label + unit, *map(_cell, figures), " / ".join(numbers))
    console.print(table)
    console.print(
        f"[dim]95 % bootstrap intervals; coverage and CrystalNN distance: variant {e.settings['variant']}[/]"
    )
    for kind, heading in (("freedom", "free parameters"), ("atoms", "atoms in the primitive cell")):
        columns = [c for c in e.columns if c.tables.get(kind)]
        if columns:
            console.print()
            console.print(_bins(columns, kind, heading))
    for column in e.columns:
        if column.failures:
            name, reason = column.failures[0]
            console.print(
                f"{column.name}: {len(column.failures)} of {column.size} are no crystals and count as"
                f" failures; the first: {name}: {reason}",
                soft_wrap=True,
                markup=False,
            )
    for note in e.notes:
        console.print(f"note: {note}", soft_wrap=True, markup=False)


def _cell(figure: Figure | None) -> str:
    if figure is None or math.isnan(figure.value):
        return "-"
    value, bracket, interval = figure.text().partition(" [")
    return f"{value} [dim]\\[{interval}[/]" if bracket else value


def _bins(columns: list[Column], kind: str, heading: str) -> object:
    from rich.table import Table

    head, rows = rate_table(columns, kind)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(f"match rate % (RMSE) by {heading}", no_wrap=True)
    for name in head:
        table.add_column(name, justify="right")
    for row in rows:
        table.add_row(*row)
    return table
