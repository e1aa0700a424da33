"""Large cells: what the network tells apart, which cells are worth a look, and what open orders reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crystalsmith.assignments import Cells, parse_formula
from crystalsmith.errors import ConfigError
from crystalsmith.networks.assignment_network import (
    ATOMS,
    SHARED,
    AssignmentNetwork,
    AssignmentNetworkConfig,
    Elements,
)
from crystalsmith.orders import Order
from crystalsmith.orders.bounds import MOST_SITES, SEARCHED, Bounds, searched
from crystalsmith.orders.formula import FormulaKind
from crystalsmith.prior import AssignmentPrior, Known, Prototypes, likely_choices, worth_a_look
from crystalsmith.prior.sizes import LEFT_OUT
from priors import small_network, small_prior

NACL = (11, 17)
GARNET = Known(230, (12, 13, 14, 8), ((2,), (0,), (3,), (7,)))


def composition(*counts: int) -> Elements:
    return Elements(torch.tensor([[22, 8]]), torch.tensor([counts]), torch.full((1,), ATOMS))


def old_network() -> AssignmentNetwork:
    torch.manual_seed(1)
    size = AssignmentNetworkConfig(width=8, heads=2, layers=1, most=SHARED, figures=False)
    return AssignmentNetwork(size).eval()


def test_the_first_networks_took_large_numbers_for_one() -> None:
    network = AssignmentNetwork(AssignmentNetworkConfig(width=8, heads=2, layers=1)).eval()
    with torch.no_grad():
        old = old_network()
        old.amount.weight.zero_()  # which tells them apart by logarithm and share alone
        assert torch.equal(old.groups(composition(64, 128)), old.groups(composition(96, 192)))
        assert not torch.allclose(network.groups(composition(64, 128)), network.groups(composition(96, 192)))


def test_an_old_network_goes_on_as_a_new_one_that_says_the_same() -> None:
    old = old_network()
    new = old.grown(AssignmentNetworkConfig(width=8, heads=2, layers=1)).eval()
    a, b = AssignmentPrior(old), AssignmentPrior(new)
    for counts in ((2, 1), (64, 128), (96, 100)):
        np.testing.assert_allclose(a.groups(NACL, counts), b.groups(NACL, counts), atol=1e-5)
    np.testing.assert_allclose(a.units(NACL, (1, 1), 100), b.units(NACL, (1, 1), 100), atol=1e-5)
    cells = [(225, ((0,), (1,))), (225, ((1,), (0,)))]
    np.testing.assert_allclose(
        a.assignments(NACL, (1, 1), cells), b.assignments(NACL, (1, 1), cells), atol=1e-5
    )
    again = new.grown(new.config)
    assert all(torch.equal(v, again.state_dict()[k]) for k, v in new.state_dict().items())


@pytest.mark.parametrize("change", [{"width": 16}, {"layers": 2}, {"most": 32}, {"figures": False}])
def test_it_goes_on_as_nothing_smaller_or_wider(change: dict[str, int]) -> None:
    size = {"width": 8, "heads": 2, "layers": 1, "most": 64}
    with pytest.raises(ConfigError, match="cannot go on"):
        AssignmentNetwork(AssignmentNetworkConfig(**size)).grown(
            AssignmentNetworkConfig(**{**size, **change})
        )


def open_cells(formula: str, groups: tuple[int, ...] = (), limit: int = SEARCHED) -> tuple[Cells, ...]:
    return FormulaKind(parse_formula(formula)).cells(Bounds(groups), limit)


def test_cells_that_are_left_alone_hold_next_to_nothing() -> None:
    prior, cells = small_prior(), open_cells("NaCl")
    assert len(cells) == 100
    units = np.exp(prior.units(NACL, (1, 1), 100))
    units[20:] *= 1e-6  # a prior that believes in small cells
    believes = AssignmentPrior(prior.network)
    believes.units = lambda *_: np.log(units / units.sum())  # type: ignore[method-assign]
    kept = worth_a_look(believes, NACL, (1, 1), cells)
    assert {c.units for c in kept} <= set(range(1, 21)) and len(kept) < 21
    left = sum(units[c.units - 1] for c in cells if c not in kept)
    assert left <= LEFT_OUT * units.sum()
    assert list(kept) == [c for c in cells if c in kept]


def test_few_cells_are_all_looked_at() -> None:
    cells = open_cells("NaCl", limit=20)
    assert worth_a_look(small_prior(), NACL, (1, 1), cells) == cells


def test_groups_that_need_many_sites_are_left_out_of_large_cells_unless_asked_for() -> None:
    cells = {c.units: c.groups for c in open_cells("NaCl")}
    assert 1 not in cells[100] and 2 not in cells[100] and 225 in cells[100]
    assert 1 in cells[MOST_SITES // 2] and 1 not in cells[MOST_SITES // 2 + 1]
    asked = FormulaKind(parse_formula("NaCl")).cells(Bounds((), max_atoms=200), 200)
    assert all(1 in c.groups for c in asked)
    assert [c.units for c in FormulaKind(parse_formula("NaCl")).cells(Bounds((1,), atoms=200), 200)] == [100]


def test_a_group_that_only_large_cells_can_have_stays_possible() -> None:
    cells = open_cells("Mg3Al2Si3O12", (1,))
    assert cells and all(c.groups == (1,) for c in cells)  # of 20 atoms, 20 sites
    # More sites than cells are looked at for: the smallest cell remains.
    assert [c.units for c in open_cells("Mg3Al2Si3O21", (1,))] == [1]


@pytest.mark.parametrize(("seen", "most"), [(20, 20), (200, 200), (240, 200)])
def test_open_orders_look_as_far_as_the_model_has_seen(seen: int, most: int) -> None:
    assert searched(seen) == most
    order = Order(formula="NaCl")
    assert order.content.looked_at(order.bounds, searched(seen)) == most
    order = Order(formula="NaCl", max_atoms=60)
    assert order.content.looked_at(order.bounds, searched(seen)) == 60


def test_garnet_is_listed_by_its_formula_alone() -> None:
    elements, ratio = (12, 13, 14, 8), (3, 2, 3, 12)
    prior = AssignmentPrior(small_network(), Prototypes([GARNET]))
    cells = worth_a_look(prior, elements, ratio, open_cells("Mg3Al2Si3O12"))
    found = likely_choices(prior, elements, ratio, cells, 8)
    first = found[0]
    assert (first.space_group, first.n_atoms, first.n_orbits) == (230, 80, 4)
    assert first.sites == (("Mg", "c"), ("Al", "a"), ("Si", "d"), ("O", "h"))
    assert all(r.n_atoms % 20 == 0 and r.n_atoms <= SEARCHED for r in found)
