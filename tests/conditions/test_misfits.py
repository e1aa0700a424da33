"""Distances, neighbours, energies and functions of one's own: values, slopes, and what sampling does."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from analytic import known_model
from torch import Tensor

from batches import batch_of, every_group
from crystals import KNOWN
from crystalsmith.assignments import Request
from crystalsmith.conditions import (
    Condition,
    Coordination,
    Energy,
    FixedCell,
    GradientMisfit,
    MinDistance,
    Misfit,
)
from crystalsmith.crystal import Crystal, Site
from crystalsmith.errors import ConfigError, OrderError, RelaxationError
from crystalsmith.graph import CrystalBatch

EMT = "emt_potential:make"
ALLOY = Crystal(
    26, (4.2, 4.6, 5.0, 90, 90, 90), (Site("Cu", "a", (0.13, 0.02)), Site("Au", "b", (0.31, 0.27)))
)
BY_ALL, BY_PAIR = MinDistance((("", "", 2.6),)), MinDistance((("Cl", "Na", 2.9), ("Cl", "Cl", 3.9)))


def slopes(condition: Condition, batch: CrystalBatch) -> tuple[Tensor, Tensor, Tensor]:
    w, strain = batch.w.clone().requires_grad_(), batch.strain.clone().requires_grad_()
    value = condition.misfit(batch.with_state(w, strain))
    assert value is not None
    found = torch.autograd.grad(value.sum(), (w, strain))
    return value.detach(), found[0], found[1]


def assert_slopes(condition: Condition, batch: CrystalBatch, step: float = 1e-5) -> None:
    """Against finite differences along random ways that the symmetry allows."""
    rng = torch.Generator().manual_seed(0)
    lay = batch.layout
    _, by_w, by_strain = slopes(condition, batch)
    for _ in range(3):
        dw = torch.randn(batch.w.shape, generator=rng).to(batch.w) * lay.free_mask
        de = torch.randn(batch.strain.shape, generator=rng).to(batch.strain) * lay.strain_mask
        ends = [
            condition.misfit(batch.with_state(batch.w + s * step * dw, batch.strain + s * step * de))
            for s in (1, -1)
        ]
        assert ends[0] is not None and ends[1] is not None
        numeric = float((ends[0] - ends[1]).sum()) / (2 * step)
        exact = float((by_w * dw).sum() + (by_strain * de).sum())
        assert exact == pytest.approx(numeric, rel=2e-4, abs=1e-4)


@pytest.mark.parametrize("number", [1, 9, 62, 148, 166, 198, 216])
def test_slopes_of_distances_and_neighbours(number: int) -> None:
    crystal = every_group()[number - 1]
    elements = list(crystal.counts)
    pairs = tuple((elements[0], e, 4.0) for e in elements)
    batch = batch_of(crystal, crystal)
    assert_slopes(MinDistance((("", "", 3.5),)), batch)
    assert_slopes(Coordination(pairs), batch)


def test_slopes_of_an_energy() -> None:
    assert_slopes(Energy(EMT, 0.5), batch_of(ALLOY), step=1e-4)


def test_an_energy_is_that_of_the_potential() -> None:
    from crystalsmith.potentials import load_calculator

    atoms = ALLOY.to_atoms(primitive=True)
    atoms.calc = load_calculator(EMT)
    value, _, _ = slopes(Energy(EMT, 0.5), batch_of(ALLOY, ALLOY))
    assert value.tolist() == pytest.approx([atoms.get_potential_energy() / 0.5] * 2, rel=1e-6)


def test_misfits_are_of_each_crystal_alone() -> None:
    crystals = [every_group()[k] for k in (3, 60, 200)]
    condition = MinDistance((("", "", 3.0),))
    together = slopes(condition, batch_of(*crystals))[0]
    alone = [float(slopes(condition, batch_of(c))[0]) for c in crystals]
    assert together.tolist() == pytest.approx(alone)


def test_distances_count_each_pair_once() -> None:
    salt = batch_of(KNOWN["rock salt"])  # 2.82 A, six neighbours each
    distance = KNOWN["rock salt"].shortest_distance()
    value = slopes(MinDistance((("Na", "Cl", distance + 0.2),)), salt)[0]
    assert float(value) == pytest.approx(6 * 0.5 * 2.0**2, rel=1e-5)
    assert float(slopes(MinDistance((("Na", "Na", 3.5),)), salt)[0]) == 0.0


def test_coordination_of_known_crystals() -> None:
    right = Coordination((("Ti", "O", 6.0), ("O", "Ti", 3.0)))
    wrong = Coordination((("Ti", "O", 4.0), ("O", "Ti", 2.0)))
    rutile = batch_of(KNOWN["rutile"])
    assert float(slopes(right, rutile)[0]) < 0.2 * float(slopes(wrong, rutile)[0])


def test_a_finished_crystal_is_held_against_the_distances() -> None:
    salt = KNOWN["rock salt"]
    distance = salt.shortest_distance()
    assert MinDistance((("Cl", "Na", distance - 1e-3),)).fault(salt) is None
    assert MinDistance((("Cl", "Na", distance + 1e-3),)).fault(salt) == "distance too short"
    assert MinDistance((("Na", "Na", distance * 2**0.5 + 1e-3),)).fault(salt) == "distance too short"
    assert MinDistance((("Na", "Na", distance + 0.5),)).fault(salt) is None


REQUEST = Request(19, (("Na", "a"), ("Cl", "a")), conditions=(FixedCell((5.2, 5.6, 6.0, 90, 90, 90)),))


def shortest(*conditions: Condition) -> np.ndarray:
    model = known_model()
    crystals = model.sample([REQUEST] * 60, range(60), steps=14, conditions=conditions)
    return np.array([c.shortest_distance() for c in crystals])


def test_sampling_keeps_atoms_apart() -> None:
    free, held = shortest(), shortest(MinDistance((("", "", 2.3),)))
    assert (free > 2.25).mean() < 0.4
    assert (held > 2.25).mean() > 0.8


def test_sampling_finds_lower_energies() -> None:
    from crystalsmith.potentials import load_calculator

    model, calculator = known_model(), load_calculator(EMT)
    request = Request(26, (("Cu", "a"), ("Au", "b")), conditions=(FixedCell((4.3, 4.4, 4.6, 90, 90, 90)),))

    def energies(*conditions: Condition) -> np.ndarray:
        found = []
        for crystal in model.sample([request] * 16, range(16), steps=8, conditions=conditions):
            atoms = crystal.to_atoms(primitive=True)
            atoms.calc = calculator
            found.append(atoms.get_potential_energy() / len(atoms))
        return np.array(found)

    assert np.quantile(energies(Energy(EMT, 0.1, begins=0.8)), 0.9) < np.quantile(energies(), 0.2)


def spring(crystals: CrystalBatch) -> Tensor:
    return 50.0 * (crystals.strain[:, 1] - 0.2).square()


def spring_and_slopes(crystals: CrystalBatch) -> tuple[Tensor, Tensor, Tensor]:
    by_strain = torch.zeros_like(crystals.strain)
    by_strain[:, 1] = 100.0 * (crystals.strain[:, 1] - 0.2)
    return spring(crystals), torch.zeros_like(crystals.w), by_strain


@pytest.mark.parametrize("condition", [Misfit(spring, 1.0), GradientMisfit(spring_and_slopes, 1.0)])
def test_a_function_of_ones_own(condition: Condition) -> None:
    model = known_model()
    free = Request(19, REQUEST.sites)
    crystals = model.sample([free] * 100, range(100), steps=20, sampler="stochastic", conditions=[condition])
    strain = batch_of(*crystals).strain[:, 1]
    # A normal distribution of 0.3 around 0 times one of 0.1 around 0.2.
    assert float(strain.mean()) == pytest.approx(0.18, abs=0.045)
    assert float(strain.std()) == pytest.approx(0.095, abs=0.03)


@pytest.mark.parametrize("make", [lambda b: b.strain, lambda b: 1.0])
def test_a_function_that_gives_no_misfit(make: Callable[[CrystalBatch], Tensor]) -> None:
    with pytest.raises(ConfigError, match="one number a crystal"):
        known_model().sample([REQUEST], [0], steps=2, conditions=[Misfit(make, 1.0)])


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: MinDistance(()), OrderError),
        (lambda: MinDistance((("", "", -1.0),)), OrderError),
        (lambda: Coordination((("Ti", "O", float("nan")),)), OrderError),
        (lambda: Energy("no-such", 0.1), RelaxationError),
        (lambda: Energy(EMT, 0.0), OrderError),
    ],
)
def test_bad_conditions_are_refused(make: Callable[[], Condition], error: type[Exception]) -> None:
    with pytest.raises(error):
        make()


def test_a_potential_that_does_not_know_the_elements() -> None:
    with pytest.raises(RelaxationError, match="emt_potential:make failed"):
        known_model().sample([REQUEST], [0], steps=2, conditions=[Energy(EMT)])
