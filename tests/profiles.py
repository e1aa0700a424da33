"""Patterns made of given peaks, for tests that must know the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from crystalsmith.diffraction import Pattern, Radiation
from crystalsmith.diffraction.peaks import line_offsets, pseudo_voigt

PLACES = (14.2, 21.7, 28.4, 33.1, 38.9, 47.3, 54.0, 58.8, 66.4, 75.5, 81.2)
HEIGHTS = (800, 2500, 5000, 1200, 3000, 2200, 600, 1500, 900, 700, 400)


def background(x: np.ndarray) -> np.ndarray:
    """A rise towards low angles, a slope and a hump of glass."""
    return 300 * np.exp(-x / 8) + 150 - 0.5 * x + 120 * np.exp(-(((x - 24) / 5) ** 2))


def profile(
    x: np.ndarray,
    radiation: Radiation,
    width: Callable[[float], float],
    places: Sequence[float] = PLACES,
    heights: Sequence[float] = HEIGHTS,
    mixing: float = 0.4,
) -> np.ndarray:
    """Intensities of peaks with all lines of a radiation; ``width`` by angle, in degrees."""
    y = np.zeros_like(x)
    weights = np.array(radiation.weights) / radiation.weights[0]
    for place, height in zip(places, heights, strict=True):
        for offset, weight in zip(line_offsets(radiation, place), weights, strict=True):
            y += height * weight * pseudo_voigt(x - place - offset, width(place), mixing)
    return y


def counted(x: np.ndarray, mean: np.ndarray, radiation: Radiation, seed: int = 0) -> Pattern:
    """A pattern of counts with this mean."""
    return Pattern.of(x, np.random.default_rng(seed).poisson(mean).astype(float), radiation, name="made")
