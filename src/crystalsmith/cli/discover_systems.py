"""``crystalsmith discover SYSTEMS.txt``: many chemical systems in one folder."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.errors import DiscoveryError

if TYPE_CHECKING:
    from crystalsmith.discovery.many import Campaign
    from crystalsmith.discovery.report.row import SystemRow

SHOWN = 10
"""Systems in the table at the end, the best first."""


def run_list(args: argparse.Namespace, arguments: dict[str, Any]) -> int:
    """Carry out the command with a file of systems; exit status: 1 where nothing came of some."""
    from crystalsmith.cli.output import emit
    from crystalsmith.discovery.many import discover_systems_into
    from crystalsmith.discovery.means import check_needs
    from crystalsmith.discovery.settings import DiscoverySettings
    from crystalsmith.discovery.systems import check_systems, read_systems
    from crystalsmith.hull.system import load_hull
    from crystalsmith.runs.progress import Display

    if args.materials_project:
        raise DiscoveryError(
            "a list of systems has no DFT inputs made for it; give --materials-project to crystalsmith dft"
            " inputs"
        )
    listed = read_systems(args.system)
    settings = options.settings_from(
        args, DiscoverySettings, system=listed[0][1], potential=args.potential, known=tuple(args.known)
    )
    check_needs(settings, database=args.database)
    hull = load_hull(args.potential, args.references, args.entries)
    check_systems(listed, hull)
    began = time.monotonic()
    with Display(quiet=args.quiet) as progress:
        campaign = discover_systems_into(
            listed,
            settings,
            args.output,
            model=options.load(args),  # type: ignore[arg-type]
            hull=hull,
            database=args.database,
            arguments=arguments,
            workers=args.workers,
            engine=args.engine,
            overwrite=args.overwrite,
            progress=progress,
            finished=lambda row: None if args.quiet else print(_line(row), flush=True),
        )
    emit(campaign, None if args.quiet else _text(campaign, time.monotonic() - began))
    return 1 if campaign.failures else 0


def _line(row: SystemRow) -> str:
    if row.failure:
        return f"{row.system}: failed: {row.failure}"
    best = f", {row.formula} {row.best:+.3f} eV/atom above the hull" if row.best is not None else ""
    return (
        f"{row.system}: {row.candidates:,} candidates, {row.unique:,} unique, {row.near:,} near the hull,"
        f" {row.new:,} new{best}"
    )


def _text(campaign: Campaign, seconds: float) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from crystalsmith.reports.words import duration
    from crystalsmith.symmetry import space_group

    table = Table(box=None, pad_edge=False)
    for name in ("system", "best", "space group"):
        table.add_column(name, no_wrap=True)
    for name in ("above hull eV/atom", "near the hull", "new"):
        table.add_column(name, justify="right")
    found = [row for row in campaign.rows if row.best is not None]
    for row in sorted(found, key=lambda r: r.best or 0.0)[:SHOWN]:
        symbol = space_group(row.space_group).symbol if row.space_group else ""
        table.add_row(row.system, row.formula, symbol, f"{row.best:+.3f}", str(row.near), str(row.new))
    failed = [Text(f"{name} failed: {why}") for name, why in list(campaign.failures.items())[:SHOWN]]
    lines = [
        *("", f"{campaign.folder / 'report.html'}, systems.csv; a page for each system in systems/"),
        f"{campaign}; {duration(seconds)}",
    ]
    return Group(Text(""), *([table] if found else []), *failed, *map(Text, lines))
