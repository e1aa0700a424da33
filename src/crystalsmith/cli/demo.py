"""``crystalsmith demo``: a few well-known kinds of crystal, to see that all works."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

from crystalsmith.cli import options

ORDERS: list[dict[str, Any]] = [
    {"id": "rock-salt", "space_group": "Fm-3m", "wyckoff": [["Na", "a"], ["Cl", "b"]], "count": 2},
    {"id": "zinc-blende", "space_group": "F-43m", "wyckoff": [["Zn", "a"], ["S", "c"]], "count": 2},
    {
        "id": "perovskite",
        "space_group": "Pm-3m",
        "wyckoff": [["Sr", "a"], ["Ti", "b"], ["O", "c"]],
        "count": 2,
    },
    {"id": "rutile", "space_group": "P4_2/mnm", "wyckoff": [["Ti", "a"], ["O", "f"]], "count": 2},
    {
        "id": "layered-oxide",
        "space_group": "R-3m",
        "wyckoff": [["Li", "a"], ["Co", "b"], ["O", "c"]],
        "count": 2,
    },
    {"id": "wurtzite", "space_group": "P6_3mc", "wyckoff": [["Ga", "b"], ["N", "b"]], "count": 2},
    {"space_group": "Pnma", "sites": {"Gd": 1, "Fe": 1, "O": 2}, "count": 2},
    {"space_group": "P2_1/c", "sites": {"Zr": 1, "O": 2}, "count": 2},
]
"""From cubic to monoclinic; with letters given and with letters drawn."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "demo",
        help="make a few crystals and a picture of them",
        description="Make two crystals for each of eight orders, cubic to monoclinic, and draw them.",
        fill=add_options,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from crystalsmith.generation.settings import GenerateSettings

    parser.add_argument("-o", "--output", default="demo", metavar="FOLDER", help="default: demo")
    options.add_settings(parser, GenerateSettings, only=["seed"])
    parser.add_argument("--overwrite", action="store_true", help="replace another run in the folder")
    options.add_model_options(parser)
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    from crystalsmith.cli.generate import make
    from crystalsmith.generation.settings import GenerateSettings
    from crystalsmith.orders import parse_orders

    arguments = {"demo": True, "seed": args.seed, "checkpoint": args.checkpoint, "threads": args.threads}
    settings = options.settings_from(args, GenerateSettings, picture=True)
    status = make(args, parse_orders(ORDERS, "demo"), settings, arguments)
    folder = Path(args.output)
    print(f"picture: {folder / 'crystals.png'}")
    print(f"page to open: {folder / 'report.html'}")
    print(f"to turn them and to make others: {_as_called()} serve --runs {shlex.quote(str(folder.parent))}")
    return status


def _as_called() -> str:
    """This program as a shell finds it: by its name, or where it is not on the path by its file."""
    program = Path(sys.argv[0])
    found = shutil.which("crystalsmith")
    if program.stem != "crystalsmith" or (found and Path(found).resolve() == program.resolve()):
        return "crystalsmith"
    return shlex.quote(str(program))
