"""``crystalsmith phonons``: vibrations and elastic constants of a few crystals."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crystalsmith.phonons.run import PhononRun

_EXAMPLES = """\
examples:
  crystalsmith phonons quartz.cif -o phonons
  crystalsmith phonons crystals --potential chgnet --length 12 --max-atoms 300 --seconds 600 -o phonons

For each crystal: NAME.png (bands and density of states), NAME.json (all figures), and
NAME_phonopy_params.yaml, with which phonopy goes on: phonopy-load NAME_phonopy_params.yaml
"""


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "phonons",
        help="phonons and elastic constants of a short list",
        description="Relax crystals with a potential, compute their phonons in a supercell and their elastic"
        " constants, and tell whether they are minima. Interrupted, the same command goes on where it"
        " stopped.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=add_options,
    )


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    from crystalsmith.cli.options import add_folder, add_settings
    from crystalsmith.cli.relax import FILES
    from crystalsmith.phonons.settings import PhononSettings
    from crystalsmith.potentials.settings import Resources

    parser.add_argument("files", nargs="+", metavar="FILES", help=FILES)
    add_folder(parser, holds="other phonons")
    how = parser.add_argument_group("how to compute")
    add_settings(how, Resources)
    add_settings(how, PhononSettings)
    parser.set_defaults(run=run, resumes=True)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status: 1 where a crystal could not be computed."""
    from crystalsmith.cli.options import arguments_of, settings_from
    from crystalsmith.cli.output import emit
    from crystalsmith.cli.relax import print_lost
    from crystalsmith.phonons.run import phonons_into
    from crystalsmith.phonons.settings import PhononSettings
    from crystalsmith.potentials.settings import Resources
    from crystalsmith.runs.progress import Display

    with Display(quiet=args.quiet) as progress:
        result = phonons_into(
            args.files,
            args.output,
            settings_from(args, PhononSettings),
            settings_from(args, Resources),
            arguments=arguments_of(args),
            overwrite=args.overwrite,
            progress=progress,
        )
    emit(result, _table(result) if result.studies and not args.quiet else None)
    print_lost(result.lost, f"see {result.folder / 'manifest.json'}")
    return 1 if result.lost else 0


def _table(result: PhononRun) -> Any:
    from rich.table import Table

    from crystalsmith.symmetry import space_group

    table = Table(box=None, pad_edge=False)
    for heading in ("crystal", "formula", "space group"):
        table.add_column(heading)
    for heading in ("supercell", "lowest THz", "imaginary", "verdict", "Born", "K GPa", "G GPa"):
        table.add_column(heading, justify="right")
    for row in result.rows():
        if "verdict" not in row:
            continue
        table.add_row(
            row["name"],
            row["formula"],
            f"{space_group(row['space_group']).symbol} ({row['space_group']})",
            f"{row['supercell']} atoms" + (", cut" if row["cut"] else ""),
            f"{row['lowest'] + 0.0:.2f}".replace("-0.00", "0.00")
            + (f" at {row['lowest_at']}" if row["lowest_at"] else ""),
            str(row["imaginary"]),
            row["verdict"],
            row.get("born", "-"),
            *(f"{row[key]:.0f}" if key in row else "-" for key in ("bulk", "shear")),
        )
    return table
