"""A contact sheet: many crystals drawn side by side in one picture file."""

import math
import re
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from pymatgen.core.composition import Composition

from crystalsmith.errors import ConfigError, StructureError, SymmetryError
from crystalsmith.pictures.ball_and_stick import Drawing, ball, draw_cell, element_color
from crystalsmith.pictures.shown import ShownFigure
from crystalsmith.runs.atomic import replacing
from crystalsmith.symmetry import space_group

# Lengths on the sheet, in inches.
_TILE = 2.3
_MARGIN = 0.25
_GAP = 0.25
_FORMULA = 0.26
_LABEL_LINE = 0.165
_LEGEND = 0.24
_TITLE = 0.45

_LABEL_CHARACTERS = 33  # that fit a tile's width
_LABEL_LINES = 3
_FORMATS = (".png", ".svg", ".pdf")
_INK = "#22252b"
_QUIET_INK = "#5a6070"


def contact_sheet(
    structures: Sequence[Atoms],
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    columns: int | None = None,
    title: str | None = None,
) -> Path:
    """Draw crystals side by side and write the picture.

    Each cell is drawn as given, filled up with the images of its boundary
    atoms; under it stand its reduced formula, its label and a legend of its
    elements. The file appears whole or not at all.

    Args:
        structures: the crystals, one unit cell each (Å).
        path: the file to write; its suffix (.png, .svg or .pdf) sets the format.
        labels: what to print under each formula, such as the space group.
            Without it, `atoms.info["label"]` is used where present.
        columns: pictures per row; without it, a sheet a little wider than high.
        title: a headline for the sheet.

    Returns:
        The path of the written file.

    Raises:
        ConfigError: no structures, not one label per structure, columns below
            1 or a suffix that is not known. A ValueError.
        StructureError: a structure without atoms or volume, or one that is not
            finite. A ValueError.
        OSError: the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise ConfigError(f"cannot draw '{path.name}': its name must end in one of {', '.join(_FORMATS)}")
    figure = sheet_figure(structures, labels=labels, columns=columns, title=title)
    with replacing(path) as partial:
        # Large sheets get fewer dots per inch to stay openable everywhere.
        dots = 200 if len(structures) <= 30 else 130
        figure.savefig(partial, dpi=dots, format=path.suffix.lower().removeprefix("."))
    return path


def sheet_figure(
    structures: Sequence[Atoms],
    *,
    labels: Sequence[str] | None = None,
    columns: int | None = None,
    title: str | None = None,
) -> Figure:
    """Draw the sheet of `contact_sheet` without writing it; same arguments and errors."""
    _check(structures, labels, columns)
    if labels is None:
        labels = [str(atoms.info.get("label", "")) for atoms in structures]
    formulas = [_formula(atoms) for atoms in structures]
    captions = [_caption_lines(text, formula) for text, formula in zip(labels, formulas, strict=True)]
    caption_height = _FORMULA + _LABEL_LINE * max(map(len, captions)) + _LEGEND

    columns = _columns(len(structures)) if columns is None else min(columns, len(structures))
    rows = math.ceil(len(structures) / columns)
    step_x, step_y = _TILE + _GAP, _TILE + caption_height + _GAP
    width = 2 * _MARGIN + columns * step_x - _GAP
    height = 2 * _MARGIN + rows * step_y - _GAP + (_TITLE if title else 0.0)
    figure, axes = inch_page(width, height)
    if title:
        size = min(14.0, 14.0 * width / (0.135 * len(title) + 0.5))
        _write(axes, width / 2, height - _MARGIN - 0.1, _plain(title), size, _INK, weight="bold")

    top = height - _MARGIN - (_TITLE if title else 0.0)
    for k, (atoms, formula, caption) in enumerate(zip(structures, formulas, captions, strict=True)):
        row, column = divmod(k, columns)
        left, upper = _MARGIN + column * step_x, top - row * step_y
        paint(axes, _fitted(draw_cell(atoms), left, upper))
        _write_caption(axes, left + _TILE / 2, upper - _TILE, formula, caption)
    return figure


def _check(structures: Sequence[Atoms], labels: Sequence[str] | None, columns: int | None) -> None:
    if len(structures) == 0:
        raise ConfigError("a contact sheet needs at least one structure")
    if labels is not None and len(labels) != len(structures):
        raise ConfigError(f"{len(labels)} labels were given for {len(structures)} structures")
    if columns is not None and columns < 1:
        raise ConfigError(f"a contact sheet needs at least 1 column, not {columns}")
    for k, atoms in enumerate(structures):
        if len(atoms) == 0:
            raise StructureError(f"structure {k} has no atoms")
        if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
            raise StructureError(f"structure {k} has a position or cell length that is not finite")


def _columns(count: int) -> int:
    rows = math.ceil(count / math.ceil(math.sqrt(1.5 * count)))
    return math.ceil(count / rows)


def inch_page(width: float, height: float) -> tuple[Figure, Axes]:
    """A new figure and axes over the whole of it, with inches from its lower left corner as coordinates."""
    figure = ShownFigure(figsize=(width, height), facecolor="white")
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0.0, width)
    axes.set_ylim(0.0, height)
    return figure, axes


def _fitted(drawing: Drawing, left: float, upper: float) -> Drawing:
    """The drawing scaled and moved into the tile with this upper left corner."""
    corners = np.concatenate([*drawing.polygons, *(place[None] for _, place in drawing.axis_names)])
    low, high = corners.min(axis=0), corners.max(axis=0)
    scale = _TILE / float((high - low).max())
    drawing.move(scale, np.array([left, upper]) + _TILE * np.array([0.5, -0.5]) - scale * (low + high) / 2)
    return drawing


def paint(axes: Axes, drawing: Drawing) -> None:
    """Put a drawing on axes, in their coordinates."""
    axes.add_collection(
        PolyCollection(
            drawing.polygons,
            facecolors=drawing.faces,
            edgecolors=drawing.lines,
            linewidths=drawing.widths,
            capstyle="round",
            joinstyle="round",
            rasterized=True,  # a vector file of shaded balls would take megabytes per crystal
        ),
        autolim=False,
    )
    for name, (x, y) in drawing.axis_names:
        _write(axes, x, y, f"${name}$", 8.5, _QUIET_INK)


def _write(
    axes: Axes,
    x: float,
    y: float,
    text: str,
    size: float,
    color: str,
    *,
    align: str = "center",
    weight: str = "normal",
) -> None:
    axes.text(x, y, text, size=size, color=color, weight=weight, ha=align, va="center")


def _write_caption(axes: Axes, centre: float, upper: float, formula: str, lines: Sequence[str]) -> None:
    size = min(12.0, 12.0 * 20 / max(len(formula), 1))
    y = upper - _FORMULA / 2 - 0.02
    _write(axes, centre, y, subscripted(formula), size, _INK)
    y = upper - _FORMULA - _LABEL_LINE / 2
    for line in lines:
        _write(axes, centre, y, typeset(line), 8.5, _QUIET_INK)
        y -= _LABEL_LINE
    _write_legend(axes, centre, y + _LABEL_LINE / 2 - _LEGEND / 2, formula)


def _write_legend(axes: Axes, centre: float, y: float, formula: str) -> None:
    """One small ball and symbol per element, in the order of the formula."""
    symbols = [element.symbol for element in Composition(formula).elements]
    step = min(0.42, _TILE / len(symbols))
    x = centre - step * len(symbols) / 2 + step * 0.25
    legend = Drawing()
    for symbol in symbols:
        ball(legend, np.array([x, y]), 0.055, element_color(atomic_numbers[symbol]))
        _write(axes, x + 0.085, y - 0.005, symbol, 7.5, _QUIET_INK, align="left")
        x += step
    paint(axes, legend)


def _formula(atoms: Atoms) -> str:
    formula = str(Composition(atoms.get_chemical_formula()).reduced_formula)
    return re.sub("HO(?![a-z0-9])", "OH", formula)  # of hydroxides, as everybody writes them


def subscripted(formula: str) -> str:
    """A formula with lowered numbers, for matplotlib."""
    return re.sub(r"(\d+)", r"$_{\1}$", formula)


def _caption_lines(label: str, formula: str) -> list[str]:
    """The label in lines that fit; a leading formula is dropped, as it stands above already."""
    if label.split()[:1] == [formula]:
        label = label.strip().removeprefix(formula)
    lines = [piece for line in label.splitlines() for piece in textwrap.wrap(line, _LABEL_CHARACTERS)]
    if len(lines) > _LABEL_LINES:
        lines = [*lines[: _LABEL_LINES - 1], lines[_LABEL_LINES - 1][: _LABEL_CHARACTERS - 1] + "…"]
    return lines


def _plain(text: str) -> str:
    # An unpaired dollar sign would open a formula.
    return text.replace("$", r"\$")


def typeset(line: str) -> str:
    """The line with its space group symbols set as crystallographers do: slanted, bars over digits."""
    return " ".join(_symbol(word) if _is_space_group(word) else _plain(word) for word in line.split())


def _symbol(word: str) -> str:
    return "$" + re.sub(r"-(\d)", r"\\bar{\1}", word) + "$"


@cache
def _is_space_group(word: str) -> bool:
    try:
        return space_group(word).symbol == word
    except SymmetryError:
        return False
