"""Which model a benchmark measures: the benchmark model, unless ``--checkpoint`` names another one.

The benchmark model lies beside the scripts, outside the package. It has not seen a crystal of the rows that
are measured, nor a formula of those that were held out (``holdout.py``); the model that ships has seen
everything and says nothing here. Which one a figure is of, the first line on standard error tells.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

BENCHMARK = Path(__file__).with_name("benchmark.safetensors")


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """Add ``--checkpoint``, the benchmark model where it is left out."""
    parser.add_argument(
        "--checkpoint",
        type=checkpoint,
        default=str(BENCHMARK),
        metavar="FILE",
        help="a checkpoint, or the name of one that ships (default: benchmarks/benchmark.safetensors)",
    )


def checkpoint(name: str) -> str:
    """A checkpoint that there is; told on standard error what it is.

    Raises:
        argparse.ArgumentTypeError: there is none, or a damaged one.
    """
    from crystalsmith.diffusion import load_model
    from crystalsmith.errors import CheckpointError

    try:
        model = load_model(name)
    except CheckpointError as error:
        hint = "; make it with tools/make_model.py" if name == str(BENCHMARK) else ""
        raise argparse.ArgumentTypeError(f"{error}{hint}") from None
    kind = model.metadata.get("model", "unnamed")
    print(f"model: {kind}, {name}, sha256 {model.hash[:12]}", file=sys.stderr)
    if kind == "released":
        print("warning: the released model has seen the rows of the benchmarks", file=sys.stderr)
    return name
