"""Are the crystals new? Uniqueness among themselves, novelty against the training set."""

from __future__ import annotations

import time
from collections.abc import Collection

import numpy as np

from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation.context import Context, add_detail
from crystalsmith.evaluation.features import GEOMETRY
from crystalsmith.evaluation.figures import Column
from crystalsmith.evaluation.measures import uniqueness
from crystalsmith.evaluation.measures.arrays import Arrays
from crystalsmith.evaluation.measures.geometry import Geometry
from crystalsmith.evaluation.prepared import Prepared
from crystalsmith.evaluation.samples import SampleSet
from crystalsmith.runs.engines import Local, mapped
from crystalsmith.runs.pool import Failed


def measure_originality(context: Context, part: Prepared, column: Column, both_ok: np.ndarray | None) -> None:
    """Uniqueness, novelty, and what is valid, unique and novel.

    Raises:
        EvaluationError: novelty was asked for, and there is no training set.
    """
    train = context.train if context.wants("novelty") else None
    if context.settings.metrics is not None and context.wants("novelty") and train is None:
        raise EvaluationError("novelty needs the training set; name it with --train")
    if train is None and not context.wants("uniqueness"):
        return
    first, new = _tell_apart(context, part, train)
    add_detail(column, "first_of_its_kind", first)
    if context.wants("uniqueness"):
        context.add(column, "unique", first, part.groups)
    if train is not None:
        add_detail(column, "novel", new)
        context.add(column, "novel", new, part.groups)
        if both_ok is not None:
            context.add(column, "valid_unique_novel", first & new & both_ok, part.groups)


def _tell_apart(context: Context, part: Prepared, train: SampleSet | None) -> tuple[np.ndarray, np.ndarray]:
    """(n,) which crystals are the first of their kind, (n,) which kinds the training set lacks."""
    group = np.nan_to_num(part.column("group_loose")).astype(int)
    found = uniqueness.buckets(part.arrays, group.tolist())
    known = {} if train is None else _known(context, train, {formula for formula, _ in found})
    first, new = np.zeros(len(part.set), dtype=bool), np.zeros(len(part.set), dtype=bool)
    # A crystal alone in its bucket, with no known one beside it, needs no matcher.
    alone = [rows[0] for bucket, rows in found.items() if len(rows) == 1 and bucket not in known]
    first[alone] = new[alone] = True
    crowded = {b: rows for b, rows in found.items() if len(rows) > 1 or b in known}
    work = [([part.present(k) for k in rows], known.get(b, [])) for b, rows in crowded.items()]
    began = time.perf_counter()
    workshop = context.workshop
    results = mapped(workshop.engine if len(work) > 100 else Local(1), uniqueness.compare_bucket, work)
    workshop.spent("duplicates", time.perf_counter() - began, len(work), 0)
    for rows, result in zip(crowded.values(), results, strict=True):
        if isinstance(result, Failed):
            context.notes.append(f"{part.name}: duplicates could not be told ({result.reason})")
            continue
        kind, is_known = result
        first[rows] = kind == np.arange(len(rows))
        new[rows] = ~is_known
    return first, new


def _known(
    context: Context, train: SampleSet, formulas: Collection[str]
) -> dict[uniqueness.Bucket, list[Arrays]]:
    """Training crystals of these formulas by bucket; only their symmetry has to be found."""
    arrays = [s.arrays for s in train if s.arrays is not None and s.arrays.formula in formulas]
    place = Geometry._fields.index("group_loose")
    result: dict[uniqueness.Bucket, list[Arrays]] = {}
    for a, vector in zip(arrays, context.workshop.vectors(GEOMETRY, arrays, train.name), strict=True):
        group = int(vector[place]) if isinstance(vector, np.ndarray) else 0
        result.setdefault((a.formula, group), []).append(a)
    return result
