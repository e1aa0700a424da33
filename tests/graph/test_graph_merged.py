"""Edges merged under the site symmetry stand for the full graph."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from batches import batch_of, every_group, noised
from crystalsmith.crystal import Crystal, Site
from crystalsmith.graph import CrystalBatch, Multigraph, build_multigraph, merge_edges, scaled_cutoff
from crystalsmith.graph.ragged import segment_sum


def kinds(batch: CrystalBatch, graph: Multigraph) -> Tensor:
    """(E, 3) smooth functions of length and of what the edge ends on."""
    element = batch.layout.element[batch.layout.atom_orbit[graph.atom]].to(graph.distance)
    return torch.stack([torch.ones_like(element), element, torch.sin(graph.distance) * element], 1)


@pytest.fixture(scope="module")
def batch() -> CrystalBatch:
    return noised(batch_of(*every_group(seed=5)), seed=5, strain=0.5)


@pytest.fixture(scope="module")
def graph(batch: CrystalBatch) -> Multigraph:
    return build_multigraph(batch, scaled_cutoff(batch, 2.0))


def test_sums_over_neighbours(batch: CrystalBatch, graph: Multigraph) -> None:
    merged = merge_edges(batch, graph)
    n = len(batch.layout.crystal)
    assert len(merged.graph.orbit) < 0.7 * len(graph.orbit)
    whole = segment_sum(kinds(batch, graph), graph.orbit, n)
    part = segment_sum(kinds(batch, merged.graph) * merged.members[:, None], merged.graph.orbit, n)
    torch.testing.assert_close(part, whole, rtol=1e-9, atol=1e-9)


def test_sums_of_vectors(batch: CrystalBatch, graph: Multigraph) -> None:
    merged = merge_edges(batch, graph)
    n = len(batch.layout.crystal)

    def flow(g: Multigraph, members: Tensor | float) -> Tensor:
        weight = kinds(batch, g)[:, 2] / g.distance * members
        return segment_sum(g.vector * weight[:, None], g.orbit, n)

    part = torch.bmm(flow(merged.graph, merged.members)[:, None], merged.average)[:, 0]
    torch.testing.assert_close(part, flow(graph, 1.0), rtol=1e-9, atol=1e-8)


def test_average_projects_onto_the_free_space(batch: CrystalBatch, graph: Multigraph) -> None:
    lay, t = batch.layout, batch.layout.tables
    average = merge_edges(batch, graph).average
    torch.testing.assert_close(average @ average, average, rtol=0, atol=1e-12)
    torch.testing.assert_close(average.transpose(1, 2), average, rtol=0, atol=1e-12)
    torch.testing.assert_close(average.diagonal(dim1=1, dim2=2).sum(1), t.dof[lay.wyckoff].to(average))
    free = t.free_basis[lay.wyckoff].transpose(1, 2) @ batch.lattice()[lay.crystal]  # rows
    torch.testing.assert_close(free @ average, free, rtol=0, atol=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e-12, 1e-7, 3e-5, 1e-4, 3e-4, 1e-2])
def test_neighbours_near_a_symmetry_element(offset: float) -> None:
    """Images that nearly coincide are counted right, whatever the tolerance calls equal."""
    for turn in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        x, y = 0.5 + offset * np.cos(turn), 0.5 + offset * np.sin(turn)
        near = (Site("O", "g", (x, y, 0.3)), Site("Cl", "g", (y - 0.5, x - 0.5, 0.4)))
        batch = batch_of(Crystal(99, (4, 4, 5, 90, 90, 90), (Site("Na", "a", (0.0,)), *near)))
        graph = build_multigraph(batch, 5.3)
        merged = merge_edges(batch, graph)
        whole = segment_sum(torch.ones_like(graph.distance), graph.orbit, 3)
        torch.testing.assert_close(segment_sum(merged.members, merged.graph.orbit, 3), whole)
