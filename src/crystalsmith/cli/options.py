"""Types of command-line options, and settings that must come before torch is imported."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from crystalsmith.errors import CheckpointError, ConfigError, OutputError

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel


def positive(text: str) -> int:
    """A whole number from 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return value


def amount(text: str) -> float:
    """A number from 0."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def positive_number(text: str) -> float:
    """A number above zero, not infinite."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return value


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def group_range(text: str) -> tuple[int, int]:
    """Space groups from one number to another: ``16-230``, or one alone."""
    low, _, high = text.partition("-")
    try:
        first, last = int(low), int(high or low)
    except ValueError:
        first, last = 0, 0
    if not 1 <= first <= last <= 230:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of space groups such as 16-230")
    return first, last


def check_writable(path: Path) -> None:
    """Refuse a file that could not be written, before any work is done for it.

    Raises:
        OutputError: it is a folder, its folder does not exist, or permissions lack.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; name a file to write")
    if not path.resolve().parent.is_dir():
        raise OutputError(
            f"there is no folder {path.resolve().parent} to write {path.name} to; make it first"
        )
    if not os.access(path if path.exists() else path.resolve().parent, os.W_OK):
        raise OutputError(f"{path} cannot be written; choose another place")


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that run the network."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--method",
        choices=("default", "paper"),
        help="the method: default, or paper for that of the 2023 paper, which takes numbers of sites and"
        " finds their positions itself (space groups 16 to 230)",
    )
    group.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="a .safetensors file of train; without it, that of the method that ships",
    )
    group.add_argument(
        "--device", default="cpu", metavar="NAME", help="cpu, cuda, cuda:1, mps, ... (default: cpu)"
    )
    group.add_argument(
        "--threads",
        type=positive,
        default=1,
        metavar="N",
        help="CPU threads (default: 1; more of them help only where the other cores are idle)",
    )


def load(args: argparse.Namespace) -> AnyModel:
    """The model that the options name, the process being made ready for it.

    Raises:
        CheckpointError: from ``load_model``.
        ConfigError: no such device.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(args.threads)
    from crystalsmith.allocator import keep_freed_memory

    keep_freed_memory()
    import torch

    torch.set_num_threads(args.threads)
    # What torch raises where a device is unknown, absent, or a kind that holds no data.
    try:
        torch.empty(0, device=args.device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise ConfigError(
            f"device {args.device!r} cannot be used on this machine; leave --device out for the CPU"
        ) from None
    from crystalsmith.diffusion import load_model

    try:
        model = load_model(args.checkpoint or args.method, device=args.device)
    except IsADirectoryError:
        raise CheckpointError(f"{args.checkpoint} is a folder; give the .safetensors file in it") from None
    if args.method not in (None, model.method):
        raise ConfigError(
            f"{args.checkpoint} is of the {model.method} method; leave --method {args.method} out"
        )
    return model
