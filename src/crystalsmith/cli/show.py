"""``crystalsmith show``: a contact sheet of crystals from files."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit
from crystalsmith.errors import CrystalsmithError

if TYPE_CHECKING:
    from crystalsmith.crystal.io import Record
    from crystalsmith.pictures.sheet import Panel


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "show",
        help="draw crystals on one sheet",
        description="Draw crystals from any file or folder that crystalsmith reads.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file or folder")
    parser.add_argument(
        "-o",
        "--output",
        default="sheet.png",
        metavar="FILE",
        help=".png, .svg, .pdf, or .html: drawings that can be turned (default: sheet.png)",
    )
    parser.add_argument("--columns", type=options.positive, metavar="N", help="pictures per row")
    parser.add_argument("--title", metavar="TEXT", help="headline of the sheet")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    from crystalsmith.pictures.sheet import MOST, draw_sheet
    from crystalsmith.reports.gallery import MOST_TURNED, write_gallery

    path = Path(args.output)
    turned = path.suffix.lower() == ".html"
    most = MOST_TURNED if turned else MOST
    panels = read_panels(args.files, most + 1)  # one more tells that there are more
    if turned:
        write_gallery(panels, path, title=args.title or "")
    else:
        draw_sheet(panels, path, title=args.title, columns=args.columns)
    drawn = min(len(panels), most)
    emit({"crystals": drawn, "picture": path}, f"{drawn} crystals drawn in {path}")
    return 0


def read_panels(sources: Sequence[str], most: int | None = None) -> list[Panel]:
    """Pictures of crystals of sources that can be read, the conventional cell where there is a symmetry.

    Args:
        sources: files and folders, of which no more is read than is needed.
        most: crystals; all if None.

    Raises:
        DataError: a source that cannot be read, or that holds no crystal.
    """
    from crystalsmith.crystal.io import readable_records

    records = (record for source in sources for record in readable_records(source))
    return [_panel(record) for record in islice(records, most)]


def _panel(record: Record) -> Panel:
    from ase import Atoms

    from crystalsmith.pictures.sheet import Panel

    name = record.id if record.index < 0 else f"{record.id} {record.index}"
    try:
        return Panel.of_crystal(record.symmetrized(), name)
    except CrystalsmithError:
        atoms = Atoms(record.numbers, cell=record.lattice, scaled_positions=record.fractional, pbc=True)
        return Panel(atoms, name)
