"""Columns of a powder pattern as plain data, as an upload is kept: its X-rays may be named later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.diffraction.radiation import Radiation, radiation
from crystalsmith.diffraction.readers.raw import Axis, Raw, finished

if TYPE_CHECKING:
    from crystalsmith.diffraction.pattern import Pattern, PeakList

DRAWN = 2000
"""Points of a curve that is shown."""


def plain_columns(raw: Raw) -> dict[str, Any]:
    """Plain data of a file's columns."""
    lines = raw.radiation
    about = None
    if lines is not None:
        about = {
            "name": lines.name,
            "wavelengths": list(lines.wavelengths),
            "weights": list(lines.weights),
            "polarization": lines.polarization,
        }
    return {
        "x": raw.x.tolist(),
        "y": raw.y.tolist(),
        "sigma": None if raw.sigma is None else raw.sigma.tolist(),
        "axis": raw.axis,
        "peaks": raw.peaks,
        "radiation": about,
    }


def pattern_of(
    data: Mapping[str, Any], name: str, stated: str | None = None, axis: Axis | None = None
) -> Pattern | PeakList:
    """The pattern, or list of peaks, in these columns.

    Args:
        data: from ``plain_columns``.
        name: for messages.
        stated: X-rays in place of those that the file names.
        axis: what the first column is, in place of what the file says.

    Raises:
        PatternError: the axis or the wavelength is not known, or it is no pattern.
    """
    about = data["radiation"]
    lines = None
    if about is not None:
        weights = tuple(about["weights"])
        lines = Radiation(about["name"], tuple(about["wavelengths"]), weights, about["polarization"])
    raw = Raw(np.array(data["x"], float), np.array(data["y"], float))
    sigma = None if data["sigma"] is None else np.array(data["sigma"], float)
    raw = replace(raw, sigma=sigma, axis=data["axis"], radiation=lines, peaks=data["peaks"])
    return finished(raw, name, None if stated is None else radiation(stated), axis)


def drawn(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a page draws of the columns at once: the highest of neighbours where there are too many."""
    x, y = np.array(data["x"], float), np.array(data["y"], float)
    if len(x) > DRAWN:
        size = -(-len(x) // DRAWN)
        places = [k + int(np.nanargmax(y[k : k + size])) for k in range(0, len(x), size)]
        x, y = x[places], y[places]
    lines = data["radiation"]
    about = None if lines is None else lines["name"]
    return {
        "x": x.tolist(),
        "y": y.tolist(),
        "axis": data["axis"],
        "radiation": about,
        "points": len(data["x"]),
    }
