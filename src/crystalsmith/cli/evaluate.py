"""``crystalsmith evaluate``: every figure the field reports, for any set of crystals."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit

if TYPE_CHECKING:
    from crystalsmith.evaluation import Evaluation

_IN_DATABASE = re.compile(r"://|\.db@")

METRICS = "validity, coverage, fd-crystalnn, fd-cgcnn, distributions, match, symmetry, uniqueness, novelty"

_EXAMPLES = f"""\
metrics: {METRICS}

examples:
  crystalsmith evaluate crystals --reference mp20_test.csv
  crystalsmith evaluate ours=crystals theirs=samples.zip --reference mp20_test.csv --train mp20_train.csv \\
      --report report.html --figures figures.json
  crystalsmith evaluate crystals --reference mp20_test.csv --train mp20_train.csv --controls

Crystals carry the id of their target, if they were made for one: the order's id, the name of a CIF
(ID.cif, ID_0.cif, ID_1.cif ...), an id column or key. Match rates are measured where ids agree.
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "evaluate",
        help="measure sets of crystals against real ones",
        description="Measure sets of crystals, anybody's, against a reference of real ones: validity,"
        " coverage, Frechet distances, match rates, symmetry, uniqueness, novelty. Interrupted, the same"
        " command goes on where it stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=add_options,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from crystalsmith.evaluation.settings import Settings

    parser.add_argument(
        "generated", nargs="+", metavar="[NAME=]GENERATED", help="crystals in any form that is read"
    )
    parser.add_argument("--reference", required=True, metavar="REF", help="real crystals")
    parser.add_argument(
        "--train", metavar="TRAIN", help="training set: for novelty, and for the limit control"
    )
    options.add_settings(parser, Settings, only=["metrics"])
    output = parser.add_argument_group("output")
    output.add_argument("--figures", metavar="FILE", help="all figures as JSON (--json: on standard output)")
    output.add_argument("--report", metavar="FILE", help="an HTML page with plots that opens offline")
    output.add_argument("--details", metavar="FILE", help="one CSV row for each crystal")
    output.add_argument("--quiet", action="store_true", help="no progress bars, no table")
    options.add_settings(parser.add_argument_group("how to measure"), Settings, skip=["metrics"])
    control = parser.add_argument_group("controls")
    control.add_argument(
        "--controls",
        action="store_true",
        help="add columns: random training crystals, PyXtal's random crystals with the letters of the first"
        " set, and those relaxed with a potential under their symmetry",
    )
    control.add_argument(
        "--controls-folder",
        default="controls",
        metavar="FOLDER",
        help="where they are kept (default: controls)",
    )
    control.add_argument(
        "--potential",
        default="chgnet",
        metavar="NAME",
        help="of the relaxation (default: chgnet); none for none",
    )
    machine = parser.add_argument_group("machine")
    options.add_workers(machine)
    machine.add_argument(
        "--cache", metavar="FILE", help="where fingerprints are kept (default: user's cache)"
    )
    machine.add_argument("--no-cache", action="store_true", help="keep none")
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status: 1 where a set holds no crystal at all."""
    for name in ("figures", "report", "details"):
        if getattr(args, name) is not None:
            options.check_writable(Path(getattr(args, name)))
    from crystalsmith.evaluation.cache import default_cache
    from crystalsmith.evaluation.run import Controls, evaluate_sets
    from crystalsmith.evaluation.settings import Settings
    from crystalsmith.runs.progress import Display

    potential = None if args.potential == "none" else args.potential
    with Display(quiet=args.quiet) as progress:
        evaluation = evaluate_sets(
            map(_named, args.generated),
            args.reference,
            args.train,
            options.settings_from(args, Settings),
            with_controls=Controls(Path(args.controls_folder), potential) if args.controls else None,
            workers=args.workers,
            engine=args.engine,
            cache=None if args.no_cache else args.cache or default_cache(),
            progress=progress,
        )
    _write(args, evaluation)
    asked = evaluation.columns[: len(args.generated)]
    return 1 if any(len(column.failures) == column.size for column in asked) else 0


def _named(text: str) -> tuple[str | None, str]:
    """``name=path`` or a path; one that exists, or that selects of a database, is never split."""
    name, equals, path = text.partition("=")
    split = equals and name and path and not _IN_DATABASE.search(name) and not Path(text).exists()
    return (name, path) if split else (None, text)


def _write(args: argparse.Namespace, evaluation: Evaluation) -> None:
    from crystalsmith.evaluation.report.tables import to_csv, to_json
    from crystalsmith.runs.atomic import write_whole, writing

    texts = {}
    if args.figures is not None:
        texts[args.figures] = to_json(evaluation)
    if args.details is not None:
        texts[args.details] = to_csv(evaluation)
    if args.report is not None:
        from crystalsmith.evaluation.report.page import to_html

        names = ", ".join(column.name for column in evaluation.columns)
        texts[args.report] = to_html(evaluation, f"Evaluation of {names}")
    for name, text in texts.items():
        with writing(Path(name)):
            write_whole(Path(name), text)
    emit(evaluation)
    if not args.quiet and not args.json:
        from rich.console import Console

        from crystalsmith.evaluation.report.console import print_evaluation

        # A table that is piped into a file should not be folded at 80 characters.
        width = None if sys.stdout.isatty() else 80 + 30 * len(evaluation.columns)
        print_evaluation(evaluation, Console(highlight=False, width=width))
