"""A powder pattern as a plot that answers to the mouse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crystalsmith.serving.pages.plot import Plot

RADIATIONS = {
    "CuKa": "Cu Kα, 1.5406 and 1.5444 Å",
    "MoKa": "Mo Kα, 0.7093 and 0.7136 Å",
    "CoKa": "Co Kα",
    "CrKa": "Cr Kα",
    "AgKa": "Ag Kα",
    "0.5": "synchrotron, 0.5 Å",
}
"""What can be chosen, by names of ``diffraction.radiation``."""


def pattern_plot(pattern: Mapping[str, Any], *, height: int = 300) -> Plot:
    """The pattern, and ticks with indices below it.

    Args:
        pattern: ``two_theta`` (degrees), ``intensity`` (highest 100) and ``peaks``, each with ``two_theta``,
            ``d`` (Angstrom), ``intensity`` and ``hkl``.
        height: in pixels.
    """
    return Plot(figure_of([(pattern, "")], height), spoken(pattern))


def pair_plot(first: Mapping[str, Any], second: Mapping[str, Any], names: tuple[str, str]) -> Plot:
    """Two patterns, the second one upside down."""
    words = f"{names[0]}: {spoken(first)}; {names[1]}: {spoken(second)}"
    return Plot(figure_of([(first, names[0]), (second, names[1])], 340), words)


def figure_of(patterns: list[tuple[Mapping[str, Any], str]], height: int) -> dict[str, Any]:
    """The figure, as plotly's JSON; its colours come from the style sheet, so that they follow the page."""
    data: list[dict[str, Any]] = []
    for place, (pattern, name) in enumerate(patterns):
        sign = -1 if place else 1
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": name or "pattern",
                "x": pattern["two_theta"],
                "y": [round(sign * value, 3) for value in pattern["intensity"]],
                "line": {"width": 1.4, "color": _COLORS[place]},
                "hoverinfo": "skip",
            }
        )
        peaks = pattern["peaks"]
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "indices",
                "showlegend": False,
                "x": [peak["two_theta"] for peak in peaks],
                "y": [-4.0 if len(patterns) == 1 else sign * 1.0 for _ in peaks],
                "marker": {
                    "symbol": "line-ns-open",
                    "size": 9,
                    "color": _COLORS[place],
                    "line": {"width": 1.2},
                },
                "text": [_tip(peak) for peak in peaks],
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    spread = [-8, 104] if len(patterns) == 1 else [-104, 104]
    axis = {"zeroline": False, "gridcolor": "rgba(128,134,150,.25)", "linecolor": "rgba(128,134,150,.6)"}
    layout = {
        "height": height,
        "margin": {"l": 44, "r": 10, "t": 8, "b": 42},
        "showlegend": len(patterns) > 1,
        "legend": {"orientation": "h", "y": 1.12},
        "hovermode": "closest",
        "dragmode": "zoom",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, DejaVu Sans, sans-serif", "size": 13, "color": "#7b8292"},
        "xaxis": {**axis, "title": {"text": "2θ (°)"}, "ticks": "outside"},
        "yaxis": {**axis, "title": {"text": "intensity (%)"}, "range": spread, "fixedrange": True},
    }
    config = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d"]}
    return {"data": data, "layout": layout, "config": {**config, "displayModeBar": False}}


def spoken(pattern: Mapping[str, Any]) -> str:
    """What a screen reader says of a pattern: its strongest lines."""
    strongest = sorted(pattern["peaks"], key=lambda peak: -peak["intensity"])[:5]
    lines = ", ".join(f"{angle:.1f}" for angle in sorted(peak["two_theta"] for peak in strongest))
    if not lines:
        return "Powder pattern without lines"
    return f"Simulated powder pattern; strongest lines at {lines} degrees"


def _tip(peak: Mapping[str, Any]) -> str:
    parts = (
        peak["hkl"],
        f"2θ {peak['two_theta']:.2f}°",
        f"d {peak['d']:.3f} Å",
        f"{peak['intensity']:.0f} %",
    )
    return "<br>".join(parts)


_COLORS = ("#3f7fc4", "#c8642c")
