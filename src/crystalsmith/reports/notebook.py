"""How crystals and tables of them show themselves in a notebook.

What stands beside the name of an object is plain HTML and SVG, which every notebook keeps. A drawing that
can be turned is a page of its own in a frame: it runs no script in the notebook's page and asks nothing of a
network.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from crystalsmith.crystal import Crystal
from crystalsmith.reports.drawings import crystal_svg
from crystalsmith.reports.words import formula_html, group_html, lattice_html, site_rows
from crystalsmith.runs.atomic import write_whole, writing
from crystalsmith.viewing import Scene, scene, viewer_page

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

SHOWN = 20
"""Rows of a table."""

DRAWN = 8
"""Rows with a picture."""

_MOST_ATOMS = 400  # in a cell that is drawn
_QUIET = "color:#7d8594"
_ROW = Markup('<tr style="vertical-align:middle">{}</tr>')
_TEXT = "text-align:left"
_NUMBER = "text-align:right;font-variant-numeric:tabular-nums"


@dataclass(frozen=True)
class View:
    """A drawing that can be turned: the last expression of a notebook's cell, or a page.

    Attributes:
        scenes: of a crystal, or the frames of a film.
        options: of ``viewing.viewer_page``.
    """

    scenes: Scene | Sequence[Scene]
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def page(self) -> str:
        """The whole page, which opens offline.

        Raises:
            ConfigError: without the extra ``web``.
        """
        options = {k: v for k, v in self.options.items() if k != "height"}
        return viewer_page(self.scenes, **options)

    def save(self, path: str | Path) -> Path:
        """Write the page.

        Raises:
            ConfigError: without the extra ``web``.
            OutputError: it cannot be written.
        """
        path, text = Path(path), self.page
        with writing(path):
            write_whole(path, text)
        return path

    def _repr_html_(self) -> str:
        height = int(self.options.get("height", 420))
        style = f"width:100%;height:{height}px;border:0;border-radius:8px"
        # Scripts, but nothing of the notebook's: the frame has an origin of its own.
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{escape(self.page)}"></iframe>'


def view(
    crystal: Crystal,
    *,
    supercell: tuple[int, int, int] = (1, 1, 1),
    polyhedra: bool = False,
    labels: bool = False,
    height: int = 420,
) -> View:
    """A crystal that can be turned.

    Args:
        crystal: shown in its conventional cell.
        supercell: cells beside each other.
        polyhedra: with the coordination polyhedra of cations.
        labels: with the names of the sites.
        height: in pixels.
    """
    style = {"supercell": list(supercell), "polyhedra": polyhedra, "labels": labels}
    return View(scene(crystal), {"style": style, "height": height})


def plot(crystal: Crystal) -> Figure:
    """A picture of the conventional cell with formula, space group and elements; ``savefig`` writes it."""
    from crystalsmith.pictures.contact_sheet import sheet_figure
    from crystalsmith.pictures.sheet import Panel

    panel = Panel.of_crystal(crystal, "")
    return sheet_figure([panel.atoms], labels=[panel.label.strip()])


def _picture(crystal: Crystal, side: float, *, legend: bool) -> Markup:
    if crystal.n_atoms_conventional > _MOST_ATOMS:
        return Markup()
    # The same crystal gets the same ids, so that a notebook that is run again stays the same.
    prefix = f"c{zlib.crc32(repr(crystal).encode()):08x}-"
    frame = Markup('<div style="width:{}rem;flex:none">{}</div>')
    return frame.format(side, crystal_svg(crystal, prefix, legend=legend))


def crystal_html(crystal: Crystal) -> str:
    """Picture, formula, space group, lattice and sites of a crystal."""
    rows = Markup().join(
        _ROW.format(Markup().join(_cell(c, _TEXT if k < 2 else _NUMBER) for k, c in enumerate(row)))
        for row in site_rows(crystal)
    )
    head = _head(["site", "Wyckoff", "x", "y", "z"], 2)
    return str(
        Markup(
            '<div style="display:flex;flex-wrap:wrap;gap:1.2rem;align-items:center">{}<div>'
            '<div style="font-size:1.15em"><b>{}</b> &nbsp; {}</div><div style="{}">{} Å, {} atoms</div>'
            '<table style="margin:.4rem 0 0">{}<tbody>{}</tbody></table></div></div>'
        ).format(
            _picture(crystal, 13, legend=True),
            formula_html(crystal.formula),
            _group(crystal.space_group),
            _QUIET,
            lattice_html(crystal),
            crystal.n_atoms_conventional,
            head,
            rows,
        )
    )


def crystals_html(
    crystals: Mapping[str, Crystal],
    *,
    words: str = "",
    more: Mapping[str, Sequence[Any]] | None = None,
    failed: int = 0,
) -> str:
    """A table of crystals with small pictures.

    Args:
        crystals: n of them by name.
        words: what stands above; how many there are if empty.
        more: further columns by name, n values each; a column without a value is left out.
        failed: how many could not be read.
    """
    columns = {k: v for k, v in (more or {}).items() if any(x not in (None, "") for x in v)}
    rows = []
    for k, (name, crystal) in enumerate(list(crystals.items())[:SHOWN]):
        picture = _picture(crystal, 4, legend=False) if k < DRAWN else Markup()
        cells = [picture, name, formula_html(crystal.formula), _group(crystal.space_group)]
        styled = [_cell(c, _TEXT) for c in [*cells, lattice_html(crystal)]]
        numbers = [crystal.n_atoms, *(_short(column[k]) for column in columns.values())]
        rows.append(_ROW.format(Markup().join([*styled, *(_cell(c, _NUMBER) for c in numbers)])))
    above = words or f"{len(crystals)} crystal{'' if len(crystals) == 1 else 's'}"
    left = len(crystals) - SHOWN
    notes = [f"and {left} more"] if left > 0 else []
    notes += [f"{failed} not read"] if failed else []
    head = _head(["", "name", "formula", "space group", "lattice (Å)", "atoms", *columns], 5)
    return _table(above, head, rows, notes)


def _group(number: int) -> Markup:
    """A notebook has no style sheet of ours that draws the bars of a symbol."""
    bar = 'style="text-decoration:overline"'
    return Markup(str(group_html(number)).replace('class="over"', bar))


def frame_html(words: str, frame: DataFrame) -> str:
    """The first rows of a result's table, numbers to three digits.

    Args:
        words: what it is.
        frame: of the result's ``to_dataframe``.
    """
    shown = frame.head(SHOWN).dropna(axis=1, how="all")
    texts = [c for c in shown if not shown[c].map(lambda v: isinstance(v, int | float)).all()]
    rows = []
    for values in shown.itertuples(index=False):
        cells = (
            _cell(_short(v), _TEXT if c in texts else _NUMBER) for c, v in zip(shown, values, strict=True)
        )
        rows.append(_ROW.format(Markup().join(cells)))
    head = _head([str(c).replace("_", " ") for c in shown], [c in texts for c in shown])
    more = len(frame) - len(shown)
    return _table(words, head, rows, [f"and {more} more in to_dataframe()"] if more > 0 else [])


def _short(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "–"}[value]
    if isinstance(value, float):
        return "–" if value != value else f"{value:.4g}".replace("-", "−")
    return str(value)


def _head(names: Sequence[str], texts: int | Sequence[bool]) -> Markup:
    """Names of columns; the first ``texts`` of them hold text, or those marked."""
    kinds = [k < texts for k in range(len(names))] if isinstance(texts, int) else texts
    cells = (
        Markup('<th style="{}">{}</th>').format(_TEXT if is_text else _NUMBER, name)
        for name, is_text in zip(names, kinds, strict=True)
    )
    return Markup("<thead><tr>{}</tr></thead>").format(Markup().join(cells))


def _cell(value: Any, style: str) -> Markup:
    return Markup('<td style="{}">{}</td>').format(style, value)


def _table(words: str, head: Markup, rows: Sequence[Markup], notes: Sequence[str]) -> str:
    below = Markup('<div style="{}">{}</div>').format(_QUIET, "; ".join(notes)) if notes else Markup()
    table = Markup('<div style="overflow-x:auto"><table>{}<tbody>{}</tbody></table></div>')
    return str(
        Markup('<div style="{}">{}</div>').format(_QUIET, words)
        + table.format(head, Markup().join(rows))
        + below
    )
