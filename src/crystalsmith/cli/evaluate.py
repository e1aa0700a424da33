"""``crystalsmith evaluate``: every figure the field reports, for any set of crystals."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit
from crystalsmith.errors import EvaluationError

if TYPE_CHECKING:
    from crystalsmith.evaluation import Evaluation, Workshop
    from crystalsmith.evaluation.samples import SampleSet

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
    parser = commands.add_parser(
        "evaluate",
        help="measure sets of crystals against real ones",
        description="Measure sets of crystals, anybody's, against a reference of real ones: validity,"
        " coverage, Frechet distances, match rates, symmetry, uniqueness, novelty. Interrupted, the same"
        " command goes on where it stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "generated",
        nargs="+",
        metavar="[NAME=]GENERATED",
        help="output folder of generate, extxyz, folder or zip of CIFs, JSON lines, CSV with a cif column,"
        " pymatgen JSON, training file",
    )
    parser.add_argument(
        "--reference", required=True, metavar="REF", help="real crystals, in any of these forms"
    )
    parser.add_argument(
        "--train", metavar="TRAIN", help="training set: for novelty, and for the limit control"
    )
    parser.add_argument("--metrics", metavar="A,B,...", help="only these (default: all that apply)")
    output = parser.add_argument_group("output")
    output.add_argument("--figures", metavar="FILE", help="all figures as JSON (--json: on standard output)")
    output.add_argument("--report", metavar="FILE", help="an HTML page with plots that opens offline")
    output.add_argument("--details", metavar="FILE", help="one CSV row for each crystal")
    output.add_argument("--quiet", action="store_true", help="no progress bars, no table")
    how = parser.add_argument_group("how to measure")
    how.add_argument(
        "--variant",
        choices=("cdvae", "paper"),
        default="cdvae",
        help="cdvae: every crystal counts; paper: as Sultanov et al., whose code leaves invalid ones out",
    )
    how.add_argument(
        "--structure-cutoff",
        type=options.positive_number,
        default=0.4,
        metavar="X",
        help="of COV (default: 0.4)",
    )
    how.add_argument(
        "--composition-cutoff",
        type=options.positive_number,
        default=10.0,
        metavar="X",
        help="of COV (default: 10)",
    )
    how.add_argument(
        "--space-groups",
        type=options.group_range,
        default=(1, 230),
        metavar="16-230",
        help="keep only these of the reference",
    )
    how.add_argument(
        "--max-atoms",
        type=options.positive,
        metavar="N",
        help="keep only such primitive cells of the reference",
    )
    how.add_argument(
        "--seed", type=options.whole, default=0, metavar="N", help="of bootstrap and controls (default: 0)"
    )
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
    machine.add_argument(
        "--workers", type=options.positive, metavar="N", help="processes (default: one per core)"
    )
    machine.add_argument(
        "--cache", metavar="FILE", help="where fingerprints are kept (default: user's cache)"
    )
    machine.add_argument("--no-cache", action="store_true", help="keep none")
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status: 1 where a set holds no crystal at all."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"  # one process a core
    for name in ("figures", "report", "details"):
        if getattr(args, name) is not None:
            options.check_writable(Path(getattr(args, name)))
    from crystalsmith.evaluation import Cache, Settings, Workshop, evaluate, read_samples
    from crystalsmith.evaluation.cache import default_cache

    settings = Settings(
        metrics=None if args.metrics is None else [m.strip() for m in args.metrics.split(",") if m.strip()],
        variant=args.variant,
        structure_cutoff=args.structure_cutoff,
        composition_cutoff=args.composition_cutoff,
        space_groups=args.space_groups,
        max_atoms=args.max_atoms,
        seed=args.seed,
    )
    if args.controls:
        _check_controls(args)
    sets = [_read_named(text) for text in args.generated]
    names = [s.name for s in sets]
    if twice := next((n for n in names if names.count(n) > 1), None):
        raise EvaluationError(f"two sets have the name {twice}; tell them apart: a={args.generated[0]} b=...")
    reference = read_samples(args.reference)
    train = None if args.train is None else read_samples(args.train)
    path = None if args.no_cache else Path(args.cache) if args.cache else default_cache()
    with Cache(path) as cache:
        workshop = Workshop(cache, workers=args.workers, quiet=args.quiet)
        if args.controls:
            sets += _controls(args, sets[0], train, workshop)
        evaluation = evaluate(sets, reference, train, settings=settings, workshop=workshop)
        if cache.note:
            evaluation.notes.append(cache.note)
    _write(args, evaluation)
    return 1 if any(len(s.failures) == len(s) for s in sets) else 0


def _read_named(text: str) -> SampleSet:
    """``name=path`` or a path; a path that exists is never split."""
    from crystalsmith.evaluation import read_samples

    name, equals, path = text.partition("=")
    if equals and name and path and not Path(text).exists():
        return read_samples(path, name)
    return read_samples(text)


def _check_controls(args: argparse.Namespace) -> None:
    """Refuse before any work what the controls would refuse after it."""
    from crystalsmith.evaluation.controls import check_controls

    if args.train is None:
        raise EvaluationError("--controls needs the training set for the limit; name it with --train")
    check_controls(None if args.potential == "none" else args.potential)


def _controls(
    args: argparse.Namespace, model: SampleSet, train: SampleSet | None, workshop: Workshop
) -> list[SampleSet]:
    from crystalsmith.evaluation import controls

    assert train is not None
    folder = Path(args.controls_folder)
    limit = controls.limit(
        train,
        len(model),
        workshop,
        space_groups=args.space_groups,
        max_atoms=args.max_atoms,
        seed=args.seed,
    )
    random = controls.random_crystals(model, workshop, folder, seed=args.seed)
    if args.potential == "none":
        return [limit, random]
    name = f"PyXtal+{args.potential}"
    return [limit, random, controls.relaxed_crystals(random, name, args.potential, workshop, folder)]


def _write(args: argparse.Namespace, evaluation: Evaluation) -> None:
    from crystalsmith.evaluation.json_report import to_csv, to_json, to_mapping
    from crystalsmith.runs.atomic import write_whole, writing

    texts = {}
    if args.figures is not None:
        texts[args.figures] = to_json(evaluation)
    if args.details is not None:
        texts[args.details] = to_csv(evaluation)
    if args.report is not None:
        from crystalsmith.evaluation.html_report import to_html

        names = ", ".join(column.name for column in evaluation.columns)
        texts[args.report] = to_html(evaluation, f"Evaluation of {names}")
    for name, text in texts.items():
        with writing(Path(name)):
            write_whole(Path(name), text)
    emit(to_mapping(evaluation))
    if not args.quiet and not args.json:
        from rich.console import Console

        from crystalsmith.evaluation.console import print_evaluation

        # A table that is piped into a file should not be folded at 80 characters.
        width = None if sys.stdout.isatty() else 80 + 30 * len(evaluation.columns)
        print_evaluation(evaluation, Console(highlight=False, width=width))
