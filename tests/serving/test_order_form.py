"""From the fields of Make to an order and settings, and a refusal to its field."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("nicegui")

from crystalsmith.errors import OrderError
from crystalsmith.orders import parse_order
from crystalsmith.serving.pages.compare import differences
from crystalsmith.serving.pages.look import chosen_rows, told
from crystalsmith.serving.pages.make import EXAMPLES, asked_for
from crystalsmith.serving.pages.order_form import KINDS, NEEDS, TAKES, fault_field, read_form, values_of


@pytest.mark.parametrize(
    ("values", "order"),
    [
        ({"formula": " LiFePO4 "}, {"formula": "LiFePO4", "count": 12}),
        (
            {"formula": "TiO2", "space_group": "136", "count": "3"},
            {"formula": "TiO2", "space_group": "136", "count": 3},
        ),
        ({"formula": "SiO2", "size": "z", "size_value": "3"}, {"formula": "SiO2", "z": 3, "count": 12}),
        (
            {"formula": "TiO2", "cell": "density", "cell_value": "4.25", "cell_tolerance": "3 %"},
            {"formula": "TiO2", "density": 4.25, "cell_tolerance": 0.03, "count": 12},
        ),
        (
            {"formula": "NaCl", "cell": "cell", "cell_value": "5.6 5.6, 5.6 90 90 90"},
            {"formula": "NaCl", "cell": [5.6, 5.6, 5.6, 90.0, 90.0, 90.0], "count": 12},
        ),
        ({"kind": "system", "system": "Cu, K Si"}, {"system": "Cu-K-Si", "count": 12}),
        (
            {"kind": "sites", "space_group": "221,225", "sites": "K=1-2, Cl: 1"},
            {"space_group": ["221", "225"], "sites": {"K": "1-2", "Cl": 1}, "count": 12},
        ),
        (
            {
                "kind": "wyckoff",
                "space_group": "Pm-3m",
                "wyckoff": "Sr:a, Ti=b O:c",
                "min_distance": "Ti-O=1.7",
            },
            {
                "space_group": "Pm-3m",
                "wyckoff": [["Sr", "a"], ["Ti", "b"], ["O", "c"]],
                "min_distance": {"Ti-O": 1.7},
                "count": 12,
            },
        ),
        (
            {"kind": "host", "upload": "abc", "add": "Li=4"},
            {"host": {"upload": "abc"}, "add": {"Li": 4}, "count": 12},
        ),
    ],
)
def test_fields_make_an_order_that_the_parser_takes(values: dict[str, Any], order: dict[str, Any]) -> None:
    filled = read_form(values)
    assert (filled.order, filled.faults, filled.missing) == (order, {}, "")
    if "host" not in order:  # an upload's id becomes its crystal on the server
        parse_order(order)
        assert read_form(values_of(order, {})).order == order


def test_fields_of_another_kind_are_left_out() -> None:
    filled = read_form(
        {"kind": "system", "system": "Cu-K-Si", "formula": "NaCl", "size": "z", "size_value": "4"}
    )
    assert filled.order == {"system": "Cu-K-Si", "count": 12}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_is_named_and_nothing_is_made_of_the_rest(kind: str) -> None:
    filled = read_form({"kind": kind})
    assert filled.missing == NEEDS[kind][0] and filled.order == {}
    assert set(NEEDS[kind]) <= {*TAKES[kind], "upload"}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"formula": "NaCl", "count": "many"}, "count"),
        ({"formula": "NaCl", "count": "0"}, "count"),
        ({"formula": "NaCl", "count": "501"}, "count"),
        ({"formula": "NaCl", "size": "z", "size_value": "1.5"}, "size_value"),
        ({"formula": "NaCl", "max_atoms": "-3"}, "max_atoms"),
        ({"formula": "NaCl", "seed": "x"}, "seed"),
        ({"formula": "NaCl", "best_of": "65"}, "best_of"),
        ({"kind": "sites", "space_group": "225", "sites": "Na"}, "sites"),
        ({"kind": "wyckoff", "space_group": "225", "wyckoff": "Na"}, "wyckoff"),
    ],
)
def test_what_cannot_be_read_is_said_at_its_field(values: dict[str, Any], field: str) -> None:
    filled = read_form(values)
    assert list(filled.faults) == [field] and "\n" not in filled.faults[field]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"formula": "NaClx"}, "formula"),
        ({"formula": "NaCl", "space_group": "999"}, "space_group"),
        ({"formula": "NaCl", "cell": "cell", "cell_value": "5.6 5.6 5.6"}, "cell_value"),
        ({"formula": "NaCl", "size": "z", "size_value": "0"}, "size_value"),
        ({"formula": "NaCl", "min_distance": "Li-O=1.8"}, "min_distance"),
        ({"formula": "NaCl", "coordination": "6"}, "coordination"),
        ({"kind": "wyckoff", "space_group": "225", "wyckoff": "Na:z"}, "wyckoff"),
        ({"kind": "system", "system": "Xx-O"}, "system"),
    ],
)
def test_a_refusal_belongs_to_the_field_without_which_there_is_none(
    values: dict[str, Any], field: str
) -> None:
    filled = read_form(values)
    assert filled.faults == {}
    with pytest.raises(OrderError) as refused:
        parse_order(filled.order)
    reason = str(refused.value).removeprefix("order: ")
    assert fault_field(filled.order, values.get("kind", "formula"), reason) == field


def test_settings_are_those_that_differ() -> None:
    assert read_form({"formula": "NaCl"}).settings == {}
    values = {"formula": "NaCl", "seed": "7", "letters": "drawn", "new_only": True, "potential": "chgnet"}
    assert read_form(values).settings == {
        "seed": 7,
        "letters": "drawn",
        "new_only": True,
        "potential": "chgnet",
    }
    again = read_form(values_of({"formula": "NaCl"}, {"seed": 7, "new_only": True}))
    assert again.settings == {"seed": 7, "new_only": True}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_are_orders(name: str) -> None:
    order = read_form(EXAMPLES[name]).order
    parse_order(order)
    assert asked_for({"orders": [order]})


ROWS = [
    {"n": 1, "atoms": 8, "novelty": "known", "known_as": "TiO2 (Pbca)", "duplicate_of": None},
    {"n": 2, "atoms": 2, "novelty": "new structure", "known_as": None, "duplicate_of": None},
    {"n": 3, "atoms": None, "novelty": "new structure", "known_as": None, "duplicate_of": 2},
]


def test_rows_are_chosen_and_sorted_unknown_figures_last() -> None:
    assert [row["n"] for row in chosen_rows(ROWS, "different", "rank")] == [1, 2]
    assert [row["n"] for row in chosen_rows(ROWS, "new", "rank")] == [2]
    assert [row["n"] for row in chosen_rows(ROWS, "all", "atoms")] == [2, 1, 3]
    assert told(ROWS) == "3 crystals · 2 different · 1 known, 1 new"


def test_differences_name_what_differs_alone() -> None:
    one: dict[str, Any] = {
        "row": {"n": 1, "seed": 3},
        "formula": "NaCl",
        "symbol": "Fm-3m",
        "space_group": 225,
        "wyckoff": "Na:a Cl:b",
        "cell": [5.64, 5.64, 5.64, 90.0, 90.0, 90.0],
        "volume": 179.4,
        "atoms": 2,
        "atoms_conventional": 8,
    }
    two = {**one, "row": {"n": 2, "seed": 4}, "cell": [5.7, 5.7, 5.7, 90.0, 90.0, 90.0], "volume": 185.2}
    assert [row[0] for row in differences(one, two)] == ["Lattice", "Volume"]
    assert differences(one, one) == []
