"""Reduced lattices are the same lattices, and nearly orthogonal."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from batches import batch_of, every_group
from crystalsmith.graph import Multigraph, build_multigraph
from crystalsmith.graph import neighbours as module
from crystalsmith.graph.reduction import reduce_lattices


@given(st.integers(0, 10_000), st.floats(0.02, 1.0), st.floats(1.0, 50.0))
def test_the_same_lattice_but_shorter(seed: int, flat: float, long: float) -> None:
    random = torch.Generator().manual_seed(seed)
    stretch = torch.diag(torch.tensor([1.0, flat, long], dtype=torch.float64))
    lattice = torch.randn(20, 3, 3, generator=random, dtype=torch.float64) @ stretch
    lattice = lattice[lattice.det().abs() > 1e-4]
    reduced = reduce_lattices(lattice)
    change = reduced @ torch.linalg.inv(lattice)
    torch.testing.assert_close(change, change.round(), atol=1e-5, rtol=0)
    torch.testing.assert_close(change.round().det().abs(), torch.ones(len(lattice), dtype=torch.float64))
    defect = reduced.norm(dim=2).prod(1) / reduced.det().abs()
    assert float(defect.max()) < 2.0


def test_edges_do_not_depend_on_reduction() -> None:
    crystals = every_group(seed=3)
    batch = batch_of(*crystals)
    strain = torch.randn(batch.strain.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    batch = batch.with_state(batch.w, strain * batch.layout.strain_mask)
    plain = build_multigraph(batch, 4.0)
    before, module.MANY = module.MANY, 0
    try:
        reduced = build_multigraph(batch, 4.0)
    finally:
        module.MANY = before

    def rows(graph: Multigraph) -> torch.Tensor:
        table = torch.cat([graph.orbit[:, None], graph.atom[:, None], graph.vector.mul(1e5).round()], 1)
        return torch.unique(table, dim=0)

    assert len(plain.orbit) == len(reduced.orbit)
    torch.testing.assert_close(rows(plain), rows(reduced), atol=1.5, rtol=0)
