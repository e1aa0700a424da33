"""General points: coinciding images, and their multigraph against neighbour lists and other descriptions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import vesin
from hypothesis import given
from hypothesis import strategies as st

from batches import batch_of, every_group
from crystals import KNOWN
from crystalsmith.graph import (
    GeneralBatch,
    build_image_graph,
    find_coincidence,
    operations,
    to_general,
    torch_tables,
)
from crystalsmith.graph.general import FIRST_GROUP, concatenate
from crystalsmith.symmetry import cell_to_lattice, space_group, tables

CPU = torch.device("cpu")
DOUBLE = torch_tables(CPU, torch.float64)


def known() -> GeneralBatch:
    """Published crystals of the groups that have fixed angles."""
    return to_general(batch_of(*[c for c in KNOWN.values() if c.space_group >= FIRST_GROUP]))


def general(seed: int = 0) -> GeneralBatch:
    """Two random points in a random cell of each group from 16 on."""
    rng = np.random.default_rng(seed)
    groups = np.arange(FIRST_GROUP, 231)
    lengths = rng.uniform(4, 9, (len(groups), 3))
    lengths[groups >= 75, 1] = lengths[groups >= 75, 0]
    lengths[groups >= 195, 2] = lengths[groups >= 195, 0]
    owner = np.repeat(np.arange(len(groups)), 2)
    return GeneralBatch(
        space_group=torch.tensor(groups),
        crystal=torch.tensor(owner),
        element=torch.tensor(rng.integers(1, 90, len(owner))),
        position=torch.tensor(rng.random((len(owner), 3))),
        lengths=torch.tensor(lengths),
        tables=DOUBLE,
    )


def moved(batch: GeneralBatch, rng: np.random.Generator) -> tuple[GeneralBatch, torch.Tensor]:
    """Each point replaced by another of its orbit; the operations (S,), numbered within the group."""
    ops = operations(CPU, torch.float64)
    number = torch.tensor(rng.integers(0, ops.count[batch.group].numpy()))
    row = ops.first[batch.group] + number
    place = torch.einsum("sij,sj->si", DOUBLE.rotations[row], batch.position) + DOUBLE.translations[row]
    return batch.with_state(place + torch.tensor(rng.integers(-2, 3, place.shape)), batch.lengths), number


def test_lattices_are_those_of_the_crystals() -> None:
    for batch, cells in ((known(), [c for c in KNOWN.values() if c.space_group >= FIRST_GROUP]),):
        for lattice, crystal in zip(batch.lattice().numpy(), cells, strict=True):
            assert lattice == pytest.approx(cell_to_lattice(crystal.space_group, np.array(crystal.cell)))


def test_products_of_operations() -> None:
    """Against the operations themselves, in every group."""
    ops = operations(CPU, torch.float64)
    t = tables()
    for g in range(1, 231):
        rows = slice(t.op_start[g - 1], t.op_start[g])
        w, v = t.rotations[rows], t.translations[rows]
        n = len(w)
        assert int(ops.count[g]) == n and int(ops.first[g]) == t.op_start[g - 1]
        product = ops.product[g, :n, :n].numpy()
        assert (np.einsum("iab,jbc->ijac", w, w) == w[product]).all()
        shift = (np.einsum("iab,jb->ija", w, v) + v[:, None] - v[product]) @ np.linalg.inv(t.primitive[g])
        assert np.abs(shift - shift.round()).max() < 1e-9


def test_cartesian_rotations_turn_the_lattice() -> None:
    ops = operations(CPU, torch.float64)
    batch = general()
    for b, g in enumerate(batch.space_group.tolist()):
        lattice = batch.lattice()[b]
        rows = slice(int(ops.first[g]), int(ops.first[g] + ops.count[g]))
        turned = (
            torch.einsum("oij,kj->oki", DOUBLE.rotations[rows], torch.eye(3, dtype=torch.float64)) @ lattice
        )
        assert torch.allclose(turned, torch.einsum("oij,kj->oki", ops.cartesian[rows], lattice), atol=1e-9)


def test_special_positions_of_every_group() -> None:
    """Clean crystals: as many images as their positions have, the centre where the site is."""
    crystals = [c for c in every_group() if c.space_group >= FIRST_GROUP]
    batch = to_general(batch_of(*crystals))
    same = find_coincidence(batch, 1e-3)
    sizes = operations(CPU, torch.float64).count[batch.group] // same.order
    expected = [
        space_group(c.space_group).position(s.letter).multiplicity_primitive
        for c in crystals
        for s in c.sites
    ]
    assert sizes.tolist() == expected
    assert torch.allclose(same.centre, batch.position, atol=1e-6)
    assert torch.bincount(same.orbit).tolist() == expected
    assert (same.operation[same.first] == 0).all()


@given(st.integers(0, 10_000), st.floats(0.01, 0.12))
def test_points_near_special_positions_merge_onto_them(seed: int, size: float) -> None:
    """Known crystals shaken: the merged sites are where they were, but along what is free."""
    rng = np.random.default_rng(seed)
    clean = known()
    shake = torch.tensor(rng.normal(size=clean.position.shape))
    shake = shake / torch.linalg.vector_norm(shake, dim=1, keepdim=True) * size
    step = torch.einsum("si,sij->sj", shake, torch.linalg.inv(clean.lattice())[clean.crystal])
    noised = clean.with_state(clean.position + step, clean.lengths)
    same, before = find_coincidence(noised, 0.4), find_coincidence(clean, 1e-3)
    assert same.order.tolist() == before.order.tolist()
    # The centre is a fixed point of the site symmetry, and no further off than the point was.
    off = torch.linalg.vector_norm(
        torch.einsum("si,sij->sj", same.centre - clean.position, clean.lattice()[clean.crystal]), dim=1
    )
    assert float(off.max()) < size + 1e-9
    again = find_coincidence(clean.with_state(same.centre, clean.lengths), 1e-4)
    assert again.order.tolist() == before.order.tolist()


def test_what_coincides_does_not_depend_on_the_point_of_the_orbit() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        batch = general(seed)
        for tolerance in (0.4, 1.0, 2.0):
            a = find_coincidence(batch, tolerance)
            other, _ = moved(batch, rng)
            b = find_coincidence(other, tolerance)
            assert a.order.tolist() == b.order.tolist()
            assert (a.order > 1).any()


def brute_force(batch: GeneralBatch, b: int, cutoff: float) -> list[tuple[int, int, float]]:
    """Source orbit, target orbit and length of all edges of one crystal, from vesin's list of all images."""
    g = space_group(int(batch.space_group[b]))
    lattice = batch.lattice()[b].numpy()
    rows = np.flatnonzero(batch.crystal.numpy() == b)
    points, owner = [], []
    for s in rows:
        points.append(g.rotations @ batch.position[s].numpy() + g.translations)
        owner += [s] * len(g.rotations)
    primitive = g.primitive @ lattice
    fractional = np.concatenate(points) @ np.linalg.inv(g.primitive)
    first = np.searchsorted(owner, rows)
    i, j, d = vesin.NeighborList(cutoff=cutoff, full_list=True).compute(
        fractional @ primitive, primitive, True, "ijd"
    )
    keep = np.isin(i, first)
    return sorted(
        (int(owner[a]), int(owner[c]), float(x)) for a, c, x in zip(i[keep], j[keep], d[keep], strict=True)
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_edges_of_every_group(seed: int) -> None:
    """With nothing merged, edges are the rows of a full neighbour list that start at the points."""
    batch = general(seed)
    same = find_coincidence(batch, 1e-6)
    graph = build_image_graph(batch, same, 3.5)
    for b in range(batch.size):
        rows = batch.crystal[graph.source] == b
        ours = sorted(
            zip(
                graph.source[rows].tolist(),
                graph.target[rows].tolist(),
                graph.distance[rows].tolist(),
                strict=True,
            )
        )
        theirs = brute_force(batch, b, 3.5)
        assert len(ours) == len(theirs)
        assert np.allclose(
            [x[2] for x in sorted(ours, key=lambda x: x[2])], sorted(x[2] for x in theirs), atol=1e-6
        )
        assert sorted(x[:2] for x in ours) == sorted(x[:2] for x in theirs)


def test_images_that_coincide_are_one_edge() -> None:
    """Rock salt: six neighbours at half the edge of the cell, though each has 48 images there."""
    batch = to_general(batch_of(KNOWN["rock salt"]))
    graph = build_image_graph(batch, find_coincidence(batch, 0.4), 0.51 * float(batch.lengths[0, 0]))
    assert int(graph.own.sum()) == 2 and float(graph.distance[graph.own].max()) < 1e-9
    others = graph.distance[~graph.own].numpy()
    assert len(others) == 12 and others == pytest.approx(float(batch.lengths[0, 0]) / 2)


def test_a_point_beside_its_special_position_sees_it() -> None:
    batch = to_general(batch_of(KNOWN["rock salt"]))
    off = batch.with_state(batch.position + torch.tensor([0.01, 0.004, 0.002]), batch.lengths)
    graph = build_image_graph(off, find_coincidence(off, 0.4), 2.0)
    assert graph.own.all() and len(graph.source) == 2
    step = torch.tensor([0.01, 0.004, 0.002], dtype=torch.float64) * off.lengths[0]
    assert torch.allclose(graph.vector, -step.expand(2, 3), atol=1e-9)


def test_crowded_cells_have_a_shorter_cutoff() -> None:
    batch = general()
    same = find_coincidence(batch, 0.4)
    graph = build_image_graph(batch, same, 6.0, crowd=20.0)
    edges = torch.bincount(batch.crystal[graph.source], minlength=batch.size).double()
    assert float(edges.sum() / len(batch.element)) < 25
    assert float(graph.cutoff.max()) <= 6.0 and float(graph.cutoff.min()) < 3.0


def test_back_points_along_an_edge_of_the_target() -> None:
    """The way back from an atom, turned into the frame of its orbit, is an edge that leaves that orbit."""
    batch = general(2)
    same = find_coincidence(batch, 1e-6)
    graph = build_image_graph(batch, same, 3.0)
    unit = graph.vector / graph.distance[:, None]
    for e in range(0, len(graph.source), 17):
        leaving = torch.nonzero(graph.source == graph.target[e])[:, 0]
        gap = torch.linalg.vector_norm(unit[leaving] - graph.back[e], dim=1)
        reverse = leaving[gap < 1e-6]
        same_length = (graph.distance[reverse] - graph.distance[e]).abs() < 1e-6
        assert (same_length & (graph.target[reverse] == graph.source[e])).any()


def test_two_batches_in_one() -> None:
    a, b = known(), general()
    both = concatenate(a, b)
    assert both.size == a.size + b.size
    assert torch.equal(both.crystal[len(a.element) :], b.crystal + a.size)
    graph = build_image_graph(both, find_coincidence(both, 0.4), 3.0)
    alone = build_image_graph(a, find_coincidence(a, 0.4), 3.0)
    rows = graph.source < len(a.element)
    assert torch.equal(graph.vector[rows], alone.vector) and torch.equal(graph.target[rows], alone.target)
