"""``crystalsmith discover``: from a chemical system to a short list of stable new crystals."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.errors import DiscoveryError

if TYPE_CHECKING:
    from crystalsmith.discovery.run import Outcome
    from crystalsmith.discovery.summary import StageCount

_EXAMPLES = """\
examples:
  crystalsmith discover Cu-K-Si -o runs/cuksi
  crystalsmith discover Cu-K-Si --common --samples 60 -o runs/cuksi-grid
  crystalsmith discover Li-P-S --space-groups 60-230 -n 5000 --minutes 120 -o runs/lips
  crystalsmith discover systems.txt -n 500 --engine slurm -o runs/many    # a system a line
  crystalsmith discover Fe-Sn-Ta --formulas Fe2TaSn,Fe3Ta2Sn --known mine/ -o runs/fesnta
  ase db runs/cuksi/crystals.db stage=free -c formula,space_group,above_hull -s above_hull
"""

_WHAT = (
    *("crystals", "space_groups", "common", "formulas", "samples", "sites", "max_sites", "max_atoms"),
    *("competitors", "seed"),
)
_FUNNEL = (
    *("keep_scored", "keep_energies", "keep_relaxed", "per_formula", "shortlist", "phonons"),
    *("max_above_hull", "minutes"),
)


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "discover",
        help="search a chemical system for stable new crystals",
        description="Generate crystals of a chemical system, or of each of a list, filter and relax them,"
        " compare them with the convex hull of known phases, and report a short list. Interrupted, the same"
        " command goes on where it stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=add_options,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    from crystalsmith.cli.hull import add_hull_options
    from crystalsmith.discovery.settings import DiscoverySettings

    parser.add_argument(
        "system",
        metavar="SYSTEM",
        help="two to six elements, such as Cu-K-Si; or a file of such systems, one a line",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder of the run")
    what = parser.add_argument_group("what to generate")
    options.add_settings(what, DiscoverySettings, only=_WHAT)
    options.add_settings(parser.add_argument_group("how many go on"), DiscoverySettings, only=_FUNNEL)
    relaxing = parser.add_argument_group("energies")
    add_hull_options(relaxing)  # type: ignore[arg-type]
    options.add_settings(relaxing, DiscoverySettings, only=("max_calls", "fmax", "smax", "seconds"))
    known = parser.add_argument_group("what is known")
    known.add_argument(
        "--known",
        action="append",
        default=[],
        metavar="FILE",
        help="known structures beside the training set's, in any form; may be repeated",
    )
    options.add_settings(known, DiscoverySettings, only=("keep_known",))
    known.add_argument(
        "--materials-project",
        action="store_true",
        help="fetch structures of the hull's phases for DFT inputs (key in MP_API_KEY); without it they are"
        " taken from --known and --entries where these bring any",
    )
    where = parser.add_argument_group("where")
    where.add_argument(
        "--database", metavar="URL", help="a PostgreSQL server in place of crystals.db (postgresql://...)"
    )
    options.add_settings(where, DiscoverySettings, only=("format",))
    options.add_workers(where)
    where.add_argument("--overwrite", action="store_true", help="replace another run in the folder")
    where.add_argument("--quiet", action="store_true", help="print nothing but warnings")
    options.add_model_options(parser)
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    from crystalsmith.cli.discover_systems import run_list
    from crystalsmith.cli.output import emit
    from crystalsmith.discovery.means import check_needs
    from crystalsmith.discovery.run import discover_into
    from crystalsmith.discovery.settings import FEWEST_ELEMENTS, MOST_ELEMENTS, DiscoverySettings
    from crystalsmith.discovery.systems import is_list
    from crystalsmith.hull.system import load_hull, parse_system
    from crystalsmith.runs.progress import Display

    if args.method == "paper":
        raise DiscoveryError("the paper's method makes no exact compositions; leave --method paper out")
    if is_list(args.system):
        return run_list(args, _arguments(args))
    settings = options.settings_from(
        args,
        DiscoverySettings,
        system=parse_system(args.system, MOST_ELEMENTS, FEWEST_ELEMENTS),
        potential=args.potential,
        known=tuple(args.known),
    )
    settings.check_formulas()
    check_needs(settings, database=args.database, materials_project=args.materials_project)
    hull = load_hull(args.potential, args.references, args.entries)
    hull.diagram(settings.system)
    began = time.monotonic()
    if not args.quiet and hull.references is not None:
        print(f"{settings.name}: {len(hull.phases(settings.system))} of {hull.references.note}", flush=True)
    with Display(quiet=args.quiet) as progress:
        outcome = discover_into(
            settings,
            args.output,
            model=options.load(args),  # type: ignore[arg-type]
            hull=hull,
            database=args.database,
            structures=args.entries,
            materials_project=args.materials_project,
            arguments=_arguments(args),
            workers=args.workers,
            engine=args.engine,
            overwrite=args.overwrite,
            progress=progress,
            finished=lambda count: None if args.quiet else _print_stage(count),
        )
    emit(outcome, None if args.quiet else _text(outcome, args.database, time.monotonic() - began))
    return 0


def _print_stage(count: StageCount) -> None:
    rate = f"{60 * count.came / count.seconds:>7,.0f}/min" if count.came < 1e3 * count.seconds else " " * 11
    reasons = sorted(count.reasons.items(), key=lambda item: -item[1])
    why = ", ".join(f"{n:,} {reason}" for reason, n in reasons)
    print(
        f"{count.name:<21} {count.came:>6,} -> {count.went:>6,}  {_time(count.seconds):>7}  {rate}  {why}",
        flush=True,
    )


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f}:{seconds % 60:02.0f} min"


def _text(outcome: Outcome, database: str | None, seconds: float) -> Any:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from crystalsmith.discovery.database import DATABASE
    from crystalsmith.hull import KJ_PER_MOL
    from crystalsmith.runs.addresses import shown
    from crystalsmith.symmetry import space_group

    table = Table(box=None, pad_edge=False)
    for name in ("", "formula", "space group"):
        table.add_column(name, no_wrap=True)
    for name in ("above hull eV/atom", "kJ/mol", "formation eV/atom"):
        table.add_column(name, justify="right")
    for name in ("phonons", "elastic", "novelty"):
        table.add_column(name, no_wrap=True)
    for rank, c in enumerate(outcome.summary.shortlist, 1):
        group = space_group(c.crystal.space_group)
        above, formation = c.above_hull or 0.0, c.formation or 0.0
        table.add_row(
            str(rank),
            c.crystal.formula,
            f"{group.symbol} ({group.number})",
            f"{above:+.3f}",
            f"{above * KJ_PER_MOL:+.2f}",
            f"{formation:.3f}",
            _verdict(c.phonons),
            _verdict(c.elastic),
            c.novelty.verdict if c.novelty is not None else "",
        )
    none = "no new crystal came close enough to the hull; raise --max-above-hull or --crystals"
    folder = outcome.folder
    where = shown(database) if database is not None else folder / DATABASE
    whole = outcome.summary.seconds
    lines = [
        *("", f"{folder / 'report.html'}; all crystals in {where}", *outcome.notes),
        # Stages alone are counted; what comes before them may make this process longer than all of them.
        f"{_time(whole)} in all, {_time(seconds)} of them now" if whole > seconds else _time(seconds),
    ]
    return Group(Text(""), table if outcome.summary.shortlist else Text(none), *map(Text, lines))


def _verdict(found: Any) -> str:
    if found is None:
        return ""
    stable = found.get("stable")
    return "unknown" if stable is None else "stable" if stable else "unstable"


def _arguments(args: argparse.Namespace) -> dict[str, Any]:
    from crystalsmith.runs.addresses import shown

    found = options.arguments_of(args)
    if args.database is not None:
        found["database"] = shown(args.database)
    return {"command": shown(shlex.join(["crystalsmith", *sys.argv[1:]])), **found}
