"""``crystalsmith train-prior``: the prior over Wyckoff assignments, put into a checkpoint."""

from __future__ import annotations

import argparse
from typing import Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit

_SIZES = ("epochs", "batch", "learning_rate", "max_atoms", "max_sites")


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "train-prior",
        help="train the prior over Wyckoff positions and put it into a checkpoint",
        description="Train the prior over cells, space groups and Wyckoff positions that orders for a formula"
        " or a system need, and put it into a checkpoint. Interrupted, the same command goes on after"
        " the last finished epoch.",
    )
    parser.add_argument("--train", required=True, metavar="FILE", help="a training file of data build")
    parser.add_argument("--validation", required=True, metavar="FILE", help="the same for validation")
    parser.add_argument(
        "--checkpoint",
        default="default",
        metavar="FILE",
        help="the checkpoint that gets the prior; not changed itself (default: the one that ships)",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", help="folder of the run; model.safetensors in it"
    )
    parser.add_argument("--epochs", type=options.positive, metavar="N", help="times all crystals are seen")
    parser.add_argument(
        "--further",
        action="store_true",
        help="start from the prior that the checkpoint has, not from nothing",
    )
    parser.add_argument("--max-atoms", type=options.positive, metavar="N", help="leave out larger cells")
    parser.add_argument(
        "--max-sites", type=options.positive, metavar="N", help="leave out crystals of more sites"
    )
    parser.add_argument("--batch", type=options.positive, metavar="N", help="crystals a step")
    parser.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="at its peak; a run that goes further needs less"
    )
    parser.add_argument("--seed", type=options.whole, default=0, metavar="N", help="default: 0")
    parser.add_argument("--threads", type=options.positive, default=1, metavar="N", help="default: 1")
    parser.add_argument("--quiet", action="store_true", help="no table of epochs")
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    args.device, args.method = "cpu", None
    model = options.load(args)
    from crystalsmith.training.prior import PriorConfig, train_prior_into

    given = {k: getattr(args, k) for k in _SIZES if getattr(args, k) is not None}

    def report(epoch: int, epochs: int, scores: dict[str, float]) -> None:
        if not args.quiet:
            text = "  ".join(f"{name} {value:.3f}" for name, value in scores.items())
            print(
                f"epoch {epoch} of {epochs}: log-likelihood of a held-out crystal, nats: {text}", flush=True
            )

    config = PriorConfig(seed=args.seed, **given)
    path, scores = train_prior_into(
        model, args.train, args.validation, args.output, config, report, args.further
    )
    emit({"model": path, "scores": scores}, None if args.quiet else f"checkpoint with the prior: {path}")
    return 0
