"""DimeNet++ on the multigraph: its bases against published values, its triplets against the full crystal."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import eval_legendre, spherical_jn

from batches import batch_of, every_group
from crystals import KNOWN
from crystalsmith.crystal import Crystal
from crystalsmith.diffusion.edge_scores import lattice_eps, position_eps
from crystalsmith.graph import (
    GeneralBatch,
    build_image_graph,
    find_coincidence,
    operations,
    to_general,
    torch_tables,
)
from crystalsmith.graph.general import FIRST_GROUP, concatenate
from crystalsmith.networks import DimeNet, DimeNetConfig
from crystalsmith.networks.dimenet import make_bonds, merge_tolerance
from crystalsmith.networks.spherical import (
    FourierBessel,
    bessel_zeros,
    radial_bessel,
    spherical_harmonics,
)

SMALL = DimeNetConfig(embedding=12, output=10, triplet=8, basis=4, blocks=2, crowd=14.0)
CPU = torch.device("cpu")


def network(config: DimeNetConfig = SMALL, seed: int = 0) -> DimeNet:
    """In double precision, with outputs that are not zero."""
    torch.manual_seed(seed)
    net = DimeNet(config).double().eval()
    for block in net.outputs:
        torch.nn.init.normal_(block.last.weight, std=0.3)
    return net


def shaken(size: float, seed: int = 0, groups: slice = slice(None, None, 9)) -> GeneralBatch:
    """Crystals of many groups, with points off their positions by about ``size`` Angstrom."""
    crystals = [c for c in every_group() if c.space_group >= FIRST_GROUP][groups]
    batch = to_general(batch_of(*crystals))
    step = torch.tensor(np.random.default_rng(seed).normal(size=batch.position.shape)) * size
    fractional = torch.einsum("si,sij->sj", step, torch.linalg.inv(batch.lattice())[batch.crystal])
    return batch.with_state(batch.position + fractional, batch.lengths)


def outputs(
    net: DimeNet, batch: GeneralBatch, level: int = 3, sigma: float = 0.18
) -> tuple[torch.Tensor, ...]:
    """Noise of positions (S, 3), turned into fractional coordinates, and of the lattice (B, 3)."""
    levels = torch.full((batch.size,), level)
    same, graph = net.graph(batch, torch.full((batch.size,), sigma, dtype=torch.float64))
    with torch.no_grad():
        out = net(batch, levels, same, graph)
    eps = position_eps(graph, out[:, 0], len(batch.element))
    fractional = torch.einsum("si,sij->sj", eps, torch.linalg.inv(batch.lattice())[batch.crystal])
    return fractional, lattice_eps(batch, graph, out[:, 1])


def test_zeros_of_spherical_bessel_functions() -> None:
    """Abramowitz and Stegun, table 10.6."""
    zeros = bessel_zeros(7, 10)
    assert zeros[0] == pytest.approx(np.pi * np.arange(1, 11))
    assert zeros[1, :4] == pytest.approx([4.493409, 7.725252, 10.904122, 14.066194], abs=1e-6)
    assert zeros[2, :3] == pytest.approx([5.763459, 9.095011, 12.322941], abs=1e-6)
    assert zeros[3, :2] == pytest.approx([6.987932, 10.417119], abs=1e-6)
    orders = np.arange(7)[:, None]
    assert np.abs(spherical_jn(orders, zeros)).max() < 1e-12
    assert (np.diff(zeros, axis=0) > 0).all() and (np.diff(zeros, axis=1) > 3).all()


@given(st.integers(0, 10**9).map(lambda n: n / 10**9))
def test_fourier_bessel_basis(x: float) -> None:
    basis = FourierBessel(7, 10)
    for dtype, error in ((torch.float64, 1e-6), (torch.float32, 2e-5)):
        ours = basis(torch.tensor([x], dtype=dtype))[0].double().numpy()
        assert np.abs(ours - basis.exact(np.array(x))).max() < error


def test_bases_are_orthonormal() -> None:
    """Over the ball of the cutoff (DimeNet, equations 6 and 7), without the envelope."""
    x = (torch.arange(20_000, dtype=torch.float64) + 0.5) / 20_000
    values = FourierBessel(4, 6)(x)
    for order in range(4):
        overlap = torch.einsum("xn,xm,x->nm", values[:, order], values[:, order], x * x / len(x))
        assert torch.allclose(overlap, torch.eye(6, dtype=torch.float64), atol=1e-4)
    far = torch.full_like(x, 1e6)  # the envelope is 1
    radial = radial_bessel(x, far, 1.0, 6)
    overlap = torch.einsum("xn,xm,x->nm", radial, radial, x * x / len(x))
    assert torch.allclose(overlap, torch.eye(6, dtype=torch.float64), atol=1e-4)


def test_radial_basis_ends_smoothly() -> None:
    d = torch.tensor([0.0, 1.0, 4.9999, 5.0, 5.5, 7.0], dtype=torch.float64)
    values = radial_bessel(d, torch.full_like(d, 5.0), 6.0, 8)
    n = np.arange(1, 9)
    assert values[0].numpy() == pytest.approx(math.sqrt(2) * math.pi * n)
    assert values[1].numpy() == pytest.approx(
        math.sqrt(2) * np.sin(n * np.pi / 6) * 6 * (1 - 21 * 0.2**5 + 35 * 0.2**6 - 15 * 0.2**7)
    )
    assert float(values[2].abs().max()) < 1e-9 and (values[3:] == 0).all()


def test_addition_theorem() -> None:
    rng = np.random.default_rng(0)
    a, b = (torch.nn.functional.normalize(torch.tensor(rng.normal(size=(200, 3))), dim=1) for _ in range(2))
    product = spherical_harmonics(a, 8) * spherical_harmonics(b, 8)
    cosine = (a * b).sum(1).numpy()
    for order in range(8):
        ours = product[:, order**2 : (order + 1) ** 2].sum(1).numpy()
        assert ours == pytest.approx(eval_legendre(order, cosine), abs=1e-12)
    assert spherical_harmonics(torch.zeros(1, 3), 4)[0].tolist() == [1.0] + 15 * [0.0]


def test_spherical_harmonics_are_published_ones() -> None:
    """The first ones written out, and all of them orthogonal over the sphere."""
    v = torch.nn.functional.normalize(torch.tensor([[0.3, -0.5, 0.8]], dtype=torch.float64), dim=1)
    x, y, z = v[0].tolist()
    first = [1, y, z, x, *(math.sqrt(3) * q for q in (x * y, y * z)), 1.5 * z * z - 0.5]
    assert spherical_harmonics(v, 3)[0, :7].tolist() == pytest.approx(first)
    points = 40_000  # a Fibonacci lattice
    k = torch.arange(points, dtype=torch.float64) + 0.5
    height, turn = 1 - 2 * k / points, math.pi * (1 + math.sqrt(5)) * k
    ring = torch.sqrt(1 - height**2)
    sphere = spherical_harmonics(torch.stack([ring * turn.cos(), ring * turn.sin(), height], 1), 5)
    order = torch.tensor([n for n in range(5) for _ in range(2 * n + 1)], dtype=torch.float64)
    assert torch.allclose(sphere.T @ sphere / points, torch.diag(1 / (2 * order + 1)), atol=1e-5)


def said(source: int, target: int, distance: float, channels: int) -> np.ndarray:
    """Some message on an edge that edges equal by symmetry have in common."""
    return np.sin(np.arange(1, channels + 1) * (0.7 * distance + source) + 1.3 * target)


def around(crystal: Crystal, place: np.ndarray, cutoff: float) -> list[tuple[int, np.ndarray]]:
    """Orbit and vector of all atoms of the full crystal near a point in Cartesian coordinates."""
    _, points = crystal.positions()
    orbit = crystal.orbit_of_atom()
    lattice = crystal.primitive_lattice
    reach = np.ceil(cutoff * np.linalg.norm(np.linalg.inv(lattice), axis=0)).astype(int) + 1
    result = []
    for n in itertools.product(*(range(-r, r + 1) for r in reach)):
        for s, p in zip(orbit, (points % 1 + n) @ lattice - place, strict=True):
            if 1e-6 < np.linalg.norm(p) < cutoff:
                result.append((int(s), p))
    return result


@pytest.mark.parametrize("name", ["rutile", "quartz", "corundum", "wurtzite", "anatase", "perovskite"])
def test_triplets_of_the_full_crystal(name: str) -> None:
    """Every edge hears of all bonds of the atom it ends on, at the angles that they have in the crystal."""
    crystal = KNOWN[name]
    batch = to_general(batch_of(crystal))
    net = network()
    block, c = net.interactions[0], net.config
    cutoff = 3.1
    same = find_coincidence(batch, 1e-3)
    graph = build_image_graph(batch, same, cutoff)
    keep = torch.nonzero(~(graph.own & (graph.distance < 1e-6)))[:, 0]  # sites are on their positions
    graph = type(graph)(**{k: v if k == "cutoff" else v[keep] for k, v in vars(graph).items()})
    bonds = make_bonds(c, net.bessel, batch, same, graph)
    x = np.stack(
        [
            said(s, t, d, c.triplet)
            for s, t, d in zip(
                graph.source.tolist(), graph.target.tolist(), graph.distance.tolist(), strict=True
            )
        ]
    )
    heard = block.gather(torch.tensor(x), bonds).detach().numpy()

    inward = block.angular_in.weight.detach().numpy().reshape(c.basis, c.spherical, c.radial)
    weight = np.einsum("cb,bln->cln", block.angular_out.weight.detach().numpy(), inward)
    start = (batch.position.numpy() @ batch.lattice()[0].numpy())[graph.source.numpy()]
    checked = 0
    for e in range(0, len(keep), max(1, len(keep) // 12)):
        vector = graph.vector[e].numpy()
        total = np.zeros(c.triplet)
        for orbit, bond in around(crystal, start[e] + vector, cutoff):
            d = np.linalg.norm(bond)
            cosine = -bond @ vector / d / np.linalg.norm(vector)
            r = d / cutoff
            window = 1 - 21 * r**5 + 35 * r**6 - 15 * r**7
            angular = [math.sqrt((2 * n + 1) / (4 * math.pi)) * eval_legendre(n, cosine) for n in range(7)]
            basis = net.bessel.exact(np.array(d / c.cutoff)) * np.array(angular)[:, None] * window
            total += np.einsum("cln,ln->c", weight, basis) * said(int(graph.target[e]), orbit, d, c.triplet)
            checked += 1
        assert heard[e] == pytest.approx(total, rel=1e-4, abs=1e-5)
    assert checked > 20


def other_points(batch: GeneralBatch, rng: np.random.Generator) -> tuple[GeneralBatch, torch.Tensor]:
    """Each orbit by another of its points; the rotations (S, 3, 3) that took them there."""
    ops = operations(CPU, torch.float64)
    t = torch_tables(CPU, torch.float64)
    row = ops.first[batch.group] + torch.tensor(rng.integers(0, ops.count[batch.group].numpy()))
    place = torch.einsum("sij,sj->si", t.rotations[row], batch.position) + t.translations[row]
    shift = torch.tensor(rng.integers(-1, 2, place.shape))
    return batch.with_state(place + shift, batch.lengths), t.rotations[row]


@pytest.mark.parametrize("size", [0.02, 0.15, 0.5, 2.0])
def test_which_point_represents_an_orbit_does_not_matter(size: float) -> None:
    net = network()
    batch = shaken(size)
    eps, strain = outputs(net, batch)
    assert float(eps.abs().max()) > 1e-3 and float(strain.abs().max()) > 1e-3
    for seed in range(2):
        other, rotation = other_points(batch, np.random.default_rng(seed))
        turned, same_strain = outputs(net, other)
        assert torch.allclose(turned, torch.einsum("sij,sj->si", rotation, eps), atol=1e-6)
        assert torch.allclose(same_strain, strain, atol=1e-6)


def test_origin_and_orientation_do_not_matter() -> None:
    """Elements of the Euclidean normaliser: other origins and axes for the same crystal."""
    from crystalsmith.symmetry import tables

    t = tables()
    net = network()
    batch = shaken(0.1)
    eps, strain = outputs(net, batch)
    position, turns = batch.position.clone(), []
    for b, g in enumerate(batch.space_group.tolist()):
        first = t.normalizer_start[g - 1]
        element = first + (t.normalizer_start[g] - first) - 1
        w = torch.tensor(t.normalizer_rotations[element], dtype=torch.float64)
        rows = batch.crystal == b
        shift = torch.tensor(t.normalizer_translations[element]) + 0.37 * torch.tensor(t.polar[g])
        position[rows] = batch.position[rows] @ w.T + shift
        turns.append(w)
    rotation = torch.stack(turns)
    assert (torch.linalg.det(rotation) < 0).any() and not torch.allclose(position, batch.position)
    # Only elements that leave the lengths of the cell as they are.
    fits = torch.stack(
        [
            torch.allclose(w.T @ g @ w, g, atol=1e-9) * torch.ones((), dtype=torch.bool)
            for w, g in zip(rotation, batch.lattice() @ batch.lattice().transpose(1, 2), strict=True)
        ]
    )
    assert int(fits.sum()) > 10
    turned, same_strain = outputs(net, batch.with_state(position, batch.lengths))
    rows = fits[batch.crystal]
    expected = torch.einsum("sij,sj->si", rotation[batch.crystal], eps)
    assert torch.allclose(turned[rows], expected[rows], atol=1e-6)
    assert torch.allclose(same_strain[fits], strain[fits], atol=1e-6)


def test_a_crystal_does_not_depend_on_its_batch() -> None:
    net = network()
    one, other = shaken(0.1), shaken(0.3, seed=1, groups=slice(4, None, 11))
    eps, strain = outputs(net, one)
    both = outputs(net, concatenate(one, other))
    assert torch.allclose(both[0][: len(eps)], eps, atol=1e-10)
    assert torch.allclose(both[1][: len(strain)], strain, atol=1e-10)


def test_edges_fade_out_before_the_cutoff() -> None:
    """What edges say to others comes and goes smoothly: a shell just inside the cutoff says nothing."""
    net = network()
    block, c = net.interactions[0], net.config
    batch = to_general(batch_of(KNOWN["rutile"]))
    batch = batch.with_state(batch.position + 0.013, batch.lengths)
    same = find_coincidence(batch, 1e-3)
    shell = float(build_image_graph(batch, same, 3.0).distance.max())
    heard, kept = [], []
    for cutoff in (shell - 1e-5, shell + 1e-5):
        graph = build_image_graph(batch, same, cutoff)
        ends = (graph.source.tolist(), graph.target.tolist(), graph.distance.tolist())
        x = np.stack([said(s, t, d, c.triplet) for s, t, d in zip(*ends, strict=True)])
        sums = block.gather(torch.tensor(x), make_bonds(c, net.bessel, batch, same, graph)).detach()
        inside = graph.distance < shell - 1e-5
        heard.append(sums[inside])
        kept.append((len(inside), int(inside.sum())))
    assert kept[0][0] == kept[0][1] == kept[1][1] < kept[1][0]
    assert float(heard[0].abs().max()) > 0.1
    assert torch.allclose(heard[0], heard[1], atol=1e-3)  # the envelope of all others moves with the cutoff


def test_size_and_tolerance() -> None:
    assert sum(p.numel() for p in DimeNet().parameters()) == pytest.approx(0.51e6, rel=0.02)
    sigma = torch.tensor([0.03, 0.2, 6.0])
    assert merge_tolerance(DimeNetConfig(), sigma).tolist() == pytest.approx([0.4, 0.6, 1.2])


def test_gradients_reach_every_weight() -> None:
    net = network().train()
    batch = shaken(0.1)
    same, graph = net.graph(batch, torch.full((batch.size,), 0.1, dtype=torch.float64))
    out = net(batch, torch.arange(batch.size) % 10, same, graph)
    loss = (position_eps(graph, out[:, 0], len(batch.element)) ** 2).mean()
    (loss + (lattice_eps(batch, graph, out[:, 1]) ** 2).mean()).backward()
    for name, p in net.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all() and (p.grad != 0).any(), name
