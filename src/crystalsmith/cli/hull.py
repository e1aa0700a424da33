"""``crystalsmith hull``: reference energies of a potential, and the phase diagrams that they make."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.cli.output import emit
from crystalsmith.errors import HullError

if TYPE_CHECKING:
    from crystalsmith.data import Dataset
    from crystalsmith.hull import Hull
    from crystalsmith.hull.build import Progress

_PICTURES = (".png", ".svg", ".pdf")

_EXAMPLES = """\
examples:
  crystalsmith hull show Cu-K-Si
  crystalsmith hull show Li-Fe-P-O --entries mine.csv -o lifepo.png
  crystalsmith hull build train.safetensors --potential 7net-0 --max-calls 8 --minutes 60 -o 7net-0.npz
  crystalsmith hull build --materials-project Cu-K-Si -o cuksi.npz
  crystalsmith hull show Cu-K-Si --entries cuksi.npz
"""


def add_parser(commands: Any) -> None:
    """Add the command and its actions."""
    parser = commands.add_parser(
        "hull",
        help="phase diagrams by a potential, and the reference energies behind them",
        description="Energies above the convex hull of known phases. All energies of a hull are of one"
        " potential.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    show = actions.add_parser(
        "show",
        help="list and draw the phases of a system",
        description="List the phases of a system, with their formation energies and how far above the hull"
        " they lie, in eV per atom and in kJ per mole of atoms; and draw them.",
    )
    show.add_argument("system", metavar="SYSTEM", help="elements, such as Cu-K-Si")
    add_hull_options(show)
    show.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="draw the phase diagram of 2, 3 or 4 elements: .png, .svg or .pdf",
    )
    show.set_defaults(run=_show)

    build = actions.add_parser(
        "build",
        help="compute reference energies",
        description="Compute the energies of known stable phases with a potential: single points, then short"
        " relaxations under their symmetry. Interrupted, the same command goes on where it stopped.",
    )
    build.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="files of data build, or structures in any form that it reads",
    )
    build.add_argument(
        "--materials-project",
        metavar="SYSTEM",
        help="in place of SOURCE: a system of the Materials Project (key in MP_API_KEY; pip install mp-api)",
    )
    build.add_argument(
        "--no-elements",
        action="store_true",
        help="leave out the known structures of the elements, which a hull cannot do without",
    )
    build.add_argument("-o", "--output", required=True, metavar="FILE", help="file of references to write")
    build.add_argument("--potential", default="chgnet", metavar="NAME", help="default: chgnet")
    build.add_argument(
        "--above-hull",
        type=options.amount,
        default=1e-4,
        metavar="EV",
        help="leave out what lies farther above the data's own hull, eV per atom (default: 0.0001)",
    )
    build.add_argument(
        "--max-calls",
        type=options.positive,
        default=8,
        metavar="N",
        help="calls of the potential for each relaxation; 1 for single points (default: 8)",
    )
    build.add_argument(
        "--minutes",
        type=options.amount,
        metavar="M",
        help="time for relaxations; the rest stay single points",
    )
    build.add_argument("--workers", type=options.positive, metavar="N", help="default: one for each core")
    build.add_argument("--quiet", action="store_true", help="no progress")
    build.set_defaults(run=_build, resumes=True)


def add_hull_options(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that need a hull."""
    parser.add_argument(
        "--potential", default="chgnet", metavar="NAME", help="whose energies (default: chgnet)"
    )
    parser.add_argument(
        "--references",
        metavar="FILE",
        help="reference phases, a file of hull build (default: those that come with the package)",
    )
    parser.add_argument(
        "--entries",
        action="append",
        default=[],
        metavar="FILE",
        help="more phases, of the same potential: a file of hull build, pymatgen's entries as JSON, or a CSV"
        " with formula and energy_per_atom; may be given several times",
    )


def _show(args: argparse.Namespace) -> int:
    from crystalsmith.hull.system import MOST_ELEMENTS, PhaseTable, load_hull, parse_system

    elements = parse_system(args.system, MOST_ELEMENTS, 2)
    picture = None if args.output is None else Path(args.output)
    if picture is not None:
        _check_picture(picture, len(elements))
    hull = load_hull(args.potential, args.references, args.entries)
    table = PhaseTable.of(elements, hull)
    emit(table, str(table))
    if picture is not None:
        _draw(hull, elements, picture)
    return 0


def _check_picture(path: Path, elements: int) -> None:
    from crystalsmith.hull.pictures import DRAWN

    if path.suffix.lower() not in _PICTURES:
        raise HullError(f"{path} is no {', '.join(_PICTURES[:-1])} or {_PICTURES[-1]} file; name one to draw")
    if elements not in DRAWN:
        raise HullError(
            f"a system of {elements} elements cannot be drawn; leave -o out, or give 2 to 4 elements"
        )
    options.check_writable(path)


def _draw(hull: Hull, elements: Sequence[str], path: Path) -> None:
    import os

    from matplotlib import rc_context

    from crystalsmith.hull.pictures import draw_phase_diagram
    from crystalsmith.pictures.plotting import STYLE
    from crystalsmith.runs.atomic import TEMPORARY, writing

    figure = draw_phase_diagram(hull.diagram(elements))
    form = path.suffix.lower().removeprefix(".")
    partial = path.with_name(path.name + TEMPORARY)
    with writing(path):
        try:
            # Without the date, and with the style's salt for its names, the same phases give the same file.
            undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
            with rc_context({**STYLE, "svg.fonttype": "path"}):
                figure.savefig(partial, format=form, dpi=160, facecolor="white", metadata=undated)
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _build(args: argparse.Namespace) -> int:
    from crystalsmith.hull.build import BuildSettings, build_references
    from crystalsmith.potentials import check_potential

    check_potential(args.potential)
    options.check_writable(Path(args.output))
    settings = BuildSettings(args.potential, args.above_hull, args.max_calls, args.minutes, args.workers)
    dataset = _dataset(args)
    references = build_references(dataset, args.output, settings, None if args.quiet else _Line())
    if not args.quiet:
        if sys.stderr.isatty():
            print(file=sys.stderr)  # ends the line of the progress
        print(f"{references.note}; in {args.output}")
        if references.metadata["failed"]:
            number = references.metadata["failed"]
            crystals = "1 crystal" if number == 1 else f"{number:,} crystals"
            print(f"{crystals} got no energy; {args.output}.journal says why")
    return 0


def _dataset(args: argparse.Namespace) -> Dataset:
    from crystalsmith.data import concatenate
    from crystalsmith.hull.elements import element_dataset

    parts = [_read(source, args.workers) for source in args.sources]
    if args.materials_project is not None:
        from crystalsmith.hull.materials_project import fetch_system
        from crystalsmith.hull.system import parse_system

        parts.append(fetch_system(parse_system(args.materials_project), args.above_hull))
    if not parts:
        raise HullError("nothing to compute: give a SOURCE or --materials-project SYSTEM")
    return concatenate(parts if args.no_elements else [*parts, element_dataset()])


def _read(source: str, workers: int | None) -> Dataset:
    from tempfile import TemporaryDirectory

    from crystalsmith.data import Dataset
    from crystalsmith.data.build import build

    if source.endswith(".safetensors"):
        return Dataset.open(source)
    with TemporaryDirectory() as folder:
        built = build([source], Path(folder) / "phases.safetensors", workers=workers)
        for reason, number in built.dropped.items():
            print(f"crystalsmith: warning: {source}: left out {number}: {reason}", file=sys.stderr)
        return Dataset.open(built.path).subset()


class _Line:
    """A line that tells how far a build is, on a terminal."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._stage, self._first = "", 0

    def __call__(self, progress: Progress) -> None:
        if not sys.stderr.isatty():
            return
        if progress.stage != self._stage:
            self._stage, self._first, self._began = progress.stage, progress.done, time.monotonic()
        spent = time.monotonic() - self._began
        rate = (progress.done - self._first) / spent if spent > 0 else 0.0
        left = f", {(progress.total - progress.done) / rate / 60:.0f} min left" if rate > 0 else ""
        print(
            f"\r{progress.stage}: {progress.done:,}/{progress.total:,}, {60 * rate:.0f} a minute{left}    ",
            end="",
            file=sys.stderr,
            flush=True,
        )
