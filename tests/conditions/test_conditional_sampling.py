"""Conditions on models whose distribution is known: what is sampled follows the conditional distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from analytic import LATTICE, known_model
from torch import Tensor

from batches import VOLUMES, every_group
from crystalsmith.assignments import Request, Start
from crystalsmith.conditions import Condition, FixedCell, FixedSites, FixedVolume, Held
from crystalsmith.crystal import Crystal, Site
from crystalsmith.errors import OrderError
from crystalsmith.graph import CrystalBatch, Layout, to_batch

N = 600
STEPS = 60
SIGMAS = 4.5
"""Allowed deviation in standard errors."""

ORTHORHOMBIC = Request(19, (("Na", "a"), ("Cl", "a")))


def draw(
    *conditions: Condition, request: Request = ORTHORHOMBIC, sampler: str = "stochastic"
) -> CrystalBatch:
    model = known_model()
    crystals = model.sample([request] * N, range(N), steps=STEPS, sampler=sampler, conditions=conditions)
    return to_batch(crystals, model.statistics.atomic_volume, dtype=torch.float64)


def assert_normal(values: Tensor, mean: float, spread: float) -> None:
    n = len(values)
    assert float(values.mean()) == pytest.approx(mean, abs=(SIGMAS / math.sqrt(n) + 0.03) * spread)
    assert float(values.var()) / spread**2 == pytest.approx(1, abs=SIGMAS * math.sqrt(2 / n) + 0.06)


def product(spread: float, value: float, tolerance: float) -> tuple[float, float]:
    """Mean and spread of a normal distribution around zero times one around a value."""
    share = spread**2 / (spread**2 + tolerance**2)
    return share * value, spread * math.sqrt(1 - share)


CELL = (7.0, 8.0, 6.5, 90.0, 90.0, 90.0)


def strain_of(cell: tuple[float, ...]) -> Tensor:
    crystal = Crystal(19, cell, tuple(Site(e, x, (0.1, 0.2, 0.3)) for e, x in ORTHORHOMBIC.sites))
    return to_batch([crystal], VOLUMES, dtype=torch.float64).strain[0]


def test_without_conditions_strains_are_those_of_the_model() -> None:
    strain = draw().strain
    for k in range(3):
        assert_normal(strain[:, k], 0.0, LATTICE.scale[k])


@pytest.mark.parametrize("sampler", ["stochastic", "multistep", "euler", "heun"])
def test_a_cell_with_a_tolerance_gives_the_conditional_distribution(sampler: str) -> None:
    wanted, strain = strain_of(CELL), draw(FixedCell(CELL, 0.1), sampler=sampler).strain
    for k in range(3):
        assert_normal(strain[:, k], *product(LATTICE.scale[k], float(wanted[k]), 0.1))


@dataclass(frozen=True)
class Spring(Condition):
    """A normal likelihood of one strain, told as a misfit."""

    component: int
    value: float
    tolerance: float

    def misfit(self, crystals: CrystalBatch) -> Tensor:
        return 0.5 * ((crystals.strain[:, self.component] - self.value) / self.tolerance) ** 2


def test_a_misfit_gives_the_same_distribution_as_a_value_with_a_tolerance() -> None:
    strain = draw(Spring(1, 0.4, 0.2)).strain
    assert_normal(strain[:, 1], *product(0.3, 0.4, 0.2))
    assert_normal(strain[:, 0], 0.0, 0.1)


def test_conditions_compose_as_likelihoods() -> None:
    """A volume, and two springs on one strain, of which the second doubles the weight of the first."""
    strain = draw(FixedVolume(200.0, 0.1), Spring(1, 0.4, 0.2), Spring(1, 0.4, 0.2 + 1e-9)).strain
    volume = math.log(200.0 / (8 * 18.0)) / 3**0.5
    assert_normal(strain[:, 0], *product(0.1, volume, 0.1 / 3**0.5))
    assert_normal(strain[:, 1], *product(0.3, 0.4, 0.2 / 2**0.5))


def test_a_cell_known_twice_is_known_better() -> None:
    wanted, strain = strain_of(CELL), draw(FixedCell(CELL, 0.2), FixedCell(CELL, 0.1)).strain
    together = (0.2**-2 + 0.1**-2) ** -0.5
    assert_normal(strain[:, 1], *product(0.3, float(wanted[1]), together))


@dataclass(frozen=True)
class Near(Condition):
    """A normal likelihood of the place of the first orbit."""

    place: tuple[float, float, float]
    tolerance: float

    def hold(self, layout: Layout) -> Held:
        first = torch.ones_like(layout.crystal, dtype=torch.bool)
        first[1:] = layout.crystal[1:] != layout.crystal[:-1]
        w = torch.tensor(self.place).to(layout.volume).expand(len(first), 3)
        return Held.nothing(layout).with_sites(w, torch.where(first, self.tolerance, torch.inf).to(w))


@dataclass(frozen=True)
class Drawn(Near):
    """The same as a misfit: the distance to the nearest image of the place."""

    def hold(self, layout: Layout) -> None:
        return None

    def misfit(self, crystals: CrystalBatch) -> Tensor:
        lay = crystals.layout
        away = crystals.w[0::2] - torch.tensor(self.place).to(crystals.w)
        away = away - away.detach().round()
        z = torch.einsum("sij,sj->si", lay.tables.unit_inverse[lay.wyckoff[0::2]], away)
        return 0.5 * (z / self.tolerance).square().sum(1)


@pytest.mark.parametrize("kind", [Near, Drawn])
def test_positions_follow_a_likelihood_where_nothing_else_is_known(kind: type[Near]) -> None:
    batch = draw(kind((0.2, 0.7, 0.4), 0.06))
    first, second = batch.w[0::2], batch.w[1::2]
    away = first - torch.tensor([0.2, 0.7, 0.4])
    away = away - away.round()
    for k in range(3):  # an orthorhombic reference cell is a cube, of which w are the coordinates
        assert_normal(away[:, k], 0.0, 0.06)
        assert float(torch.exp(2j * math.pi * second[:, k]).mean().abs()) < 4 / math.sqrt(N)


def test_what_is_fixed_is_exact_and_the_rest_is_free() -> None:
    model = known_model()
    requests = [replace(ORTHORHOMBIC, conditions=(FixedCell(CELL),)), ORTHORHOMBIC] * 200
    crystals = model.sample(requests, range(400), steps=20, sampler="stochastic")
    assert all(crystal.cell == CELL for crystal in crystals[::2])
    free = to_batch(crystals[1::2], VOLUMES, dtype=torch.float64).strain
    assert_normal(free[:, 1], 0.0, 0.3)
    assert len({c.sites[0].free for c in crystals}) == 400


def test_what_is_fixed_is_exact_in_every_group() -> None:
    """The cell and every other site of a random crystal of each of the 230 groups."""
    known = every_group()
    requests = []
    for crystal in known:
        places = tuple((k, s.free) for k, s in enumerate(crystal.sites) if not k % 2)
        pairs = tuple((s.element, s.letter) for s in crystal.sites)
        own = (FixedCell(crystal.cell), FixedSites(places))
        requests.append(Request(crystal.space_group, pairs, conditions=own))
    made = known_model().sample(requests, range(len(known)), steps=2)
    for crystal, wanted in zip(made, known, strict=True):
        assert crystal.cell == wanted.cell
        assert (crystal.space_group, crystal.wyckoff) == (wanted.space_group, wanted.wyckoff)
        assert [s.free for s in crystal.sites[::2]] == [s.free for s in wanted.sites[::2]]


def test_sites_to_a_tolerance_stay_near() -> None:
    places = FixedSites(((0, (0.2, 0.7, 0.4)),), tolerance=0.3)
    first = draw(places).w[0::2]
    away = first - torch.tensor([0.2, 0.7, 0.4])
    spread = 0.3 / (2 * 4 * 18.0) ** (1 / 3)  # in units of the reference cell
    for k in range(3):
        assert_normal((away - away.round())[:, k], 0.0, spread)


def test_a_crystal_under_conditions_depends_on_its_seed_alone() -> None:
    model, spring = known_model(), Spring(1, 0.4, 0.2)
    own = [(FixedCell(CELL, 0.05),), (spring,), (), (spring, Near((0.1, 0.2, 0.3), 0.1))]
    requests = [replace(ORTHORHOMBIC, conditions=c) for c in own]
    together = model.sample(requests, range(4), steps=8)
    for k in range(4):
        alone = model.sample([requests[k]], [k], steps=8)[0]
        assert np.abs(np.array(alone.cell) / together[k].cell - 1).max() < 1e-9


def test_known_arrangements_obey_too() -> None:
    sites = tuple(Site(e, x, (0.1, 0.2, 0.3 + 0.3 * k)) for k, (e, x) in enumerate(ORTHORHOMBIC.sites))
    known = Crystal(19, (5.0, 5.5, 6.0, 90.0, 90.0, 90.0), sites)
    request = replace(ORTHORHOMBIC, start=Start(known), conditions=(FixedCell(CELL),))
    made = known_model().sample([request, replace(request, start=Start(known, 0.3))], [0, 1], steps=5)
    assert made[0] == Crystal(19, CELL, sites)
    assert made[1].cell == CELL
    near = known_model().sample([replace(request, conditions=(FixedCell(CELL, 0.01),))], [0], steps=5)[0]
    assert np.abs(np.array(near.cell) / np.array(CELL) - 1)[:3].max() < 0.08


def test_a_cell_of_another_family_is_refused() -> None:
    cubic = Request(225, (("Na", "a"), ("Cl", "b")), conditions=(FixedCell(CELL),))
    with pytest.raises(OrderError, match="needs a cubic cell"):
        known_model().sample([cubic], [0], steps=2)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FixedCell((1, 2, 3)), "six numbers"),  # type: ignore[arg-type]
        (lambda: FixedCell((1, 2, 3, 90, 90, 190)), "no crystal can have"),
        (lambda: FixedCell(CELL, -0.1), "tolerance"),
        (lambda: FixedCell(CELL, math.nan), "tolerance"),
        (lambda: FixedVolume(0.0), "volume"),
        (lambda: FixedVolume(math.inf), "volume"),
    ],
)
def test_bad_conditions_are_refused(make, words: str) -> None:
    with pytest.raises(OrderError, match=words):
        make()
