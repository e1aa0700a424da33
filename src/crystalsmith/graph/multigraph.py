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
from crystalsmith.graph.neighbours import near_pairs


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


@torch.no_grad()
def build_multigraph(batch: CrystalBatch, cutoff: Tensor | float) -> Multigraph:
    """All edges shorter than the cutoff, for cells of any shape.

    Args:
        batch: B crystals.
        cutoff: Angstrom, one number or (B,).
    """
    lay, t = batch.layout, batch.layout.tables
    lattice = batch.lattice()
    if not isinstance(cutoff, Tensor):
        cutoff = lattice.new_full((lay.size,), cutoff)
    position = batch.atom_positions()
    first = lay.first_atom[lay.pair_orbit]
    pair, vector, squared = near_pairs(
        lattice,
        t.primitive[lay.space_group] @ lattice,
        cutoff,
        position[lay.pair_atom] - position[first],
        lay.crystal[lay.pair_orbit],
        lay.pair_atom == first,
    )
    return Multigraph(
        orbit=lay.pair_orbit[pair],
        atom=lay.pair_atom[pair],
        vector=vector,
        distance=squared.sqrt(),
        cutoff=cutoff,
        lattice=lattice,
    )
