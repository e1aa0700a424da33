"""``crystalsmith train-prior``: the prior over Wyckoff assignments, put into a checkpoint."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit
from crystalsmith.errors import CheckpointError


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
    parser.add_argument("--max-atoms", type=options.positive, metavar="N", help="leave out larger cells")
    parser.add_argument("--seed", type=options.whole, default=0, metavar="N", help="default: 0")
    parser.add_argument("--threads", type=options.positive, default=1, metavar="N", help="default: 1")
    parser.add_argument("--quiet", action="store_true", help="no table of epochs")
    parser.set_defaults(run=_run, resumes=True)


def _run(args: argparse.Namespace) -> int:
    args.device, args.method = "cpu", None
    model = options.load(args)
    from crystalsmith.data import Dataset
    from crystalsmith.diffusion import Model, save_model
    from crystalsmith.training.prior import PriorConfig, prior_record, train_prior

    if not isinstance(model, Model):
        raise CheckpointError(f"{args.checkpoint} is of the {model.method} method, which has no prior")
    given = {k: getattr(args, k) for k in ("epochs", "max_atoms") if getattr(args, k) is not None}
    config = PriorConfig(seed=args.seed, **given)
    last: dict[str, float] = {}

    def report(epoch: int, epochs: int, scores: dict[str, float]) -> None:
        last.update(scores)
        if not args.quiet:
            text = "  ".join(f"{name} {value:.3f}" for name, value in scores.items())
            print(
                f"epoch {epoch} of {epochs}: log-likelihood of a held-out crystal, nats: {text}", flush=True
            )

    model.prior = train_prior(
        Dataset.open(args.train), Dataset.open(args.validation), args.output, config, report
    )
    record = {k: v for k, v in model.metadata.items() if k not in ("format", "config")}
    path = Path(args.output) / "model.safetensors"
    # The denoiser keeps the precision that its checkpoint has.
    half = all(bool((v == v.half()).all()) for v in model.network.state_dict().values())
    save_model(model, path, {**record, **prior_record(config, last)}, half)
    emit({"model": path, "scores": last}, None if args.quiet else f"checkpoint with the prior: {path}")
    return 0
