"""Distances that are too short, and neighbours that are wanted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crystalsmith.conditions.condition import Condition
from crystalsmith.crystal import NUMBERS, Crystal
from crystalsmith.crystal.bonds import neighbour_distances
from crystalsmith.crystal.elements import COVALENT_RADII
from crystalsmith.errors import OrderError
from crystalsmith.graph import CrystalBatch, build_multigraph
from crystalsmith.graph.ragged import segment_sum

Pairs = tuple[tuple[str, str, float], ...]
"""Two elements and a number; two empty ones for any."""

WIDTH = 0.1
"""Angstrom by which a distance may be too short at the cost of half a unit of misfit, while a crystal is
still sampled; what is finished must keep to the distances."""

REACH = 1.35
"""Up to which multiple of the sum of covalent radii an atom counts as a neighbour, half of one there."""

SOFT = 0.08
"""Width of that, in the same units."""

MISCOUNT = 0.4
"""Standard deviation of a number of neighbours."""

_LATE = 0.75
"""Time from which distances tell anything: before, atoms have not found their places."""


@dataclass(frozen=True)
class MinDistance(Condition):
    """Shortest distances between atoms.

    Attributes:
        pairs: two elements and a distance in Angstrom; two empty ones for any two atoms.

    Raises:
        OrderError: a distance that is none.
    """

    pairs: Pairs
    begins = _LATE

    def __post_init__(self) -> None:
        _check(self.pairs, "a shortest distance")

    def misfit(self, crystals: CrystalBatch) -> Tensor:
        edges = _Edges(crystals, max(d for *_, d in self.pairs))
        limit = torch.zeros_like(edges.distance)
        for a, b, d in self.pairs:
            wanted = torch.where(edges.between(a, b) | edges.between(b, a), d, 0.0).to(limit)
            limit = torch.maximum(limit, wanted)
        short = (limit - edges.distance).clamp(min=0.0) / WIDTH
        return 0.5 * edges.sum(short.square())

    def fault(self, crystal: Crystal) -> str | None:
        centres, numbers, rows = neighbour_distances(crystal, max(d for *_, d in self.pairs))
        for z, distance in zip(centres, rows, strict=True):
            nearest = distance.min(axis=1)
            for a, b, d in self.pairs:
                other = np.ones(len(numbers), bool)
                if a:
                    own = [NUMBERS[x] for x, y in ((a, b), (b, a)) if NUMBERS[y] == z]
                    other = np.isin(numbers, own)
                if other.any() and nearest[other].min() < d - 1e-6:
                    return "distance too short"
        return None


@dataclass(frozen=True)
class Coordination(Condition):
    """Numbers of neighbours that are wanted around atoms.

    An atom counts as a neighbour the more the closer it is: half at ``REACH`` times the sum of the radii.

    Attributes:
        pairs: the element of the centre, that of its neighbours, and how many of these.

    Raises:
        OrderError: a number that is none.
    """

    pairs: Pairs
    begins = _LATE

    def __post_init__(self) -> None:
        _check(self.pairs, "a number of neighbours")

    def misfit(self, crystals: CrystalBatch) -> Tensor:
        lay = crystals.layout
        edges = _Edges(crystals, max(reach_of(a, b) for a, b, _ in self.pairs) * (1 + 6 * SOFT))
        total = crystals.strain.new_zeros(lay.size)
        weight = lay.tables.multiplicity[lay.wyckoff].to(total)
        for a, b, number in self.pairs:
            near = torch.sigmoid((1 - edges.distance / reach_of(a, b)) / SOFT) * edges.between(a, b)
            count = segment_sum(near, edges.orbit, len(lay.crystal))
            centre = (lay.element == NUMBERS[a]).to(total) * weight
            off = 0.5 * ((count - number) / MISCOUNT).square() * centre
            total = total + segment_sum(off, lay.crystal, lay.size)
        return total


def reach_of(a: str, b: str) -> float:
    """Distance at which an atom counts as half a neighbour, Angstrom."""
    return float(REACH * (COVALENT_RADII[NUMBERS[a]] + COVALENT_RADII[NUMBERS[b]]))


class _Edges:
    """Distances from each orbit's representative to the atoms around it, differentiable.

    Args:
        batch: the crystals.
        reach: Angstrom; all that are closer are there.

    Attributes:
        orbit: (E,) orbit whose representative an edge leaves.
        distance: (E,) Angstrom.
    """

    def __init__(self, batch: CrystalBatch, reach: float) -> None:
        lay = batch.layout
        graph = build_multigraph(batch, reach)
        self.layout, self.orbit = lay, graph.orbit
        self._to = lay.atom_orbit[graph.atom]
        crystal = lay.crystal[graph.orbit]
        position, lattice = batch.atom_positions(), batch.lattice()
        apart = position[graph.atom] - position[lay.first_atom[graph.orbit]]
        # The lattice translations of the edges, which do not change with the crystal.
        inverse = torch.linalg.inv(graph.lattice)[crystal]
        shift = torch.einsum("ei,eij->ej", graph.vector, inverse) - apart.detach()
        vector = torch.einsum("ei,eij->ej", apart + shift, lattice[crystal])
        self.distance = vector.square().sum(1).clamp(min=1e-6).sqrt()

    def between(self, a: str, b: str) -> Tensor:
        """(E,) whether an edge leads from one element to the other; from any to any where they are empty."""
        element = self.layout.element
        if not a:
            return torch.ones_like(self.orbit, dtype=torch.bool)
        return (element[self.orbit] == NUMBERS[a]) & (element[self._to] == NUMBERS[b])

    def sum(self, values: Tensor) -> Tensor:
        """(B,) sums of values of edges (E,), an orbit's as often as it has atoms, each pair once."""
        lay = self.layout
        weight = 0.5 * lay.tables.multiplicity[lay.wyckoff].to(values)
        return segment_sum(values * weight[self.orbit], lay.crystal[self.orbit], lay.size)


def _check(pairs: Pairs, what: str) -> None:
    if not pairs or not all(math.isfinite(x) and x > 0 for *_, x in pairs):
        raise OrderError(f"{what} is a number above 0, and at least one is given")
