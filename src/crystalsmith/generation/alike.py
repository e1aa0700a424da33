"""Which crystals of an order are one and the same."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.ranking.agreement import SAME
from crystalsmith.ranking.fingerprint import fingerprint

NEAREST = 5
"""Crystals that one is compared with by StructureMatcher: those whose distances are the most similar."""


def first_alike(crystals: Sequence[Crystal], groups: Sequence[int], apart: float = 0.3) -> list[int]:
    """For each crystal the first one that is the same, itself if there is none before it.

    By pymatgen's StructureMatcher, between crystals of one reduced formula and one space group; where there
    are many, with the ``NEAREST`` by their distances only.

    Args:
        crystals: n of them; earlier ones stand for later ones.
        groups: (n,) space groups as found within a tolerance.
        apart: how far atoms of the same crystal may be apart, in units of the cube root of the volume per
            atom; StructureMatcher's own if not given.
    """
    stands = list(range(len(crystals)))
    alike: dict[tuple[str, int], list[int]] = defaultdict(list)
    for i, (crystal, group) in enumerate(zip(crystals, groups, strict=True)):
        alike[crystal.formula, group].append(i)
    for rows in alike.values():
        if len(rows) > 1:
            _compare(crystals, rows, stands, apart)
    return stands


def _compare(crystals: Sequence[Crystal], rows: Sequence[int], stands: list[int], apart: float) -> None:
    prints = {i: _fingerprint(crystals[i]) for i in rows}
    kept: list[int] = []
    for i in rows:
        # A fingerprint is as long as the cell has atoms; other cells of the same crystal come last.
        same = [k for k in kept if len(prints[k]) == len(prints[i])]
        away = {k: float(np.sqrt(np.mean((prints[k] - prints[i]) ** 2))) for k in same}
        nearest = sorted(kept, key=lambda k: away.get(k, np.inf))[:NEAREST]
        for k in nearest:
            if away.get(k, np.inf) < SAME / 10 or _match(crystals[i], crystals[k], apart):
                stands[i] = k
                break
        else:
            kept.append(i)


# A search asks of the same crystals again and again, each time with a few more.
@lru_cache(maxsize=8192)
def _match(first: Crystal, second: Crystal, apart: float) -> bool:
    """Whether StructureMatcher takes two crystals for the same."""
    return bool(_matcher(apart).fit(_reduced(first), _reduced(second), skip_structure_reduction=True))


@lru_cache
def _matcher(apart: float) -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(stol=apart)


@lru_cache(maxsize=512)
def _fingerprint(crystal: Crystal) -> np.ndarray:
    return fingerprint(crystal)


@lru_cache(maxsize=256)
def _reduced(crystal: Crystal) -> Any:
    """Its structure in the reduced cell, as StructureMatcher would make it anew for every comparison."""
    structure = crystal.to_structure(primitive=True).get_reduced_structure(reduction_algo="niggli")
    return structure.get_primitive_structure()
