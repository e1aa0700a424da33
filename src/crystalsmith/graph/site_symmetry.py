"""Edges that the site symmetry of their orbit makes equal, merged into one.

The operations that leave a representative in place permute its edges. Messages along edges of one such class
are turned copies of each other, so a network needs only one of them: sums of scalars take it as often as the
class has members, and sums of vectors are its average under the site's rotations. The result is the same as
with all edges, at half the cost on average and a tenth for crystals of high symmetry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.graph.batch import CrystalBatch
from crystalsmith.graph.multigraph import Multigraph
from crystalsmith.graph.ragged import expand, segment_sum

# A direction that no crystallographic operation relates to itself by chance.
_GENERIC = (0.754877666, 0.569840291, 0.430159709)
_TIE = 1e-4


@dataclass(frozen=True)
class MergedEdges:
    """One edge of each class.

    Attributes:
        graph: the edges kept.
        members: (E,) how many edges of the full graph each stands for.
        average: (S, 3, 3) mean of the site's Cartesian rotations: ``v @ average`` is the part of a row vector
            v that the site allows.
    """

    graph: Multigraph
    members: Tensor
    average: Tensor


@torch.no_grad()
def merge_edges(batch: CrystalBatch, graph: Multigraph) -> MergedEdges:
    """Keep one edge of every class under the site symmetry of the orbit that it leaves."""
    lay, t = batch.layout, batch.layout.tables
    count = t.site_count[lay.wyckoff]
    inverse = torch.linalg.inv(graph.lattice)
    owner, rank = expand(count)
    rotation = t.site_rotation[t.site_start[lay.wyckoff][owner] + rank]
    mean = segment_sum(rotation.flatten(1), owner, len(count)).view(-1, 3, 3) / count[:, None, None]
    average = inverse[lay.crystal] @ mean.transpose(1, 2) @ graph.lattice[lay.crystal]

    # Of a class, keep the edge furthest along a generic direction; edges tied with it share the members. What
    # is tied is measured from the furthest, so that all edges of a class agree on it.
    fractional = (graph.vector[:, :, None] * inverse[lay.crystal[graph.orbit]]).sum(1)
    generic = fractional.new_tensor(_GENERIC)
    several = torch.nonzero(count[graph.orbit] > 1)[:, 0]
    orbit = graph.orbit[several]
    edge, rank = expand(count[orbit])
    direction = generic @ t.site_rotation  # (R, 3): x . (W^T generic) = (W x) . generic
    place = t.site_start[lay.wyckoff][orbit][edge] + rank
    height = (fractional[several][edge] * direction[place]).sum(1)
    own = fractional[several] @ generic
    top = torch.full_like(own, -math.inf).scatter_reduce(0, edge, height, "amax") - _TIE
    tied = segment_sum((height >= top[edge]).to(height.dtype), edge, len(several))
    members = torch.ones_like(graph.distance)
    members[several] = torch.where(own >= top, count[orbit] / tied, torch.zeros_like(tied))
    keep = torch.nonzero(members)[:, 0]
    kept = Multigraph(
        orbit=graph.orbit[keep],
        atom=graph.atom[keep],
        vector=graph.vector[keep],
        distance=graph.distance[keep],
        cutoff=graph.cutoff,
        lattice=graph.lattice,
    )
    return MergedEdges(kept, members[keep], average)
