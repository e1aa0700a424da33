"""Figures as plotly's JSON: profiles of patterns, phase diagrams, lines; colours suit light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.serving.diagram import ON_HULL, corners_of, nearest

if TYPE_CHECKING:
    from crystalsmith.serving.opened import Curves, Series

OBSERVED, CALCULATED, DIFFERENCE, QUIET = "#8a90a0", "#d0443e", "#3f7fc4", "rgba(128,134,150,.75)"
STABLE, KNOWN, TIE = "#3f7fc4", "rgba(128,134,150,.9)", "rgba(128,134,150,.45)"
SCALE = [[0.0, "#1f9a5d"], [0.25, "#7fb04a"], [0.5, "#e8b73a"], [0.75, "#d9662b"], [1.0, "#b8323f"]]
"""Colours of energies above the hull, from 0 to ``TOP``."""

TOP = 0.1
"""eV per atom above the hull at which the colours end."""

AXES = {"2theta": "2θ (°)", "q": "Q (1/Å)", "d": "d (Å)"}
"""Headings of axes of patterns."""

ROOM = (0.09, 0.045)
"""Between two labels of a triangle, in units of its sides."""

MOST_POINTS = 2400
"""Of a line of a pattern; finer ones are thinned where nobody sees it."""

LINES = ("#3f7fc4", "#c8642c", "#2e9a6b", "#a0569e", "#b98a1e", "#d0443e", "#6d7a8c", "#4bb3c1")

CONFIG = {
    "displaylogo": False,
    "displayModeBar": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d"],
}
_AXIS = {
    "zeroline": False,
    "gridcolor": "rgba(128,134,150,.25)",
    "linecolor": "rgba(128,134,150,.6)",
    "automargin": True,
}


def profile_figure(curves: Curves, *, height: int = 420) -> dict[str, Any]:
    """Observed, calculated and difference.

    Args:
        curves: of at least one point.
        height: in pixels.
    """
    x, observed = curves.two_theta, curves.observed
    kept = thinned(x, observed if curves.calculated is None else np.maximum(observed, curves.calculated))
    top = float(np.max(observed)) if len(observed) else 1.0
    low = float(np.min(curves.background)) if len(curves.background) else 0.0
    data = [_line("observed", x[kept], observed[kept], OBSERVED, 1.1)]
    data[0] |= {"mode": "markers", "marker": {"size": 3, "color": OBSERVED}}
    base = low
    if curves.calculated is not None:
        top = max(top, float(np.max(curves.calculated)))
        difference = observed - curves.calculated
        reach = max(float(np.max(np.abs(difference))), 0.03 * (top - low))
        base = low - 0.06 * (top - low) - reach
        data.append(_line("calculated", x[kept], curves.calculated[kept], CALCULATED, 1.3))
        data.append(_line("background", x[kept], curves.background[kept], QUIET, 1, dash="dot"))
        moved = _line("difference", x[kept], difference[kept] + base, DIFFERENCE, 1)
        data.append({**moved, "customdata": rounded(difference[kept]), "hovertemplate": "%{customdata}"})
        base -= reach
    axes = {
        "xaxis": {**_AXIS, "title": {"text": "2θ (°)"}, "ticks": "outside"},
        "yaxis": {
            **_AXIS,
            "title": {"text": "intensity"},
            "range": [base - 0.02 * (top - low), top + 0.04 * (top - low)],
            "tickformat": "~s",
        },
    }
    # Zoom and legend stay as the user has left them while the curves move.
    return {
        "data": data,
        "layout": {**_layout(height), **axes, "hovermode": "x unified", "uirevision": "profile"},
        "config": CONFIG,
    }


def pattern_figure(x: Sequence[float], y: Sequence[float], axis: str, *, height: int = 260) -> dict[str, Any]:
    """A measured pattern alone.

    Args:
        x: degrees, 1/Angstrom or Angstrom, by the axis.
        y: intensities.
        axis: ``2theta``, ``q`` or ``d``.
        height: in pixels.
    """
    xs, ys = np.array(x, float), np.array(y, float)
    kept = thinned(xs, ys)
    axes = {
        "xaxis": {**_AXIS, "title": {"text": AXES.get(axis, axis)}, "ticks": "outside"},
        "yaxis": {**_AXIS, "title": {"text": "intensity"}, "tickformat": "~s"},
    }
    data = [_line("measured", xs[kept], ys[kept], DIFFERENCE, 1.2)]
    return {"data": data, "layout": {**_layout(height), **axes, "showlegend": False}, "config": CONFIG}


def spoken_profile(curves: Curves) -> str:
    """What a screen reader says of it."""
    if not len(curves.two_theta):
        return "No pattern yet"
    span = f"{curves.two_theta[0]:.0f} to {curves.two_theta[-1]:.0f} degrees"
    if curves.calculated is None:
        return f"The measured pattern from {span}"
    misfit = "" if curves.misfit is None else f"; misfit {curves.misfit:.2f}"
    return (
        f"The measured pattern from {span}, the one calculated for {curves.label}, and the difference{misfit}"
    )


def thinned(x: np.ndarray, y: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """(k,) places of at most so many points: of each stretch the lowest and the highest."""
    if len(x) <= most:
        return np.arange(len(x))
    parts = np.array_split(np.arange(len(x)), most // 2)
    places = {int(f(y[part])) + int(part[0]) for part in parts for f in (np.argmin, np.argmax)}
    return np.array(sorted({0, len(x) - 1, *places}))


def diagram_figure(diagram: Mapping[str, Any], *, height: int = 520) -> dict[str, Any]:
    """A phase diagram, with the crystals of a run if it is one's.

    Args:
        diagram: of ``serving.diagram``.
        height: in pixels.
    """
    number = len(diagram["elements"])
    return _binary(diagram, height) if number == 2 else _simplex(diagram, height)


def spoken_diagram(diagram: Mapping[str, Any]) -> str:
    """What a screen reader says of it."""
    stable = [p["formula"] for p in diagram["phases"] if p["above"] <= ON_HULL]
    words = f"Phase diagram of {'-'.join(diagram['elements'])}; stable known phases: {', '.join(stable)}"
    lowest = nearest(diagram["points"], 3)
    near = ", ".join(f"{p['formula']} {p['above']:+.3f} eV per atom above the hull" for p in lowest)
    return f"{words}; lowest crystals of the run: {near}" if near else words


def series_figure(series: Sequence[Series], axes: tuple[str, str], *, height: int = 380) -> dict[str, Any]:
    """Lines against a common axis."""
    data = [
        _line(one.name, np.array(one.x), np.array(one.y), LINES[k % len(LINES)], 1.5)
        for k, one in enumerate(series)
    ]
    layout = {
        **_layout(height),
        "xaxis": {**_AXIS, "title": {"text": axes[0]}},
        "yaxis": {**_AXIS, "title": {"text": axes[1]}},
    }
    return {"data": data, "layout": layout, "config": CONFIG}


def bands_figure(series: Sequence[Series], *, height: int = 360) -> dict[str, Any]:
    """Bands of phonons along a path."""
    data = [
        {**_line(one.name, np.array(one.x), np.array(one.y), STABLE, 1.1), "hoverinfo": "skip"}
        for one in series
    ]
    layout = {
        **_layout(height),
        "showlegend": False,
        "xaxis": {**_AXIS, "title": {"text": "along the path (1/Å)"}},
        "yaxis": {**_AXIS, "title": {"text": "frequency (THz)"}, "zeroline": True, "zerolinecolor": KNOWN},
    }
    return {"data": data, "layout": layout, "config": CONFIG}


def rounded(values: np.ndarray) -> list[float]:
    """Five digits, so that what is sent stays small."""
    return [float(f"{v:.5g}") for v in values]


def _line(
    name: str, x: np.ndarray, y: np.ndarray, color: str, width: float, dash: str = "solid"
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": rounded(x),
        "y": rounded(y),
        "line": {"color": color, "width": width, "dash": dash},
    }


def _layout(height: int) -> dict[str, Any]:
    return {
        "height": height,
        "margin": {"l": 52, "r": 12, "t": 8, "b": 44},
        "showlegend": True,
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "dragmode": "zoom",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, DejaVu Sans, sans-serif", "size": 13, "color": "#7b8292"},
    }


def _binary(diagram: Mapping[str, Any], height: int) -> dict[str, Any]:
    """Formation energy against composition."""
    first, second = diagram["elements"]
    stable = sorted((p for p in diagram["phases"] if p["above"] <= ON_HULL), key=lambda p: p["share"])
    others = [p for p in diagram["phases"] if p["above"] > ON_HULL]
    hull = _line(
        "hull",
        np.array([p["share"] for p in stable]),
        np.array([p["formation"] for p in stable]),
        STABLE,
        1.6,
    )
    data = [
        {**hull, "hoverinfo": "skip"},
        _marks("known, stable", stable, _along, {"size": 9, "color": STABLE}, names=True, elements=True),
        _marks("known, not stable", others, _along, _open_marks()),
        *_candidates(diagram["points"], _along),
    ]
    axes = {
        "xaxis": {
            **_AXIS,
            "title": {"text": f"fraction of {second} in {first}–{second}"},
            "range": [-0.04, 1.04],
        },
        "yaxis": {**_AXIS, "title": {"text": "formation energy (eV/atom)"}, "zeroline": True},
    }
    return {"data": data, "layout": {**_layout(height), **axes, "hovermode": "closest"}, "config": CONFIG}


def _simplex(diagram: Mapping[str, Any], height: int) -> dict[str, Any]:
    """The triangle, or the tetrahedron seen in projection."""
    elements = diagram["elements"]
    corners = corners_of(len(elements))
    stable = [p for p in diagram["phases"] if p["above"] <= ON_HULL]
    others = [p for p in diagram["phases"] if p["above"] > ON_HULL]
    places = [p["at"] for p in diagram["phases"]]
    taken = [_place(point) for point in nearest(diagram["points"])]
    edges = [[corners[i], corners[j]] for i, j in combinations(range(len(corners)), 2)]
    data = [
        _segments([[places[i], places[j]] for i, j in diagram["ties"]], TIE, 1, "tie lines"),
        _segments(edges, KNOWN, 1.4, "edges"),
        _marks("known, stable", stable, _place, {"size": 9, "color": STABLE}, names=True, taken=taken),
        _marks("known, not stable", others, _place, _open_marks()) | {"visible": "legendonly"},
        *_candidates(diagram["points"], _place),
    ]
    hidden = {"visible": False, "fixedrange": False}
    low = [min(c[k] for c in corners) for k in (0, 1)]
    high = [max(c[k] for c in corners) for k in (0, 1)]
    layout = {
        **_layout(height),
        "xaxis": {**hidden, "range": [low[0] - 0.12, high[0] + 0.12]},
        "yaxis": {**hidden, "range": [low[1] - 0.1, high[1] + 0.1], "scaleanchor": "x"},
        "hovermode": "closest",
        "annotations": [
            {
                "x": x + 0.055 * (-1 if x < 0.3 else 1 if x > 0.7 else 0),
                "y": y + (0.05 if y > 0.5 else -0.05),
                "text": f"<b>{element}</b>",
                "showarrow": False,
                "font": {"size": 16},
            }
            for element, (x, y) in zip(elements, corners, strict=True)
        ],
    }
    return {"data": data, "layout": layout, "config": CONFIG}


def _along(point: Mapping[str, Any]) -> tuple[float, float]:
    return float(point["share"]), float(point["formation"])


def _place(point: Mapping[str, Any]) -> tuple[float, float]:
    return float(point["at"][0]), float(point["at"][1])


def _labels(
    points: Sequence[Mapping[str, Any]],
    places: Sequence[tuple[float, float]],
    elements: bool,
    taken: Sequence[tuple[float, float]] | None,
) -> list[str]:
    """Names of phases; where places are taken, of those only for which there is room."""
    names = []
    stand = list(taken or ())
    for point, (x, y) in zip(points, places, strict=True):
        full = taken is not None and any(abs(x - a) < ROOM[0] and abs(y - b) < ROOM[1] for a, b in stand)
        shown = (elements or not is_element(point)) and not full
        names.append(str(point["formula"]) if shown else "")
        if shown:
            stand.append((x, y))
    return names


def is_element(phase: Mapping[str, Any]) -> bool:
    """Whether a phase is of one element, whose corner bears its name."""
    return sum(c.isupper() for c in str(phase["formula"])) == 1


def _open_marks() -> dict[str, Any]:
    return {"size": 6, "symbol": "circle-open", "color": KNOWN}


def _marks(
    name: str,
    points: Sequence[Mapping[str, Any]],
    at: Any,
    marker: Mapping[str, Any],
    *,
    names: bool = False,
    elements: bool = False,
    taken: Sequence[tuple[float, float]] | None = None,
) -> dict[str, Any]:
    """Known phases."""
    places = [at(point) for point in points]
    return {
        "type": "scatter",
        "mode": "markers+text" if names else "markers",
        "name": name,
        "x": [x for x, _ in places],
        "y": [y for _, y in places],
        "marker": dict(marker),
        "text": [lowered(name) for name in _labels(points, places, elements, taken)],
        "textposition": "bottom center",
        "textfont": {"size": 11},
        "customdata": [_words(point) for point in points],
        "hovertemplate": "%{customdata}<extra></extra>",
    }


def _candidates(points: Sequence[Mapping[str, Any]], at: Any) -> list[dict[str, Any]]:
    """Crystals of the run, if any, the lowest on top: stars on the hull or below it, diamonds above."""
    if not points:
        return []
    ordered = sorted(points, key=lambda point: -point["above"])
    labelled = {str(point["name"]) for point in nearest(points)}
    places = [at(point) for point in ordered]
    stable = [point["above"] <= ON_HULL for point in ordered]
    marks = {
        "type": "scatter",
        "mode": "markers+text",
        "name": "this run",
        "x": [x for x, _ in places],
        "y": [y for _, y in places],
        "marker": {
            "symbol": ["star" if s else "diamond" for s in stable],
            "size": [16 if s else 10 for s in stable],
            "color": [point["above"] for point in ordered],
            "colorscale": SCALE,
            "cmin": 0,
            "cmax": TOP,
            "line": {"width": 1, "color": "rgba(255,255,255,.9)"},
            "showscale": True,
            "colorbar": {
                "title": {"text": "above hull<br>(eV/atom)", "side": "top"},
                "thickness": 10,
                "len": 0.55,
                "outlinewidth": 0,
            },
        },
        "text": [lowered(str(p["formula"])) if str(p["name"]) in labelled else "" for p in ordered],
        "textposition": "top center",
        "customdata": [_words(point) for point in ordered],
        "ids": [str(point["name"]) for point in ordered],
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    return [marks]


def _words(point: Mapping[str, Any]) -> str:
    """What stands beside a mark that is pointed at; foreign text cannot be taken for tags."""
    name = str(point["name"]).replace("<", "‹").replace(">", "›").replace("&", "＆")
    group = f"<br>space group {int(point['space_group'])}" if point.get("space_group") else ""
    above = (
        "on the hull" if abs(point["above"]) <= ON_HULL else f"{point['above']:+.3f} eV/atom above the hull"
    )
    formation = f"formation {point['formation']:.3f} eV/atom"
    return f"{lowered(str(point['formula']))}<br>{name}{group}<br>{above}<br>{formation}"


def lowered(formula: str) -> str:
    """A formula with its numbers lowered; of letters, digits and brackets only."""
    plain = "".join(c for c in formula if c.isalnum() or c in "().-")
    return "".join(f"<sub>{c}</sub>" if c.isdigit() else c for c in plain)


def _segments(
    pairs: Sequence[Sequence[Sequence[float]]], color: str, width: float, name: str
) -> dict[str, Any]:
    """Straight lines that nobody can point at."""
    x: list[float | None] = []
    y: list[float | None] = []
    for first, second in pairs:
        x += [first[0], second[0], None]
        y += [first[1], second[1], None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": x,
        "y": y,
        "line": {"color": color, "width": width},
        "hoverinfo": "skip",
        "showlegend": False,
    }
