"""The symmetry-reduced multigraph: from each representative to every image of every orbit within a cutoff.

Nodes are orbits. An edge i -> a leads from the representative of orbit i to the atom a (an image of orbit j under one operation) shifted by a
lattice translation; so there are parallel edges and loops, and the rows of a full neighbour list that start at the representatives are
exactly these edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.graph.batch import CrystalBatch
from crystalsmith.graph.ragged import expand


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
    """(B,) cutoff radius: ``factor`` times the cube root of the volume per atom, so that the mean number of edges is the same for all."""
    lay = batch.layout
    volume = lay.volume * torch.exp(batch.strain[:, 0] * 3**0.5)
    return factor * (volume / lay.atoms) ** (1 / 3)


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
    inverse = torch.linalg.inv(primitive)
    height = 1 / torch.linalg.vector_norm(inverse, dim=1)  # distance between lattice planes, by primitive vector
    # After the difference is wrapped into [-1/2, 1/2], an image n can matter only if (|n| - 1/2) height <= cutoff.
    reach = torch.floor(cutoff[:, None] / height + 0.5 + 1e-4).long()
    width = 2 * reach + 1

    position = batch.atom_positions()
    pair_crystal = lay.crystal[lay.pair_orbit]
    difference = position[lay.pair_atom] - position[lay.first_atom[lay.pair_orbit]]
    difference = torch.einsum("pi,pij->pj", difference, t.primitive_inverse[lay.space_group][pair_crystal])
    difference = difference - torch.round(difference)

    pair, rank = expand(width.prod(1)[pair_crystal])
    crystal = pair_crystal[pair]
    wc, rc = width[crystal], reach[crystal]
    shift = torch.stack(
        [rank // (wc[:, 1] * wc[:, 2]) - rc[:, 0], rank // wc[:, 2] % wc[:, 1] - rc[:, 1], rank % wc[:, 2] - rc[:, 2]], 1
    )
    vector = torch.bmm((difference[pair] + shift)[:, None], primitive[crystal])[:, 0]
    squared = (vector * vector).sum(1)
    itself = (lay.pair_atom == lay.first_atom[lay.pair_orbit])[pair] & (shift == 0).all(1)
    keep = torch.nonzero((squared < cutoff[crystal] ** 2) & ~itself)[:, 0]
    pair, vector = pair[keep], vector[keep]
    return Multigraph(
        orbit=lay.pair_orbit[pair],
        atom=lay.pair_atom[pair],
        vector=vector,
        distance=squared[keep].sqrt(),
        cutoff=cutoff,
        lattice=lattice,
    )
