"""``crystalsmith rediscover``: known crystals found again from a part of what is known of them."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from crystalsmith.cli import options
from crystalsmith.errors import ConfigError

_EXAMPLES = """\
settings:
  sites          space group and number of inequivalent sites of each element (default, with formula)
  formula        formula alone
  formula+group  formula and space group
  wyckoff        space group and Wyckoff letters

examples:
  crystalsmith rediscover known.jsonl.gz -n 50
  crystalsmith rediscover cifs/ --settings formula --relax 10 -o found
  crystalsmith rediscover known.jsonl.gz --potential none --quiet

Crystals of the target's composition are matched with it, relaxed under their symmetry, and matched again, at
the tolerances of published match rates and at stricter ones (pymatgen's defaults).
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "rediscover",
        help="find known crystals again from their sites or formulas",
        description="Generate crystals for known ones, from their space group and sites, and from their"
        " formula; relax; match; and print lattices and counts. Interrupted, the same command goes on where"
        " it stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "targets",
        metavar="TARGETS",
        help="known crystals in any form",
    )
    parser.add_argument(
        "-n",
        "--count",
        type=options.positive,
        default=50,
        metavar="N",
        help="crystals for each target and setting (default: 50)",
    )
    parser.add_argument(
        "-o", "--output", default="rediscovered", metavar="FOLDER", help="default: rediscovered"
    )
    parser.add_argument(
        "--settings",
        default="sites,formula",
        metavar="A,B",
        help="what is told of the targets (default: sites,formula)",
    )
    parser.add_argument(
        "--seed", type=options.whole, default=0, metavar="N", help="of the generation (default: 0)"
    )
    parser.add_argument(
        "--best-of",
        type=options.positive,
        default=1,
        metavar="K",
        help="drafts of each crystal, of which the best one is kept (default: 1)",
    )
    parser.add_argument(
        "--max-atoms",
        type=options.positive,
        metavar="N",
        help="largest primitive cell (default: the largest that the model was trained on)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace another run in the folder")
    parser.add_argument("--quiet", action="store_true", help="no progress, no table")
    relaxation = parser.add_argument_group("relaxation")
    relaxation.add_argument(
        "--potential",
        default="chgnet",
        metavar="NAME",
        help="ranks and relaxes: chgnet, 7net-0, 7net-l3i5, mace:PATH, module:factory, or none"
        " (default: chgnet)",
    )
    relaxation.add_argument(
        "--relax",
        type=options.positive,
        metavar="N",
        help="relax the N best of the target's composition (default: all of them)",
    )
    relaxation.add_argument(
        "--calls",
        type=options.positive,
        default=60,
        metavar="N",
        help="calls of the potential for each crystal at most (default: 60)",
    )
    relaxation.add_argument(
        "--workers", type=options.positive, metavar="N", help="processes (default: one for each core)"
    )
    options.add_model_options(parser)
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status: 1 where an order for a target was impossible."""
    from crystalsmith.rediscovery.run import Plan, rediscover
    from crystalsmith.rediscovery.targets import read_targets

    settings = tuple(name.strip() for name in args.settings.split(",") if name.strip())
    if args.method == "paper" and settings != ("sites",):
        raise ConfigError("the paper's method knows the setting sites only; add --settings sites")
    plan = Plan(
        settings=settings,
        count=args.count,
        seed=args.seed,
        best_of=args.best_of,
        potential=None if args.potential == "none" else args.potential,
        relax=args.relax,
        calls=args.calls,
        max_atoms=args.max_atoms,
        workers=args.workers,
    )
    plan.check()
    targets = read_targets(args.targets)
    model = options.load(args)
    os.environ["OMP_NUM_THREADS"] = "1"  # of the workers, one process a core
    with _Bar(args.quiet) as bar:
        findings = rediscover(model, targets, plan, args.output, overwrite=args.overwrite, progress=bar.show)
    refused = [f for f in findings if f.refused]
    for finding in refused:
        print(
            f"crystalsmith: left out: {finding.target.id}, {finding.setting}: {finding.refused}",
            file=sys.stderr,
        )
    if not args.quiet:
        from crystalsmith.cli.rediscover_table import print_findings

        print_findings(findings, Path(args.output), model.elements)
    return 1 if refused else 0


class _Bar:
    """A progress bar on standard error, where that is a terminal."""

    def __init__(self, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        disable = quiet or not sys.stderr.isatty()
        self._progress = Progress(*columns, console=Console(stderr=True), disable=disable, transient=True)
        self._tasks: dict[str, Any] = {}

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, stage: str, done: float, total: int) -> None:
        """How far a stage is."""
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=int(done), total=total)
