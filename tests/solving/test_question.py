"""What is known of a sample: understood, refused, and turned into orders."""

import numpy as np
import pytest

from crystalsmith.errors import ConfigError, CrystalsmithError, OrderError
from crystalsmith.solving import SolveSettings
from crystalsmith.solving.cells import Cell
from crystalsmith.solving.question import formulas, orders_of

VOLUMES = np.full(119, 12.0)


def test_what_is_known_can_be_text_numbers_or_sequences():
    text = SolveSettings(
        formula="CaCO3", space_group="R-3c", cell="4.99,4.99,17.06,90,90,120", two_theta="5-80"
    )
    plain = SolveSettings(
        formula="CaCO3", space_group=167, cell=[4.99, 4.99, 17.06, 90, 90, 120], two_theta=(5, 80)
    )
    assert text == plain
    assert text.cell == (4.99, 4.99, 17.06, 90.0, 90.0, 120.0) and text.space_group == (167,)
    assert SolveSettings(elements=["Ca", "C", "O"]) == SolveSettings(elements="Ca,C,O")
    assert text.identity()["cell"] == [4.99, 4.99, 17.06, 90.0, 90.0, 120.0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "either its formula"),
        ({"formula": "CaCO3", "elements": "Ca,C,O"}, "either its formula"),
        ({"formula": "CaCO3", "cell": "4,4,4"}, "six numbers"),
        ({"formula": "CaCO3", "cell": "4,4,4,90,90,200"}, "no cell of a crystal"),
        ({"formula": "CaCO3", "cell": "4,4,x,90,90,90"}, "six numbers"),
        ({"formula": "CaCO3", "z": 2, "atoms": 10}, "give one of them"),
        ({"elements": "Ca,C,O", "z": 2}, "needs the formula"),
        ({"elements": "Ca=1,C"}, "for each element"),
        ({"elements": "Ca=2-1"}, "a range goes"),
        ({"elements": "Ca,Ca"}, "twice"),
        ({"elements": "Xx"}, "Xx"),
        ({"formula": "CaCO3", "two_theta": "80-5"}, "range of degrees"),
        ({"formula": "CaCO3", "space_group": "R-3x"}, "R-3x"),
        ({"formula": "CaCO3", "candidates": 0}, "candidates"),
        ({"formula": "CaCO3", "axis": "theta"}, "theta"),
    ],
)
def test_what_makes_no_sense_is_refused(given, words):
    with pytest.raises(CrystalsmithError, match=words):
        SolveSettings(**given)


def test_ranges_of_elements_stand_for_compositions():
    found = formulas(SolveSettings(elements="Ti=1-2,O=2-4"))
    assert {str(f) for f in found} == {"TiO", "TiO2", "TiO3", "TiO4", "Ti2O3"}
    assert formulas(SolveSettings(elements="Ti,O")) == []
    with pytest.raises(ConfigError, match="stand for 255 compositions"):
        formulas(SolveSettings(elements="Ti=1-20,O=1-20"))


def test_without_a_cell_one_order_asks_for_all():
    (order,) = orders_of(SolveSettings(formula="TiO2", candidates=30), [], VOLUMES)
    assert (order.formula, order.count, order.space_group) == ("TiO2", 30, None)
    (order,) = orders_of(SolveSettings(formula="TiO2", space_group=136, z=2), [], VOLUMES)
    assert (order.space_group, order.z) == (136, 2)
    several = orders_of(SolveSettings(elements="Ti=1-2,O=2-3", candidates=42), [], VOLUMES)
    assert {o.formula for o in several} == {"TiO", "TiO2", "TiO3", "Ti2O3"}
    assert [o.count for o in several] == [11, 11, 10, 10]
    (system,) = orders_of(SolveSettings(elements="Ti,O", max_atoms=12), [], VOLUMES)
    assert (system.system, system.max_atoms) == ("O-Ti", 12)


def test_a_cell_stands_in_the_orders():
    rutile, wrong = Cell((4.5941, 4.5941, 2.9589, 90, 90, 90)), Cell((4.6, 4.6, 5.9, 90, 90, 90))
    orders = orders_of(SolveSettings(formula="TiO2", candidates=50), [rutile, wrong], VOLUMES)
    assert [o.terms.cell.cell for o in orders] == [rutile.values, wrong.values]
    assert [o.count for o in orders] == [25, 25] and len({o.id for o in orders}) == 2


@pytest.mark.parametrize("z", [1, 7])
def test_formula_units_that_do_not_fill_the_cell_are_refused(z):
    cell = Cell((4.5941, 4.5941, 2.9589, 90, 90, 90)) if z == 7 else Cell((4.5941, 4.5941, 5.9, 90, 90, 90))
    with pytest.raises(OrderError, match=f"{z} formula units of TiO2 cannot fill"):
        orders_of(SolveSettings(formula="TiO2", z=z), [cell], VOLUMES)
