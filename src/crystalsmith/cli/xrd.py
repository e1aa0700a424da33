"""``crystalsmith xrd``: powder patterns of crystals, and crystals and patterns compared."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crystalsmith.errors import PatternError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from crystalsmith.diffraction.study import Comparison, Study, Subject

_EXAMPLES = """\
examples:
  crystalsmith xrd quartz.cif
  crystalsmith xrd quartz.cif --radiation MoKa -o quartz.png -o quartz.xy -o quartz.csv
  crystalsmith xrd measured.xye
  crystalsmith xrd measured.xy quartz.cif --radiation CuKa -o fit.png
  crystalsmith xrd measured.xy candidates --radiation CuKa -o ranked.csv
  crystalsmith xrd one.cif other.cif -o both.png
"""
_TEXTS = (".csv", ".xy", ".xye")
_LEAST = 1.0  # percent of the strongest: weaker lines are not printed
_MOST_PRINTED = 60


def add_parser(commands: Any) -> None:
    """Add the command."""
    commands.add_parser(
        "xrd",
        help="powder patterns: simulated, read, compared",
        description="Simulate the X-ray powder patterns of crystals, list what a measured pattern shows, and"
        " compare crystals and patterns with the first pattern, or without one with the first crystal.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        fill=_options,
    )


def _options(parser: argparse.ArgumentParser) -> None:
    from crystalsmith.cli.options import positive_number, whole

    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="crystals in any form that crystalsmith reads, patterns (.xy, .xye, .csv, .dat, .xrdml, .raw,"
        " .brml, .ras, GSAS, pdCIF) and lists of peaks",
    )
    parser.add_argument(
        "-o",
        "--output",
        action="append",
        default=[],
        metavar="FILE",
        help="write a picture (.png, .svg, .pdf), a table (.csv) or one pattern (.xy, .xye); repeatable",
    )
    how = parser.add_argument_group("how to read and simulate")
    how.add_argument(
        "--radiation",
        metavar="RAY",
        help="CuKa (both lines), CuKa1, MoKa, ..., a wavelength in Angstrom, or 20keV (default: what the file"
        " says; CuKa for crystals)",
    )
    how.add_argument(
        "--range", nargs=2, type=float, metavar=("LOW", "HIGH"), help="degrees of 2 theta (default: 5 to 90)"
    )
    how.add_argument(
        "--step", type=positive_number, default=0.02, metavar="DEG", help="between points (default: 0.02)"
    )
    how.add_argument(
        "--width",
        type=positive_number,
        default=0.1,
        metavar="DEG",
        help="full width of simulated peaks (default: 0.1; beside a pattern that of its peaks)",
    )
    how.add_argument(
        "--axis", choices=("2theta", "q", "d"), help="first column of a file that does not say it"
    )
    how.add_argument("--scan", type=whole, metavar="N", help="of a file with several scans, counted from 0")
    how.add_argument(
        "--fit",
        choices=("no", "cell", "sites"),
        default="cell",
        help="what of a crystal is fitted to a measured pattern: nothing, its cell (with zero point and"
        " widths), or its free coordinates too (default: cell)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the command; exit status."""
    from crystalsmith.cli.options import check_writable
    from crystalsmith.cli.output import emit
    from crystalsmith.diffraction.picture import FORMATS
    from crystalsmith.diffraction.radiation import radiation
    from crystalsmith.diffraction.study import View, study

    outputs = [Path(name) for name in args.output]
    for path in outputs:
        if path.suffix.lower() not in (*FORMATS, *_TEXTS):
            endings = (*FORMATS, *_TEXTS)
            raise PatternError(f"{path} is no {', '.join(endings[:-1])} or {endings[-1]} file")
        check_writable(path)
    view = View(
        None if args.radiation is None else radiation(args.radiation),
        None if args.range is None else (args.range[0], args.range[1]),
        args.step,
        args.width,
        args.axis,
        args.scan,
        args.fit,
    )
    found = study(args.files, view)
    if len(found.subjects) > 1 and any(path.suffix.lower() in (".xy", ".xye") for path in outputs):
        raise PatternError("one pattern goes into an .xy or .xye file; give one crystal or pattern")
    for path in outputs:
        _write(found, path)
    emit(found, _text(found))
    if outputs:
        print(f"written: {', '.join(map(str, outputs))}", file=sys.stderr)
    return 0


def _write(study: Study, path: Path) -> None:
    from crystalsmith.diffraction.picture import FORMATS, save_figure
    from crystalsmith.diffraction.writers import xy_text, xye_text
    from crystalsmith.runs.atomic import write_whole, writing

    form = path.suffix.lower()
    if form in FORMATS:
        save_figure(_picture(study), path)
        return
    if form == ".csv":
        text = _csv(study)
    else:
        text = (xy_text if form == ".xy" else xye_text)(study.first.pattern)
    with writing(path):
        write_whole(path, text)


def _csv(study: Study) -> str:
    """Reflections of one crystal, peaks of one pattern, or figures of all comparisons."""
    from crystalsmith.runs.csv_text import csv_text

    if not study.comparisons:
        rows = [line.to_dict() for line in study.first.lines]
        crystal = study.first.crystal is not None
        index = ("h", "k", "l", "multiplicity") if crystal else ()
        return csv_text(rows, (*index, "two_theta", "d", "intensity"))
    columns = ("name", "similarity", "r", "shift", "stretch", "stretched_similarity", "misfit", "rwp")
    return csv_text(map(_figures, study.comparisons), (*columns, "a", "b", "c", "alpha", "beta", "gamma"))


def _figures(comparison: Comparison) -> dict[str, Any]:
    """A row of the table of comparisons."""
    row: dict[str, Any] = {"name": comparison.subject.name, **comparison.plain.to_dict()}
    if comparison.stretched is not None:
        row |= {"stretch": round(comparison.stretched.stretch, 5)}
        row |= {"stretched_similarity": round(comparison.stretched.similarity, 5)}
    if comparison.fit is not None:
        row |= {"misfit": round(comparison.fit.misfit, 5), "rwp": round(comparison.fit.rwp, 5)}
        keys = ("a", "b", "c", "alpha", "beta", "gamma")
        row |= {k: round(v, 5) for k, v in zip(keys, comparison.fit.crystal.cell, strict=True)}
    return row


def _text(study: Study) -> Any:
    """What people read: what the first is, its lines or the comparisons."""
    from rich.console import Group

    if study.comparisons:
        return Group(*map(_about, study.subjects[:1]), _comparisons(study))
    return Group(_about(study.first), _lines(study.first))


def _about(subject: Subject) -> str:
    pattern, ready = subject.pattern, subject.ready
    low, high = pattern.two_theta[0], pattern.two_theta[-1]
    what = f"{subject.name}: {subject.kind}"
    if subject.crystal is not None:
        crystal = subject.crystal
        what += f", {crystal.formula} in {crystal.group.symbol} ({crystal.space_group})"
    text = f"{what}; {pattern.radiation.name}, {low:.2f} to {high:.2f} degrees of 2 theta"
    if ready is None or subject.is_list:
        return text
    text += f", {len(pattern.two_theta):,} points; peaks {ready.width(40.0):.3f} degrees wide at 40"
    return "\n".join([text, *(f"note: {note}" for note in ready.notes)])


def _lines(subject: Subject) -> Any:
    from rich.console import Group
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    crystal = subject.crystal is not None
    for heading in (*(("h k l", "mult.") if crystal else ()), "2 theta", "d / A", "intensity %"):
        table.add_column(heading, justify="right")
    shown = [line for line in subject.lines if line.intensity >= _LEAST]
    for line in shown[:_MOST_PRINTED]:
        index = " ".join(map(str, line.index)) if line.index else ""
        cells = (f"{line.two_theta:.3f}", f"{line.d:.4f}", f"{line.intensity:.1f}")
        table.add_row(*((index, str(line.multiplicity)) if crystal else ()), *cells)
    left = len(subject.lines) - min(len(shown), _MOST_PRINTED)
    if not left:
        return table
    return Group(table, f"and {left} more; all of them with -o lines.csv or --json")


def _comparisons(study: Study) -> Any:
    from rich.table import Table

    fitted = any(c.fit is not None for c in study.comparisons)
    table = Table(box=None, pad_edge=False)
    table.add_column(f"against {study.first.name}")
    for heading in (
        "similarity",
        "R",
        "shift",
        *(("fit: misfit", "Rwp", "cell (A, degrees)") if fitted else ()),
    ):
        table.add_column(heading, justify="left" if heading.startswith("cell") else "right")
    if not fitted:
        table.add_column("lengths times", justify="right")
        table.add_column("similarity then", justify="right")
    for comparison in study.comparisons:
        plain, fit, stretched = comparison.plain, comparison.fit, comparison.stretched
        cells = [
            comparison.subject.name,
            f"{plain.similarity:.3f}",
            f"{100 * plain.r:.1f} %",
            f"{plain.shift:.3f}",
        ]
        if fit is not None:
            rwp = "-" if math.isnan(fit.rwp) else f"{100 * fit.rwp:.1f} %"
            lengths = " ".join(f"{x:.3f}" for x in fit.crystal.cell[:3])
            angles = " ".join(f"{x:.2f}".removesuffix(".00") for x in fit.crystal.cell[3:])
            cells += [f"{fit.misfit:.3f}", rwp, f"{lengths} {angles}"]
        elif stretched is not None and not fitted:
            cells += [f"{stretched.stretch:.4f}", f"{stretched.similarity:.3f}"]
        table.add_row(*cells)
    return table


def _picture(study: Study) -> Figure:
    from crystalsmith.diffraction.picture import draw_traces

    if len(study.comparisons) == 1:
        return _comparison_picture(study, study.comparisons[0])
    subjects = [study.first, *(c.subject for c in study.comparisons)]
    title = subjects[0].name if len(subjects) == 1 else f"{len(subjects)} powder patterns"
    words = _about(subjects[0]).splitlines()[0]
    words = words.removeprefix(f"{title}: ")
    return draw_traces([_trace(s) for s in subjects[:8]], title, words)


def _trace(subject: Subject) -> Any:
    import numpy as np

    from crystalsmith.diffraction.picture import Trace

    p, ready = subject.pattern, subject.ready
    background = None
    if ready is not None and not subject.is_list:
        background = np.interp(p.two_theta, ready.two_theta, ready.background)
    ticks = np.array([line.two_theta for line in subject.lines])
    return Trace(subject.name, p.two_theta, p.intensity, background, ticks)


def _comparison_picture(study: Study, comparison: Comparison) -> Figure:
    """The fit, if there is one, else the patterns as they are compared."""
    import numpy as np

    from crystalsmith.diffraction.listing import reflections
    from crystalsmith.diffraction.picture import Trace, draw_comparison, draw_mirrored
    from crystalsmith.diffraction.study import fitted_curve

    first, second = study.first, comparison.subject
    best = comparison.plain
    if comparison.stretched is not None and comparison.stretched.similarity > best.similarity + 0.02:
        best = comparison.stretched
    x, one, two = best.two_theta, best.first, best.second
    ticks = _moved(np.array([line.two_theta for line in second.lines]), best.shift, best.stretch)
    words = f"similarity {best.similarity:.3f}, R {100 * best.r:.1f} %"
    if best.shift:
        words += f", shifted by {best.shift:.2f} degrees"
    if best.stretch != 1:
        words += f", all lengths times {best.stretch:.4f}"
    curve, fit = fitted_curve(study, comparison), comparison.fit
    if curve is not None and fit is not None:
        x, one, two = curve
        lines = reflections(fit.crystal, first.pattern.radiation, (float(x[0]), float(x[-1])))
        ticks = np.array([line.two_theta for line in lines]) + fit.optics.zero
        words = f"fitted: Rwp {100 * fit.rwp:.1f} % without background, misfit {fit.misfit:.3f}"
    title, words = f"{second.name} against {first.name}", f"{first.pattern.radiation.name}; {words}"
    other = Trace(second.name, x, two, ticks=ticks)
    if first.ready is not None:
        return draw_comparison(x, Trace(first.name, x, one), other, title, words)
    own = np.array([line.two_theta for line in first.lines])
    return draw_mirrored(Trace(first.name, x, one, ticks=own), other, title, words)


def _moved(places: Any, shift: float, stretch: float) -> Any:
    """Angles of reflections after all lengths were multiplied, and shifted."""
    import numpy as np

    sines = np.sin(np.radians(places) / 2) / stretch
    return 2 * np.degrees(np.arcsin(np.clip(sines, -1, 1))) + shift
