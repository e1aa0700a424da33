"""The diffused fields against explicit densities, and noise schedules."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from batches import batch_of, every_group, noised
from crystalsmith.diffusion import LatticeField, LogSchedule, PositionField, sampling_times
from crystalsmith.diffusion.sampler_choice import times_of
from crystalsmith.diffusion.schedules import DECISIVE, focus, short_times
from crystalsmith.errors import ConfigError
from crystalsmith.graph import Layout, make_layout
from crystalsmith.symmetry import WyckoffPosition, reference_lattice, space_group

NEAR = np.array(list(itertools.product(range(-3, 4), repeat=3)))


def layout_of(*positions: WyckoffPosition) -> Layout:
    """One crystal with one sodium orbit for each position."""
    return make_layout(
        torch.tensor([p.space_group for p in positions]),
        torch.arange(len(positions)),
        torch.tensor([p.index for p in positions]),
        torch.full((len(positions),), 11),
        torch.full((len(positions),), 20.0, dtype=torch.float64),
    )


def padded(free: np.ndarray) -> Tensor:
    return torch.tensor(np.concatenate([free, np.zeros(3 - len(free))]))[None]


def score(position: WyckoffPosition, clean: np.ndarray, w: np.ndarray, sigma: float) -> np.ndarray:
    """(d,) gradient in w of the log-density: normals around all points of the orbit in the free space.

    From the operations alone, in Cartesian coordinates of the reference lattice with primitive volume 1.
    """
    group = space_group(position.space_group)
    lattice = reference_lattice(group.number)
    lattice = lattice * (len(group.centring) / np.linalg.det(lattice)) ** (1 / 3)
    here = position.position(position.period @ w)
    points = group.rotations @ position.position(position.period @ clean) + group.translations
    points = points[:, None] + group.centring
    points = ((points + np.round(here - points))[:, :, None] + NEAR).reshape(-1, 3)
    points = points[np.unique(points.round(7), axis=0, return_index=True)[1]]
    away = points - position.origin
    outside = away - away @ np.linalg.pinv(position.basis).T @ position.basis.T
    points = points[np.abs(outside).max(1) < 1e-7]
    step = torch.tensor((position.basis @ position.period).T @ lattice)
    variable = torch.tensor(w, requires_grad=True)
    place = variable @ step + torch.tensor(position.origin @ lattice)
    squares = (place - torch.tensor(points @ lattice)).square().sum(1)
    density = torch.logsumexp(-squares / (2 * sigma**2), 0)
    return torch.autograd.grad(density, variable)[0].numpy()


CASES = """
1a 2i 5a 8a 12i 14e 25e 62c 70f 99a 139n 152a 155c 160b 166c 166i 186b 194h 205c 213d 216h 225e 225j 227e 230f
230h
""".split()


# The torus is summed over the nearest 27 images: exact but at the widest noise, where the target fades.
@pytest.mark.parametrize(
    ("sigma", "tolerance"), [(0.02, 1e-9), (0.1, 1e-9), (0.2, 1e-8), (0.3, 5e-4), (0.5, 0.03)]
)
def test_target_is_the_score_of_the_wrapped_mixture(sigma: float, tolerance: float) -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for case in CASES:
        position = space_group(case[:-1]).wyckoff[case[-1]]
        seen.add(position.dof)
        clean, w = rng.random(position.dof), rng.random(position.dof)
        layout = layout_of(position)
        width = torch.tensor([[sigma]], dtype=torch.float64)
        target = PositionField().target(layout, padded(clean), padded(w), width)[0].numpy()
        unit = layout.tables.unit[position.index].numpy()[: position.dof, : position.dof]
        expected = -sigma * unit.T @ score(position, clean, w, sigma)
        np.testing.assert_allclose(target[: position.dof], expected, rtol=0, atol=tolerance)
        assert (target[position.dof :] == 0).all()
    assert seen == {1, 2, 3}


def test_target_does_not_see_the_representative() -> None:
    """All points of the clean orbit are centres; with a point of the noised one, the target turns."""
    batch = noised(batch_of(*every_group(seed=3)), seed=3)
    clean = noised(batch, seed=4)
    lay, t = batch.layout, batch.layout.tables
    sigma = torch.full((len(lay.crystal), 1), 0.15, dtype=torch.float64)
    field = PositionField()
    before = field.target(lay, clean.w, batch.w, sigma)
    row = t.self_start[lay.wyckoff] + 1 % t.self_count[lay.wyckoff]

    def other(w: Tensor) -> Tensor:
        return (
            torch.remainder(torch.einsum("sij,sj->si", t.self_linear[row], w) + t.self_offset[row], 1)
            * lay.free_mask
        )

    torch.testing.assert_close(field.target(lay, other(clean.w), batch.w, sigma), before, rtol=0, atol=1e-8)
    turn = t.unit_inverse[lay.wyckoff] @ t.self_linear[row] @ t.unit[lay.wyckoff]
    expected = torch.einsum("sij,sj->si", turn, before) * lay.free_mask
    torch.testing.assert_close(field.target(lay, clean.w, other(batch.w), sigma), expected, rtol=0, atol=1e-8)


def test_moves_are_orthonormal_in_the_reference_cell() -> None:
    """A step of length r moves the representative by r cube roots of the primitive reference volume."""
    batch = batch_of(*every_group(seed=6))
    lay = batch.layout
    plain = batch.with_state(batch.w, torch.zeros_like(batch.strain))
    step = 1e-3 * torch.randn(len(lay.crystal), 3, generator=torch.Generator().manual_seed(0)).double()
    moved = plain.with_state(PositionField().move(lay, plain.w, step), plain.strain)
    away = moved.w - plain.w
    straight = plain.with_state(plain.w + away - away.round(), plain.strain)
    cartesian = torch.einsum(
        "si,sij->sj", straight.representative() - plain.representative(), plain.lattice()[lay.crystal]
    )
    lengths = torch.linalg.vector_norm(cartesian, dim=1) / lay.volume[lay.crystal] ** (1 / 3)
    torch.testing.assert_close(lengths, torch.linalg.vector_norm(step * lay.free_mask, dim=1))
    assert ((moved.w >= 0) & (moved.w < 1)).all()


def test_position_prior_and_masks() -> None:
    batch = batch_of(*every_group())
    lay, field = batch.layout, PositionField()
    uniform = torch.rand(len(lay.crystal), 3).double()
    state = field.prior(lay, torch.full_like(uniform, math.nan), uniform)
    assert torch.equal(state, torch.where(field.mask(lay), uniform, torch.zeros_like(uniform)))
    assert torch.equal(field.owner(lay), lay.crystal)
    output = torch.ones_like(uniform)
    assert torch.equal(field.eps(lay, state, output, output[:, :1]), field.mask(lay).double())


def strain_rows(n: int, number: int = 1) -> Layout:
    return layout_of(*[space_group(number).wyckoff["a"]] * n)


SCALE = (0.1, 0.5, 0.4, 0.2, 0.3, 0.3)


@pytest.mark.parametrize("sigma", [0.01, 0.3, 2.0])
def test_lattice_preconditioning(sigma: float) -> None:
    """The output of a perfect network gives the noise exactly; unknown data have the residual 1."""
    generator = torch.Generator().manual_seed(0)
    field, layout = LatticeField(SCALE), strain_rows(4000)
    level = torch.full((4000, 1), sigma, dtype=torch.float64)
    y0 = torch.randn(4000, 6, generator=generator).double()
    eps = torch.randn(4000, 6, generator=generator).double()
    clean = y0 * field.unit(layout)
    noisy = field.noise(layout, clean, sigma * eps)
    torch.testing.assert_close(noisy / field.unit(layout), y0 + sigma * eps)
    root = math.hypot(sigma, 1.0)
    perfect = (y0 - (y0 + sigma * eps) / root**2) * root / sigma
    torch.testing.assert_close(field.eps(layout, noisy, perfect, level), eps, rtol=1e-9, atol=1e-9)
    assert float(field.residual(layout, clean, noisy, perfect, level).abs().max()) < 1e-9
    # For normal data the best guess follows from the level alone: an output of zero, whose residual is 1.
    silent = torch.zeros_like(noisy)
    torch.testing.assert_close(field.eps(layout, noisy, silent, level), (y0 + sigma * eps) * sigma / root**2)
    assert float(field.residual(layout, clean, noisy, silent, level).square().mean()) == pytest.approx(
        1, abs=0.05
    )


@pytest.mark.parametrize("number", [1, 14, 47, 99, 194, 225])
def test_lattice_keeps_to_its_family_and_its_bounds(number: int) -> None:
    field, layout = LatticeField(SCALE), strain_rows(50, number)
    mask = field.mask(layout)
    assert int(mask[0].sum()) == {1: 6, 14: 4, 47: 3, 99: 2, 194: 2, 225: 1}[number]
    normal = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)).double()
    prior = field.prior(layout, normal, torch.full_like(normal, math.nan))
    for state in (prior, field.move(layout, prior, 1e6 * normal), field.noise(layout, prior, normal)):
        assert torch.isfinite(state).all()
        assert (state[~mask] == 0).all()
    torch.testing.assert_close(
        field.move(layout, 0.1 * prior, 0.1 * normal), field.noise(layout, 0.1 * prior, 0.1 * normal)
    )
    assert (field.eps(layout, prior, normal, torch.ones(50, 1).double())[~mask] == 0).all()


def test_schedule_is_logarithmic() -> None:
    schedule = LogSchedule(0.01, 4.0)
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    sigma = schedule.sigma(t)
    assert sigma[[0, -1]].tolist() == pytest.approx([0.01, 4.0])
    ratios = sigma[1:] / sigma[:-1]
    torch.testing.assert_close(ratios, ratios[:1].expand(10))


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (1.0, 1.0), (2.0, 1.0), (math.nan, 1.0), (1.0, math.nan)]
)
def test_impossible_schedules_are_refused(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match="0 < low < high"):
        LogSchedule(low, high)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.55, 0.95, 1.0])
def test_focused_times(share: float) -> None:
    """That share of evenly spread numbers goes into the decisive times, beside those that would anyway."""
    low, high = DECISIVE
    u = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    times = focus(u, share)
    assert (times.diff() > 0).all()
    assert times[[0, -1]].tolist() == pytest.approx([0, 1] if share < 1 else DECISIVE)
    middle = 1 - share + share / (high - low)
    for a, b, density in ((0, low, 1 - share), (low, high, middle), (high, 1, 1 - share)):
        inside = ((times > a) & (times < b)).double().mean()
        assert float(inside) == pytest.approx(density * (b - a), abs=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_sampling_times(share: float) -> None:
    times = sampling_times(7, share)
    assert len(times) == 8
    assert (times[0], times[-1]) == (1, 0)
    assert (times.diff() < 0).all()
    assert sampling_times(1).tolist() == [1, 0]
    with pytest.raises(ConfigError, match="at least one step"):
        sampling_times(0)


@pytest.mark.parametrize(("begin", "number"), [(1.0, 10), (0.95, 10), (0.575, 5), (0.3, 2), (0.1, 1)])
def test_short_ways_begin_where_they_are_told(begin: float, number: int) -> None:
    """Ways that begin later take their share of the steps, and none goes up."""
    times = short_times(10, begin)
    assert len(times) == number + 1
    assert float(times[0]) == pytest.approx(min(begin, 0.95))
    assert 0 < float(times[-1]) <= 0.2
    assert (times.diff() < 0).all()
    assert torch.equal(times, times_of("multistep", 10, begin))
    other = times_of("euler", 10, begin)
    assert float(other[0]) == pytest.approx(begin)
    assert float(other[-1]) == 0
    for call in (short_times, lambda steps: times_of("euler", steps)):
        with pytest.raises(ConfigError, match="at least one step"):
            call(0)
