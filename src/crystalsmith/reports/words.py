"""Values as a reader wants them: escaped, with lowered numbers, bars and true minus signs."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup, escape

from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.symmetry import space_group

if TYPE_CHECKING:
    from crystalsmith.crystal import Crystal

NOTHING = "–"
"""Stands where there is no value."""


def formula_html(text: str) -> Markup:
    """A formula, or words with formulas among them, with the numbers of the formulas lowered."""
    return Markup(" ").join(_lowered(word) for word in str(text).split(" "))


def _lowered(word: str) -> Markup:
    # In brackets stand space groups and ids: P6 is no phosphorus there.
    symbols = re.findall(r"[A-Z][a-z]?", word)
    is_formula = re.fullmatch(r"(?:[A-Z][a-z]?|[()\[\].\d])+[,;]?", word) and not word.startswith("(")
    if not is_formula or not set(symbols) <= NUMBERS.keys():
        return escape(word)
    return Markup(re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", word))


@lru_cache
def group_html(number: int) -> Markup:
    """A space group's symbol in italics with bars and lowered screws, and its number."""
    text = str(escape(space_group(number).symbol))
    text = re.sub(r"_(\d)", r"<sub>\1</sub>", text)
    text = re.sub(r"-(\d)", r'<span class="over">\1</span>', text)
    return Markup(f"<i>{text}</i> ({number})")


def number(value: float | None, decimals: int, *, sign: bool = False) -> str:
    """A number with a true minus; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:+.{decimals}f}" if sign else f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("+-")
    return text.replace("-", "−")


def chance(value: float | None) -> str:
    """A chance in percent; never none and never certain, and a dash where nobody said."""
    if value is None or not math.isfinite(value):
        return NOTHING
    percent = 100 * value
    return "< 1 %" if percent < 1 else "> 99 %" if percent > 99 else f"{percent:.0f} %"


def cell_parameters(crystal: Crystal) -> list[tuple[str, str]]:
    """Names and values of the conventional cell's parameters that its system leaves free."""
    a, b, c, alpha, beta, gamma = crystal.cell
    parts = [("a", f"{a:.3f}")]
    if abs(b - a) > 1e-9:
        parts.append(("b", f"{b:.3f}"))
    if abs(c - a) > 1e-9:
        parts.append(("c", f"{c:.3f}"))
    if abs(gamma - 120) < 1e-9 and abs(alpha - 90) < 1e-9 and abs(beta - 90) < 1e-9:
        return parts  # hexagonal axes
    angles = zip("αβγ", (alpha, beta, gamma), strict=True)
    return parts + [(name, f"{value:.2f}°") for name, value in angles if abs(value - 90) > 1e-9]


def lattice_text(crystal: Crystal) -> str:
    """The free parameters of the cell in one line."""
    return " ".join(f"{name} {value}" for name, value in cell_parameters(crystal))


def lattice_html(crystal: Crystal) -> Markup:
    """The same with the names of lengths in italics."""
    return Markup(" ").join(
        Markup("<i>{}</i>&nbsp;{}" if name in "abc" else "{}&nbsp;{}").format(name, value)
        for name, value in cell_parameters(crystal)
    )


def site_rows(crystal: Crystal) -> list[tuple[str, ...]]:
    """Element, multiplicity and letter, and x, y, z of one atom of each site."""
    rows = []
    for site, position in zip(crystal.sites, crystal.positions_of_sites, strict=True):
        place = position.position(np.array(site.free)) % 1.0
        rows.append((site.element, f"{position.multiplicity}{site.letter}", *(f"{x:.4f}" for x in place)))
    return rows


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
