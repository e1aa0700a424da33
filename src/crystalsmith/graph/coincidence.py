"""Images of an orbit that coincide, or nearly: which operations leave a point where it is.

A point near a symmetry element has images next to it. Those within a tolerance of it are taken for one atom,
at their mean; the operations that make them are the site symmetry that the point has or is about to get.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.graph.general import MOST, GeneralBatch, operations

FIXED = 1e-2
"""Angstrom. A mean of images that its operations move further than this is none of their fixed points."""


@dataclass(frozen=True)
class Coincidence:
    """What coincides in a batch of S orbits; A atoms (distinct images) in the primitive cells.

    Attributes:
        stays: (S, 48) True for the operations (numbered within the group) of the site symmetry, a group.
        order: (S,) how many those are.
        centre: (S, 3) conventional fractional mean of the coinciding images, on the special position.
        orbit: (A,) orbit of each atom, ascending.
        operation: (A,) operation, numbered within the group, that makes it from the centre; 0, the identity,
            comes first in each orbit.
        first: (S,) the atom that is the centre itself.
    """

    stays: Tensor
    order: Tensor
    centre: Tensor
    orbit: Tensor
    operation: Tensor
    first: Tensor


@torch.no_grad()
def find_coincidence(batch: GeneralBatch, tolerance: Tensor | float) -> Coincidence:
    """Merge images that lie within a tolerance of each other.

    The operations that move a point by less than the tolerance are completed to a group. Where that moves the
    point by more than twice the tolerance, or fixes no point (chains of close images through the cell), the
    images are left apart.

    Args:
        batch: B crystals with S orbits.
        tolerance: Angstrom, one number or (S,); taken no wider than a quarter of the distance between lattice
            planes, so that there is never a choice between two translations.
    """
    ops = operations(batch.position.device, batch.position.dtype)
    t, group = batch.tables, batch.group
    count = ops.count[group]
    number = torch.arange(MOST, device=group.device)
    exists = number < count[:, None]
    row = torch.where(exists, ops.first[group][:, None] + number, ops.first[group][:, None])
    lattice = batch.lattice()
    primitive = t.primitive[batch.space_group] @ lattice
    move = torch.einsum("soij,sj->soi", t.rotations[row], batch.position) + t.translations[row]
    move = _nearest(move - batch.position[:, None], batch)
    length = torch.linalg.vector_norm(move @ primitive[batch.crystal], dim=2)
    height = 1 / torch.linalg.vector_norm(torch.linalg.inv(primitive), dim=1).amax(1)
    bound = (0.25 * height)[batch.crystal].clamp(max=tolerance)
    stays = (exists & (length < bound[:, None])) | (number == 0)

    several = torch.nonzero(stays.sum(1) > 1)[:, 0]
    centre = batch.position.clone()
    distinct = exists.clone()
    if len(several):
        product = ops.product[group[several]]
        closed = _closure(stays[several], product)
        far = (closed & (length[several] >= 2 * bound[several, None])).any(1)
        kept = closed & ~far[:, None]
        # Moves of the mean, back from primitive to conventional fractional coordinates.
        mean = (move[several] * kept[:, :, None]).sum(1) / kept.sum(1).clamp(min=1)[:, None]
        mean = (mean[:, :, None] * t.primitive[group[several]]).sum(1)
        middle = batch.position[several] + mean
        drift = torch.einsum("soij,sj->soi", t.rotations[row[several]], middle) + t.translations[row[several]]
        drift = _nearest(drift - middle[:, None], batch, several)
        moved = torch.linalg.vector_norm(drift @ primitive[batch.crystal[several]], dim=2)
        sound = ~far & ~(kept & (moved > FIXED)).any(1)
        kept = torch.where(sound[:, None], kept, number == 0)
        centre[several] = torch.where(sound[:, None], middle, batch.position[several])
        stays = stays.index_copy(0, several, kept)
        # Of each left coset of the site symmetry the operation with the lowest number.
        coset = torch.where(kept[:, None, :], product, MOST).amin(2)
        distinct[several] &= coset == number
    images = torch.nonzero(distinct)
    counts = distinct.sum(1)
    return Coincidence(
        stays=stays,
        order=stays.sum(1),
        centre=centre,
        orbit=images[:, 0],
        operation=images[:, 1],
        first=torch.cumsum(counts, 0) - counts,
    )


def _nearest(difference: Tensor, batch: GeneralBatch, rows: Tensor | None = None) -> Tensor:
    """Differences (S, 48, 3) by whole lattice vectors nearest to zero, primitive fractional."""
    group = batch.group if rows is None else batch.group[rows]
    primitive = difference @ batch.tables.primitive_inverse[group]
    return primitive - torch.round(primitive)


def _closure(member: Tensor, product: Tensor) -> Tensor:
    """The groups that operations generate.

    Args:
        member: (S, 48) True for the generators, the identity among them.
        product: (S, 48, 48) number of the product of two operations.
    """
    while True:
        both = (member[:, :, None] & member[:, None, :]).flatten(1)
        reached = torch.zeros_like(member, dtype=torch.uint8)
        reached.scatter_reduce_(1, product.flatten(1), both.to(torch.uint8), "amax")
        grown = reached.bool()
        if bool((grown == member).all()):
            return member
        member = grown
