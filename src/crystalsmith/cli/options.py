"""Options made of the settings' dataclasses, and what must come before torch is imported."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from crystalsmith.errors import CheckpointError, ConfigError, OutputError
from crystalsmith.runs.engines import ENGINE_HELP
from crystalsmith.runs.settings import (  # re-exported for commands with options of their own
    amount,
    group_range,
    options_of,
    positive,
    positive_number,
    tolerance,
    whole,
)

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel

__all__ = [
    "add_folder",
    "add_model_options",
    "add_settings",
    "add_workers",
    "amount",
    "arguments_of",
    "check_writable",
    "group_range",
    "load",
    "positive",
    "positive_number",
    "settings_from",
    "tolerance",
    "whole",
]

T = TypeVar("T")


def add_settings(
    parser: Any, settings: type, *, only: Sequence[str] | None = None, skip: Sequence[str] = ()
) -> None:
    """Add an option for each option field of a settings class.

    Args:
        parser: a parser, or a group of one.
        settings: a dataclass with fields of ``runs.settings.option``.
        only: these fields alone, in this order.
        skip: all but these fields.
    """
    known = options_of(settings)
    for name in only if only is not None else [name for name in known if name not in skip]:
        field, spec = known[name]
        names = [f"--{spec.flag or name.replace('_', '-')}"]
        names = [f"-{spec.short}", *names] if spec.short else names
        words: dict[str, Any] = {"dest": name, "default": field.default, "help": spec.help}
        if isinstance(field.default, bool):
            # A flag turns a False on; a True gets a --no- beside it.
            words["action"] = argparse.BooleanOptionalAction if field.default else "store_true"
        else:
            words |= {"type": spec.check or str, "choices": spec.choices, "metavar": spec.metavar}
            if spec.choices is None and spec.metavar is None:
                words["metavar"] = name.upper()
            if spec.many:
                words["nargs"] = "+"
            if field.default not in (None, ()) and "default" not in spec.help:
                words["help"] += f" (default: {_shown(field.default, spec.many)})"
        parser.add_argument(*names, **words)


def settings_from(args: argparse.Namespace, settings: type[T], **fixed: Any) -> T:
    """Settings of the arguments that ``add_settings`` added.

    Args:
        args: parsed arguments; fields that are none of them keep their default.
        settings: the dataclass.
        fixed: fields that are no options, or that are not to come from the arguments.
    """
    values = {}
    for name, (_, spec) in options_of(settings).items():
        if hasattr(args, name):
            value = getattr(args, name)
            values[name] = tuple(value) if spec.many and value is not None else value
    return settings(**values | fixed)


def arguments_of(args: argparse.Namespace) -> dict[str, Any]:
    """How a command was started, for the manifest of its run."""
    hidden = (
        "run",
        "resumes",
        "command",
        "output",
        "overwrite",
        "quiet",
        "json",
        "verbose",
        "workers",
        "engine",
    )
    return {name: value for name, value in vars(args).items() if name not in hidden}


def _shown(value: Any, many: bool) -> str:
    """A default as one types it: ``16-230`` is a range, ``1 2`` are several values."""
    return (" " if many else "-").join(map(str, value)) if isinstance(value, tuple) else str(value)


def add_folder(
    parser: Any,
    *,
    default: str | None = None,
    holds: str = "another run",
    words: str = "folder for the results",
) -> None:
    """Options of commands that write a run folder.

    Args:
        parser: of the command.
        default: the folder; it must be named if None.
        holds: what of another kind may stand in it.
        words: what it is for.
    """
    help_ = words if default is None else f"default: {default}"
    parser.add_argument(
        "-o", "--output", required=default is None, default=default, metavar="FOLDER", help=help_
    )
    parser.add_argument("--overwrite", action="store_true", help=f"replace {holds} in the folder")
    parser.add_argument("--quiet", action="store_true", help="no progress, no summary")


def add_workers(parser: Any) -> None:
    """Options of commands whose work is done by several processes, here or elsewhere."""
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="processes (default: one for each core)"
    )
    parser.add_argument("--engine", default="local", metavar="ENGINE", help=ENGINE_HELP)


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
