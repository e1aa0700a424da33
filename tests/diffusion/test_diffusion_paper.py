"""The paper's two scores, objectives and sampler, against finite differences, brute force and known cases."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from torch import Tensor

from batches import batch_of, every_group
from crystals import KNOWN
from crystalsmith.crystal import Crystal
from crystalsmith.diffusion import Levels, PaperModel, Request, load_model, save_model
from crystalsmith.diffusion.annealed_langevin import (
    StepSizes,
    annealed_langevin,
    first_state,
)
from crystalsmith.diffusion.edge_scores import lattice_eps, position_eps, stretch
from crystalsmith.diffusion.lengths import (
    SCALE,
    axis_of_length,
    from_transformed,
    length_mask,
    slope,
    to_transformed,
)
from crystalsmith.diffusion.orbit_target import orbit_target
from crystalsmith.diffusion.refine import refine
from crystalsmith.errors import CheckpointError, ConfigError, OrderError
from crystalsmith.graph import GeneralBatch, build_image_graph, find_coincidence, to_general, torch_tables
from crystalsmith.graph.general import FIRST_GROUP
from crystalsmith.networks import DimeNet, DimeNetConfig
from crystalsmith.symmetry import lattice_family, space_group
from crystalsmith.training.paper_loss import levels_of, paper_losses

TABLE = [c for c in KNOWN.values() if c.space_group >= FIRST_GROUP]
REQUESTS = [Request(c.space_group, tuple((s.element, "*") for s in c.sites)) for c in TABLE]
SEEDS = list(range(100, 100 + len(REQUESTS)))
TINY = DimeNetConfig(embedding=8, output=8, triplet=8, basis=4, blocks=1, spherical=3, radial=4, crowd=10.0)
CPU = torch.device("cpu")


def small_model(joint: bool = False, dtype: torch.dtype = torch.float64) -> PaperModel:
    torch.manual_seed(0)
    network = DimeNet(TINY).to(dtype).eval()
    for block in network.outputs:
        torch.nn.init.normal_(block.last.weight, std=0.05)
    return PaperModel(network, Levels(), joint, np.bincount([11, 17], minlength=119), 20)


def every_family() -> GeneralBatch:
    return to_general(batch_of(*[c for c in every_group() if c.space_group >= FIRST_GROUP]))


# Lengths


def test_free_lengths_of_the_families() -> None:
    groups = torch.arange(FIRST_GROUP, 231)
    expected = {
        "orthorhombic": [0, 1, 2],
        "tetragonal": [0, 0, 1],
        "hexagonal": [0, 0, 1],
        "cubic": [0, 0, 0],
    }
    assert axis_of_length(groups).tolist() == [expected[lattice_family(int(g))] for g in groups]
    assert length_mask(groups).sum(1).tolist() == [max(expected[lattice_family(int(g))]) + 1 for g in groups]


@given(st.floats(0.5, 200.0))
def test_transform_of_lengths(length: float) -> None:
    group = torch.tensor([225])
    lengths = torch.full((1, 3), length, dtype=torch.float64)
    transformed = to_transformed(lengths, group)
    assert float(transformed[0, 0]) == pytest.approx(SCALE * math.log(math.expm1(length / SCALE)), abs=1e-9)
    assert transformed[0, 1:].tolist() == [0, 0]
    assert torch.allclose(from_transformed(transformed, group), lengths)
    h = 1e-5
    up, down = (float(from_transformed(transformed + s * h, group)[0, 0]) for s in (1, -1))
    assert float(slope(transformed)[0, 0]) == pytest.approx((up - down) / (2 * h), abs=1e-8)


def test_lengths_of_every_group_come_back() -> None:
    batch = every_family()
    transformed = to_transformed(batch.lengths, batch.space_group)
    assert torch.allclose(from_transformed(transformed, batch.space_group), batch.lengths, atol=1e-9)
    assert (transformed[~length_mask(batch.space_group)] == 0).all()


# Scores


def test_stretch_is_the_finite_difference() -> None:
    """The paper's: lengths of edges in cells a little longer and a little shorter."""
    batch = every_family()
    graph = build_image_graph(batch, find_coincidence(batch, 0.4), 4.0, 12.0)
    crystal = batch.crystal[graph.source]
    inverse = torch.linalg.inv(batch.lattice())[crystal]
    fractional = torch.einsum("ei,eij->ej", graph.vector, inverse)
    transformed = to_transformed(batch.lengths, batch.space_group)
    closed = stretch(batch, graph)
    for k in range(3):
        lengths = []
        for sign in (1, -1):
            step = torch.zeros_like(transformed)
            step[:, k] = sign * 1e-4
            other = from_transformed(transformed + step, batch.space_group)
            lattice = batch.with_state(batch.position, other).lattice()[crystal]
            lengths.append(torch.linalg.vector_norm(torch.einsum("ei,eij->ej", fractional, lattice), dim=1))
        assert torch.allclose(closed[:, k], (lengths[0] - lengths[1]) / 2e-4, atol=1e-6)


def test_scores_are_the_sums_of_the_paper() -> None:
    batch = every_family()
    graph = build_image_graph(batch, find_coincidence(batch, 0.4), 3.0, 8.0)
    rng = np.random.default_rng(0)
    out = torch.tensor(rng.normal(size=(len(graph.source), 2)) * [20.0, 1.0])
    position, lattice = (
        position_eps(graph, out[:, 0], len(batch.element)),
        lattice_eps(batch, graph, out[:, 1]),
    )
    g = stretch(batch, graph)
    for s in range(0, len(batch.element), 31):
        total = np.zeros(3)
        for e in torch.nonzero(graph.source == s)[:, 0].tolist():
            unit = graph.vector[e].numpy() / max(float(graph.distance[e]), 1e-9)
            total += 15 * math.tanh(float(out[e, 0]) / 15) * unit
        assert position[s].numpy() == pytest.approx(total, abs=1e-6)
    for b in range(0, batch.size, 17):
        rows = torch.nonzero(batch.crystal[graph.source] == b)[:, 0].tolist()
        terms = [float(out[e, 1]) * g[e].numpy() / (float(g[e] @ g[e]) + 1e-3) for e in rows]
        assert lattice[b].numpy() == pytest.approx(np.mean(terms, axis=0), abs=1e-9)


# Targets


@pytest.mark.parametrize("sigma", [0.05, 0.4, 1.0, 2.5])
def test_orbit_target_by_brute_force(sigma: float) -> None:
    """Against the sum over all images within reach, one crystal of every seventh group."""
    batch = to_general(batch_of(*[c for c in every_group(1) if c.space_group >= FIRST_GROUP][::7]))
    rng = np.random.default_rng(0)
    noise = torch.tensor(rng.normal(size=batch.position.shape)) * sigma
    inverse = torch.linalg.inv(batch.lattice())[batch.crystal]
    noised = batch.position + torch.einsum("si,sij->sj", noise, inverse)
    ours = orbit_target(batch, noised, torch.full((len(noised),), sigma, dtype=torch.float64)).numpy()
    for s in range(0, len(noised), 3):
        g = space_group(int(batch.group[s]))
        lattice = batch.lattice()[batch.crystal[s]].numpy()
        primitive = g.primitive @ lattice
        heights = 1 / np.linalg.norm(np.linalg.inv(primitive), axis=0)
        reach = np.ceil(7 * sigma / heights).astype(int) + 1
        grid = np.stack(np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij"), -1).reshape(-1, 3)
        images = g.rotations @ batch.position[s].numpy() + g.translations
        away = (noised[s].numpy() - images) @ np.linalg.inv(g.primitive)
        away = (away - np.round(away)) @ primitive
        total, weight = np.zeros(3), 0.0
        nearest = (away**2).sum(1).min()
        for a in away:
            v = a + grid @ primitive
            share = np.exp(-0.5 * ((v**2).sum(1) - nearest) / sigma**2)
            total += share @ v
            weight += share.sum()
        assert ours[s] == pytest.approx(total / weight / sigma, abs=2e-4)


def test_orbit_target_is_the_noise_where_that_is_small() -> None:
    batch = to_general(batch_of(*TABLE))
    noise = torch.tensor(np.random.default_rng(0).normal(size=batch.position.shape))
    inverse = torch.linalg.inv(batch.lattice())[batch.crystal]
    noised = batch.position + torch.einsum("si,sij->sj", 0.02 * noise, inverse)
    target = orbit_target(batch, noised, torch.full((len(noised),), 0.02, dtype=torch.float64))
    assert torch.allclose(target, noise, atol=1e-6)


@pytest.mark.parametrize("joint", [False, True])
def test_losses_know_the_noise(joint: bool) -> None:
    """A network that says nothing has a loss near 1; none for positions in a sea of noise."""
    model = small_model(joint)
    for block in model.network.outputs:
        torch.nn.init.zeros_(block.last.weight)
    clean = to_general(batch_of(*TABLE * 12))
    for level, wrapped, expected in ((0, True, 1.0), (0, False, 1.0), (9, False, 1.0), (9, True, 0.0)):
        levels = torch.full((clean.size,), level)
        losses = paper_losses(model, clean, levels, torch.Generator().manual_seed(0), wrapped)
        assert losses.position.shape == losses.lattice.shape == (clean.size,)
        assert float(losses.position.detach().mean()) == pytest.approx(expected, abs=0.12)
        assert float(losses.lattice.detach().mean()) == pytest.approx(1.0, abs=0.2)


def test_levels() -> None:
    position, lattice = Levels().sigmas(CPU, torch.float64)
    assert (position**2).tolist() == pytest.approx(np.geomspace(0.001, 36, 10).tolist())
    assert (float(lattice[0]), float(lattice[-1])) == pytest.approx((0.1**0.5, 6.0))
    assert levels_of(torch.tensor([0.0, 0.0999, 0.1, 0.95, 1.0]), 10).tolist() == [0, 0, 1, 9, 9]


# The sampler


@dataclass
class Known:
    """Exact scores of a distribution that holds one crystal, its transformed lengths spread by ``width``."""

    clean: GeneralBatch
    levels: Levels = field(default_factory=Levels)
    width: float = 0.0

    def position(self, batch: GeneralBatch, level: int) -> Tensor:
        sigma = self.levels.sigmas(CPU, torch.float64)[0][level].expand(len(batch.element))
        return orbit_target(self.clean.with_state(self.clean.position, batch.lengths), batch.position, sigma)

    def lattice(self, batch: GeneralBatch, level: int) -> Tensor:
        sigma = self.levels.sigmas(CPU, torch.float64)[1][level]
        away = to_transformed(batch.lengths, batch.space_group) - to_transformed(
            self.clean.lengths, self.clean.space_group
        )
        return away * sigma / (sigma**2 + self.width**2)

    def both(self, batch: GeneralBatch, level: int) -> tuple[Tensor, Tensor]:
        return self.position(batch, level), self.lattice(batch, level)


def carried(clean: GeneralBatch, steps: int, seed: int = 0, **options: object) -> GeneralBatch:
    generator = torch.Generator().manual_seed(seed)

    def normal() -> tuple[Tensor, Tensor]:
        return (
            torch.randn(clean.position.shape, generator=generator, dtype=torch.float64),
            torch.randn(clean.lengths.shape, generator=generator, dtype=torch.float64),
        )

    uniform = torch.rand(clean.position.shape, generator=generator, dtype=torch.float64)
    start = first_state(clean, normal()[1], uniform)
    sigmas = Levels().sigmas(CPU, torch.float64)
    return annealed_langevin(Known(clean), start, *sigmas, steps, normal, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("joint", [False, True])
def test_known_scores_lead_to_known_crystals(joint: bool) -> None:
    """From random cells and points to rutile, quartz and the others: letters, cell and structure."""
    clean = to_general(batch_of(*TABLE))
    found = refine(carried(clean, 40, joint=joint), 0.4)
    matcher = StructureMatcher()
    for crystal, expected in zip(found, TABLE, strict=True):
        assert isinstance(crystal, Crystal)
        assert crystal.n_atoms == expected.n_atoms and crystal.formula == expected.formula
        assert crystal.cell == pytest.approx(expected.cell, rel=0.02)
        assert matcher.fit(crystal.to_structure(primitive=True), expected.to_structure(primitive=True))


def test_variances_of_the_last_level() -> None:
    """Of finite Langevin steps in a harmonic well, the lattice's at its low temperature."""
    salt = to_general(batch_of(*[KNOWN["rock salt"]] * 150))
    sizes = StepSizes()
    end = carried(salt, 20, denoise=False, sizes=sizes)
    sigma, sigma_lattice = (float(s[0]) for s in Levels().sigmas(CPU, torch.float64))
    away = (to_transformed(end.lengths, end.space_group) - to_transformed(salt.lengths, salt.space_group))[
        :, 0
    ]
    keep = 1 - 0.5 * sizes.lattice
    expected = sizes.temperature * math.sqrt(sizes.lattice / (1 - keep**2)) * sigma_lattice
    assert float(away.std()) == pytest.approx(expected, rel=0.18)
    assert abs(float(away.mean())) < 5 * expected / 12 + 0.02
    off = orbit_target(
        salt.with_state(salt.position, end.lengths), end.position, torch.full((300,), sigma).double()
    )
    assert float(off.std()) == pytest.approx(1 / math.sqrt(1 - 0.25), rel=0.1)


def test_a_last_step_without_noise() -> None:
    salt = to_general(batch_of(*[KNOWN["rock salt"]] * 20))
    end = carried(salt, 30)
    assert torch.allclose(end.lengths, salt.lengths, atol=1e-6)
    target = orbit_target(salt, end.position, torch.full((40,), 0.03, dtype=torch.float64))
    assert float(target.abs().max()) < 1e-6


@pytest.mark.parametrize("joint", [False, True])
def test_a_crystal_depends_on_its_seed_alone(joint: bool) -> None:
    model = small_model(joint)
    together = model.sample(REQUESTS, SEEDS, steps=2)
    assert sum(isinstance(c, Crystal) for c in together) > len(TABLE) // 2
    for k in range(0, len(REQUESTS), 4):
        alone = model.sample(REQUESTS[k : k + 1], SEEDS[k : k + 1], steps=2)[0]
        other = together[k]
        assert type(alone) is type(other)
        if isinstance(alone, Crystal) and isinstance(other, Crystal):
            assert alone.cell == pytest.approx(other.cell, abs=1e-6) and alone.wyckoff == other.wyckoff
    assert [
        c == d for c, d in zip(together, model.sample(REQUESTS, SEEDS[1:] + SEEDS[:1], steps=2), strict=True)
    ] != [True] * len(TABLE)


def test_calls_back() -> None:
    seen: list[int] = []
    model = small_model()
    model.sample(REQUESTS[:2], SEEDS[:2], steps=3, callback=lambda i, _: seen.append(i))
    assert seen == list(range(model.callbacks(3))) and len(seen) == 30


def test_bad_requests() -> None:
    model = small_model()
    with pytest.raises(OrderError, match="as many seeds"):
        model.sample(REQUESTS, SEEDS[:-1])
    with pytest.raises(OrderError, match="nothing to generate"):
        model.sample([], [])
    with pytest.raises(OrderError, match="16 to 230, not 14"):
        model.sample([Request(14, (("Na", "*"),))], [0])
    with pytest.raises(
        ConfigError, match=r"unknown sampler 'euler' of the paper method; choose from annealed"
    ):
        model.sample(REQUESTS[:1], [0], sampler="euler")


# From points to crystals


@given(st.integers(0, 10_000))
def test_refined_crystals_are_those_that_were_shaken(seed: int) -> None:
    """Points off their positions by up to a tenth of an Angstrom, each another one of its orbit."""
    rng = np.random.default_rng(seed)
    batch = to_general(batch_of(*TABLE))
    step = torch.tensor(rng.normal(size=batch.position.shape))
    step = 0.1 * rng.random() * step / torch.linalg.vector_norm(step, dim=1, keepdim=True)
    moved = batch.position + torch.einsum(
        "si,sij->sj", step, torch.linalg.inv(batch.lattice())[batch.crystal]
    )
    for crystal, expected in zip(refine(batch.with_state(moved, batch.lengths), 0.4), TABLE, strict=True):
        assert isinstance(crystal, Crystal)
        assert (crystal.formula, crystal.n_atoms) == (expected.formula, expected.n_atoms)
        multiplicity = [
            space_group(c.space_group).position(s.letter).site_symmetry
            for c in (crystal, expected)
            for s in c.sites
        ]
        assert multiplicity[: len(crystal.sites)] == multiplicity[len(crystal.sites) :]
        ours, theirs = crystal.to_structure(primitive=True), expected.to_structure(primitive=True)
        assert StructureMatcher(primitive_cell=False).fit(ours, theirs)


def test_sites_on_one_place_are_no_crystal() -> None:
    batch = to_general(batch_of(KNOWN["rock salt"]))
    same = batch.with_state(torch.zeros_like(batch.position), batch.lengths)
    assert isinstance(refine(same, 0.4)[0], str)
    assert refine(batch.with_state(batch.position * math.nan, batch.lengths), 0.4) == ["not finite"]


# Checkpoints


def test_round_trip(tmp_path: Path) -> None:
    model = small_model(joint=True, dtype=torch.float32)
    path = save_model(model, tmp_path / "p.safetensors", {"crystals_seen": "7"})
    back = load_model(path)
    assert isinstance(back, PaperModel)
    assert (back.levels, back.joint, back.max_atoms, back.elements) == (model.levels, True, 20, {"Na", "Cl"})
    assert back.metadata["crystals_seen"] == "7" and len(back.hash) == 64
    assert back.sample(REQUESTS[:3], SEEDS[:3], steps=1) == model.sample(REQUESTS[:3], SEEDS[:3], steps=1)


def test_checkpoints_that_do_not_fit_together(tmp_path: Path) -> None:
    model = small_model(dtype=torch.float32)
    for levels in (Levels(9), Levels(10, (1.0, 0.5)), Levels(10, (0.1, 1.0), (3.0, 2.0))):
        path = save_model(replace(model, levels=levels), tmp_path / "p.safetensors", {})
        with pytest.raises(CheckpointError, match="does not hold what its version promises"):
            load_model(path)


def test_tables_hold_the_general_positions() -> None:
    t = torch_tables(CPU, torch.float64)
    for g in range(1, 231):
        last = list(space_group(g).wyckoff.values())[-1]
        assert int(t.general[g]) == last.index and last.dof == 3
