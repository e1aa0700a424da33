"""Structure factors of orbits: what they say of a position in the standard setting, and their gradients.

For an orbit of m points x_a, ``S_h = 1/m sum_a exp(2 pi i h . x_a)`` does not depend on which point
represents it, and vanishes for the reflections that the group extinguishes; its gradient with respect to the
free coordinates is a vector field with exactly the site's symmetry. Together over the reflections h they span
all functions (and gradient fields) on the orbit's free space, so a network that is given S_h and weighs
gradients of S_h knows where in the cell an atom sits without breaking any symmetry of the group.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.graph import CrystalBatch
from crystalsmith.graph.ragged import segment_sum

MAX_SQUARE = 9


def reflections(max_square: int = MAX_SQUARE) -> list[tuple[int, int, int]]:
    """Indices h with 0 < |h|^2 <= max_square, one of each pair h, -h, by length."""
    reach = range(-math.isqrt(max_square), math.isqrt(max_square) + 1)
    every = ((i, j, k) for i, j, k in itertools.product(reach, repeat=3))
    half = [h for h in every if h > (0, 0, 0) and sum(v * v for v in h) <= max_square]
    return sorted(half, key=lambda h: (sum(v * v for v in h), h))


REFLECTIONS = len(reflections())


@dataclass(frozen=True)
class StructureFactors:
    """Per orbit (S) and reflection (H).

    Attributes:
        real, imag: (S, H).
        real_gradient, imag_gradient: (S, H, 3) with respect to the orthonormal free coordinates z, over 2 pi
            |h|.
    """

    real: Tensor
    imag: Tensor
    real_gradient: Tensor
    imag_gradient: Tensor


@torch.no_grad()
def structure_factors(batch: CrystalBatch) -> StructureFactors:
    """Structure factors of every orbit of a batch."""
    lay, t = batch.layout, batch.layout.tables
    position = batch.atom_positions()
    h = torch.tensor(reflections(), device=position.device, dtype=position.dtype)
    # h turned by each atom's operation, then by the orbit's basis: d(h . x_a)/dz.
    turned = torch.einsum("hi,aij->ahj", h, t.rotations[lay.atom_op])
    basis = (t.free_basis @ t.unit)[lay.wyckoff] * lay.free_mask[:, None, :]
    slope = torch.bmm(turned, basis[lay.atom_orbit]) / torch.linalg.vector_norm(h, dim=1)[:, None]
    phase = 2 * math.pi * (position @ h.T)
    cosine, sine = phase.cos(), phase.sin()
    share = 1 / t.multiplicity[lay.wyckoff].to(position.dtype)
    # A reflection that the centring extinguishes is zero for all lattice translations taken together, not for
    # one representative of each.
    whole = torch.einsum("gij,hj->gih", t.primitive, h)
    allowed = ((whole - whole.round()).abs() < 1e-3).all(1)[lay.space_group][lay.crystal]

    def mean(values: Tensor) -> Tensor:
        out = segment_sum(values, lay.atom_orbit, len(lay.wyckoff))
        weight = share[:, None] * allowed
        return out * (weight if out.dim() == 2 else weight[:, :, None])

    return StructureFactors(
        mean(cosine), mean(sine), mean(-sine[:, :, None] * slope), mean(cosine[:, :, None] * slope)
    )
