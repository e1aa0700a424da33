"""The noise in positions and in lattice as numbers on edges tell it: sections 4.2 and 4.3 of the paper.

Both come out in units of their noise level; the score is ``-eps / sigma``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crystalsmith.diffusion.lengths import axis_of_length, slope, to_transformed
from crystalsmith.graph import GeneralBatch, ImageGraph
from crystalsmith.graph.ragged import segment_sum

REACH = 15.0
"""Beyond this an edge's push on a position saturates."""

SOFTEN = 1e-3
"""Keeps edges that no length of the cell stretches from counting without bound."""


def position_eps(graph: ImageGraph, output: Tensor, orbits: int) -> Tensor:
    """(S, 3) Cartesian: the sum over the edges that leave a point of their unit vectors, weighted.

    Args:
        graph: E edges.
        output: (E,) of the network.
        orbits: S.
    """
    direction = graph.vector / graph.distance.clamp(min=1e-6)[:, None]
    return segment_sum(REACH * torch.tanh(output / REACH)[:, None] * direction, graph.source, orbits)


def stretch(batch: GeneralBatch, graph: ImageGraph) -> Tensor:
    """(E, 3) gradients of edge lengths with respect to the transformed free lengths, at fixed fractional
    coordinates.

    The paper takes a finite difference. With the conventional vectors ``l_k e_k`` and an edge of fractional
    coordinates f, ``d|r| / dl_k = (r . e_k) f_k / |r|``, times dl / dL.
    """
    crystal = batch.crystal[graph.source]
    reference = batch.tables.reference[batch.space_group]
    inverse = torch.linalg.inv(batch.lattice())
    fractional = (graph.vector[:, :, None] * inverse[crystal]).sum(1)
    along = (reference[crystal] * graph.vector[:, None, :]).sum(2)
    by_axis = along * fractional / graph.distance.clamp(min=1e-6)[:, None]
    axis = axis_of_length(batch.space_group)[crystal]
    free = torch.zeros_like(by_axis).scatter_add(1, axis, by_axis)
    return free * slope(to_transformed(batch.lengths, batch.space_group))[crystal]


def lattice_eps(batch: GeneralBatch, graph: ImageGraph, output: Tensor) -> Tensor:
    """(B, 3) for every free length the mean over edges of ``c_e g_e / (|g_e|^2 + 1e-3)``.

    Args:
        batch: B crystals.
        graph: E edges.
        output: (E,) c_e of the network.
    """
    g = stretch(batch, graph)
    share = output[:, None] * g / ((g * g).sum(1, keepdim=True) + SOFTEN)
    crystal = batch.crystal[graph.source]
    count = segment_sum(torch.ones_like(output), crystal, batch.size).clamp(min=1)
    return segment_sum(share, crystal, batch.size) / count[:, None]
