"""A network that is told of a known crystal: as symmetric as without, silent at first, and it uses it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from batches import batch_of, every_group, noised
from crystalsmith.errors import ConfigError
from crystalsmith.graph import CrystalBatch, Guide
from crystalsmith.networks import Denoiser, DenoiserConfig
from crystalsmith.training.examples import equivalent_with

SMALL = DenoiserConfig(scalars=16, vectors=5, edges=6, layers=2, form_factors=2)
CLOSE = {"rtol": 1e-6, "atol": 1e-6}  # the guide's points far away are left out


def network_with_guidance(context: bool) -> Denoiser:
    """In double precision, no weight of it zero."""
    torch.manual_seed(0)
    network = Denoiser(replace(SMALL, context=context, guide=True)).double()
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.1 * torch.randn_like(p))
    return network.eval()


@torch.no_grad()
def run(network: Denoiser, batch: CrystalBatch, guide: Guide | None) -> tuple[Tensor, Tensor]:
    log_sigma = torch.tensor([-2.6, -0.4]).to(batch.w).expand(batch.layout.size, 2)
    position, strain = network(batch, log_sigma, 0.3 * batch.strain, guide=guide)
    return position, strain


@pytest.fixture(scope="module")
def batch() -> CrystalBatch:
    """A third of the space groups, noised."""
    return noised(batch_of(*every_group(seed=7)[::3]), seed=7, strain=0.4)


@pytest.fixture(scope="module")
def guide(batch: CrystalBatch) -> Guide:
    """Other positions and lattices; every fourth crystal has none."""
    other = noised(batch, seed=8, strain=0.3)
    present = (torch.arange(batch.layout.size) % 4 > 0).to(batch.w)
    return Guide(other.w, other.strain, present, 0.1 + 0.8 * torch.rand(batch.layout.size).to(batch.w))


@pytest.mark.parametrize("context", [False, True])
def test_it_says_nothing_at_first_and_can_learn(batch: CrystalBatch, guide: Guide, context: bool) -> None:
    torch.manual_seed(0)
    small = Denoiser(replace(SMALL, context=context)).double().eval()
    large = small.grown(replace(small.config, guide=True)).eval()
    for given in (None, guide):
        for a, b in zip(run(large, batch, given), run(small, batch, None), strict=True):
            assert torch.equal(a, b)
    size = batch.layout.size
    outputs = large(batch, torch.full((size, 2), -1.0).double(), batch.strain, guide=guide)
    sum(x.square().sum() for x in outputs).backward()
    guidance = large.guidance
    assert guidance is not None
    for module in (guidance.encode[-1], guidance.arrow, guidance.position_gate, guidance.lattice_gate):
        assert float(module.weight.grad.abs().max()) > 0
    assert small.config.guide is False
    with pytest.raises(ConfigError, match="cannot grow"):
        large.grown(small.config)


@pytest.mark.parametrize("context", [False, True])
def test_crystals_without_a_guide_are_as_before(batch: CrystalBatch, guide: Guide, context: bool) -> None:
    network = network_with_guidance(context)
    without, told = run(network, batch, None), run(network, batch, guide)
    lacks = guide.present == 0
    owner = batch.layout.crystal
    assert torch.equal(told[0][lacks[owner]], without[0][lacks[owner]])
    assert torch.equal(told[1][lacks], without[1][lacks])
    changed = (told[1] - without[1]).abs().amax(1)
    assert (changed[~lacks] > 1e-4).all()
    elsewhere = replace(guide, w=torch.rand_like(guide.w), strain=0 * guide.strain, weight=0.5 * guide.weight)
    blind = replace(elsewhere, present=0 * guide.present)
    for a, b in zip(run(network, batch, blind), without, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("context", [False, True])
def test_choice_of_representatives(batch: CrystalBatch, guide: Guide, context: bool) -> None:
    """Another point of an orbit turns the output with it; another one of its guide changes nothing."""
    lay, t = batch.layout, batch.layout.tables
    network = network_with_guidance(context)
    before = run(network, batch, guide)
    for k in range(1, 4):
        row = t.self_start[lay.wyckoff] + k % t.self_count[lay.wyckoff]

        def moved(w: Tensor, row: Tensor = row) -> Tensor:
            w = torch.einsum("sij,sj->si", t.self_linear[row], w) + t.self_offset[row]
            return torch.remainder(w, 1.0) * lay.free_mask

        after = run(network, batch, replace(guide, w=moved(guide.w)))
        torch.testing.assert_close(after, before, **CLOSE)
        after = run(network, batch.with_state(moved(batch.w), batch.strain), guide)
        turn = t.unit_inverse[lay.wyckoff] @ t.self_linear[row] @ t.unit[lay.wyckoff]
        expected = torch.einsum("sij,sj->si", turn, before[0]) * lay.free_mask
        torch.testing.assert_close(after, (expected, before[1]), **CLOSE)


def test_choice_of_origin_and_axes(batch: CrystalBatch, guide: Guide) -> None:
    """The guide turns with the crystal: outputs of the lattice stay, of positions keep their length."""
    network = network_with_guidance(context=False)
    before = run(network, batch, guide)
    letters = 0
    for seed in range(3):
        other, turned = equivalent_with(batch, guide, torch.Generator().manual_seed(seed))
        letters += int((other.layout.wyckoff != batch.layout.wyckoff).sum())
        after = run(network, other, turned)
        torch.testing.assert_close(after[1], before[1], **CLOSE)
        torch.testing.assert_close(after[0].norm(dim=1), before[0].norm(dim=1), **CLOSE)
        assert float((run(network, other, guide)[1] - before[1]).abs().max()) > 1e-3
    assert letters > 30


def test_the_answers_of_a_perfect_guide(batch: CrystalBatch) -> None:
    """Where the guide is the clean crystal, a gate of one for the narrowest width gives the noise."""
    network = network_with_guidance(context=True)
    assert network.guidance is not None
    lay = batch.layout
    torch.manual_seed(1)
    sigma, spread = 0.1, 0.8
    noise = torch.randn_like(batch.w) * lay.free_mask
    w = batch.w + sigma * torch.einsum("sij,sj->si", lay.tables.unit[lay.wyckoff], noise)
    y0 = 0.5 * torch.randn_like(batch.strain)
    y = y0 + spread * torch.randn_like(y0)
    ones = torch.ones(lay.size).to(batch.w)
    root = (1 + spread**2) ** 0.5
    log_sigma = torch.tensor([sigma, spread]).log().to(batch.w).expand(lay.size, 2)
    told = torch.zeros(lay.size, 32).to(batch.w)
    guide = Guide(batch.w, y0, ones, ones)
    _, hints = network.guidance(batch.with_state(w, batch.strain), guide, log_sigma, y / root, told)
    near = noise.norm(dim=1) < 1.5
    alone = near & (lay.tables.self_count[lay.wyckoff] == 1)
    assert alone.sum() > 5
    torch.testing.assert_close(hints.position[alone, 0], noise[alone], rtol=0.02, atol=0.02)
    # As ``LatticeField.eps`` reads it: the clean lattice is y / root^2 + spread / root * output.
    clean = y / root**2 + spread / root * hints.lattice[:, 0]
    torch.testing.assert_close(clean, y0, rtol=0.05, atol=0.05)
