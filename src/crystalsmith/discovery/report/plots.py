"""Pictures of the page: crystals, powder patterns and the phase diagram, ready to stand in HTML."""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.pictures.plotting import BAR, INK, QUIET, STYLE, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ANGLES = (10.0, 90.0)
"""Two theta of the powder patterns, degrees."""

WIDTH = 0.12
"""Half width at half maximum of the drawn lines, degrees."""

_LABELS = 7
"""Peaks that get their indices."""


def crystal_png(crystal: Crystal, dots: int, *, legend: bool = True) -> str:
    """A ball-and-stick drawing of the conventional cell as a data URI.

    Args:
        crystal: what to draw.
        dots: per inch.
        legend: with the formula and the colours of the elements below it.
    """
    from matplotlib.transforms import Bbox

    from crystalsmith.pictures.contact_sheet import sheet_figure

    figure = sheet_figure([crystal.to_atoms(primitive=False)], labels=[""])
    width, height = figure.get_size_inches()
    box = None if legend else Bbox([[0.1, height - width + 0.22], [width - 0.1, height]])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots, bbox_inches=box)
    return png_uri(buffer.getvalue())


def png_uri(data: bytes) -> str:
    """A PNG as a data URI."""
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")


def figure_svg(figure: Figure, prefix: str) -> str:
    """A figure as SVG to stand in HTML; ``prefix`` keeps its ids apart from those of other figures."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, facecolor="white")
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    # What matplotlib says about itself, the only links that the page would have.
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{prefix}', svg)
    svg = re.sub(r"url\(#", f"url(#{prefix}", svg)
    return re.sub(r'xlink:href="#', f'xlink:href="#{prefix}', svg)


def powder_pattern(crystal: Crystal) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The simulated powder pattern for copper's K-alpha radiation (1.5418 Angstrom).

    Returns:
        Two theta (n) in degrees, intensities (n) with the strongest as 100, and the indices hkl of each
        peak, such as ``200`` or ``1 0 12``; the first family where several coincide.
    """
    from pymatgen.analysis.diffraction.xrd import XRDCalculator

    pattern = XRDCalculator("CuKa").get_pattern(crystal.to_structure(), two_theta_range=ANGLES)
    names = [_indices(families[0]["hkl"]) for families in pattern.hkls]
    return np.asarray(pattern.x, dtype=float), np.asarray(pattern.y, dtype=float), names


def _indices(hkl: Any) -> str:
    values = [int(v) for v in hkl]
    if len(values) == 4:  # Miller-Bravais: the third follows from the first two
        values = [values[0], values[1], values[3]]
    wide = any(abs(v) > 9 for v in values)
    return (" " if wide else "").join(str(v).replace("-", "−") for v in values)


def pattern_figure(crystal: Crystal) -> Figure:
    """The powder pattern drawn: lines of a finite width, the strongest with their indices."""
    from matplotlib import rc_context

    angles, intensities, names = powder_pattern(crystal)
    with rc_context({**STYLE, "svg.fonttype": "path"}):
        figure, axes = new_figure(5.4, 2.5, "", "")
        axes.set_title("")
        grid = np.linspace(*ANGLES, 1601)
        profile = np.zeros_like(grid)
        for angle, intensity in zip(angles, intensities, strict=True):
            profile += intensity / (1 + ((grid - angle) / WIDTH) ** 2)
        if len(angles):
            profile *= 100 / profile.max()
        axes.fill_between(grid, profile, color=BAR, alpha=0.12, linewidth=0)
        axes.plot(grid, profile, color=BAR, linewidth=0.9)
        _name_peaks(axes, angles, np.interp(angles, grid, profile), names)
        axes.set_xlim(*ANGLES)
        axes.set_ylim(0, 122)
        axes.set_yticks([])
        axes.set_xlabel("2θ (degrees), Cu Kα", fontsize=9)
        axes.set_ylabel("intensity", fontsize=9)
        axes.tick_params(labelsize=8.5, length=2.5, labelcolor=QUIET)
    return figure


def _name_peaks(axes: Axes, angles: np.ndarray, heights: np.ndarray, names: list[str]) -> None:
    stand: list[float] = []
    for i in np.argsort(-heights, kind="stable"):
        if len(stand) == _LABELS or heights[i] < 3:
            break
        if any(abs(angles[i] - other) < 3.5 for other in stand):
            continue
        stand.append(float(angles[i]))
        axes.annotate(
            names[i],
            (angles[i], min(heights[i], 100.0)),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            va="bottom",
            fontsize=7.5,
            color=INK,
        )
