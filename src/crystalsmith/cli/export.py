"""``crystalsmith export``: crystals of any source as one file, shards, or structures of OPTIMADE."""

from __future__ import annotations

import argparse
from typing import Any

from crystalsmith.cli.output import emit

_EXAMPLES = """\
examples:
  crystalsmith export relaxed -o relaxed.optimade.jsonl
  crystalsmith export runs/*/crystals.parquet -o all
  crystalsmith export cifs.zip -o cifs.parquet --cif
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "export",
        help="write crystals of any source in another form",
        description="Read crystals in any form and write them as they come, however many there are: a file of"
        " Parquet, JSON lines, CSV, CIF or extended XYZ, a folder of shards, or structures that a server of"
        " OPTIMADE takes as they are.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=_options,
    )


def _options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILES", help="files, folders, archives, output folders of other commands"
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUT",
        help=".parquet, .optimade.jsonl, .jsonl, .csv, .cif or .extxyz; without an ending, a folder of shards"
        " of Parquet",
    )
    parser.add_argument(
        "--cif", action="store_true", help="Parquet has a column of CIFs too, for other programs"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    from crystalsmith.crystal.io.export import export

    done = export(args.files, args.output, cif=args.cif)
    emit(done, str(done))
    return 0
