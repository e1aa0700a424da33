"""``crystalsmith relax``: crystals relaxed with a potential, under their symmetry and then without it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_EXAMPLES = """\
examples:
  crystalsmith relax crystals -o relaxed
  crystalsmith relax quartz.cif more.extxyz --only symmetric --fmax 0.01 -o relaxed
  crystalsmith relax cifs/ --potential mymodule:calculator --workers 4 -o relaxed

In the folder: cif/NAME.cif with symmetry, relaxed.extxyz with energies, relaxed.csv with a line for every
crystal and why it ended. Exit status 1 where a crystal has no relaxed result.
"""

FILES = "crystals in any form: files, folders, archives, output folders of other commands"

_SHOWN = 10


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "relax",
        help="relax crystals with a potential",
        description="Relax crystals with a potential: under their space group first, then free of it."
        " Interrupted, the same command goes on where it stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=add_options,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from crystalsmith.cli.options import add_folder, add_settings
    from crystalsmith.potentials.settings import RelaxSettings, Resources

    parser.add_argument("files", nargs="+", metavar="FILES", help=FILES)
    add_folder(parser, holds="other relaxations")
    how = parser.add_argument_group("how to relax")
    add_settings(how, Resources)
    add_settings(how, RelaxSettings)
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status: 1 where a crystal has no relaxed result."""
    from crystalsmith.cli.options import arguments_of, settings_from
    from crystalsmith.cli.output import emit
    from crystalsmith.potentials.run import relax_into
    from crystalsmith.potentials.settings import RelaxSettings, Resources
    from crystalsmith.runs.progress import Display

    with Display(quiet=args.quiet) as progress:
        result = relax_into(
            args.files,
            args.output,
            settings_from(args, RelaxSettings),
            settings_from(args, Resources),
            arguments=arguments_of(args),
            overwrite=args.overwrite,
            progress=progress,
        )
    emit(result, None if args.quiet else str(result))
    print_lost(result.lost, f"see {Path(args.output) / 'relaxed.csv'}")
    return 1 if result.lost else 0


def print_lost(lost: Mapping[str, str], more: str) -> None:
    """Say on standard error why crystals have no result, the first ten."""
    for name, reason in list(lost.items())[:_SHOWN]:
        print(f"crystalsmith: {name}: {reason}", file=sys.stderr)
    if len(lost) > _SHOWN:
        print(f"crystalsmith: {len(lost) - _SHOWN} more without a result, {more}", file=sys.stderr)
