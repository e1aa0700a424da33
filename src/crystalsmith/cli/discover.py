"""``crystalsmith discover``: from a chemical system to a short list of stable new crystals."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.errors import DiscoveryError

if TYPE_CHECKING:
    from crystalsmith.discovery.run import Outcome
    from crystalsmith.discovery.settings import DiscoverySettings
    from crystalsmith.discovery.summary import StageCount

_EXAMPLES = """\
examples:
  crystalsmith discover Cu-K-Si -o runs/cuksi
  crystalsmith discover Cu-K-Si --common --samples 60 -o runs/cuksi-grid
  crystalsmith discover Li-P-S --space-groups 60-230 -n 5000 --minutes 120 -o runs/lips
  crystalsmith discover Fe-Sn-Ta --formulas Fe2TaSn,Fe3Ta2Sn --known mine/ -o runs/fesnta
  ase db runs/cuksi/crystals.db stage=free -c formula,space_group,above_hull -s above_hull
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    from crystalsmith.cli.hull import add_hull_options

    parser = commands.add_parser(
        "discover",
        help="search a chemical system for stable new crystals",
        description="Generate crystals of a chemical system, filter and relax them, compare them with the"
        " convex hull of known phases, and report a short list. Interrupted, the same command goes on where"
        " it stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("system", metavar="SYSTEM", help="two to six elements, such as Cu-K-Si")
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", help="folder of the run")
    what = parser.add_argument_group("what to generate")
    what.add_argument(
        "-n", "--crystals", type=options.whole, metavar="N", help="crystals to generate (default: 2000)"
    )
    what.add_argument(
        "--space-groups",
        metavar="LIST",
        help="only these: with commas, ranges like 195-230",
    )
    what.add_argument(
        "--common",
        action="store_true",
        help="in place of compositions that the prior draws: the 32 most common space groups times numbers of"
        " sites, as in the paper",
    )
    what.add_argument("--formulas", metavar="LIST", help="formulas to try as well, with commas")
    what.add_argument(
        "--samples",
        type=options.positive,
        default=60,
        metavar="N",
        help="crystals for each space group and numbers of sites (--common) and each formula (default: 60)",
    )
    what.add_argument(
        "--sites", type=_site_range, default=(1, 2), metavar="1-2", help="sites of an element (--common)"
    )
    what.add_argument("--max-sites", type=options.positive, metavar="N", help="most sites of a crystal")
    what.add_argument("--max-atoms", type=options.positive, metavar="N", help="largest primitive cell")
    what.add_argument(
        "--competitors",
        type=options.whole,
        default=100,
        metavar="N",
        help="crystals of each system of some of the elements, to make the hull more complete (default: 100)",
    )
    what.add_argument("--seed", type=options.whole, default=0, metavar="N", help="default: 0")
    funnel = parser.add_argument_group("how many go on")
    for name, default, text in (
        ("--keep-scored", 1500, "to single points, by the network's own judgement"),
        ("--keep-energies", 240, "to symmetric relaxation, by energy above the hull"),
        ("--keep-relaxed", 60, "to free relaxation"),
        ("--per-formula", 12, "of one composition at most"),
        ("--shortlist", 20, "onto the short list"),
    ):
        funnel.add_argument(
            name, type=options.positive, default=default, metavar="N", help=f"{text} (default: {default})"
        )
    funnel.add_argument(
        "--phonons",
        type=options.whole,
        default=8,
        metavar="N",
        help="of the short list with phonons and elastic constants (default: 8; 0 for none)",
    )
    funnel.add_argument(
        "--max-above-hull",
        type=options.amount,
        default=0.15,
        metavar="EV",
        help="eV per atom above the hull up to which a crystal is listed (default: 0.15)",
    )
    funnel.add_argument(
        "--minutes",
        type=options.positive_number,
        metavar="M",
        help="time for the run, shared out over its stages",
    )
    relaxing = parser.add_argument_group("energies")
    add_hull_options(relaxing)
    relaxing.add_argument(
        "--max-calls",
        type=_calls,
        default=(40, 80),
        metavar="SYM,FREE",
        help="calls of the potential for a symmetric and a free relaxation (default: 40,80)",
    )
    relaxing.add_argument(
        "--fmax", type=options.amount, default=0.05, metavar="F", help="eV/Angstrom (default: 0.05)"
    )
    relaxing.add_argument(
        "--smax", type=options.amount, default=0.005, metavar="S", help="eV/Angstrom^3 (default: 0.005)"
    )
    relaxing.add_argument(
        "--seconds",
        type=options.positive_number,
        default=120.0,
        metavar="T",
        help="time for one relaxation (default: 120)",
    )
    known = parser.add_argument_group("what is known")
    known.add_argument(
        "--known",
        action="append",
        default=[],
        metavar="FILE",
        help="known structures beside the training set's, in any form that evaluate reads; may be repeated",
    )
    known.add_argument("--keep-known", action="store_true", help="list known crystals too")
    where = parser.add_argument_group("where")
    where.add_argument(
        "--database", metavar="URL", help="a PostgreSQL server in place of crystals.db (postgresql://...)"
    )
    where.add_argument("--workers", type=options.positive, metavar="N", help="default: one for each core")
    where.add_argument("--overwrite", action="store_true", help="replace another run in the folder")
    where.add_argument("--quiet", action="store_true", help="print nothing but warnings")
    options.add_model_options(parser)
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    settings = _settings(args)
    from crystalsmith.cli.hull import load_hull
    from crystalsmith.discovery.run import discover
    from crystalsmith.potentials import check_potential

    check_potential(settings.potential)
    hull = load_hull(args)
    hull.diagram(settings.system)
    began = time.monotonic()
    lines = _Lines(args.quiet)
    if not args.quiet and hull.references is not None:
        print(f"{settings.name}: {len(hull.phases(settings.system))} of {hull.references.note}", flush=True)
    outcome = discover(
        options.load(args),  # type: ignore[arg-type]
        settings,
        hull,
        Path(args.output),
        database=args.database,
        arguments=_arguments(args),
        workers=args.workers,
        overwrite=args.overwrite,
        tell=lines.tell,
        finished=lines.finished,
        note=lambda text: print(f"crystalsmith: note: {text}", file=sys.stderr),
    )
    if not args.quiet:
        _print_shortlist(outcome, args.database, time.monotonic() - began)
    return 0


def _settings(args: argparse.Namespace) -> DiscoverySettings:
    from crystalsmith.cli.generate import parse_space_groups
    from crystalsmith.cli.hull import parse_system
    from crystalsmith.discovery.settings import FEWEST_ELEMENTS, MOST_ELEMENTS, DiscoverySettings
    from crystalsmith.orders.values import parse_groups

    if args.method == "paper":
        raise DiscoveryError("the paper's method makes no exact compositions; leave --method paper out")
    groups = () if args.space_groups is None else parse_groups(parse_space_groups(args.space_groups))
    formulas = tuple(f.strip() for f in (args.formulas or "").split(",") if f.strip())
    system = parse_system(args.system, MOST_ELEMENTS, FEWEST_ELEMENTS)
    _check_formulas(formulas, system)
    return DiscoverySettings(
        system=system,
        space_groups=tuple(groups),
        common=args.common,
        formulas=formulas,
        crystals=args.crystals,
        samples=args.samples,
        competitors=args.competitors,
        sites=args.sites,
        max_sites=args.max_sites,
        max_atoms=args.max_atoms,
        minutes=args.minutes,
        potential=args.potential,
        keep_scored=args.keep_scored,
        keep_energies=args.keep_energies,
        keep_relaxed=args.keep_relaxed,
        per_formula=args.per_formula,
        shortlist=args.shortlist,
        phonons=args.phonons,
        max_above_hull=args.max_above_hull,
        max_calls=args.max_calls,
        fmax=args.fmax,
        smax=args.smax,
        seconds=args.seconds,
        known=tuple(args.known),
        keep_known=args.keep_known,
        seed=args.seed,
    )


def _check_formulas(formulas: tuple[str, ...], system: tuple[str, ...]) -> None:
    from crystalsmith.assignments import parse_formula

    for formula in formulas:
        others = set(parse_formula(formula).elements) - set(system)
        if others:
            raise DiscoveryError(
                f"formula {formula} holds {', '.join(sorted(others))}, which the system lacks"
            )


class _Lines:
    """A line for each stage: live on a terminal, once otherwise."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._stage, self._first, self._began = "", 0, 0.0

    def tell(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            self._stage, self._first, self._began = stage, done, time.monotonic()
        if self._quiet or not sys.stdout.isatty():
            return
        spent = time.monotonic() - self._began
        rate = (done - self._first) / spent if spent > 0 else 0.0
        left = f"  {_time((total - done) / rate)} left" if rate > 0 else ""
        print(f"\r{stage:<21} {done:>6,} of {total:>6,}{_rate(60 * rate)}{left}      ", end="", flush=True)

    def finished(self, count: StageCount) -> None:
        if self._quiet:
            return
        rate = 60 * count.came / count.seconds if count.seconds > 0 else 0.0
        why = ", ".join(
            f"{n:,} {reason}" for reason, n in sorted(count.reasons.items(), key=lambda item: -item[1])
        )
        start = "\r" if sys.stdout.isatty() else ""
        print(
            f"{start}{count.name:<21} {count.came:>6,} -> {count.went:>6,}  {_time(count.seconds):>7}"
            f"{_rate(rate)}  {why}",
            flush=True,
        )


def _rate(a_minute: float) -> str:
    return f"  {a_minute:>7,.0f}/min" if a_minute < 1e5 else "             "


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f}:{seconds % 60:02.0f} min"


def _print_shortlist(outcome: Outcome, database: str | None, seconds: float) -> None:
    from rich.console import Console
    from rich.table import Table

    from crystalsmith.discovery.database import shown
    from crystalsmith.discovery.run import DATABASE
    from crystalsmith.hull import KJ_PER_MOL
    from crystalsmith.symmetry import space_group

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
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
    console.print()
    if outcome.summary.shortlist:
        console.print(table)
    else:
        console.print("no new crystal came close enough to the hull; raise --max-above-hull or --crystals")
    folder = outcome.folder
    where = shown(database) if database is not None else folder / DATABASE
    console.print(f"\n{folder / 'report.html'}; all crystals in {where}", soft_wrap=True)
    console.print(f"{_time(outcome.summary.seconds)} in all, {_time(seconds)} of them now")


def _verdict(found: Any) -> str:
    if found is None:
        return ""
    stable = found.get("stable")
    return "unknown" if stable is None else "stable" if stable else "unstable"


def _arguments(args: argparse.Namespace) -> dict[str, Any]:
    from crystalsmith.discovery.database import shown

    hidden = ("run", "resumes", "command", "output", "overwrite", "quiet", "workers")
    found = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(args).items() if k not in hidden}
    if args.database is not None:
        found["database"] = shown(args.database)
    return {"command": shown(shlex.join(["crystalsmith", *sys.argv[1:]])), **found}


def _site_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdecimal() and (high or low).isdecimal() and 1 <= int(low) <= int(high or low) <= 20):
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of sites such as 1-2")
    return int(low), int(high or low)


def _calls(text: str) -> tuple[int, int]:
    parts = text.split(",")
    if len(parts) != 2 or not all(p.strip().isdecimal() and int(p) > 0 for p in parts):
        raise argparse.ArgumentTypeError(f"{text!r} is not two numbers of calls such as 40,80")
    return int(parts[0]), int(parts[1])
