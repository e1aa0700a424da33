"""Neighbours of points among images and lattice translations, for cells of any shape."""

from __future__ import annotations

import torch
from torch import Tensor

from crystalsmith.graph.ragged import expand
from crystalsmith.graph.reduction import reduce_lattices

MANY = 343
"""Lattice translations to look at for each pair, beyond which a cell is reduced first."""


def _reach(primitive: Tensor, cutoff: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse lattices (B, 3, 3), and how far (B, 3) images that can matter lie along each primitive vector.

    Once a difference is wrapped into [-1/2, 1/2], an image n can matter only if (|n| - 1/2) height <= cutoff,
    with the height between lattice planes.
    """
    inverse = torch.linalg.inv(primitive)
    height = 1 / torch.linalg.vector_norm(inverse, dim=1)
    return inverse, torch.floor(cutoff[:, None] / height + 0.5 + 1e-4).long()


@torch.no_grad()
def near_pairs(
    lattice: Tensor,
    primitive: Tensor,
    cutoff: Tensor,
    difference: Tensor,
    crystal: Tensor,
    itself: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """All vectors shorter than the cutoff between pairs of points and their lattice translations.

    Args:
        lattice: (B, 3, 3) conventional, rows, Angstrom.
        primitive: (B, 3, 3) primitive, rows, Angstrom.
        cutoff: (B,) Angstrom.
        difference: (P, 3) from the first point of each pair to the second, conventional fractional.
        crystal: (P,) the crystal of each pair.
        itself: (P,) True where the second point is the first one: the null vector is then left out.

    Returns:
        Pair (E,) of each vector, ascending; the vectors (E, 3), Angstrom; their squared lengths (E,).
    """
    inverse, reach = _reach(primitive, cutoff)
    awkward = torch.nonzero((2 * reach + 1).prod(1) > MANY)[:, 0]
    if len(awkward):
        primitive = primitive.index_copy(0, awkward, reduce_lattices(primitive[awkward]))
        inverse, reach = _reach(primitive, cutoff)
    width = 2 * reach + 1

    to_primitive = lattice @ inverse
    difference = (difference[:, :, None] * to_primitive[crystal]).sum(1)
    difference = difference - torch.round(difference)
    difference = (difference[:, :, None] * primitive[crystal]).sum(1)

    # Lattice translations of each crystal once, then every pair with every translation of its crystal.
    count = width.prod(1)
    owner, rank = expand(count)
    wide = width[owner]
    shift = torch.stack(
        [rank // (wide[:, 1] * wide[:, 2]), rank // wide[:, 2] % wide[:, 1], rank % wide[:, 2]], 1
    )
    shift = shift - reach[owner]
    translation = (shift.to(primitive.dtype)[:, :, None] * primitive[owner]).sum(1)
    zero = (shift == 0).all(1)
    pair, rank = expand(count[crystal])
    row = (torch.cumsum(count, 0) - count)[crystal][pair] + rank
    vector = difference.index_select(0, pair) + translation.index_select(0, row)
    squared = (vector * vector).sum(1)
    near = torch.nonzero(squared < (cutoff**2)[crystal][pair])[:, 0]
    pair, row = pair[near], row[near]
    keep = torch.nonzero(~(itself[pair] & zero[row]))[:, 0]
    return pair[keep], vector[near[keep]], squared[near[keep]]
