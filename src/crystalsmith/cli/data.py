"""``crystalsmith data``: training files from structures, their statistics, public data sets."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit

if TYPE_CHECKING:
    from crystalsmith.data.build import BuildReport


def add_parser(commands: Any) -> None:
    """Add the commands."""
    parser = commands.add_parser(
        "data", help="build, describe and fetch data sets", description="Data sets: build, describe, fetch."
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")

    build = actions.add_parser(
        "build",
        help="turn structures into one training file",
        description="Turn structures into one training file. Interrupted, the same command goes on where it"
        " stopped.",
    )
    build.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="crystals in any form: files, folders, archives, output folders",
    )
    build.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the training file, .safetensors"
    )
    build.add_argument(
        "--symprec",
        type=options.tolerance,
        default=0.1,
        metavar="A",
        help="tolerance of the symmetry search (default: 0.1)",
    )
    build.add_argument(
        "--max-atoms", type=options.positive, metavar="N", help="leave out larger primitive cells"
    )
    build.add_argument(
        "--max-z", type=options.positive, metavar="Z", help="leave out elements beyond this atomic number"
    )
    options.add_workers(build)
    build.add_argument("--quiet", action="store_true", help="no progress bar, no table")
    build.set_defaults(run=_build, resumes=True)

    stats = actions.add_parser(
        "stats",
        help="draw the statistics of a training file",
        description="Draw the statistics of a training file.",
    )
    stats.add_argument("dataset", metavar="FILE", help="a training file of data build")
    stats.add_argument("-o", "--output", default="statistics", metavar="FOLDER", help="default: statistics")
    stats.set_defaults(run=_stats)

    guides = actions.add_parser(
        "guides",
        help="find the known crystals that training may go by",
        description="Find for each crystal of a training file the most similar other ones of its layout,"
        " described as it is: what a network with guides is trained with.",
    )
    guides.add_argument("dataset", metavar="FILE", help="a training file of data build")
    guides.add_argument(
        "--known", metavar="FILE", help="training file that guides come from (default: the same one)"
    )
    guides.add_argument("-o", "--output", required=True, metavar="FILE", help="the guides, .safetensors")
    guides.add_argument("--quiet", action="store_true", help="no progress bar")
    guides.set_defaults(run=_guides)

    orders = actions.add_parser(
        "orders",
        help="make orders whose targets are the crystals of a data set",
        description="Make orders whose targets are random crystals of a data set, under their ids, so that"
        " evaluate can match what generate makes of them.",
    )
    orders.add_argument("source", metavar="SOURCE", help="crystals in any form")
    orders.add_argument("-o", "--output", required=True, metavar="FILE", help="the orders, .jsonl")
    orders.add_argument("-n", "--number", type=options.positive, metavar="N", help="orders (default: all)")
    orders.add_argument(
        "--give",
        choices=("sites", "wyckoff", "formula", "group", "atoms", "cell", "name"),
        default="sites",
        help="what an order tells: space group with numbers of sites (default), Wyckoff letters, formula and"
        " Z, or formula and no size (group); or, without a space group, the formula and the atoms of the"
        " primitive cell, the same with its reduced cell (cell), or the formula and nothing else (name)",
    )
    orders.add_argument(
        "-k", "--count", type=options.positive, default=1, metavar="K", help="crystals of each (default: 1)"
    )
    orders.add_argument(
        "--space-groups", type=options.group_range, default=(1, 230), metavar="16-230", help="only these"
    )
    orders.add_argument("--max-atoms", type=options.positive, metavar="N", help="only such primitive cells")
    orders.add_argument(
        "--seed", type=options.whole, default=0, metavar="N", help="of the choice (default: 0)"
    )
    orders.set_defaults(run=_orders)

    prototypes = actions.add_parser(
        "prototypes",
        help="make the table of prototypes of known crystals",
        description="Make the table of prototypes of known crystals: clusters of at least two crystals with"
        " one space group and the same occupied positions, with the elements that were found on them. A"
        " table is a file for generate --prototypes, or travels inside a checkpoint.",
    )
    prototypes.add_argument(
        "sources", nargs="+", metavar="FILE", help="training files of data build, or crystals in any form"
    )
    prototypes.add_argument(
        "-o", "--output", required=True, metavar="FILE", help="the table, or with --checkpoint the checkpoint"
    )
    prototypes.add_argument(
        "--checkpoint", metavar="IN", help="write this checkpoint anew with the table in it"
    )
    prototypes.add_argument("--quiet", action="store_true", help="no progress bar")
    prototypes.set_defaults(run=_prototypes)

    fetch = actions.add_parser(
        "fetch", help="download a public data set", description="Download a public data set."
    )
    fetch.add_argument("name", metavar="NAME", help="mp20")
    fetch.add_argument("-o", "--output", metavar="FOLDER", help="default: data/NAME")
    fetch.add_argument("--base-url", metavar="URL", help="where its files lie, in place of their public home")
    fetch.add_argument("--quiet", action="store_true", help="no progress bar")
    fetch.set_defaults(run=_fetch, resumes=True)


def _build(args: argparse.Namespace) -> int:
    from crystalsmith.data.build import build
    from crystalsmith.runs.progress import Display, silent

    with Display(quiet=args.quiet) as progress:
        report = build(
            args.sources,
            args.output,
            symprec=args.symprec,
            workers=args.workers,
            engine=args.engine,
            progress=silent if args.quiet else progress,
            max_atoms=args.max_atoms,
            max_z=args.max_z,
        )
    emit(report, None if args.quiet else _table(report))
    return 0


def _table(report: BuildReport) -> Any:
    from rich.console import Group
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("structures")
    table.add_column("number", justify="right")
    table.add_column("the first of them", overflow="fold")
    table.add_row("kept", str(report.kept), "")
    for reason, number in report.dropped.items():
        table.add_row(f"left out: {reason}", str(number), report.examples.get(reason, ""))
    return Group(table, f"{report.kept} of {report.total} structures in {report.path}")


def _prototypes(args: argparse.Namespace) -> int:
    from crystalsmith.prototypes.make import make_prototypes
    from crystalsmith.runs.progress import Display

    if args.checkpoint is not None:
        from crystalsmith.diffusion.checkpoint import load_model, put_prototypes

        load_model(args.checkpoint)  # what is wrong with it is said before the work
    with Display(quiet=args.quiet) as progress:
        table = make_prototypes(args.sources, progress=progress)
    if args.checkpoint is None:
        path = table.save(args.output)
    else:
        path = put_prototypes(args.checkpoint, table, args.output)
    numbers = table.summary()
    text = (
        f"{numbers['clusters']:,} clusters of {numbers['arrangements']:,} arrangements, from"
        f" {numbers['crystals']:,} of {int(table.metadata['crystals']):,} crystals, in {path}"
    )
    emit({**numbers, "file": path}, text)
    return 0


def _stats(args: argparse.Namespace) -> int:
    from crystalsmith.data.dataset import Dataset
    from crystalsmith.data.stats import draw_statistics

    paths = list(draw_statistics(Dataset.open(Path(args.dataset)), Path(args.output)))
    emit({"pictures": paths}, "\n".join(map(str, paths)))
    return 0


def _guides(args: argparse.Namespace) -> int:
    from crystalsmith.data.dataset import Dataset
    from crystalsmith.runs.progress import Display
    from crystalsmith.training.make_guides import find_guides

    dataset = Dataset.open(Path(args.dataset))
    known = None if args.known is None else Dataset.open(Path(args.known))
    with Display(quiet=args.quiet) as progress:
        guides = find_guides(dataset, known, progress)
    guides.save(args.output)
    number, crystals = guides.guided, len(dataset)
    emit(
        {"crystals": crystals, "guided": number, "file": args.output},
        f"{number} of {crystals} crystals have guides in {args.output}",
    )
    return 0


def _orders(args: argparse.Namespace) -> int:
    import json

    from crystalsmith.evaluation.samples import read_samples
    from crystalsmith.evaluation.targets import target_orders
    from crystalsmith.runs.atomic import write_whole, writing

    orders = target_orders(
        read_samples(args.source),
        args.number,
        give=args.give,
        count=args.count,
        space_groups=args.space_groups,
        max_atoms=args.max_atoms,
        seed=args.seed,
    )
    with writing(Path(args.output)):
        write_whole(Path(args.output), "".join(json.dumps(order) + "\n" for order in orders))
    emit({"orders": len(orders), "file": args.output}, f"{len(orders)} orders in {args.output}")
    return 0


def _fetch(args: argparse.Namespace) -> int:
    from crystalsmith.data.fetch import fetch
    from crystalsmith.runs.progress import Display

    folder = Path(args.output) if args.output is not None else Path("data") / args.name
    with Display(quiet=args.quiet) as progress:
        paths = list(fetch(args.name, folder, base_url=args.base_url, progress=progress))
    emit({"files": paths}, "\n".join(map(str, paths)))
    return 0
