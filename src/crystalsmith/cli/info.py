"""``crystalsmith info``: what a checkpoint is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "info",
        help="describe a checkpoint",
        description="Describe a checkpoint: hash, configuration, training record; and the samplers.",
    )
    options.add_model_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    model = options.load(args)
    from crystalsmith.diffusion import default_checkpoint, resolve_sampler, sampler_names

    sampler, steps = resolve_sampler(model.method, None, None)
    facts: dict[str, Any] = {
        "checkpoint": str(args.checkpoint or default_checkpoint(model.method)),
        "method": model.method,
        "sha256": model.hash,
        "elements": len(model.elements),
        "max_atoms": model.max_atoms,
        "samplers": sampler_names(model.method),
        "default_sampler": f"{sampler}, {steps} steps"
        + (" at each level" if model.method == "paper" else ""),
        **{key: _parsed(value) for key, value in model.metadata.items()},
    }
    rows = list(_flat("", facts))
    width = max(len(name) for name, _ in rows)
    emit(facts, "\n".join(f"{name:<{width}}  {value}" for name, value in rows))
    return 0


def _parsed(text: str) -> Any:
    """Metadata are strings; those of JSON objects are shown as such."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (dict, list)) else text


def _flat(prefix: str, facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Names and values, those of mappings within mappings with a dot between."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(f"{prefix}{name}.", value)
        else:
            yield prefix + name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
