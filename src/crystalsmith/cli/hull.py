"""``crystalsmith hull``: reference energies of a potential, and the phase diagrams that they make."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.errors import HullError

if TYPE_CHECKING:
    from crystalsmith.hull import Hull

_PICTURES = (".png", ".svg", ".pdf")

_EXAMPLES = """\
examples:
  crystalsmith hull show Cu-K-Si
  crystalsmith hull show Li-Fe-P-O --entries mine.csv -o lifepo.png
  crystalsmith hull build train.safetensors --potential 7net-0 --max-calls 8 --minutes 60 -o 7net-0.npz
  crystalsmith hull build 7net-0.npz more.safetensors --potential 7net-0 -o all.npz
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
    actions.add_parser(
        "show",
        help="list and draw the phases of a system",
        description="List the phases of a system, with their formation energies and how far above the hull"
        " they lie, in eV per atom and in kJ per mole of atoms; and draw them.",
        fill=_show_options,
    )
    actions.add_parser(
        "build",
        help="compute reference energies",
        description="Compute the energies of known stable phases with a potential: single points, then short"
        " relaxations under their symmetry. Interrupted, the same command goes on where it stopped.",
        fill=_build_options,
    )


def _show_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("system", metavar="SYSTEM", help="elements, such as Cu-K-Si")
    add_hull_options(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="draw the phase diagram of 2, 3 or 4 elements: .png, .svg or .pdf",
    )
    parser.set_defaults(run=_show)


def _build_options(parser: argparse.ArgumentParser) -> None:
    from crystalsmith.cli.options import add_settings
    from crystalsmith.hull.settings import BuildSettings

    parser.add_argument(
        "sources",
        nargs="*",
        metavar="SOURCE",
        help="files of data build, or structures in any form that it reads; files of hull build (.npz) go"
        " into the new one as they are, and crystals that stand in them are not computed again",
    )
    parser.add_argument(
        "--materials-project",
        metavar="SYSTEM",
        help="in place of SOURCE: a system of the Materials Project (key in MP_API_KEY; pip install mp-api)",
    )
    parser.add_argument(
        "--no-elements",
        action="store_true",
        help="leave out the known structures of the elements, which a hull cannot do without",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="file of references to write")
    add_settings(parser, BuildSettings)
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=_build, resumes=True)


def add_hull_options(parser: argparse.ArgumentParser) -> None:
    """Options of all commands that need a hull."""
    from crystalsmith.cli.options import add_settings
    from crystalsmith.hull.settings import HullSettings
    from crystalsmith.runs.settings import options_of

    add_settings(parser, HullSettings, skip=("entries",))
    spec = options_of(HullSettings)["entries"][1]
    parser.add_argument("--entries", action="append", default=[], metavar=spec.metavar, help=spec.help)


def _show(args: argparse.Namespace) -> int:
    from crystalsmith.cli.output import emit
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
    from crystalsmith.cli.options import check_writable
    from crystalsmith.hull.pictures import DRAWN

    if path.suffix.lower() not in _PICTURES:
        raise HullError(f"{path} is no {', '.join(_PICTURES[:-1])} or {_PICTURES[-1]} file; name one to draw")
    if elements not in DRAWN:
        raise HullError(
            f"a system of {elements} elements cannot be drawn; leave -o out, or give 2 to 4 elements"
        )
    check_writable(path)


def _draw(hull: Hull, elements: Sequence[str], path: Path) -> None:

    from matplotlib import rc_context

    from crystalsmith.hull.pictures import draw_phase_diagram
    from crystalsmith.pictures.plotting import STYLE
    from crystalsmith.runs.atomic import replacing, writing

    figure = draw_phase_diagram(hull.diagram(elements))
    form = path.suffix.lower().removeprefix(".")
    # Without the date, and with the style's salt for its names, the same phases give the same file.
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(form)
    with writing(path), replacing(path) as partial, rc_context({**STYLE, "svg.fonttype": "path"}):
        figure.savefig(partial, format=form, dpi=160, facecolor="white", metadata=undated)


def _build(args: argparse.Namespace) -> int:
    from crystalsmith.cli.options import check_writable, settings_from
    from crystalsmith.cli.output import emit
    from crystalsmith.cli.relax import print_lost
    from crystalsmith.hull.build import BuildSettings, build_references, check_start, load_phases
    from crystalsmith.hull.phases import References
    from crystalsmith.potentials import check_potential
    from crystalsmith.runs.progress import Display

    settings = settings_from(args, BuildSettings)
    check_potential(settings.potential)
    check_writable(Path(args.output))
    files = [source for source in args.sources if Path(source).suffix == ".npz"]
    start = [References.open(file) for file in files]
    check_start(start, settings.potential)
    dataset = load_phases(
        [source for source in args.sources if source not in files],
        materials_project=args.materials_project,
        max_above_hull=settings.max_above_hull,
        elements=not args.no_elements,
        workers=settings.workers,
        engine=settings.engine,
        optional=bool(files),
    )
    with Display(quiet=args.quiet) as progress:
        references = build_references(dataset, args.output, settings, progress, start)
    text = [f"{references.note}; in {args.output}"]
    if number := references.metadata["failed"]:
        crystals = "1 crystal" if number == 1 else f"{number:,} crystals"
        text.append(f"{crystals} got no energy; {args.output}.journal says why")
    facts = {"output": args.output, "phases": len(references), **references.metadata}
    emit(facts, None if args.quiet else "\n".join(text))
    print_lost(references.metadata["failures"], f"see {args.output}.journal")
    return 0
