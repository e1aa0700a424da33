"""Drawing crystals from a small model with random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from batches import VOLUMES
from crystals import KNOWN
from crystalsmith.crystal import Crystal
from crystalsmith.diffusion import SAMPLERS, LatticeField, Model, PositionField, Request, Statistics
from crystalsmith.errors import ConfigError, OrderError, StructureError, SymmetryError
from crystalsmith.graph import CrystalBatch, to_batch
from crystalsmith.networks import Denoiser, DenoiserConfig
from crystalsmith.symmetry import tables

REQUESTS = [Request(c.space_group, tuple((s.element, s.letter) for s in c.sites)) for c in KNOWN.values()]
SEEDS = list(range(100, 100 + len(REQUESTS)))


def small_model(dtype: torch.dtype = torch.float64, seed: int = 0) -> Model:
    """Random weights that answer little, so that samples stay crystals."""
    torch.manual_seed(seed)
    network = Denoiser(DenoiserConfig(scalars=16, vectors=4, edges=4, layers=2, form_factors=2))
    statistics = Statistics(
        atomic_volume=np.array([0.0, *VOLUMES[1:]]),
        wyckoff_counts=np.zeros((len(tables().dof), 6), np.int32),
        elements=np.bincount([11, 17], minlength=119),
        max_atoms=20,
    )
    return Model(network.to(dtype).eval(), PositionField(), LatticeField(), statistics)


def difference(a: Crystal, b: Crystal) -> float:
    """Largest relative difference of cells and difference of free parameters."""
    assert (a.space_group, a.wyckoff) == (b.space_group, b.wyckoff)
    cell = np.abs(np.array(a.cell) / np.array(b.cell) - 1).max()
    free = np.array(
        [x - y for s, t in zip(a.sites, b.sites, strict=True) for x, y in zip(s.free, t.free, strict=True)]
    )
    return float(max(cell, np.abs(free - free.round()).max(initial=0.0)))


def test_crystals_are_what_was_asked_for() -> None:
    crystals = small_model().sample(REQUESTS, SEEDS, steps=3)
    for crystal, request in zip(crystals, REQUESTS, strict=True):
        assert Request(crystal.space_group, tuple((s.element, s.letter) for s in crystal.sites)) == request
        assert crystal.n_atoms == request.n_atoms
        assert len(crystal.sites) == request.n_orbits
        assert all(0 <= x <= 1 for s in crystal.sites for x in s.free)


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_crystal_depends_on_its_seed_alone(name: str) -> None:
    model = small_model()
    together = model.sample(REQUESTS, SEEDS, steps=3, sampler=name)
    backwards = model.sample(REQUESTS[::-1], SEEDS[::-1], steps=3, sampler=name)[::-1]
    for k in (0, 6, 9, 15):
        alone = model.sample(REQUESTS[k : k + 1], SEEDS[k : k + 1], steps=3, sampler=name)[0]
        assert difference(alone, together[k]) < 1e-8
        assert difference(backwards[k], together[k]) < 1e-8
    other = model.sample(REQUESTS, [s + 1 for s in SEEDS], steps=3, sampler=name)
    assert all(difference(a, b) > 1e-4 for a, b in zip(together, other, strict=True))


def test_single_precision_hardly_sees_the_batch() -> None:
    model = small_model(torch.float32)
    together = model.sample(REQUESTS, SEEDS, steps=10)
    alone = [model.sample([r], [s], steps=10)[0] for r, s in zip(REQUESTS, SEEDS, strict=True)]
    assert max(difference(a, b) for a, b in zip(together, alone, strict=True)) < 1e-3


def test_the_same_call_gives_the_same_crystals_to_the_last_bit() -> None:
    model = small_model(torch.float32)
    assert model.sample(REQUESTS, SEEDS, steps=4) == model.sample(REQUESTS, SEEDS, steps=4)


@pytest.mark.parametrize("name", SAMPLERS)
def test_callback_and_network_calls(name: str) -> None:
    model, calls = small_model(), 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    model.network.register_forward_hook(count)
    told: list[tuple[int, CrystalBatch]] = []
    crystals = model.sample(REQUESTS[:2], SEEDS[:2], sampler=name, callback=lambda i, b: told.append((i, b)))
    low, high = (10, 15) if name == "multistep" else (40, 50)
    assert low < calls <= high
    assert [i for i, _ in told] == list(range(len(told)))
    assert len(told) > 1
    assert all(b.layout.size == 2 and torch.isfinite(b.w).all() for _, b in told)
    last = told[-1][1]
    away = last.w - to_batch(crystals, VOLUMES, dtype=torch.float64).w
    assert float((away - away.round()).abs().max()) < 0.1  # but for the last noise


def test_sampling_leaves_the_network_as_it_was() -> None:
    model = small_model()
    model.network.train()
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    model.sample(REQUESTS[:1], [0], steps=2)
    assert model.network.training
    assert all(torch.equal(v, before[k]) for k, v in model.network.state_dict().items())

    def stop(step: int, batch: CrystalBatch) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.sample(REQUESTS[:1], [0], steps=2, callback=stop)
    assert model.network.training
    assert torch.is_grad_enabled()


def test_seeds_of_any_size() -> None:
    model = small_model()
    a, b, c = (model.sample(REQUESTS[:1], [s], steps=2)[0] for s in (2**63 - 1, 0, 2**64 + 5))
    assert a != b != c


def test_bad_requests() -> None:
    model = small_model()
    with pytest.raises(OrderError, match="as many seeds"):
        model.sample(REQUESTS, SEEDS[:-1])
    with pytest.raises(OrderError, match="nothing to generate"):
        model.sample([], [])
    with pytest.raises(OrderError, match="at least one site"):
        model.sample([Request(1, ())], [0])
    with pytest.raises(
        ConfigError, match=r"unknown sampler 'ddim' of the default method; choose from .*stochastic"
    ):
        model.sample(REQUESTS[:1], [0], sampler="ddim")
    with pytest.raises(ConfigError, match="at least one step"):
        model.sample(REQUESTS[:1], [0], steps=0)
    with pytest.raises(SymmetryError, match="no Wyckoff letter"):
        model.sample([Request(1, (("Na", "z"),))], [0])
    with pytest.raises(SymmetryError, match="does not exist"):
        model.sample([Request(231, (("Na", "a"),))], [0])
    with pytest.raises(StructureError, match="Xx"):
        model.sample([Request(1, (("Xx", "a"),))], [0])


def test_what_the_model_says_of_itself() -> None:
    model = small_model()
    assert model.elements == {"Na", "Cl"}
    assert model.max_atoms == 20
    assert model.wyckoff_counts.shape == (1731, 6)
    assert model.dtype == torch.float64
    assert model.device.type == "cpu"
    assert set(model.fields) == {"position", "lattice"}
