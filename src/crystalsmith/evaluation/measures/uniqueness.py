"""Which crystals are new: among themselves, and against those that a model was trained on.

Only crystals of one reduced formula and one space group are compared, so the work grows with the number of
crystals, not with its square. Within such a bucket a crystal is compared with one representative of each kind
met so far.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from crystalsmith.evaluation.measures.arrays import Arrays
from crystalsmith.runs.warned import logged_warnings

LTOL, STOL, ANGLE_TOL = 0.2, 0.3, 5.0
"""Length, site and angle (degrees) tolerances: the defaults of pymatgen's StructureMatcher."""

Bucket = tuple[str, int]
"""Reduced formula and space group."""


@lru_cache(maxsize=1)
def _matcher() -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(ltol=LTOL, stol=STOL, angle_tol=ANGLE_TOL)


def buckets(arrays: Sequence[Arrays | None], groups: Sequence[int]) -> dict[Bucket, list[int]]:
    """Rows by formula and space group; rows without a crystal are in none."""
    result: dict[Bucket, list[int]] = defaultdict(list)
    for row, (a, group) in enumerate(zip(arrays, groups, strict=True)):
        if a is not None:
            result[a.formula, int(group)].append(row)
    return dict(result)


def compare_bucket(work: tuple[list[Arrays], list[Arrays]]) -> tuple[np.ndarray, np.ndarray]:
    """What is new in one bucket.

    Args:
        work: crystals (n) of one formula and group, and known ones (m) of the same.

    Returns:
        (n,) for each crystal the first one that it equals, itself if it is the first of its kind; (n,)
        whether it equals a known one.
    """
    crystals, known = work
    matcher = _matcher()
    kind = np.arange(len(crystals))
    is_known = np.zeros(len(crystals), dtype=bool)
    first_of: dict[bytes, int] = {}
    representatives: list[tuple[int, Any]] = []
    with logged_warnings():
        known_structures = [a.to_structure() for a in known]
        for k, arrays in enumerate(crystals):
            if arrays.digest in first_of:  # the same numbers: no matcher needed
                kind[k] = kind[first_of[arrays.digest]]
            else:
                first_of[arrays.digest] = k
                structure = arrays.to_structure()
                for place, (row, other) in enumerate(representatives):
                    if matcher.fit(structure, other):
                        kind[k] = row
                        # What was met lately is likely to come again.
                        representatives.insert(0, representatives.pop(place))
                        break
                else:
                    representatives.insert(0, (k, structure))
                    is_known[k] = any(matcher.fit(structure, other) for other in known_structures)
            # One kind is known or not as a whole: tolerances are not transitive, the first one decides.
            is_known[k] = is_known[kind[k]]
    return kind, is_known
