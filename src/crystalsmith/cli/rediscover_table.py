"""The tables of ``crystalsmith rediscover``, after Table 2 of Sultanov et al. 2023."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from rich.console import Group
from rich.table import Table
from rich.text import Text

from crystalsmith.rediscovery.findings import MOMENTS, Finding, count
from crystalsmith.rediscovery.match import TOLERANCES, Cell, cell_text
from crystalsmith.rediscovery.settings import SETTINGS
from crystalsmith.symmetry import lattice_family


def findings_text(findings: Sequence[Finding], folder: Path, elements: Collection[str] = ()) -> Group:
    """A table of the targets for each setting, and how many were recovered.

    Args:
        findings: of a run.
        folder: where its files are.
        elements: those that the model was trained on; others in a target are pointed out.
    """
    parts: list[Table | Text] = []
    for setting in dict.fromkeys(f.setting for f in findings):
        own = [f for f in findings if f.setting == setting]
        parts.append(Text(f"{SETTINGS[setting]}, {max(f.made for f in own)} crystals for each target"))
        parts += [_targets(own), Text("")]
    parts.append(_counts(findings))
    new = sorted({e for f in findings for e in f.target.crystal.counts} - set(elements)) if elements else []
    if new:
        parts.append(Text(f"the model has never seen {', '.join(new)}"))
    failures = sum(len(f.failures) for f in findings)
    if failures:
        parts.append(Text(f"{failures} crystals could not be compared; see {folder / 'results.json'}"))
    parts.append(
        Text(
            "conventional cells in Angstrom, in the axes of the reference, of one matching crystal;"
            f" distance: of its atoms, in (volume / atoms)^(1/3); files in {folder}"
        )
    )
    return Group(*parts)


def _targets(findings: Sequence[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("target", no_wrap=True)
    table.add_column("formula", no_wrap=True)
    table.add_column("family and group", no_wrap=True)
    for name in ("sampled", "relaxed", "reference"):
        table.add_column(name)
    table.add_column("distance", justify="right")
    table.add_column("matches", justify="right")
    table.add_column("first at rank", justify="right")
    for f in findings:
        crystal = f.target.crystal
        group = crystal.space_group
        before, after = f.cells
        distances = ["-" if f.shown is None else _number(f.shown.rms(m)) for m in MOMENTS]
        matches = f"{len(f.matches('before'))}, {len(f.matches('after'))}"
        ranks = [f.first_rank(moment) for moment in MOMENTS]
        table.add_row(
            f.target.id,
            crystal.formula,
            f"{lattice_family(group)}, {group}",
            "not found" if f.shown is None else _cell(before, group),
            _cell(after, group),
            cell_text(crystal.cell, group),
            ", ".join(distances),
            matches,
            ", ".join("-" if r is None else str(r) for r in ranks),
        )
    return table


def _cell(cell: Cell | None, group: int) -> str:
    return "-" if cell is None else cell_text(cell, group)


def _number(x: float | None) -> str:
    return "-" if x is None else f"{x:.3f}"


def _counts(findings: Sequence[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("targets recovered")
    table.add_column("tolerances")
    for name in ("as generated", "relaxed", "ranked first", "ranked first, relaxed", "lowest energy"):
        table.add_column(name, justify="right")
    for c in count(findings):
        tolerances = next(t for t in TOLERANCES if t.name == c.tolerances)
        table.add_row(
            f"{c.setting}, of {c.targets}",
            f"{c.tolerances} ({tolerances.length}, {tolerances.site}, {tolerances.angle:g})",
            *(str(n) for n in (c.before, c.after, c.top_before, c.top_after, c.lowest)),
        )
    return table
