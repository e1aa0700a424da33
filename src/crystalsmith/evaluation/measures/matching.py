"""Matching crystals with the ones they were meant to be: match rate, RMSE, METRe and cRMSE.

The matcher is pymatgen's StructureMatcher with the tolerances of the field. RMSE is the matcher's
displacement, in units of (volume / atoms)^(1/3), the mean over matched pairs. METRe ("match everyone to
reference") and cRMSE as in Martirossyan et al., arXiv:2509.12178: the share of targets that any crystal of
the set matches, and the mean over all targets of the smallest displacement, an unmatched one counting as the
matcher's site tolerance.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation.measures.arrays import Arrays
from crystalsmith.evaluation.samples import SampleSet
from crystalsmith.runs.warned import logged_warnings

LTOL, STOL, ANGLE_TOL = 0.3, 0.5, 10.0
"""Length, site and angle (degrees) tolerances of published match rates."""

FREEDOM_BINS = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (6, 8), (9, None))
ATOM_BINS = ((1, 4), (5, 8), (9, 12), (13, 16), (17, 20), (21, None))
"""Smallest and largest number of free parameters, of atoms in the primitive cell, of the rows of tables."""


@lru_cache(maxsize=1)
def _matcher() -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(ltol=LTOL, stol=STOL, angle_tol=ANGLE_TOL)


def rms_displacement(pair: tuple[Arrays, Arrays]) -> np.ndarray:
    """(1,) displacement of a crystal from a target, inf where they do not match."""
    with logged_warnings():
        found = _matcher().get_rms_dist(pair[0].to_structure(), pair[1].to_structure())
    return np.array([np.inf if found is None else float(found[0])])


def pair_by_id(generated: SampleSet, reference: SampleSet) -> np.ndarray:
    """(n,) row in the reference of each crystal's target, by id; -1 where the reference has no such id.

    A trailing ``_3`` of a file's name, which tells samples of one order apart, is no part of the id.

    Raises:
        EvaluationError: two crystals of the reference have one id.
    """
    row_of: dict[str, int] = {}
    for row, sample in enumerate(reference):
        if sample.id in row_of:
            raise EvaluationError(
                f"{reference.name}: two crystals have the id {sample.id}; to pair by id each needs its own"
            )
        row_of[sample.id] = row
    rows = []
    for sample in generated:
        row = row_of.get(sample.id, -1)
        rows.append(row if row >= 0 else row_of.get(re.sub(r"_\d+$", "", sample.id), -1))
    return np.array(rows, dtype=np.int64)


def same_formula_pairs(
    generated: SampleSet, reference: SampleSet, targets: Sequence[int]
) -> list[tuple[int, int]]:
    """(crystal, target row) wherever the reduced formulas agree: what METRe has to compare."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row in targets:
        arrays = reference.samples[row].arrays
        if arrays is not None:
            rows[arrays.formula].append(row)
    return [
        (k, row)
        for k, sample in enumerate(generated)
        if sample.arrays is not None
        for row in rows.get(sample.arrays.formula, [])
    ]


@dataclass(frozen=True, eq=False)
class Matches:
    """Displacements by target and sample.

    Attributes:
        targets: (t,) rows of the reference that crystals were made for.
        rms: (t, k) displacement of the samples of each target in the order of their index; inf where one
            does not match, failed, or was not made.
        best_of_all: (t,) smallest displacement of any crystal of the set from the target.
    """

    targets: np.ndarray
    rms: np.ndarray
    best_of_all: np.ndarray

    @property
    def samples(self) -> int:
        """Samples of each target."""
        return self.rms.shape[1]

    def best_of(self, k: int) -> np.ndarray:
        """(t,) smallest displacement of the first k samples of each target."""
        return np.asarray(self.rms[:, :k].min(1))


def collect_matches(
    target_of: np.ndarray, index: Sequence[int], rms_of: dict[tuple[int, int], float]
) -> Matches:
    """Arrange displacements of pairs by target.

    Args:
        target_of: (n,) row of each crystal's target, -1 for none.
        index: (n,) place of each crystal among those of its target.
        rms_of: displacement of (crystal, reference row), inf where they do not match; missing pairs were not
            worth comparing.
    """
    targets = np.unique(target_of[target_of >= 0])
    place = {int(row): i for i, row in enumerate(targets)}
    members: dict[int, list[int]] = defaultdict(list)
    for k in np.lexsort((np.asarray(index), target_of)):
        if target_of[k] >= 0:
            members[int(target_of[k])].append(int(k))
    rms = np.full((len(targets), max((len(m) for m in members.values()), default=0)), np.inf)
    for row, crystals in members.items():
        for j, k in enumerate(crystals):
            rms[place[row], j] = rms_of.get((k, row), np.inf)
    best = np.full(len(targets), np.inf)
    for (_, row), value in rms_of.items():
        if row in place:
            best[place[row]] = min(best[place[row]], value)
    return Matches(targets, rms, best)


def root_mean(best: np.ndarray) -> float:
    """Mean displacement of the matched, NaN if none is; ``best`` (t,) is inf where unmatched."""
    matched = best[np.isfinite(best)]
    return float(matched.mean()) if len(matched) else float("nan")


def corrected(best: np.ndarray) -> np.ndarray:
    """(t,) displacements with ``STOL`` in place of the unmatched; their mean is cRMSE."""
    return np.where(np.isfinite(best), best, STOL)


def bin_label(low: int, high: int | None) -> str:
    """Heading of a bin: ``3``, ``4-5`` or ``>=9``."""
    return f">={low}" if high is None else str(low) if low == high else f"{low}-{high}"
