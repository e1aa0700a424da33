"""What orders say of their crystals beside their contents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crystalsmith.conditions import Coordination, FixedDensity, FixedVolume, MinDistance
from crystalsmith.errors import ImpossibleOrder, OrderError
from crystalsmith.orders import parse_order, read_orders
from crystalsmith.orders.order import Order

CORUNDUM = [4.76, 4.76, 12.99, 90, 90, 120]
CUBE = [5.64, 5.64, 5.64, 90, 90, 90]


def order(**values: Any) -> Order:
    return parse_order({"formula": "Al2O3", **values})


@pytest.mark.parametrize(
    "values",
    [
        {"cell": CORUNDUM},
        {"cell": CORUNDUM, "cell_tolerance": 0.02, "space_group": "R-3c"},
        {"primitive_cell": [5.13, 5.13, 5.13, 55.3, 55.3, 55.3]},
        {"volume": 255, "cell_tolerance": 0.05},
        {"density": 3.98},
        {"min_distance": 1.8, "coordination": {"Al-O": 6}},
        {"min_distance": {"O-Al": 1.8, "O-O": 2.2}},
    ],
)
def test_an_order_is_written_as_it_can_be_read(values: dict[str, Any]) -> None:
    first = order(**values)
    assert parse_order(first.to_mapping()) == first
    assert parse_order(first.to_mapping()).terms == first.terms
    assert hash(first) == hash(parse_order(first.to_mapping()))


def test_terms_become_conditions() -> None:
    terms = order(volume=255.0, cell_tolerance=0.05, min_distance={"O-Al": 1.8}).terms
    assert terms.conditions == (FixedVolume(255.0, 0.05), MinDistance((("Al", "O", 1.8),)))
    terms = order(density=3.98, min_distance=1.7, coordination={"Al-O": 6}).terms
    assert terms.conditions == (
        FixedDensity(3.98),
        MinDistance((("", "", 1.7),)),
        Coordination((("Al", "O", 6.0),)),
    )


def test_a_cell_leaves_the_groups_and_sizes_that_suit_it() -> None:
    assert order(cell=CORUNDUM).bounds.groups[-1] == 194
    cells = order(cell=CORUNDUM, space_group=167).content.cells(
        order(cell=CORUNDUM, space_group=167).bounds, 200
    )
    assert [(c.units, c.groups) for c in cells] == [(2, (167,))]
    # Of NaCl in a cube of 5.64 A: 4 units face-centred, where a primitive cell holds one.
    salt = parse_order({"formula": "NaCl", "cell": CUBE, "space_group": [221, 225]})
    assert {(c.units, g) for c in salt.content.cells(salt.bounds, 200) for g in c.groups} >= {(1, 225)}
    assert all(c.units > 1 for c in salt.content.cells(salt.bounds, 200) if 221 in c.groups)
    # What is said of the number of atoms goes before what the volume lets expect.
    told = parse_order({"formula": "NaCl", "cell": CUBE, "atoms": 2, "space_group": 221})
    assert [c.units for c in told.content.cells(told.bounds, 200)] == [1]


def test_a_cell_that_no_number_of_units_fills_is_impossible() -> None:
    small = parse_order({"formula": "Al2O3", "cell": [2.0, 2.0, 2.0, 90, 90, 90]})
    with pytest.raises(ImpossibleOrder, match="no whole number of Al2O3 fills a cell of 8 "):
        small.content.check(small.bounds, 200)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"cell": [1, 2, 3]}, "six numbers"),
        ({"cell": "5,5,5,90,90,90"}, "six numbers"),
        ({"cell": [5, 5, 5, 90, 90, True]}, "must be a number"),
        ({"cell": [5, 5, -5, 90, 90, 90]}, "more than 0"),
        ({"cell": [5, 5, float("nan"), 90, 90, 90]}, "more than 0"),
        ({"cell": [5, 5, 10**400, 90, 90, 90]}, "at most 1000"),
        ({"cell": [5, 5, 5, 60, 60, 130]}, "no volume"),
        ({"cell": CUBE, "volume": 200}, "give one of them"),
        ({"volume": 200, "density": 2}, "give one of them"),
        ({"cell": [4, 5, 6, 90, 90, 90], "space_group": 225}, "has the cell"),
        ({"cell_tolerance": 0.1}, "goes with cell"),
        ({"cell": CUBE, "cell_tolerance": 0.5}, "below 0.5"),
        ({"cell": CUBE, "cell_tolerance": -0.1}, "at least 0"),
        ({"volume": 0}, "more than 0"),
        ({"density": "heavy"}, "must be a number"),
        ({"min_distance": {"Al": 1}}, "two elements such as Li-O"),
        ({"min_distance": {"Al-O": 1, "O-Al": 2}}, "twice"),
        ({"min_distance": {"Al-Q": 1}}, "unknown element"),
        ({"min_distance": {"Li-O": 1}}, "names Li, which the order does not hold"),
        ({"min_distance": {}}, "must map pairs"),
        ({"coordination": 6}, "must map pairs"),
        ({"coordination": {"Al-O": 100}}, "at most 24"),
        ({"cells": CUBE}, "did you mean cell?"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(values: dict[str, Any], words: str) -> None:
    with pytest.raises(OrderError, match=words) as caught:
        order(**values)
    assert "\n" not in str(caught.value)


def test_orders_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text(
        "id,formula,space_group,cell,min_distance,count\n"
        'a,NaCl,225,"5.64, 5.64, 5.64, 90, 90, 90",{Na-Cl: 2.5},3\n'
        ",NO2,,,,\n"
        "\n"
        'c,Al2O3,"[R-3c, 166]","[4.76, 4.76, 12.99, 90, 90, 120]",1.5,\n',
        encoding="utf-8",
    )
    a, b, c = read_orders(tmp_path / "orders.csv")
    assert (a.id, a.space_group, a.count) == ("a", 225, 3)
    assert a.terms.cell is not None and a.terms.cell.cell == tuple(map(float, CUBE))
    assert a.terms.distances == (("Cl", "Na", 2.5),)
    assert (b.formula, b.id) == ("NO2", "NO2")
    assert c.space_group == (166, 167) and c.terms.distances == (("", "", 1.5),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,id\na,b\n", "stands twice"),
        ("formula\nNaCl,3\n", "more values than there are columns"),
        ('formula,cell\nNaCl,"5,5\n', "line"),
        ("formula,cell\nNaCl,[5\n", "cell cannot be read"),
        ("formula,sell\nNaCl,5\n", "did you mean cell"),
        ("formula,cell\nNaCl,5\n", "six numbers"),
        ("formula\n", "no orders"),
    ],
)
def test_a_table_that_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "orders.csv").write_text(text, encoding="utf-8")
    with pytest.raises(OrderError, match=words) as caught:
        read_orders(tmp_path / "orders.csv")
    assert "\n" not in str(caught.value)
