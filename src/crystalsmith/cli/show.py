"""``crystalsmith show``: a contact sheet of crystals from files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit
from crystalsmith.errors import CrystalsmithError, DataError, StructureError

if TYPE_CHECKING:
    from ase import Atoms

    from crystalsmith.cli.sheet import Panel

_FORMATS = {".cif": "cif", ".extxyz": "extxyz", ".xyz": "extxyz", ".vasp": "vasp", ".poscar": "vasp"}
_NAMES = {"poscar": "vasp", "contcar": "vasp"}


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "show",
        help="draw crystals on one sheet",
        description="Draw crystals from CIF, extxyz or POSCAR files, or folders of them or of generate.",
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file or folder")
    parser.add_argument(
        "-o", "--output", default="sheet.png", metavar="FILE", help=".png, .svg or .pdf (default: sheet.png)"
    )
    parser.add_argument("--columns", type=options.positive, metavar="N", help="pictures per row")
    parser.add_argument("--title", metavar="TEXT", help="headline of the sheet")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    from crystalsmith.cli.sheet import draw_sheet

    panels = [panel for name in args.files for panel in read_panels(Path(name))]
    path = draw_sheet(panels, Path(args.output), title=args.title, columns=args.columns)
    emit({"crystals": len(panels), "picture": path}, f"{len(panels)} crystals drawn in {path}")
    return 0


def read_panels(path: Path) -> list[Panel]:
    """Pictures of all crystals in a file, a folder of files, or a folder of a run.

    Raises:
        DataError: missing, unreadable or without crystals.
    """
    from crystalsmith.cli.sheet import Panel
    from crystalsmith.generation.output import is_run, read_entries

    if path.is_dir():
        if is_run(path):
            entries = read_entries(path)
            found = [
                Panel.of_crystal(e.crystal, f"{e.order_id} {e.index}")
                for e in entries
                if e.crystal is not None
            ]
        else:
            files = sorted(file for file in path.iterdir() if _format(file) is not None)
            found = [panel for file in files for panel in _read_file(file)]
        if not found:
            raise DataError(f"{path}: no crystals in this folder; give CIF, extxyz or POSCAR files")
        return found
    return _read_file(path)


def _format(path: Path) -> str | None:
    return _FORMATS.get(path.suffix.lower()) or _NAMES.get(path.name.lower().split(".")[0].split("_")[0])


def _read_file(path: Path) -> list[Panel]:
    from ase.io import read

    kind = _format(path)
    if not path.exists():
        raise DataError(f"{path}: no such file")
    if kind is None:
        raise DataError(f"{path}: unknown kind of file; give .cif, .extxyz, .xyz, .vasp or POSCAR")
    try:
        images = read(path, index=":", format=kind)
    except Exception as error:  # ASE's readers raise whatever the content leads them into
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise DataError(f"{path}: cannot be read as {kind}: {reason}") from None
    if not images:
        raise DataError(f"{path}: no crystals in this file")
    return [_panel(atoms, _name(atoms, path, n, len(images))) for n, atoms in enumerate(images)]


def _name(atoms: Atoms, path: Path, n: int, total: int) -> str:
    if "order" in atoms.info and "index" in atoms.info:
        return f"{atoms.info['order']} {atoms.info['index']}"
    return path.stem if total == 1 else f"{path.stem} {n}"


def _panel(atoms: Atoms, name: str) -> Panel:
    """The conventional cell where the symmetry can be told, else the cell as it is."""
    from crystalsmith.cli.sheet import Panel
    from crystalsmith.crystal import Crystal

    if len(atoms) == 0:
        raise StructureError(f"{name} has no atoms and cannot be drawn")
    try:
        return Panel.of_crystal(Crystal.from_structure(atoms), name)
    except CrystalsmithError:
        if atoms.cell.rank < 3:
            raise StructureError(
                f"{name} has no three-dimensional cell and cannot be drawn as a crystal"
            ) from None
        return Panel(atoms, name)
