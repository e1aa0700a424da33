"""Cells of candidates that explain where the lines of a pattern are, whatever their intensities.

Where the atoms of a candidate are wrong but its cell is right, the pattern can already tell: each line stands
where the cell allows one. New candidates are then made for this cell. How well a cell explains lines is
weighed against chance, as a large cell has lines everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.diffraction.peaks import seen_peaks
from crystalsmith.diffraction.reflections import reflections_of
from crystalsmith.solving.cells import FOUND, Cell, on_cell
from crystalsmith.solving.fitting import Observation
from crystalsmith.solving.trials import Fitted, Trial
from crystalsmith.symmetry import lattice_family

MOST_PEAKS = 40
"""Of the pattern, the strongest, that a cell has to explain."""

FOREIGN = 0.08
"""Share of lines that are of something else, or were never there."""

NEAR = 0.5
"""Full widths up to which a line explains a peak."""

AROUND = 3.0
"""Degrees to each side within which it is counted how much is covered by lines."""

PARAMETERS = {"cubic": 1, "hexagonal": 2, "tetragonal": 2, "orthorhombic": 3, "monoclinic": 4, "triclinic": 6}
PER_PARAMETER = 2.5
"""What a free parameter of a cell can explain by chance, in natural units."""

CONVINCING = 12.0
"""Natural units from which on a cell is worth candidates of its own."""

RIVALS = 4.0
"""Natural units behind the best up to which another cell is worth it too."""

MOST_CELLS = 2

SAME = 0.01
"""Relative difference of lengths up to which two cells are one."""


def explained(crystal: Crystal, shift: float, observation: Observation) -> float:
    """By how much a crystal's cell explains the lines better than chance would, in natural units.

    Args:
        crystal: its lattice and group count, its atoms do not.
        shift: degrees by which the pattern is shifted.
        observation: the pattern.
    """
    ((h, _),) = reflections_of([crystal.space_group], crystal.lattice[None], longest(observation))
    length = np.linalg.norm(h @ np.linalg.inv(crystal.lattice).T, axis=1)
    return explained_by(length, PARAMETERS[lattice_family(crystal.space_group)], observation, shift)


def longest(observation: Observation) -> float:
    """1/d of the last line that a pattern can show, 1/Angstrom."""
    ready = observation.prepared
    end = min(ready.two_theta[-1] + 1, 179.0)
    return float(2 * np.sin(np.radians(end) / 2) / min(ready.radiation.wavelengths))


@lru_cache(maxsize=4)
def strongest(observation: Observation, most: int) -> np.ndarray:
    """(n,) points of the prepared pattern where its strongest peaks are, the strongest first."""
    ready = observation.prepared
    x = ready.two_theta
    middle = float(ready.width(float(x[len(x) // 2])))
    return seen_peaks(ready.intensity, ready.sigma, middle / float(x[1] - x[0]))[:most]


def explained_by(length: np.ndarray, parameters: int, observation: Observation, shift: float = 0.0) -> float:
    """By how much lines explain the peaks of a pattern better than chance would, in natural units.

    Args:
        length: (n,) 1/d of the lines, 1/Angstrom.
        parameters: free ones of their cell.
        observation: the pattern.
        shift: degrees by which the pattern is shifted.
    """
    ready = observation.prepared
    x = ready.two_theta
    place = strongest(observation, MOST_PEAKS)
    if not len(place):
        return 0.0
    step = float(x[1] - x[0])
    covered = np.zeros(len(x) + 1)
    for wavelength in ready.radiation.wavelengths:
        sine = 0.5 * wavelength * length
        middle = 2 * np.degrees(np.arcsin(sine[sine < 0.9999])) + shift
        half = NEAR * np.maximum(np.asarray(ready.width(middle)), 2 * step)
        first = np.clip(np.ceil((middle - half - x[0]) / step), 0, len(x)).astype(int)
        last = np.clip(np.floor((middle + half - x[0]) / step) + 1, 0, len(x)).astype(int)
        np.add.at(covered, first, 1.0)
        np.add.at(covered, last, -1.0)
    inside = np.cumsum(covered)[:-1] > 0.5
    window = max(1, round(AROUND / step))
    total = np.concatenate([[0.0], np.cumsum(inside)])
    low, high = np.clip(place - window, 0, len(x)), np.clip(place + window + 1, 0, len(x))
    chance = np.clip((total[high] - total[low]) / (high - low), 0.01, 0.98)
    gain = np.where(inside[place], np.log((1 - FOREIGN) / chance), np.log(FOREIGN / (1 - chance)))
    return float(gain.sum()) - PER_PARAMETER * parameters


def convincing_cells(
    observation: Observation, trials: Sequence[Trial], fits: Mapping[str, Fitted]
) -> list[Cell]:
    """Cells of fitted candidates that explain the lines, the best first."""
    near = [fits[t.key] for t in trials if t.key in fits and fits[t.key].near]
    found = [(explained(fit.crystal, fit.zero, observation), fit.crystal) for fit in near]
    found.sort(key=lambda one: -one[0])
    cells: list[Cell] = []
    for value, crystal in found:
        if value < max(CONVINCING, found[0][0] - RIVALS) or len(cells) == MOST_CELLS:
            break
        if all(on_cell(crystal, cell, SAME) is None for cell in cells):
            figures = (("explained", round(value, 2)),)
            cells.append(Cell(tuple(crystal.cell), FOUND, lattice_family(crystal.space_group), figures))
    return cells
