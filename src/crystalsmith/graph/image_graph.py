"""The symmetry-reduced multigraph of general points: from each point to the atoms around it.

Nodes are orbits. An edge leads from the point x_i of orbit i to an atom of orbit j: the image of j under an
operation g and a lattice translation, coinciding images being one atom (``coincidence``). A point whose own
images coincide has an edge to their mean, by which it knows how far from the special position it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.graph.coincidence import Coincidence
from crystalsmith.graph.general import GeneralBatch, operations
from crystalsmith.graph.neighbours import near_pairs
from crystalsmith.graph.ragged import expand, segment_sum


@dataclass(frozen=True)
class ImageGraph:
    """Edges of a batch, ordered by the orbit they leave; E edges between S orbits.

    Attributes:
        source: (E,) orbit i whose point the edge leaves; target: (E,) orbit j that it ends on.
        vector: (E, 3) Cartesian, Angstrom, from x_i to the atom; distance: (E,).
        back: (E, 3) unit vector from the atom to x_i, turned by the inverse of the operation that makes the
            atom, into the frame in which the edges leave x_j: the angle between this edge and a bond of the
            atom is the angle between ``back`` and an edge that leaves j, turned by any operation of j's site
            symmetry.
        own: (E,) True where the atom is an image of the orbit that the edge leaves.
        cutoff: (B,) Angstrom.
    """

    source: Tensor
    target: Tensor
    vector: Tensor
    distance: Tensor
    back: Tensor
    own: Tensor
    cutoff: Tensor


@torch.no_grad()
def build_image_graph(
    batch: GeneralBatch, coincidence: Coincidence, cutoff: float, crowd: float = math.inf
) -> ImageGraph:
    """All edges shorter than the cutoff.

    Args:
        batch: B crystals with S orbits.
        coincidence: which images are one atom.
        cutoff: Angstrom.
        crowd: where a cell holds so many atoms that a sphere of this radius would hold more than this number,
            the cutoff is that of the sphere that holds it (points far from special positions have up to 48
            images each, and most cells are small at high noise).
    """
    ops = operations(batch.position.device, batch.position.dtype)
    t, c = batch.tables, coincidence
    lattice = batch.lattice()
    primitive = t.primitive[batch.space_group] @ lattice
    atoms = segment_sum(torch.ones_like(c.orbit), batch.crystal[c.orbit], batch.size)
    volume = torch.linalg.det(primitive).abs()
    radius = (crowd * 3 / (4 * math.pi) * volume / atoms) ** (1 / 3)
    bound = radius.clamp(max=cutoff)

    row = ops.first[batch.group[c.orbit]] + c.operation
    place = torch.einsum("aij,aj->ai", t.rotations[row], c.centre[c.orbit]) + t.translations[row]
    crystal_atoms = atoms[batch.crystal]
    first_atom = (torch.cumsum(atoms, 0) - atoms)[batch.crystal]
    source, rank = expand(crystal_atoms)
    atom = first_atom[source] + rank
    itself = (atom == c.first[source]) & (c.order[source] == 1)
    pair, vector, squared = near_pairs(
        lattice, primitive, bound, place[atom] - batch.position[source], batch.crystal[source], itself
    )
    distance = squared.sqrt()
    end = atom[pair]
    # Column vectors turned back by R^-1 = R^T.
    back = torch.einsum("eji,ej->ei", ops.cartesian[row[end]], -vector) / distance.clamp(min=1e-6)[:, None]
    start, target = source[pair], c.orbit[end]
    return ImageGraph(start, target, vector, distance, back, start == target, bound)
