"""Cells that lines of a pattern lead to by themselves, of the volume that candidates have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.diffraction.lattice_search import Lines, System, lattice_of, search
from crystalsmith.solving.cells import CENTRINGS, FOUND, Cell, reduced
from crystalsmith.solving.explained import (
    MOST_CELLS,
    PARAMETERS,
    RIVALS,
    SAME,
    convincing_cells,
    explained_by,
    longest,
    strongest,
)
from crystalsmith.solving.fitting import Observation
from crystalsmith.solving.trials import OWN, Fitted, Trial
from crystalsmith.symmetry import lattice_to_cell

STRONGEST = 70
"""Peaks of the pattern that are looked at."""

SPREAD = 0.15
"""Relative error of the volumes of candidates beyond what they differ by."""

SHIFTS = (0.0, -0.1, -0.05, 0.05, 0.1)
"""Degrees by which the pattern may be shifted, each tried."""

WORTH_IT = 16.0
"""Natural units from which on a cell of the lines alone is worth candidates: so many are tried."""

MOST_INDICES = 1_000_000
"""Beyond which a cell is so flat that it is none."""

OFF = 0.35, 0.03
"""By how much a line may be off: parts of its width, and degrees at least."""


def lines_of(observation: Observation, shift: float = 0.0) -> Lines:
    """The strongest lines of a pattern that is shifted by so many degrees."""
    ready = observation.prepared
    place = np.sort(_tops(ready.two_theta, ready.intensity, strongest(observation, STRONGEST)))
    wavelength = ready.radiation.mean
    off = np.maximum(OFF[0] * np.asarray(ready.width(place)), OFF[1])
    place = place - shift
    q = (2 * np.sin(np.radians(place) / 2) / wavelength) ** 2
    slope = 2 * np.sin(np.radians(place)) / wavelength**2 * np.radians(1)
    return Lines(q, off * slope, slope)


def _tops(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Where peaks are highest, between the points."""
    inner = rows[(rows > 1) & (rows < len(x) - 2)]
    part = np.stack([y[inner + k] for k in (-2, -1, 0, 1, 2)], 1).clip(min=0)
    return x[inner] + (x[1] - x[0]) * (part @ np.arange(-2, 3)) / part.sum(1).clip(min=1e-30)


def volume_ranges(crystals: Sequence[Crystal]) -> list[tuple[float, float]]:
    """Ranges of the volume of the primitive cell, by the candidates of each size."""
    sizes: dict[int, list[float]] = {}
    for crystal in crystals:
        sizes.setdefault(crystal.n_atoms, []).append(abs(float(np.linalg.det(crystal.primitive_lattice))))
    return [
        (float(np.quantile(v, 0.1)) * (1 - SPREAD), float(np.quantile(v, 0.9)) * (1 + SPREAD))
        for v in sizes.values()
    ]


def searched_cells(observation: Observation, ranges: Sequence[tuple[float, float]]) -> list[Cell]:
    """Primitive cells that explain the lines far better than chance would, the best first."""
    found: list[tuple[float, str, np.ndarray]] = []
    for shift in SHIFTS:
        for system, metrics, zeros in search(lines_of(observation, shift), ranges):
            for metric, zero in zip(metrics, zeros, strict=True):
                found += _valued(observation, ranges, system, lattice_of(metric), shift + zero)
    found.sort(key=lambda one: -one[0])
    return _distinct(found)


def found_cells(observation: Observation, trials: Sequence[Trial], fits: Mapping[str, Fitted]) -> list[Cell]:
    """Cells that are worth candidates of their own: of candidates that are wrong otherwise, or of the lines.

    Args:
        observation: the pattern.
        trials: candidates so far; those on cells of their own tell the volume.
        fits: of trials, by key.
    """
    of_candidates = convincing_cells(observation, trials, fits)
    of_lines = searched_cells(observation, volume_ranges([t.crystal for t in trials if t.cell == OWN]))
    if not of_lines or not of_candidates:
        return of_lines or of_candidates
    # A candidate's cell was fitted to the whole pattern, so it stands where both explain as much.
    gain = dict(of_lines[0].figures)["explained"] - dict(of_candidates[0].figures)["explained"]
    return of_lines if gain > RIVALS else of_candidates


def _valued(
    observation: Observation,
    ranges: Sequence[tuple[float, float]],
    system: System | None,
    lattice: np.ndarray,
    shift: float,
) -> list[tuple[float, str, np.ndarray]]:
    """How well a cell with each centring explains the lines, its system, and the primitive lattice."""
    reach = longest(observation)
    hkl = _indices(lattice, reach)
    if not len(hkl):
        return []
    length = np.linalg.norm(hkl @ np.linalg.inv(lattice).T, axis=1)
    inside = (length < reach) & (length > 0)
    hkl, length = hkl[inside], length[inside]
    name = "triclinic" if system is None else system.name
    found = []
    for centring in "P" if system is None else system.centrings.replace("C", "ABC"):
        rows = CENTRINGS[centring] @ lattice
        volume = abs(float(np.linalg.det(rows)))
        if any(low < volume < high for low, high in ranges):
            whole = hkl @ CENTRINGS[centring].T
            seen = (np.abs(whole - np.rint(whole)) < 1e-6).all(1)
            value = explained_by(length[seen], PARAMETERS[name], observation, shift)
            found.append((value, name, reduced(rows)))
    return found


def _indices(lattice: np.ndarray, reach: float) -> np.ndarray:
    """(n, 3) indices of lines up to 1/d = ``reach``, one of each opposite pair; none of a flat cell."""
    h, k, l = (int(reach * size) + 1 for size in np.linalg.norm(lattice, axis=1))  # noqa: E741
    if (h + 1) * (2 * k + 1) * (2 * l + 1) > MOST_INDICES:
        return np.zeros((0, 3), int)
    axes = np.arange(0, h + 1), np.arange(-k, k + 1), np.arange(-l, l + 1)
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def _distinct(found: Sequence[tuple[float, str, np.ndarray]]) -> list[Cell]:
    """The first few that are convincing and no description of one before."""
    cells: list[Cell] = []
    taken: list[np.ndarray] = []
    for value, system, lattice in found:
        if value < max(WORTH_IT, found[0][0] - RIVALS) or len(cells) == MOST_CELLS:
            break
        if any(_same(lattice, other) for other in taken):
            continue
        taken.append(lattice)
        values = tuple(float(v) for v in lattice_to_cell(lattice))
        cells.append(Cell(values, FOUND, system, (("explained", round(value, 2)),)))
    return cells


def _same(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether two primitive lattices are one, turned or not, within a percent of their lengths."""
    own, other = (np.sort(np.linalg.norm(_VECTORS @ x, axis=1)) for x in (first, second))
    return bool((np.abs(own / other - 1) < SAME).all())


_VECTORS = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]]
)
"""Of a reduced lattice, whose lengths tell it."""
