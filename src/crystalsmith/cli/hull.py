"""``crystalsmith hull``: reference energies of a potential, and the phase diagrams that they make."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.cli import options
from crystalsmith.errors import HullError

if TYPE_CHECKING:
    from crystalsmith.data import Dataset
    from crystalsmith.hull import Hull, Phase, Place
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
    show.add_argument("--json", action="store_true", help="JSON lines, one phase each")
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


def parse_system(text: str, most: int, fewest: int = 1) -> tuple[str, ...]:
    """Elements of a chemical system, in the order given.

    Raises:
        HullError: no elements, one twice, or too few or many.
    """
    from crystalsmith.crystal import NUMBERS

    symbols = [part for part in re.split(r"[\s,-]+", text.strip()) if part]
    for symbol in symbols:
        if symbol not in NUMBERS:
            raise HullError(f"system {text!r}: {symbol!r} is no element; write it like Cu-K-Si")
    if len(set(symbols)) < len(symbols):
        raise HullError(f"system {text!r} names an element twice")
    if not fewest <= len(symbols) <= most:
        number = f"{len(symbols)} element{'' if len(symbols) == 1 else 's'}"
        raise HullError(f"system {text!r} has {number}; give {fewest} to {most}, such as Cu-K-Si")
    return tuple(symbols)


def load_hull(args: argparse.Namespace) -> Hull:
    """The hull that the options of ``add_hull_options`` name.

    Raises:
        HullError: no references for the potential, or files that cannot be used.
    """
    from crystalsmith.hull import Hull, References, read_entries, shipped

    if args.references is not None:
        references: References | None = References.open(args.references)
        assert references is not None
        if references.potential != args.potential:
            raise HullError(
                f"{args.references} holds energies of {references.potential}; add --potential"
                f" {references.potential}"
            )
    else:
        references = shipped(args.potential)
    more = [phase for path in args.entries for phase in read_entries(path, args.potential)]
    if references is None and not more:
        raise HullError(
            f"no reference phases come with the package for {args.potential}; compute them with `crystalsmith"
            f" hull build SOURCE --potential {args.potential} -o FILE` and give --references FILE"
        )
    return Hull(references, more)


def _show(args: argparse.Namespace) -> int:
    from crystalsmith.hull import MOST_ELEMENTS

    elements = parse_system(args.system, MOST_ELEMENTS, 2)
    picture = None if args.output is None else Path(args.output)
    if picture is not None:
        _check_picture(picture, len(elements))
    hull = load_hull(args)
    hull.diagram(elements)  # refuses a system without references before anything is printed
    rows = _placed(hull, elements)
    if args.json:
        for phase, place in rows:
            line = {
                "id": phase.id,
                "formula": phase.formula,
                "space_group": phase.space_group or None,
                "energy_per_atom": round(phase.energy, 6),
                "formation": _rounded(place.formation, 6),
                "above_hull": _rounded(place.above_hull, 6),
            }
            print(json.dumps(line))
    else:
        _print_phases(rows)
        if hull.references is not None:
            print(hull.references.note)
        for note in hull.notes(elements):
            print(f"note: {note}")
    if picture is not None:
        _draw(hull, elements, picture)
    return 0


def _placed(hull: Hull, elements: Sequence[str]) -> list[tuple[Phase, Place]]:
    """Phases and where they lie: elements first, then by subsystem and formula, the lowest in front."""
    place = {e: k for k, e in enumerate(elements)}
    rows = [(phase, hull.place(phase.counts, phase.energy)) for phase in hull.phases(elements)]

    def key(row: tuple[Phase, Place]) -> tuple[Any, ...]:
        phase, at = row
        own = sorted(place[e] for e in phase.elements)
        return (
            len(own),
            own,
            -phase.counts[elements[own[0]]] / phase.n_atoms,
            phase.formula,
            at.above_hull,
            phase.id,
        )

    return sorted(rows, key=key)


def _print_phases(rows: Sequence[tuple[Phase, Place]]) -> None:
    """A table no wider than what stands in it; kJ are per mole of atoms."""
    from crystalsmith.hull import KJ_PER_MOL
    from crystalsmith.symmetry import space_group

    lines = [
        ("", "", "", "formation", "", "above hull", ""),
        ("phase", "id", "space group", "eV/atom", "kJ/mol", "eV/atom", "kJ/mol"),
    ]
    for phase, place in rows:
        stable = abs(place.above_hull) < 1e-6
        lines.append(
            (
                phase.formula,
                phase.id,
                space_group(phase.space_group).symbol if phase.space_group else "",
                f"{_rounded(place.formation, 3):.3f}",
                f"{_rounded(place.formation * KJ_PER_MOL, 2):.2f}",
                "on it" if stable else f"{_rounded(place.above_hull, 3):.3f}",
                "" if stable else f"{_rounded(place.above_hull * KJ_PER_MOL, 2):.2f}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [
            text.ljust(width) if k < 3 else text.rjust(width)
            for k, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _rounded(value: float, digits: int) -> float:
    """Without a minus before zero."""
    return round(value, digits) + 0.0


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
    from crystalsmith.hull import MOST_ELEMENTS
    from crystalsmith.hull.elements import element_dataset

    parts = [_read(source, args.workers) for source in args.sources]
    if args.materials_project is not None:
        from crystalsmith.hull.materials_project import fetch_system

        parts.append(fetch_system(parse_system(args.materials_project, MOST_ELEMENTS), args.above_hull))
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
