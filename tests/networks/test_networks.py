"""What the network has to obey exactly, in double precision with random weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import crystalsmith.networks.denoiser as denoiser
from batches import batch_of, every_group, in_p1, noised
from crystals import KNOWN
from crystalsmith.crystal import Crystal, Site
from crystalsmith.errors import ConfigError
from crystalsmith.graph import (
    CrystalBatch,
    MergedEdges,
    Multigraph,
    build_multigraph,
    scaled_cutoff,
    to_crystals,
)
from crystalsmith.networks import Denoiser, DenoiserConfig
from crystalsmith.networks.basis import envelope, noise_features, radial_basis
from crystalsmith.networks.denoiser import cartesian_rotations
from crystalsmith.symmetry import STRAIN_BASIS
from crystalsmith.training.examples import equivalent

SMALL = DenoiserConfig(scalars=16, vectors=5, edges=6, layers=2, form_factors=2)
EXACT = {"rtol": 1e-8, "atol": 1e-9}


def random_network(context: bool, seed: int = 0) -> Denoiser:
    """A small network in double precision, no weight of which is zero or otherwise special."""
    torch.manual_seed(seed)
    values = {**vars(SMALL), "context": context}
    network = Denoiser(DenoiserConfig(**values)).double()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return network.eval()


@dataclass(frozen=True)
class Outputs:
    """Outputs of a network, and the Cartesian vectors (S, 3) of the representatives that went into them."""

    position: Tensor
    strain: Tensor
    vector: Tensor


@torch.no_grad()
def run(network: Denoiser, batch: CrystalBatch, graph: Multigraph | None = None) -> Outputs:
    kept: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        kept.append(output[:, :, 0])

    handle = network.vector_out.register_forward_hook(keep)
    lay = batch.layout
    log_sigma = torch.tensor([-1.3, 0.4]).to(batch.w).expand(lay.size, 2)
    position, strain = network(batch, log_sigma, 0.3 * batch.strain, graph)
    handle.remove()
    return Outputs(position, strain, kept[0])


def tensors(strain: Tensor) -> Tensor:
    """(B, 3, 3) of strain coordinates (B, 6)."""
    return torch.einsum("bk,kij->bij", strain, torch.tensor(STRAIN_BASIS))


def turned(tensor: Tensor, rotation: np.ndarray) -> Tensor:
    q = torch.tensor(rotation)
    return q.T @ tensor @ q


@pytest.fixture(scope="module")
def batch() -> CrystalBatch:
    """All space groups, noised."""
    return noised(batch_of(*every_group(seed=7)), seed=7, strain=0.4)


@pytest.mark.parametrize("context", [False, True])
def test_a_grown_network_says_the_same_and_can_learn_more(batch: CrystalBatch, context: bool) -> None:
    small = random_network(context)
    for change in ({"layers": 4}, {"feedforward": 8}, {"layers": 3, "feedforward": 8}):
        large = small.grown(replace(small.config, **change)).eval()
        assert len(large.layers) == large.config.layers
        before, after = run(small, batch), run(large, batch)
        torch.testing.assert_close(after.position, before.position, **EXACT)
        torch.testing.assert_close(after.strain, before.strain, **EXACT)
        torch.manual_seed(1)
        (large(batch, torch.zeros(batch.layout.size, 2).double(), batch.strain)[0] ** 2).sum().backward()
        # Zeros that what follows needs to be other than zero for a gradient come to life in later steps.
        new = large.layers[-1].update[-1].weight if "layers" in change else large.layers[0].think[-1].weight
        assert float(new.grad.abs().max()) > 0


def test_networks_do_not_shrink_or_widen() -> None:
    small = Denoiser(SMALL)
    for change in ({"layers": 1}, {"scalars": 32}, {"context": False}):
        with pytest.raises(ConfigError, match="cannot grow"):
            small.grown(replace(SMALL, **change))
    with pytest.raises(ConfigError, match="cannot grow"):
        Denoiser(replace(SMALL, feedforward=8)).grown(SMALL)


@pytest.mark.parametrize("context", [False, True])
def test_outputs_are_not_trivial(batch: CrystalBatch, context: bool) -> None:
    out = run(random_network(context), batch)
    assert torch.isfinite(out.position).all() and torch.isfinite(out.strain).all()
    assert float(out.position[batch.layout.free_mask].std()) > 5e-3
    assert (out.strain[batch.layout.strain_mask].abs() > 1e-6).all()


@pytest.mark.parametrize("context", [False, True])
def test_zero_where_symmetry_leaves_no_freedom(batch: CrystalBatch, context: bool) -> None:
    out = run(random_network(context), batch)
    assert (out.position[~batch.layout.free_mask] == 0).all()
    assert (out.strain[~batch.layout.strain_mask] == 0).all()


@pytest.mark.parametrize("context", [False, True])
def test_choice_of_representative(batch: CrystalBatch, context: bool) -> None:
    """Another point of the orbit in the same free space: the output turns with it."""
    lay, t = batch.layout, batch.layout.tables
    network, before = random_network(context), run(random_network(context), batch)
    moved = 0
    for k in range(1, 6):
        row = t.self_start[lay.wyckoff] + k % t.self_count[lay.wyckoff]
        w = torch.einsum("sij,sj->si", t.self_linear[row], batch.w) + t.self_offset[row]
        after = run(network, batch.with_state(torch.remainder(w, 1.0) * lay.free_mask, batch.strain))
        turn = t.unit_inverse[lay.wyckoff] @ t.self_linear[row] @ t.unit[lay.wyckoff]
        expected = torch.einsum("sij,sj->si", turn, before.position) * lay.free_mask
        torch.testing.assert_close(after.position, expected, **EXACT)
        torch.testing.assert_close(after.strain, before.strain, **EXACT)
        moved += int((after.position - before.position).abs().amax(1).gt(1e-3).sum())
    assert moved > 100


def test_choice_of_origin_and_axes(batch: CrystalBatch) -> None:
    """Equivalent descriptions under the normaliser: the geometric network's answer turns with them."""
    network, t, step = random_network(context=False), batch.layout.tables, 1e-3
    before = run(network, batch)
    letters = 0
    for seed in range(4):

        def describe(b: CrystalBatch, seed: int = seed) -> CrystalBatch:
            return equivalent(b, torch.Generator().manual_seed(seed))

        other = describe(batch)
        letters += int((other.layout.wyckoff != batch.layout.wyckoff).sum())
        columns = []
        for k in range(3):  # the map of the free coordinates, which is affine
            z = torch.zeros_like(batch.w)
            z[:, k] = step
            w = batch.w + torch.einsum("sij,sj->si", t.unit[batch.layout.wyckoff], z) * batch.layout.free_mask
            away = describe(batch.with_state(w, batch.strain)).w - other.w
            away = away - away.round()
            columns.append(torch.einsum("sij,sj->si", t.unit_inverse[other.layout.wyckoff], away) / step)
        expected = torch.einsum("sij,sj->si", torch.stack(columns, 2), before.position)
        after = run(network, other)
        torch.testing.assert_close(after.position, expected, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(after.strain, before.strain, **EXACT)
    assert letters > 100


def test_rotation_of_the_crystal() -> None:
    """Nothing but the Cartesian vectors knows how the crystal lies in space."""
    batch = noised(batch_of(*every_group(seed=8)), seed=8, strain=0.4)
    network = random_network(context=False)
    graph = build_multigraph(batch, scaled_cutoff(batch, 2.0))
    before = run(network, batch, graph)
    q, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    q *= np.linalg.det(q)
    rotation = torch.tensor(q)
    rotated = replace(graph, vector=graph.vector @ rotation, lattice=graph.lattice @ rotation)
    after = run(network, batch, rotated)
    torch.testing.assert_close(after.position, before.position, **EXACT)
    torch.testing.assert_close(after.vector, before.vector @ rotation, **EXACT)
    triclinic = batch.layout.space_group <= 2  # only there is the whole tensor given
    expected = turned(tensors(before.strain), q)[triclinic]
    torch.testing.assert_close(tensors(after.strain)[triclinic], expected, **EXACT)


def without_multiplicity(network: Denoiser) -> Denoiser:
    """An orbit of eight and eight orbits of one are different inputs only to these weights."""
    with torch.no_grad():
        network.multiplicity.weight.zero_()
    return network


def test_full_crystal_gives_the_same() -> None:
    """The symmetry-reduced graph, and all atoms of the primitive cell as orbits of space group 1."""
    crystals = to_crystals(noised(batch_of(*every_group(seed=9)), seed=9, strain=0.4))
    crystals += KNOWN.values()
    network = without_multiplicity(random_network(context=False))
    reduced = batch_of(*crystals)
    plain, rotations, _ = zip(*[in_p1(c) for c in crystals], strict=True)
    full = batch_of(*plain)
    ours, theirs = run(network, reduced), run(network, full)
    lay = reduced.layout
    rotation = torch.tensor(np.stack(rotations))
    vector = torch.einsum("si,sij->sj", ours.vector, rotation[lay.crystal])
    torch.testing.assert_close(vector, theirs.vector[lay.first_atom], **EXACT)
    strain = rotation.transpose(1, 2) @ tensors(ours.strain) @ rotation
    torch.testing.assert_close(strain, tensors(theirs.strain), **EXACT)
    # Images have the vector of their representative, turned by the operation.
    turn = cartesian_rotations(reduced, reduced.lattice()) @ rotation[lay.crystal[lay.atom_orbit]]
    images = torch.einsum("ai,aij->aj", ours.vector[lay.atom_orbit], turn)
    torch.testing.assert_close(images, theirs.vector, **EXACT)


@pytest.mark.parametrize(
    "matrix",
    [
        [[1, 1, 0], [0, 1, 0], [0, 1, 1]],
        [[2, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[1, 1, 0], [-1, 1, 0], [0, 1, 2]],
    ],
)
def test_choice_of_cell(matrix: list[list[int]]) -> None:
    """Another primitive cell, and supercells."""
    network = without_multiplicity(random_network(context=False))
    crystals = [KNOWN["quartz"], KNOWN["baddeleyite"], *every_group(seed=9)[::9]]
    for crystal in crystals:
        (small, q, _), (large, p, origin) = in_p1(crystal), in_p1(crystal, np.array(matrix))
        a, b = run(network, batch_of(small)), run(network, batch_of(large))
        turn = torch.tensor(q.T @ p)
        torch.testing.assert_close((a.vector @ turn)[torch.tensor(origin)], b.vector, **EXACT)
        torch.testing.assert_close(turned(tensors(a.strain), turn.numpy()), tensors(b.strain), **EXACT)


def keep_all_edges(batch: CrystalBatch, graph: Multigraph) -> MergedEdges:
    eye = torch.eye(3).to(batch.w).expand(len(batch.layout.crystal), 3, 3)
    return MergedEdges(graph, torch.ones_like(graph.distance), eye)


@pytest.mark.parametrize("context", [False, True])
def test_merged_edges_change_nothing(monkeypatch: pytest.MonkeyPatch, context: bool) -> None:
    batch = noised(batch_of(*every_group(seed=10)), seed=10, strain=0.4)
    network = random_network(context)
    merged = run(network, batch)
    monkeypatch.setattr(denoiser, "merge_edges", keep_all_edges)
    whole = run(network, batch)
    torch.testing.assert_close(merged.position, whole.position, **EXACT)
    torch.testing.assert_close(merged.vector, whole.vector, **EXACT)
    torch.testing.assert_close(merged.strain, whole.strain, **EXACT)


def test_vectors_lie_in_the_free_space(monkeypatch: pytest.MonkeyPatch, batch: CrystalBatch) -> None:
    """With all edges and no averaging, equivariance alone keeps the vectors of special positions there."""
    monkeypatch.setattr(denoiser, "merge_edges", keep_all_edges)
    lay, t = batch.layout, batch.layout.tables
    vector = run(random_network(context=False), batch).vector
    free = t.free_basis[lay.wyckoff].transpose(1, 2) @ batch.lattice()[lay.crystal]  # rows, zero beyond dof
    inside = torch.einsum("si,sij->sj", vector, torch.linalg.pinv(free) @ free)
    torch.testing.assert_close(inside, vector, **EXACT)
    fixed = t.dof[lay.wyckoff] == 0
    assert fixed.any()
    assert float(vector[fixed].abs().max()) < 1e-9 < 1e-3 < float(vector[~fixed].abs().max())


def test_position_output_is_the_vector_in_free_coordinates() -> None:
    """A coordinate's output is the vector along the way that the representative moves with it."""
    batch = noised(batch_of(*every_group(seed=11)), seed=11, strain=0.4)
    lay, t = batch.layout, batch.layout.tables
    out = run(random_network(False), batch)
    graph_lattice = batch.lattice()
    volume = (torch.linalg.det(graph_lattice) / t.cells[lay.space_group]) ** (1 / 3)
    for k in range(3):
        step = torch.zeros_like(batch.w)
        step[:, k] = 1e-6
        w = batch.w + torch.einsum("sij,sj->si", t.unit[lay.wyckoff], step * lay.free_mask)
        moved = batch.with_state(w, batch.strain).representative() - batch.representative()
        cartesian = torch.einsum("si,sij->sj", moved, graph_lattice[lay.crystal]) / 1e-6
        expected = (cartesian * out.vector).sum(1) / volume[lay.crystal]
        torch.testing.assert_close(out.position[:, k], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("context", [False, True])
def test_continuous_at_the_cutoff(context: bool) -> None:
    """An atom that crosses the cutoff is felt no sooner than at the square of the distance."""
    network = random_network(context)
    a, distance = 10.0, 4.0

    def outputs(shift: float) -> tuple[int, Tensor]:
        sites = (Site("Na", "a", (0.0, 0.0, 0.0)), Site("Cl", "a", ((distance + shift) / a, 0.0, 0.0)))
        batch = batch_of(Crystal(1, (a, a, a, 90, 90, 90), sites))
        graph = build_multigraph(batch, distance)
        out = run(network, batch, graph)
        return len(graph.orbit), torch.cat([x.flatten() for x in (out.position, out.strain, out.vector)])

    (edges_in, inside), (edges_out, outside) = outputs(-1e-5), outputs(1e-5)
    assert (edges_in, edges_out) == (2, 0)
    slope = torch.maximum((outputs(2e-5)[1] - outside).abs().max(), torch.tensor(1e-10))
    assert float((inside - outside).abs().max()) < 10 * float(slope)
    assert float((outputs(-1.0)[1] - outside).abs().max()) > 1e-4


@pytest.mark.parametrize("context", [False, True])
def test_batch_does_not_matter(context: bool) -> None:
    network = random_network(context)
    crystals = to_crystals(noised(batch_of(*every_group(seed=12)), seed=12, strain=0.4))[::4]
    together = run(network, batch_of(*crystals))
    start = 0
    for b, crystal in enumerate(crystals):
        alone = run(network, batch_of(crystal))
        rows = slice(start, start + len(crystal.sites))
        torch.testing.assert_close(alone.position, together.position[rows], rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(alone.strain[0], together.strain[b], rtol=1e-10, atol=1e-10)
        start += len(crystal.sites)


def test_gradients_reach_every_weight() -> None:
    for context in (False, True):
        network = random_network(context).train()
        zeros = torch.zeros(40, 8).double()
        position, strain = network(batch_of(*every_group()[:40]), zeros[:, :2], zeros[:, 2:])
        (position.square().sum() + strain.square().sum()).backward()
        for name, p in network.named_parameters():
            assert p.grad is not None and torch.isfinite(p.grad).all(), name
            assert float(p.grad.abs().max()) > 0, name


def test_mixed_precision_is_close(batch: CrystalBatch) -> None:
    """Messages in bfloat16, whose steps are of 0.4 %, beside single precision."""
    network = random_network(context=True).float()
    single = noised(batch_of(*every_group(seed=7), dtype=torch.float32), seed=7, strain=0.4)
    full = run(network, single)
    network.mixed_precision = True
    rough = run(network, single)
    for a, b in ((full.position, rough.position), (full.strain, rough.strain)):
        assert b.dtype == torch.float32
        assert 0 < float((a - b).square().mean()) < 0.03**2 * float(a.square().mean())


def test_no_neighbour() -> None:
    network = random_network(True)
    lonely = batch_of(Crystal(1, (4, 5, 6, 80, 90, 100), (Site("Na", "a", (0.1, 0.2, 0.3)),)))
    out = run(network, lonely, build_multigraph(lonely, 0.5))
    assert torch.isfinite(out.position).all() and torch.isfinite(out.strain).all()


def test_envelope_vanishes_with_two_derivatives() -> None:
    x = torch.tensor([1.0 - 1e-9], dtype=torch.float64, requires_grad=True)
    first = torch.autograd.grad(envelope(x).sum(), x, create_graph=True)[0]
    second = torch.autograd.grad(first.sum(), x)[0]
    for value in (envelope(x), first, second):
        assert float(value.detach().abs()) < 1e-6
    assert envelope(torch.tensor([0.0, 1.0, 7.0])).tolist() == pytest.approx([1.0, 0.0, 0.0], abs=1e-6)


def test_radial_basis_is_smooth_and_ends_at_the_cutoff() -> None:
    d = torch.linspace(0.1, 5.0, 4001, dtype=torch.float64)
    basis = radial_basis(d, torch.full_like(d, 5.0), torch.full_like(d, 1.7))
    assert float(basis[-1].abs().max()) < 1e-9
    assert float(basis.diff(dim=0).abs().max()) < 0.1


def test_noise_features_tell_levels_apart() -> None:
    log_sigma = torch.log(torch.logspace(-2.5, 0.5, 40, dtype=torch.float64))
    features = noise_features(log_sigma)
    torch.testing.assert_close(features.square().sum(1), torch.full((40,), features.shape[1] / 2.0).double())
    away = torch.cdist(features, features) + 10 * torch.eye(40)
    assert float(away.min()) > 0.1


def test_properties_speak_of_elements_that_are_hidden(batch: CrystalBatch) -> None:
    """Hidden, an element counts by its place in the periodic table and its properties, not as itself."""
    network = random_network(True)
    zn, cd = torch.tensor([30]), torch.tensor([48])
    hidden = torch.zeros(1, dtype=torch.float64)
    with torch.no_grad():
        told = network.embed(zn, hidden)
        network.element.weight[30] += 1.0
        assert torch.equal(network.embed(zn, hidden), told)
        assert not torch.equal(network.embed(zn), told)
        assert torch.equal(network.embed(zn, 1 - hidden), network.embed(zn))
        network.period.weight[5] = network.period.weight[4]  # of Cd and Zn
        assert not torch.equal(network.embed(cd, hidden), told)
        network.properties.weight.zero_()
        assert torch.equal(network.embed(cd, hidden), network.embed(zn, hidden))
