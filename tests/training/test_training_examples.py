"""Data sets as batches, their statistics, and the training loss."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from pymatgen.analysis.structure_matcher import StructureMatcher
from test_diffusion_model import small_model
from torch import Tensor, nn

from batches import VOLUMES, batch_of, every_group
from crystals import KNOWN
from crystalsmith.crystal import NUMBERS, Crystal, Site
from crystalsmith.data import pack
from crystalsmith.data.volumes import compositions, fit_atomic_volumes, primitive_volumes, strains
from crystalsmith.diffusion import Model
from crystalsmith.errors import DataError
from crystalsmith.graph import CrystalBatch, Guide, build_multigraph, scaled_cutoff, to_batch, to_crystals
from crystalsmith.graph.ragged import segment_sum
from crystalsmith.symmetry import lattice_to_strain
from crystalsmith.training.examples import (
    PAIRS,
    Examples,
    equivalent,
)
from crystalsmith.training.loss import Losses, denoising_losses, known_elements, level_weight
from crystalsmith.training.unseen import neighbours, stand_in_for_unseen
from crystalsmith.training.validate import LEVELS, validate

CRYSTALS = [*every_group(), *KNOWN.values()]
DATA = pack(CRYSTALS)


def test_volumes_and_compositions() -> None:
    expected = [c.volume / len(c.group.centring) for c in CRYSTALS]
    np.testing.assert_allclose(primitive_volumes(DATA), expected, rtol=1e-5)
    for row, crystal in zip(compositions(DATA), CRYSTALS, strict=True):
        assert {z: n for z, n in enumerate(row) if n} == {NUMBERS[e]: n for e, n in crystal.counts.items()}


def test_strains_are_those_of_the_symmetry_layer() -> None:
    volume = np.random.default_rng(0).uniform(50, 500, len(CRYSTALS))
    expected = [
        lattice_to_strain(c.space_group, c.lattice, v * len(c.group.centring))
        for c, v in zip(CRYSTALS, volume, strict=True)
    ]
    np.testing.assert_allclose(strains(DATA, volume), expected, atol=2e-6)


def test_examples_are_batches_of_their_crystals() -> None:
    examples = Examples(DATA, VOLUMES)
    assert len(examples) == len(CRYSTALS)
    index = torch.tensor([240, 3, 3, 117, 229])
    ours, theirs = examples.batch(index), to_batch([CRYSTALS[i] for i in index.tolist()], VOLUMES)
    for name in ("space_group", "crystal", "wyckoff", "element", "atom_op", "pair_atom"):
        assert torch.equal(getattr(ours.layout, name), getattr(theirs.layout, name))
    torch.testing.assert_close(ours.layout.volume, theirs.layout.volume)
    away = ours.w - theirs.w
    torch.testing.assert_close(away - away.round(), torch.zeros_like(away), rtol=0, atol=1e-6)
    torch.testing.assert_close(ours.strain, theirs.strain, rtol=0, atol=2e-6)
    assert torch.equal(examples.orbits, torch.tensor([len(c.sites) for c in CRYSTALS]))
    with pytest.raises(DataError, match="no crystal"):
        Examples(DATA.subset(indices=[]), VOLUMES)


def test_epochs_show_every_crystal_once() -> None:
    examples = Examples(DATA, VOLUMES)
    largest = int(examples.orbits.max())
    seen: list[int] = []
    batches = list(islice(examples.epochs(60, seed=5), 40))
    for batch in batches:
        assert 0 < int(examples.orbits[batch].sum()) < 60 + largest
        seen += batch.tolist()
    n = len(CRYSTALS)
    assert len(seen) > 3 * n
    first, second = seen[:n], seen[n : 2 * n]
    assert sorted(first) == sorted(second) == list(range(n))
    assert first != second
    again = list(islice(examples.epochs(60, seed=5), 40))
    assert all(torch.equal(a, b) for a, b in zip(batches, again, strict=True))
    other = [b.tolist() for b in islice(examples.epochs(60, seed=6), 5)]
    assert other != [b.tolist() for b in batches[:5]]


def test_crystals_of_many_sites_are_seen_less_often() -> None:
    examples, even = Examples(DATA, VOLUMES), 2
    sites = examples.orbits.numpy()
    assert (sites > even).any() and (sites <= even).any()
    seen = np.zeros(len(sites))
    epochs = 400
    batches = examples.epochs(10_000, seed=1, even=even)  # an epoch is a batch
    for _ in range(epochs):
        seen[next(batches).numpy()] += 1
    chance = np.minimum(1, even / sites)
    assert np.all(seen[chance == 1] == epochs)
    assert np.all(np.abs(seen / epochs - chance) < 5 * np.sqrt(0.25 / epochs))


def test_batches_are_bounded_by_pairs_too() -> None:
    examples = Examples(DATA, VOLUMES)
    cost = np.diff(DATA.arrays["start"]) * (1 + DATA.arrays["atoms"] / PAIRS)
    for batch in islice(examples.epochs(40, seed=2), 40):
        assert cost[batch.numpy()].sum() < 40 + cost.max()


def test_equivalent_descriptions_of_known_crystals() -> None:
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.01, primitive_cell=False, scale=False)
    batch, seen = batch_of(*KNOWN.values()), set()
    for seed in range(3):
        other = to_crystals(equivalent(batch, torch.Generator().manual_seed(seed)))
        for crystal, changed in zip(KNOWN.values(), other, strict=True):
            assert (changed.space_group, changed.formula) == (crystal.space_group, crystal.formula)
            np.testing.assert_allclose(changed.cell, crystal.cell, rtol=1e-9)
            assert matcher.fit(crystal.to_structure(primitive=True), changed.to_structure(primitive=True))
            seen.add(changed.wyckoff)
    assert len(seen) > len(KNOWN)  # letters do change


def environment(batch: CrystalBatch) -> Tensor:
    """(B, 3) sums over all neighbours of all atoms of functions of both elements and their distance."""
    lay = batch.layout
    graph = build_multigraph(batch, scaled_cutoff(batch, 2.0))
    a = lay.element[graph.orbit].to(batch.w)
    b = lay.element[lay.atom_orbit[graph.atom]].to(batch.w)
    fade = (1 - graph.distance / graph.cutoff[lay.crystal[graph.orbit]]) ** 2
    atoms = lay.tables.multiplicity[lay.wyckoff[graph.orbit]].to(batch.w)
    kinds = torch.stack([torch.ones_like(a), torch.sin(a * b), torch.cos(3 * graph.distance + a + b)], 1)
    return segment_sum(kinds * (atoms * fade)[:, None], lay.crystal[graph.orbit], lay.size)


def test_equivalent_descriptions_in_every_group() -> None:
    batch = batch_of(*every_group(seed=21))
    before, moved = environment(batch), 0
    for seed in range(5):
        other = equivalent(batch, torch.Generator().manual_seed(seed))
        torch.testing.assert_close(environment(other), before, rtol=1e-8, atol=1e-8)
        assert torch.equal(other.strain, batch.strain)
        assert (other.w[~other.layout.free_mask] == 0).all()
        moved += int((other.w - batch.w).abs().amax(1).gt(1e-6).sum())
    assert moved > 500


@pytest.mark.parametrize(
    ("number", "polar"), [(1, True), (8, True), (31, True), (186, True), (2, False), (47, False)]
)
def test_origins_of_polar_groups_are_drawn(number: int, polar: bool) -> None:
    """Along polar axes the origin lies anywhere; else there are only the normaliser's descriptions."""
    batch = batch_of(every_group(seed=21)[number - 1])
    elements = int(batch.layout.tables.normalizer_count[number])
    drawn = [equivalent(batch, torch.Generator().manual_seed(seed)) for seed in range(100)]
    different = {
        (tuple(d.layout.wyckoff.tolist()), tuple((d.w.flatten() * 1e6).round().tolist())) for d in drawn
    }
    assert elements < 60
    assert (len(different) == 100) if polar else (1 < len(different) <= elements)


def salt(a: str, b: str, volume: float) -> Crystal:
    edge = (4 * volume) ** (1 / 3)
    return Crystal(225, (edge, edge, edge, 90, 90, 90), (Site(a, "a"), Site(b, "b")))


def test_fitted_volumes_of_atoms() -> None:
    """Known volumes are found again under noise and outliers; absent elements get a typical one."""
    rng = np.random.default_rng(0)
    metals, others = ["Li", "Na", "K", "Rb", "Mg", "Ca", "Ti", "Fe"], ["O", "S", "Se", "F", "Cl", "Br"]
    truth = {e: rng.uniform(8, 40) for e in metals + others}
    crystals = []
    for a in metals:
        for b in others:
            volumes = (truth[a] + truth[b]) * np.exp(rng.normal(0, 0.03, 6))
            volumes[0] *= 3 if rng.random() < 0.2 else 1  # a porous one
            crystals += [salt(a, b, v) for v in volumes]
    fitted = fit_atomic_volumes(pack(crystals))
    sums = np.array([[fitted[NUMBERS[a]] + fitted[NUMBERS[b]] for a in metals] for b in others])
    expected = np.array([[truth[a] + truth[b] for a in metals] for b in others])
    np.testing.assert_allclose(sums, expected, rtol=0.04)
    assert fitted[0] == 0
    assert (fitted[1:] >= 2).all()
    assert fitted[NUMBERS["U"]] == pytest.approx(np.median(expected) / 2, rel=0.25)


class Oracle(nn.Module):
    """Knows the clean batch, and so says exactly what there is to say; ``amount`` 0 says nothing."""

    def __init__(self, model: Model, clean: CrystalBatch, amount: float) -> None:
        super().__init__()
        self.model, self.clean, self.amount = model, clean, amount

    def forward(
        self,
        batch: CrystalBatch,
        log_sigma: Tensor,
        strain: Tensor,
        known: Tensor | None = None,
        guide: Guide | None = None,
    ) -> tuple[Tensor, Tensor]:
        lay, sigma = batch.layout, log_sigma.exp()
        position = self.model.position.target(lay, self.clean.w, batch.w, sigma[lay.crystal, :1])
        unit, level = self.model.lattice.unit(lay), sigma[:, 1:]
        root = torch.sqrt(level**2 + 1)
        lattice = (self.clean.strain / unit - batch.strain / unit / root**2) * root / level
        torch.testing.assert_close(strain * root * unit, batch.strain)
        return self.amount * position, self.amount * lattice


def losses_of(amount: float, time: Tensor) -> tuple[Losses, CrystalBatch]:
    clean = batch_of(*CRYSTALS)
    model = small_model()
    model.network = Oracle(model, clean, amount)  # type: ignore[assignment]
    return denoising_losses(model, clean, time, torch.Generator().manual_seed(0)), clean


def test_loss_of_an_oracle_is_nothing() -> None:
    losses, clean = losses_of(1.0, torch.linspace(0, 1, len(CRYSTALS), dtype=torch.float64))
    assert float(losses.position.max()) < 1e-6
    assert float(losses.lattice.max()) < 1e-6
    assert torch.equal(losses.position_count, clean.layout.free_mask.sum(1).double() @ owners(clean))
    assert torch.equal(losses.lattice_count, clean.layout.strain_mask.sum(1))


def owners(batch: CrystalBatch) -> Tensor:
    return nn.functional.one_hot(batch.layout.crystal, batch.layout.size).double()


def test_loss_of_silence_is_the_noise() -> None:
    """At low noise the position target is the noise itself: 1 a coordinate."""
    losses, _ = losses_of(0.0, torch.zeros(len(CRYSTALS), dtype=torch.float64))
    torch.testing.assert_close(losses.position, losses.position_target)
    ratio = float(losses.position_target.sum() / losses.position_count.sum())
    assert ratio == pytest.approx(1, abs=5 * (2 / float(losses.position_count.sum())) ** 0.5)


def test_mean_loss_by_hand() -> None:
    def tensor(*values: float) -> Tensor:
        return torch.tensor(values, dtype=torch.float64)

    losses = Losses(
        time=tensor(0, 0, 0),
        position=tensor(4, 0, 18),
        lattice=tensor(1, 2, 3),
        position_count=tensor(4, 0, 9),
        lattice_count=torch.tensor([1, 2, 6]),
        position_target=tensor(0, 0, 0),
        position_weight=tensor(1, 1, 0.5),
    )
    position, lattice = losses.mean()
    assert float(position) == pytest.approx((4 / 2 + 0.5 * 18 / 3) / (2 + 3))
    assert float(lattice) == pytest.approx(6 / 9)


def test_a_wild_crystal_counts_as_nothing_and_a_broken_one_is_noticed() -> None:
    position = torch.tensor([4.0, 1e9], requires_grad=True)
    one, count = torch.ones(2), torch.tensor([4.0, 4.0])
    losses = Losses(one, position, torch.tensor([1.0, 1e7]), count, torch.tensor([1, 1]), one, one)
    mean, lattice = losses.mean()
    assert float(mean.detach()) == pytest.approx((4 / 2) / (2 + 2)) and float(lattice) == 0.5
    mean.backward()
    assert position.grad is not None and position.grad[1] == 0 and position.grad[0] > 0
    broken = Losses(one, torch.tensor([4.0, torch.nan]), one, count, torch.tensor([1, 1]), one, one)
    assert torch.isnan(broken.mean()[0])


def test_share_of_a_process_without_a_crystal() -> None:
    """Where processes outnumber the crystals of a batch, one has none: no loss, and gradients of zero."""
    model = small_model(torch.float32)
    nothing = Examples(DATA, VOLUMES).batch(torch.tensor([], dtype=torch.long))
    position, lattice = denoising_losses(model, nothing, torch.zeros(0), torch.Generator()).mean()
    assert (position.item(), lattice.item()) == (0, 0)
    (position + lattice).backward()
    gradients = [p.grad for p in model.network.parameters() if p.grad is not None]
    assert gradients and not any(g.any() for g in gradients)


def test_weight_of_levels_rises_with_noise() -> None:
    weight = level_weight(torch.logspace(-3, 1, 50))
    assert (weight.diff() >= 0).all()
    assert float(weight[-1] / weight[0]) == pytest.approx(6, rel=0.01)


def test_validation_is_repeatable_and_knows_good_from_bad() -> None:
    model = small_model(torch.float32)
    examples = Examples(pack(list(KNOWN.values())), VOLUMES)
    scores = validate(model, examples, crystals=7)
    assert scores == validate(model, examples, crystals=7)
    assert set(scores) == {f"{f}@{t}" for f in ("position", "lattice") for t in LEVELS} | {
        "position",
        "lattice",
    }
    clean = examples.batch(torch.arange(len(examples)))
    model.network = Oracle(model, clean, 1.0)  # type: ignore[assignment]
    perfect = validate(model, examples, crystals=len(examples))
    assert max(perfect.values()) < 1e-6
    model.network = Oracle(model, clean, 0.0)  # type: ignore[assignment]
    silent = validate(model, examples, crystals=len(examples))
    assert all(silent[f"position@{t}"] == pytest.approx(1) for t in LEVELS)


def test_unseen_elements_take_after_their_neighbours() -> None:
    seen = np.zeros(119, int)
    seen[[3, 11, 19, 37, 38, 40]] = 1
    assert neighbours(39, seen) == [38, 40]
    assert neighbours(4, seen) == [3]
    assert neighbours(118, seen) == [40]
    model = small_model(torch.float32)
    model.statistics.elements[:] = seen
    model.statistics.atomic_volume[38], model.statistics.atomic_volume[40] = 30.0, 20.0
    before = model.network.element.weight.detach().clone()
    stand_in_for_unseen(model)
    after = model.network.element.weight
    torch.testing.assert_close(after[39], before[[38, 40]].mean(0))
    assert torch.equal(after[seen > 0], before[seen > 0])
    assert model.statistics.atomic_volume[39] == 25.0
    assert not (after[1:] == before[1:]).all(1)[seen[1:] == 0].any()


def test_hidden_elements_are_hidden_in_all_of_a_crystal() -> None:
    clean = batch_of(*CRYSTALS * 40)
    lay = clean.layout
    known = known_elements(clean, 0.3, torch.Generator().manual_seed(0))
    assert known is not None and set(known.tolist()) == {0.0, 1.0}
    assert abs(float(known.mean()) - 0.7) < 0.05
    pairs = torch.stack([lay.crystal, lay.element], 1)
    _, place = torch.unique(pairs, dim=0, return_inverse=True)
    for pair in range(int(place.max()) + 1):
        assert len(set(known[place == pair].tolist())) == 1
    assert known_elements(clean, 0.0, torch.Generator()) is None
