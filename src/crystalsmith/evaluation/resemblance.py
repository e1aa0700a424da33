"""Do the crystals look like real ones? Validity, coverage, Frechet and Wasserstein distances, symmetry."""

from __future__ import annotations

from functools import partial

import numpy as np

from crystalsmith.evaluation.context import Context, add_detail
from crystalsmith.evaluation.features import SMACT, matrix
from crystalsmith.evaluation.figures import MEASURES, Column, Figure
from crystalsmith.evaluation.measures import coverage
from crystalsmith.evaluation.measures.bootstrap import distance_interval
from crystalsmith.evaluation.measures.distributions import QUANTITIES, wasserstein
from crystalsmith.evaluation.measures.frechet import frechet_distance, gaussian_distance, moments
from crystalsmith.evaluation.measures.validity import structure_is_valid
from crystalsmith.evaluation.prepared import Prepared

_FRECHET = {"fd-crystalnn": ("fd_crystal_nn", "crystal_nn"), "fd-cgcnn": ("fd_cgcnn", "cgcnn")}
"""Figure and vector of each distance."""


def measure_validity(
    context: Context, part: Prepared, column: Column
) -> tuple[np.ndarray, np.ndarray | None]:
    """Validity of structures and compositions.

    Returns:
        (n,) whether each structure is valid; (n,) whether its composition is too, None if that was not
        asked.
    """
    shortest, volume = part.column("shortest"), part.column("volume")
    structure = np.array([structure_is_valid(d, v) for d, v in zip(shortest, volume, strict=True)])
    add_detail(column, "structure_valid", structure)
    add_detail(column, "shortest", shortest)
    if not context.wants("validity"):
        return structure, None
    counts = [a.counts for a in part.arrays if a is not None]
    composition = np.zeros(len(part.set), dtype=bool)
    composition[part.there] = matrix(context.workshop.vectors(SMACT, counts, part.name), 1)[:, 0] == 1
    both = structure & composition
    add_detail(column, "composition_valid", composition)
    for key, values in (
        ("made", part.there),
        ("structure_valid", structure),
        ("composition_valid", composition),
        ("valid", both),
    ):
        context.add(column, key, values, part.groups)
    return structure, both


def measure_coverage(context: Context, part: Prepared, column: Column, structure_ok: np.ndarray) -> None:
    """COV-P and COV-R."""
    if not context.wants("coverage"):
        return
    settings, reference = context.settings, context.reference
    counted = np.ones(len(part.set), dtype=bool) if settings.variant == "cdvae" else structure_ok
    near = coverage.nearest(
        part.vectors["crystal_nn"][counted],
        part.vectors["magpie"][counted],
        reference.vectors["crystal_nn"],
        reference.vectors["magpie"],
    )
    cutoffs = settings.structure_cutoff, settings.composition_cutoff
    context.add(column, "cov_p", coverage.precision(near, *cutoffs), _groups_of(part, counted))
    context.add(column, "cov_r", coverage.recall(near, *cutoffs))
    for key, values in (("d_structure", near.structure), ("d_composition", near.composition)):
        whole = np.full(len(part.set), np.inf)
        whole[counted] = values
        add_detail(column, key, whole)


def measure_frechet(context: Context, part: Prepared, column: Column, structure_ok: np.ndarray) -> None:
    """Frechet distances."""
    for metric, (key, vector) in _FRECHET.items():
        if not context.wants(metric):
            continue
        x, y = part.vectors[vector], context.reference.vectors[vector]
        keep = np.isfinite(x).all(1)
        if context.settings.variant == "paper":
            keep &= structure_ok
        x, y = x[keep], y[np.isfinite(y).all(1)]
        value = low = high = float("nan")
        if len(x) > 1 and len(y) > 1:
            value = frechet_distance(x, y)
            statistic = partial(_frechet_of_rows, x, *moments(y))
            low, high = distance_interval(statistic, len(x), value, seed=context.settings.seed)
        column.figures[key] = Figure(MEASURES[key], value, low, high, len(x))


def measure_distributions(context: Context, part: Prepared, column: Column) -> None:
    """Wasserstein distances."""
    add_detail(column, "formula", [None if a is None else a.formula for a in part.arrays])
    add_detail(column, "space_group", part.column("group_loose"))
    add_detail(column, "atoms", part.column("atoms"))
    add_detail(column, "free_parameters", part.column("freedom"))
    if not context.wants("distributions"):
        return
    reference = context.reference.quantities()
    for name in QUANTITIES:
        x, y = column.quantities[name], reference[name]
        x, y = x[np.isfinite(x)], y[np.isfinite(y)]
        value = wasserstein(x, y)
        statistic = partial(_wasserstein_of_rows, x, y)
        low, high = distance_interval(statistic, len(x), value, seed=context.settings.seed)
        key = f"w_{name}"
        column.figures[key] = Figure(MEASURES[key], value, low, high, len(x))


def measure_symmetry(context: Context, part: Prepared, column: Column) -> None:
    """Shares with the space group asked for."""
    asked = np.array([s.asked_group for s in part.set])
    add_detail(column, "asked_group", asked)
    if not context.wants("symmetry"):
        return
    known = asked > 0
    if not known.any():
        context.notes.append(f"{part.name} does not say which space groups were asked for: no symmetry")
        return
    for key in ("group_tight", "group_loose"):
        context.add(column, key, (part.column(key) == asked)[known], _groups_of(part, known))


def _groups_of(part: Prepared, rows: np.ndarray) -> list[str] | None:
    groups = part.groups
    return None if groups is None else [g for g, kept in zip(groups, rows, strict=True) if kept]


def _frechet_of_rows(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray, rows: np.ndarray) -> float:
    return gaussian_distance(*moments(x[rows]), mean, covariance)


def _wasserstein_of_rows(x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> float:
    return wasserstein(x[rows], y)
