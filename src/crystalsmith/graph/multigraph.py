"""The symmetry-reduced multigraph: from each representative to every image of every orbit within a cutoff.

Nodes are orbits. An edge i -> a leads from the representative of orbit i to the atom a (an image of orbit j
under one operation) shifted by a lattice translation; so there are parallel edges and loops, and the rows of
a full neighbour list that start at the representatives are exactly these edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.graph.batch import CrystalBatch
from crystalsmith.graph.ragged import expand
from crystalsmith.graph.reduction import reduce_lattices

MANY = 343
"""Lattice translations to look at for each pair, beyond which a cell is reduced first."""


@dataclass(frozen=True)
class Multigraph:
    """Edges of a batch, ordered by orbit; E edges.

    Attributes:
        orbit: (E,) orbit whose representative the edge leaves.
        atom: (E,) atom (row of ``Layout.atom_orbit``) it ends on.
        vector: (E, 3) Cartesian, Angstrom, from the representative to the image.
        distance: (E,) its length.
        cutoff: (B,) Angstrom.
        lattice: (B, 3, 3) conventional lattice, rows.
    """

    orbit: Tensor
    atom: Tensor
    vector: Tensor
    distance: Tensor
    cutoff: Tensor
    lattice: Tensor


def scaled_cutoff(batch: CrystalBatch, factor: float) -> Tensor:
    """(B,) cutoff radius: ``factor`` times the cube root of the volume per atom.

    So the mean number of edges is the same for all crystals.
    """
    lay = batch.layout
    volume = lay.volume * torch.exp(batch.strain[:, 0] * 3**0.5)
    return factor * (volume / lay.atoms) ** (1 / 3)


def _reach(primitive: Tensor, cutoff: Tensor) -> tuple[Tensor, Tensor]:
    """Inverse lattices (B, 3, 3), and how far (B, 3) images that can matter lie along each primitive vector.

    Once a difference is wrapped into [-1/2, 1/2], an image n can matter only if (|n| - 1/2) height <= cutoff,
    with the height between lattice planes.
    """
    inverse = torch.linalg.inv(primitive)
    height = 1 / torch.linalg.vector_norm(inverse, dim=1)
    return inverse, torch.floor(cutoff[:, None] / height + 0.5 + 1e-4).long()


@torch.no_grad()
def build_multigraph(batch: CrystalBatch, cutoff: Tensor | float) -> Multigraph:
    """All edges shorter than the cutoff, for cells of any shape.

    Args:
        batch: B crystals.
        cutoff: Angstrom, one number or (B,).
    """
    lay, t = batch.layout, batch.layout.tables
    lattice = batch.lattice()
    primitive = t.primitive[lay.space_group] @ lattice
    if not isinstance(cutoff, Tensor):
        cutoff = lattice.new_full((lay.size,), cutoff)
    inverse, reach = _reach(primitive, cutoff)
    awkward = torch.nonzero((2 * reach + 1).prod(1) > MANY)[:, 0]
    if len(awkward):
        primitive = primitive.index_copy(0, awkward, reduce_lattices(primitive[awkward]))
        inverse, reach = _reach(primitive, cutoff)
    width = 2 * reach + 1

    position = batch.atom_positions()
    pair_crystal = lay.crystal[lay.pair_orbit]
    difference = position[lay.pair_atom] - position[lay.first_atom[lay.pair_orbit]]
    to_primitive = lattice @ inverse
    difference = (difference[:, :, None] * to_primitive[pair_crystal]).sum(1)
    difference = difference - torch.round(difference)
    difference = (difference[:, :, None] * primitive[pair_crystal]).sum(1)

    # Lattice translations of each crystal once, then every pair with every translation of its crystal.
    count = width.prod(1)
    crystal, rank = expand(count)
    wide = width[crystal]
    shift = torch.stack(
        [rank // (wide[:, 1] * wide[:, 2]), rank // wide[:, 2] % wide[:, 1], rank % wide[:, 2]], 1
    )
    shift = shift - reach[crystal]
    translation = (shift.to(primitive.dtype)[:, :, None] * primitive[crystal]).sum(1)
    zero = (shift == 0).all(1)
    pair, rank = expand(count[pair_crystal])
    row = (torch.cumsum(count, 0) - count)[pair_crystal][pair] + rank
    vector = difference.index_select(0, pair) + translation.index_select(0, row)
    squared = (vector * vector).sum(1)
    near = torch.nonzero(squared < (cutoff**2)[pair_crystal][pair])[:, 0]
    pair, row = pair[near], row[near]
    itself = lay.pair_atom[pair] == lay.first_atom[lay.pair_orbit[pair]]
    keep = torch.nonzero(~(itself & zero[row]))[:, 0]
    pair, vector, squared = pair[keep], vector[near[keep]], squared[near[keep]]
    return Multigraph(
        orbit=lay.pair_orbit[pair],
        atom=lay.pair_atom[pair],
        vector=vector,
        distance=squared.sqrt(),
        cutoff=cutoff,
        lattice=lattice,
    )
