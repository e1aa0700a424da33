"""Cells near a crystal's own that bring its strong reflections onto lines of a pattern.

The generator knows a cell to a few percent, and of six numbers no grid of strains is fine enough. But
1/d^2 is linear in the numbers of a cell: as many strong reflections as there are open numbers, each given a
line near it, say what the cell is. Thousands of such choices at random are made at once, and those that bring
the other strong reflections onto lines, and have lines where the pattern has some, are refined.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.diffraction import fit
from crystalsmith.diffraction.lattice_search import Lines, lattice_of, monomials, refined_metric, volumes
from crystalsmith.diffraction.leastsq import Problem
from crystalsmith.diffraction.lines import lorentz_polarization, sines
from crystalsmith.diffraction.observed import Observed
from crystalsmith.symmetry import cell_to_lattice, lattice_to_cell, space_group

CHOICES = 20_000
"""Assignments that are tried."""

STRONG, PER_NUMBER = 16, 2
"""Reflections that are assigned: so many, and so many more for each open number of the cell."""

NEAR = 0.08
"""Relative difference of 1/d^2 up to which a line may be a reflection's."""

LOW = 30
"""Lines, the lowest, that cells have to explain."""

GOOD = 300
"""Assignments that are looked at with all lines."""

WIDE = 1.5
"""By how much farther lines may be off in cells that rest on a few of them."""

SAME = 0.01
"""Relative difference of 1/d^2 up to which two cells are one."""


@lru_cache(maxsize=256)
def metric_basis(number: int) -> np.ndarray:
    """(P, 6) of what the six numbers of ``lattice_search`` are made up in a space group: P are open."""
    rotations = np.rint(space_group(number).rotations)
    found = []
    for unit in np.eye(6):
        square = np.diag(unit[:3])
        square[[1, 0, 0], [2, 2, 1]] = square[[2, 2, 1], [1, 0, 0]] = unit[3:] / 2
        mean = np.mean([r @ square @ r.T for r in rotations], axis=0)
        found.append([*np.diag(mean), 2 * mean[1, 2], 2 * mean[0, 2], 2 * mean[0, 1]])
    _, size, rows = np.linalg.svd(np.array(found))
    return np.asarray(rows[: int((size > 1e-8).sum())])


def assigned_cells(
    crystals: Sequence[Crystal], observed: Observed, lines: Lines, seeds: Sequence[int], most: int
) -> list[list[Crystal]]:
    """Each crystal with cells by which its strong reflections are lines of the pattern, the best first.

    Args:
        crystals: any; what cells they come to does not depend on the others.
        observed: the pattern, for its range and radiation.
        lines: of the pattern.
        seeds: one for each crystal.
        most: cells of each.
    """
    found = []
    for crystal, seed in zip(crystals, seeds, strict=True):
        indices, strength = _reflections(crystal, observed)
        basis = metric_basis(crystal.space_group)
        metrics = _assigned(basis, crystal.lattice, indices, strength, lines, seed, most)
        found.append([_with_metric(crystal, metric) for metric in metrics])
    return found


def _reflections(crystal: Crystal, observed: Observed) -> tuple[np.ndarray, np.ndarray]:
    """(H, 3) indices, and (H,) integrated intensities."""
    batch, reflections = fit.batch_for([crystal], observed)
    problem = Problem(batch, reflections, observed)
    sine = sines(problem.square, observed.radiation.mean)
    strength = problem.frozen * lorentz_polarization(sine, observed.radiation)
    seen = reflections.multiplicity[0].numpy() > 0
    return reflections.indices[0].numpy()[seen], strength[0].double().numpy()[seen]


def _assigned(
    basis: np.ndarray,
    lattice: np.ndarray,
    indices: np.ndarray,
    strength: np.ndarray,
    lines: Lines,
    seed: int,
    most: int,
) -> list[np.ndarray]:
    """(6,) numbers of cells, the best first."""
    rows = monomials(indices)
    own = rows @ _metric(lattice)
    open_ = len(basis)
    strong = np.argsort(-strength / (0.3 * own / own.max() + 0.05), kind="stable")
    strong = strong[: STRONG + PER_NUMBER * open_]
    options = [np.nonzero(np.abs(lines.q / q - 1) < NEAR)[0] for q in own[strong]]
    able = np.array([k for k, o in enumerate(options) if len(o)], int)
    if len(able) < open_:
        return []
    weight = np.sqrt(strength[strong].clip(min=1e-12))
    columns = rows[strong] @ basis.T
    values = _chosen(columns, able, options, weight, lines.q, seed)
    ratio = values @ columns.T / own[strong]
    values = values[(np.abs(ratio - 1) < 2 * NEAR).all(1)]
    if not len(values):
        return []
    likeness = (_on_lines(values @ columns.T, lines) * weight).sum(1) / weight.sum()
    best = np.argsort(-likeness, kind="stable")[:GOOD]
    low = lines.first(LOW)
    inner = rows[own < 1.2 * low.q[-1]]
    calculated = values[best] @ basis @ inner.T
    away = np.abs(calculated[:, :, None] - low.q).min(1) / (WIDE * low.tolerance)
    likeness = likeness[best] + np.maximum(1 - away**2, 0).mean(1)
    found: list[np.ndarray] = []
    for k in best[np.argsort(-likeness, kind="stable")]:
        metric, _ = refined_metric(values[k] @ basis, inner, basis, low)
        at = rows[strong] @ metric
        if not np.isfinite(volumes(metric[None]))[0]:
            continue
        if all(np.abs(rows[strong] @ other / at - 1).max() > SAME for other in found):
            found.append(metric)
            if len(found) == most:
                break
    return found


def _chosen(
    columns: np.ndarray,
    able: np.ndarray,
    options: Sequence[np.ndarray],
    weight: np.ndarray,
    q: np.ndarray,
    seed: int,
) -> np.ndarray:
    """(n, P) open numbers of cells in which P strong reflections, chosen at random, are lines near them."""
    rng = np.random.default_rng(seed)
    open_ = columns.shape[1]
    chance = np.log(weight[able] / weight[able].sum())
    order = np.argsort(-(chance + rng.gumbel(size=(CHOICES, len(able)))), axis=1)[:, :open_]
    rows = able[order]
    count = np.array([len(o) for o in options])
    table = np.zeros((len(options), max(1, count.max())), int)
    for k, o in enumerate(options):
        table[k, : len(o)] = o
    line = table[rows, (rng.random(rows.shape) * count[rows]).astype(int)]
    matrix = columns[rows]
    size = np.linalg.norm(matrix, axis=2, keepdims=True)
    good = np.abs(np.linalg.det(matrix / size)) > 1e-2
    return np.asarray(np.linalg.solve(matrix[good], q[line[good]][..., None])[..., 0])


def _on_lines(calculated: np.ndarray, lines: Lines) -> np.ndarray:
    """Of the same shape: 1 where a value is that of a line, 0 where none is near."""
    after = np.clip(np.searchsorted(lines.q, calculated), 1, len(lines.q) - 1)
    away = [np.abs(calculated - lines.q[k]) / (WIDE * lines.tolerance[k]) for k in (after - 1, after)]
    return np.maximum(1 - np.minimum(*away) ** 2, 0)


def _metric(lattice: np.ndarray) -> np.ndarray:
    """(6,) numbers of a lattice (3, 3) of rows."""
    inverse = np.linalg.inv(lattice)
    square = inverse.T @ inverse
    return np.array([*np.diag(square), 2 * square[1, 2], 2 * square[0, 2], 2 * square[0, 1]])


def _with_metric(crystal: Crystal, metric: np.ndarray) -> Crystal:
    cell = lattice_to_cell(lattice_of(metric))
    cell = lattice_to_cell(cell_to_lattice(crystal.space_group, cell))
    return Crystal(crystal.space_group, tuple(cell.tolist()), crystal.sites)
