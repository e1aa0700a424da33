"""Drawings that stand in a page: matplotlib's figures, PNGs, crystals and powder patterns."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from crystalsmith.crystal import Crystal
from crystalsmith.pictures.plotting import INK, LINE, QUIET

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ANGLES = (10.0, 90.0)
"""Two theta of the powder patterns, degrees."""

WIDTH = 0.12
"""Half width at half maximum of the drawn lines, degrees."""

_LABELS = 7
"""Peaks that get their indices."""

_SIZE = (520, 190)
"""Width and height of a pattern, of which 24 below are for the scale and 16 above for the indices."""

_THEMED = {INK: "--ink", QUIET: "--quiet", LINE: "--line", "#ffffff": "--paper"}


def inline_png(data: bytes, alt: str) -> Markup:
    """A PNG as part of the page."""
    text = base64.b64encode(data).decode("ascii")
    return Markup('<img alt="{}" src="data:image/png;base64,{}">').format(alt, text)


def inline_figure(figure: Figure, prefix: str) -> Markup:
    """A figure of matplotlib as SVG that follows the page's colours.

    Args:
        figure: with lines and words in the colours of ``pictures.plotting``.
        prefix: keeps its ids apart from those of other figures on the page.
    """
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, facecolor="none")
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    # What matplotlib says about itself, the only links that the page would have.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}", svg)
    svg = re.sub(r'xlink:href="#', f'xlink:href="#{prefix}', svg)
    for color, name in _THEMED.items():
        svg = svg.replace(color, f"var({name})")
    return Markup(svg)


def crystal_svg(crystal: Crystal, prefix: str, *, legend: bool = True) -> Markup:
    """The conventional cell as balls and sticks.

    Args:
        crystal: what to draw.
        prefix: keeps its ids apart from those of other drawings on the page.
        legend: with the names of the axes and the colours of the elements.
    """
    from crystalsmith.pictures.cell_svg import cell_svg

    return Markup(cell_svg(crystal.to_atoms(primitive=False), prefix, title=crystal.formula, legend=legend))


def powder_pattern(crystal: Crystal) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The simulated powder pattern for copper's K-alpha radiation (1.5418 Angstrom).

    Returns:
        Two theta (n) in degrees, intensities (n) with the strongest as 100, and the indices hkl of each
        peak, such as ``200`` or ``1 0 12``; the first family where several coincide. All empty where there
        is no reflection, or an element without tabulated scattering factors.
    """
    from pymatgen.analysis.diffraction.xrd import XRDCalculator

    try:
        pattern = XRDCalculator("CuKa").get_pattern(crystal.to_structure(), two_theta_range=ANGLES)
    except ValueError:  # no reflection within reach, or an element without scattering factors
        return np.zeros(0), np.zeros(0), []
    names = [_indices(families[0]["hkl"]) for families in pattern.hkls]
    return np.asarray(pattern.x, dtype=float), np.asarray(pattern.y, dtype=float), names


def _indices(hkl: Any) -> str:
    values = [int(v) for v in hkl]
    if len(values) == 4:  # Miller-Bravais: the third follows from the first two
        values = [values[0], values[1], values[3]]
    wide = any(abs(v) > 9 for v in values)
    return (" " if wide else "").join(str(v).replace("-", "−") for v in values)


def pattern_svg(crystal: Crystal) -> Markup:
    """The powder pattern, lines of a finite width, the strongest with their indices; empty without any."""
    angles, intensities, names = powder_pattern(crystal)
    if not len(angles):
        return Markup()
    width, height = _SIZE
    base, top = height - 34, 16
    grid = np.linspace(*ANGLES, 1601)
    profile = np.zeros_like(grid)
    for angle, intensity in zip(angles, intensities, strict=True):
        profile += intensity / (1 + ((grid - angle) / WIDTH) ** 2)
    profile /= max(float(profile.max()), 1e-9)
    x = (grid - ANGLES[0]) / (ANGLES[1] - ANGLES[0]) * width
    y = base - profile * (base - top)
    bent = np.abs(np.diff(y, 2, prepend=y[0], append=y[-1])) > 0.03  # what a straight line would miss
    bent[[0, -1]] = True
    kept = bent | np.roll(bent, 1) | np.roll(bent, -1)
    line = "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x[kept], y[kept], strict=True))
    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="powder pattern of {escape(crystal.formula)}">',
        f'<path class="under" d="M{line}L{width} {base}L0 {base}Z"/><path class="curve" d="M{line}"/>',
        f'<path class="axis" d="M0 {base}H{width}"/>',
    ]
    for tick in range(int(ANGLES[0]), int(ANGLES[1]) + 1, 10):
        place = (tick - ANGLES[0]) / (ANGLES[1] - ANGLES[0]) * width
        anchor = "start" if tick == ANGLES[0] else "end" if tick == ANGLES[1] else "middle"
        parts.append(
            f'<path class="axis" d="M{place:.1f} {base}v3"/>'
            f'<text x="{place:.1f}" y="{base + 15}" text-anchor="{anchor}">{tick}°</text>'
        )
    heights = np.interp(angles, grid, profile)
    stand: list[float] = []
    for i in np.argsort(-heights, kind="stable"):
        if len(stand) == _LABELS or heights[i] < 0.03:
            break
        if any(abs(angles[i] - other) < 4.5 for other in stand):
            continue
        stand.append(float(angles[i]))
        parts.append(
            f'<text x="{np.interp(angles[i], grid, x):.1f}" y="{base - heights[i] * (base - top) - 4:.1f}"'
            f' text-anchor="middle">{names[i]}</text>'
        )
    parts.append(f'<text x="{width / 2:.0f}" y="{height - 3}" text-anchor="middle">2θ, Cu Kα</text></svg>')
    return Markup("".join(parts))
