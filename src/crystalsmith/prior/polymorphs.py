"""Which of the known phases of a formula is the one that is asked for: the one that is found in nature.

A conditional logit: the chance of a phase is in proportion to exp of a weighted sum of what the index tells
of it, ``NAMES``. Beside the phases stands one more choice: that the index lacks the one asked for. Weights
(``polymorphs.json``) are fitted by ``benchmarks/polymorphs.py`` on formulas that have observed phases and
others.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from crystalsmith.assignments import positions_of
from crystalsmith.prior.known import Known
from crystalsmith.prior.prototypes import Prototypes

NAMES = ("above", "far", "lent", "sites", "atoms", "operations")
"""Columns: log(1 + x / 0.01 eV) of the energy x per atom above the hull, and x itself up to 0.19 eV; how
similar the elements of other compounds of its arrangement are, the logarithm of the sum of their weights;
logarithms of the numbers of sites, of atoms in the primitive cell and of operations of the point group."""

UNKNOWN_ABOVE = 0.05
"""eV per atom above the hull that a phase counts with where nobody said."""

_NEAR, _FAR, _UNIT = 0.01, 0.19, 0.03
_LEAST_LENT = 0.01
_OTHERS = ("observed", "absent", "same_group", "same_size")


@dataclass(frozen=True, eq=False)
class Polymorphs:
    """The weights.

    Attributes:
        weights: (len(NAMES),) of the columns.
        observed: for a phase that was observed; the same is taken from one that was computed alone.
        absent: of the one that the index lacks.
        same_group, same_size: for the one that it lacks, where an order names the space group, or the size of
            the cell: log of the share of other phases of a formula that agree in it.
    """

    weights: np.ndarray
    observed: float
    absent: float
    same_group: float = 0.0
    same_size: float = 0.0

    @staticmethod
    def of(data: dict[str, Any]) -> Polymorphs:
        """From plain data."""
        weights = np.array([float(data["weights"][name]) for name in NAMES])
        return Polymorphs(weights, **{name: float(data[name]) for name in _OTHERS})

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        weights = {name: round(float(w), 4) for name, w in zip(NAMES, self.weights, strict=True)}
        return {"weights": weights, **{name: round(float(getattr(self, name)), 4) for name in _OTHERS}}

    def figures(self, columns: np.ndarray, observed: np.ndarray) -> np.ndarray:
        """(n,) log-odds of phases with these columns that were observed (1), computed (0), unknown (-1)."""
        flags = np.where(observed == 1, self.observed, np.where(observed == 0, -self.observed, 0.0))
        return np.asarray(columns @ self.weights + flags)


@lru_cache(maxsize=1)
def shipped_polymorphs() -> Polymorphs:
    """The weights that ship."""
    file = resources.files("crystalsmith.prior").joinpath("polymorphs.json")
    return Polymorphs.of(json.loads(file.read_text(encoding="utf-8")))


def observed_of(prototypes: Prototypes, rows: Sequence[int]) -> np.ndarray:
    """(n,) whether known crystals of one composition were observed: 1, 0, or -1 where unknown.

    What occupies the same positions from another origin counts as the same.
    """
    known = prototypes.known
    flags: dict[Known, set[int]] = defaultdict(set)
    if rows:
        first = known[rows[0]]
        for i in prototypes.of_composition(first.elements, first.counts):
            flags[known[i]].add(int(known.observed[i]))
    own = [flags[known[i]] for i in rows]
    return np.array([1 if 1 in f else min(f) for f in own], dtype=np.int8)


def polymorph_columns(prototypes: Prototypes, rows: Sequence[int]) -> np.ndarray:
    """(n, len(NAMES)) the columns of known crystals of one composition.

    Args:
        prototypes: the index.
        rows: crystals of it.
    """
    known = prototypes.known
    table = np.zeros((len(rows), len(NAMES)))
    for k, i in enumerate(rows):
        one = known[i]
        above = known.above_hull(i)
        above = UNKNOWN_ABOVE if above is None else max(above, 0.0)
        arrangement = one.space_group, one.assignment
        lent = prototypes.by_atoms(one.elements, one.counts).get(arrangement, 0.0)
        # Its own composition lends to itself, with a weight of one for each crystal.
        own = sum(1 for j in rows if known.space_group[j] == one.space_group and known[j] == one)
        table[k] = (
            math.log1p(above / _NEAR),
            min(above, _FAR) / _UNIT,
            math.log(max(lent - own, 0.0) + _LEAST_LENT),
            math.log(sum(one.sites)),
            math.log(sum(one.counts)),
            math.log(positions_of(one.space_group).size[-1]),
        )
    return table


def asked_for(
    prototypes: Prototypes, rows: Sequence[int], group: bool = False, size: bool = False
) -> tuple[np.ndarray, float]:
    """How likely known phases of one composition are the one asked for, and that none of them is.

    Args:
        prototypes: the index.
        rows: (n,) crystals of it, each set of occupied positions once.
        group: the space group is asked for as well, and the crystals are of it.
        size: the size of the cell is, and they have it.

    Returns:
        (n,) log-odds, and those of the one that the index lacks: chances are in proportion to their exp.
    """
    p = shipped_polymorphs()
    figures = p.figures(polymorph_columns(prototypes, rows), observed_of(prototypes, rows))
    return figures, p.absent + group * p.same_group + size * p.same_size
