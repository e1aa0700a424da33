"""``crystalsmith train``: a model from a training file."""

from __future__ import annotations

import argparse
from typing import Any

from crystalsmith.cli.output import emit
from crystalsmith.errors import ConfigError


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "train",
        help="train a model",
        description="Train a model on a file of data build. Interrupted, the same command goes on where it"
        " stopped.",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        help="YAML file of settings, or default or paper for those that come with the package",
    )
    parser.add_argument("--train", metavar="FILE", help="training file (setting train)")
    parser.add_argument("--validation", metavar="FILE", help="validation file (setting validation)")
    parser.add_argument("-o", "--out", metavar="FOLDER", help="folder of the run (setting out)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="any other setting, such as --set crystals=100000 (may be repeated)",
    )
    parser.add_argument(
        "--no-context",
        action="store_true",
        help="a purely geometric network, without space group, letters and structure factors",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress line")
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    overrides = parse_settings(args.settings)
    for name in ("train", "validation", "out"):
        if getattr(args, name) is not None:
            overrides[name] = getattr(args, name)
    if args.no_context:
        network = overrides.setdefault("network", {})
        if not isinstance(network, dict):
            raise ConfigError("--set network=... and --no-context exclude each other")
        network["context"] = False
    from crystalsmith.allocator import keep_freed_memory

    keep_freed_memory()
    from crystalsmith.training import train
    from crystalsmith.training.together import place_of_torchrun

    path = train({} if args.config is None else args.config, overrides, quiet=args.quiet)
    place = place_of_torchrun()
    if place is not None and place.rank > 0:  # one of them says it
        return 0
    emit({"model": path}, None if args.quiet else f"trained model: {path}")
    return 0


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """``["crystals=1000", "network.layers=4"]`` as nested settings, values read as YAML.

    Raises:
        ConfigError: no ``=``, no name, or a value that is not YAML.
    """
    import yaml

    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not (name.strip() and equals):
            raise ConfigError(f"--set {pair!r} is not of the form NAME=VALUE")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"--set {name}: the value {text!r} cannot be understood") from None
        place = settings
        *outer, last = name.strip().split(".")
        for part in outer:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {name}: {part} has a value of its own already")
        place[last] = value
    return settings
