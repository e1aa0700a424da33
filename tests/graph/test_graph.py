"""Batches and multigraphs against neighbour lists of other programs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import vesin
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st

from batches import VOLUMES, batch_of, every_group, noised
from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.errors import StructureError
from crystalsmith.graph import (
    CrystalBatch,
    Multigraph,
    build_multigraph,
    scaled_cutoff,
    to_batch,
    to_crystals,
)
from crystalsmith.graph.ragged import expand, segment_sum
from crystalsmith.symmetry import space_group

CALCULATORS = ("vesin", "ase", "pymatgen")
Rows = tuple[np.ndarray, np.ndarray, np.ndarray]


def neighbours(crystal: Crystal, cutoff: float, program: str) -> Rows:
    """Atoms i and j and their distance for the full neighbour list of the primitive cell."""
    if program == "pymatgen":
        i, j, _, d = crystal.to_structure(primitive=True).get_neighbor_list(cutoff)
    elif program == "ase":
        i, j, d = neighbor_list("ijd", crystal.to_atoms(), cutoff)
    else:
        lattice = crystal.primitive_lattice
        calculator = vesin.NeighborList(cutoff=cutoff, full_list=True)
        i, j, d = calculator.compute(crystal.positions()[1] @ lattice, lattice, True, "ijd")
    return np.asarray(i, int), np.asarray(j, int), np.asarray(d, float)


def from_representatives(crystal: Crystal, cutoff: float, program: str = "vesin") -> Rows:
    """Orbit, atom and distance for the rows of the neighbour list that start at a representative, sorted."""
    i, j, d = neighbours(crystal, cutoff, program)
    orbit = crystal.orbit_of_atom()
    first = np.flatnonzero(np.diff(orbit, prepend=-1))
    rows = np.isin(i, first)
    return ordered(orbit[i[rows]], j[rows], d[rows])


def edges_of(graph: Multigraph, batch: CrystalBatch, b: int = 0) -> Rows:
    """The same of one crystal of a batch."""
    lay = batch.layout
    rows = (lay.crystal[graph.orbit] == b).numpy()
    first_orbit = int((lay.crystal < b).sum())
    first_atom = int(lay.atoms[:b].sum())
    return ordered(
        graph.orbit.numpy()[rows] - first_orbit,
        graph.atom.numpy()[rows] - first_atom,
        graph.distance.double().numpy()[rows],
    )


def ordered(orbit: np.ndarray, atom: np.ndarray, distance: np.ndarray) -> Rows:
    order = np.lexsort((distance, atom, orbit))
    return orbit[order], atom[order], distance[order]


def assert_same(ours: Rows, theirs: Rows, cutoff: float, tolerance: float) -> None:
    """Equal but for edges that rounding takes over the cutoff."""
    ours, theirs = (tuple(x[rows[2] < cutoff - tolerance] for x in rows) for rows in (ours, theirs))
    assert len(ours[0]) == len(theirs[0])
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_array_equal(ours[1], theirs[1])
    np.testing.assert_allclose(ours[2], theirs[2], rtol=0, atol=tolerance)


@pytest.mark.parametrize("program", CALCULATORS)
def test_known_crystals(program: str) -> None:
    cutoff = 4.7  # no coordination shell of these crystals is near
    batch = batch_of(*KNOWN.values())
    graph = build_multigraph(batch, cutoff)
    for b, crystal in enumerate(KNOWN.values()):
        theirs = from_representatives(crystal, cutoff, program)
        assert len(theirs[0])
        assert_same(edges_of(graph, batch, b), theirs, cutoff, 1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-5)])
def test_every_space_group(dtype: torch.dtype, tolerance: float) -> None:
    crystals = every_group()
    batch = batch_of(*crystals, dtype=dtype)
    cutoff = scaled_cutoff(batch, 2.0)
    graph = build_multigraph(batch, cutoff)
    assert torch.equal(graph.cutoff, cutoff)
    for b, crystal in enumerate(crystals):
        volume = crystal.volume / len(crystal.group.centring) / crystal.n_atoms
        assert float(cutoff[b]) == pytest.approx(2.0 * volume ** (1 / 3), rel=1e-5)
        assert_same(
            edges_of(graph, batch, b),
            from_representatives(crystal, float(cutoff[b])),
            float(cutoff[b]),
            tolerance,
        )


@pytest.mark.parametrize("factor", [0.7, 2.0])
def test_extreme_cells(factor: float) -> None:
    """Log-strains of 1.5 stretch one axis against another up to twentyfold; random points nearly coincide."""
    batch = noised(batch_of(*every_group()), seed=1)
    cutoff = scaled_cutoff(batch, factor)
    graph = build_multigraph(batch, cutoff)
    for b, crystal in enumerate(to_crystals(batch)):
        assert_same(
            edges_of(graph, batch, b), from_representatives(crystal, float(cutoff[b])), float(cutoff[b]), 1e-6
        )


@pytest.mark.parametrize(
    "cell",
    [
        (3.0, 3.0, 40.0, 90, 90, 90),  # a rod
        (30.0, 30.0, 1.5, 90, 90, 90),  # a flat cell
        (4.0, 4.5, 5.0, 35, 40, 30),  # acute
        (4.0, 4.5, 5.0, 118, 117, 119),  # obtuse: nearly in a plane
        (3.0, 12.0, 5.0, 90, 155, 90),  # skewed
    ],
)
def test_flat_and_skewed_cells(cell: tuple[float, float, float, float, float, float]) -> None:
    crystal = Crystal(1, cell, (Site("Na", "a", (0.1, 0.9, 0.4)), Site("Cl", "a", (0.97, 0.02, 0.55))))
    batch = batch_of(crystal)
    for cutoff in (1.0, 4.3, 9.7):
        graph = build_multigraph(batch, cutoff)
        assert_same(edges_of(graph, batch), from_representatives(crystal, cutoff), cutoff, 1e-7)


@pytest.mark.parametrize(
    ("number", "a", "shells"), [(221, 3.35, (6, 12, 8)), (225, 3.61, (12, 6, 24)), (229, 2.87, (8, 6, 12))]
)
def test_one_atom_in_the_cell(number: int, a: float, shells: tuple[int, ...]) -> None:
    crystal = Crystal(number, (a, a, a, 90, 90, 90), (Site("Cu", "a"),))
    batch = batch_of(crystal)
    assert len(build_multigraph(batch, 0.1).orbit) == 0
    for cutoff in (5.0, 14.0):
        graph = build_multigraph(batch, cutoff)
        assert_same(edges_of(graph, batch), from_representatives(crystal, cutoff), cutoff, 1e-7)
    distances, counts = np.unique(graph.distance.numpy().round(6), return_counts=True)
    assert tuple(counts[: len(shells)]) == shells
    assert distances[0] == pytest.approx(a * {221: 1, 225: 0.5**0.5, 229: 0.75**0.5}[number], abs=1e-5)


def test_batch_is_its_crystals() -> None:
    crystals = every_group(seed=2)[::3]
    batch = batch_of(*crystals)
    cutoff = scaled_cutoff(batch, 1.7)
    whole = build_multigraph(batch, cutoff)
    for b, crystal in enumerate(crystals):
        alone = batch_of(crystal)
        assert_same(
            edges_of(whole, batch, b), edges_of(build_multigraph(alone, cutoff[b : b + 1]), alone), 1e9, 1e-12
        )


def test_vectors_lead_from_representative_to_image() -> None:
    batch = noised(batch_of(*every_group()), seed=3, strain=0.5)
    lay = batch.layout
    graph = build_multigraph(batch, scaled_cutoff(batch, 2.0))
    torch.testing.assert_close(torch.linalg.vector_norm(graph.vector, dim=1), graph.distance)
    position = batch.atom_positions()
    fractional = torch.linalg.solve(batch.lattice()[lay.crystal[graph.orbit]].transpose(1, 2), graph.vector)
    shift = fractional - position[graph.atom] + batch.representative()[graph.orbit]
    number = lay.space_group[lay.crystal[graph.orbit]]
    in_primitive = torch.einsum("ei,eij->ej", shift, lay.tables.primitive_inverse[number])
    torch.testing.assert_close(in_primitive, in_primitive.round(), rtol=0, atol=1e-9)


def test_no_atom_neighbours_itself() -> None:
    batch = noised(batch_of(*every_group()), seed=4)
    graph = build_multigraph(batch, scaled_cutoff(batch, 1.5))
    own = graph.atom == batch.layout.first_atom[graph.orbit]
    assert own.any()  # its lattice images are neighbours
    assert float(graph.distance[own].min()) > 0.1
    assert (graph.distance > 0).all()
    again = set(
        zip(graph.orbit.tolist(), graph.atom.tolist(), [tuple(v) for v in graph.vector.tolist()], strict=True)
    )
    assert len(again) == len(graph.orbit)  # every edge once


def test_coinciding_atoms_are_neighbours_at_distance_zero() -> None:
    crystal = Crystal(
        1, (3, 4, 5, 90, 90, 90), (Site("Na", "a", (0.5, 0.5, 0.5)), Site("Cl", "a", (0.5, 0.5, 0.5)))
    )
    graph = build_multigraph(batch_of(crystal), 1.0)
    assert graph.distance.tolist() == [0.0, 0.0]
    assert graph.orbit.tolist() == [0, 1]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 3e-6)])
def test_round_trip(dtype: torch.dtype, tolerance: float) -> None:
    crystals = [*every_group(), *KNOWN.values()]
    for crystal, back in zip(crystals, to_crystals(batch_of(*crystals, dtype=dtype)), strict=True):
        assert (back.space_group, back.wyckoff) == (crystal.space_group, crystal.wyckoff)
        np.testing.assert_allclose(back.cell, crystal.cell, rtol=tolerance * 10)
        for a, b in zip(crystal.sites, back.sites, strict=True):
            away = np.array(a.free) - np.array(b.free)
            np.testing.assert_allclose(away - away.round(), 0, atol=tolerance)


def test_free_parameters_are_wrapped() -> None:
    far = Crystal(1, (3, 4, 5, 80, 90, 100), (Site("Na", "a", (-0.25, 1.75, 4.5)),))
    batch = batch_of(far)
    torch.testing.assert_close(batch.w, torch.tensor([[0.75, 0.75, 0.5]], dtype=torch.float64))
    moved = batch.with_state(batch.w - 3, batch.strain)
    assert to_crystals(moved)[0].sites[0].free == pytest.approx((0.75, 0.75, 0.5))


def test_atoms_are_those_of_the_crystal() -> None:
    crystals = [*every_group(), *KNOWN.values()]
    batch = batch_of(*crystals)
    lay = batch.layout
    position, lattice = batch.atom_positions().numpy(), batch.lattice().numpy()
    start = 0
    for b, crystal in enumerate(crystals):
        assert int(lay.atoms[b]) == crystal.n_atoms
        symbols, points = crystal.positions()
        ours = position[start : start + len(points)] @ np.linalg.inv(
            space_group(crystal.space_group).primitive
        )
        away = ours - points
        np.testing.assert_allclose(away - away.round(), 0, atol=1e-9)
        np.testing.assert_allclose(lattice[b], crystal.lattice, atol=1e-9)
        orbit = lay.atom_orbit[start : start + len(points)].numpy() - int((lay.crystal < b).sum())
        np.testing.assert_array_equal(orbit, crystal.orbit_of_atom())
        numbers = crystal.to_atoms().numbers
        np.testing.assert_array_equal(
            lay.element[lay.atom_orbit[start : start + len(points)]].numpy(), numbers
        )
        assert len(symbols) == len(numbers)
        start += len(points)
    assert ((batch.w >= 0) & (batch.w < 1)).all()
    representative = batch.representative()
    torch.testing.assert_close(batch.atom_positions()[lay.first_atom], representative)


def test_reference_volume_is_that_of_the_atoms() -> None:
    volumes = np.arange(119) * 1.0
    batch = to_batch([KNOWN["rock salt"], KNOWN["quartz"]], volumes)
    assert batch.layout.volume.tolist() == [11 + 17, 3 * 14 + 6 * 8]
    unstrained = batch.with_state(batch.w, torch.zeros_like(batch.strain))
    expected = [4 * (11 + 17), 3 * 14 + 6 * 8]
    torch.testing.assert_close(
        torch.linalg.det(unstrained.lattice()), torch.tensor(expected, dtype=torch.float32)
    )


def test_no_crystals_are_refused() -> None:
    with pytest.raises(StructureError, match="no crystal to batch"):
        to_batch([], VOLUMES)


@given(st.lists(st.integers(0, 6), max_size=12))
def test_expand(counts: list[int]) -> None:
    owner, rank = expand(torch.tensor(counts, dtype=torch.long))
    assert owner.tolist() == [i for i, n in enumerate(counts) for _ in range(n)]
    assert rank.tolist() == [k for n in counts for k in range(n)]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-9, 9), st.integers(-9, 9)), max_size=20))
def test_segment_sum(rows: list[tuple[int, int, int]]) -> None:
    values = torch.tensor([r[1:] for r in rows], dtype=torch.float64).reshape(-1, 2)
    index = torch.tensor([r[0] for r in rows], dtype=torch.long)
    expected = [[sum(r[1 + k] for r in rows if r[0] == i) for k in range(2)] for i in range(5)]
    assert segment_sum(values, index, 5).tolist() == expected
