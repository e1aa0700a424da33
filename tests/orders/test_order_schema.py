"""The JSON schema of orders and their parser: neither takes what the other does not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from crystalsmith.errors import OrderError
from crystalsmith.orders import parse_order
from crystalsmith.orders.schema import order_schema, orders_schema

SCHEMA = Draft202012Validator(order_schema())

HOST = {
    "space_group": 225,
    "cell": [4.6, 4.6, 4.6, 90, 90, 90],
    "sites": [{"element": "O", "letter": "a", "free": []}],
}
GOOD: dict[str, list[Any]] = {
    "sites": [{"Na": 1}, {"K": "1-2", "Cl": [1, 3]}, {"O": " 2 - 3 "}],
    "wyckoff": [[["Na", "a"], ["Cl", "b"]], [["O", "1a"]]],
    "formula": ["NaCl", "Ca(OH)2", "CuSO4·5H2O"],
    "system": ["Cu-K-Si", "Na, Cl", "Fe"],
    "host": [HOST],
}
BAD: dict[str, list[Any]] = {
    "sites": [
        {},
        {"Na": 0},
        {"Xx": 1},
        {"Na": "many"},
        {"Na": [1, 2, 3]},
        {"Na": 201},
        ["Na"],
        "Na",
        1,
        {"Na": None},
    ],
    "wyckoff": [
        [],
        [["Na"]],
        [["Na", "aa"]],
        [["Xx", "a"]],
        "Na:a",
        [["Na", 1]],
        {"Na": "a"},
        [["Na", "a", "b"]],
    ],
    "formula": ["", 1, ["NaCl"], {"Na": 1}, True],
    "system": ["", 1, ["Na"], False],
    "host": ["", 1, [], {}, {"space_group": 225}],
}
ADD = [{"Li": 2}, {"Li": 2, "H": "any"}, {}, {"Li": 0}, {"Xx": 1}, {"Li": "some"}, {"Li": 201}, "Li", None]
NUMBERS = [None, 1, 4, 1000, 0, -1, 1.5, "4", True, 10**9, [1]]
GROUPS = [None, 1, 221, "Fm-3m", [225, "P1"], [225], 0, 231, [], 2.5, {"a": 1}, True, "x" * 41, [[225]]]
CELLS = [[5.6, 5.6, 5.6, 90, 90, 90], [4, 5, 6, 90, 95.0, 90], [1, 2, 3], [5, 5, 5, 90, 90, 0], "5,5,5", None]
PAIRS = [{"Na-Cl": 2}, {"O-O": 1.5}, {}, {"Na": 2}, {"Na-Cl": "x"}, {"Na-Cl": -1}, [1], True, None]
TERMS: dict[str, list[Any]] = {
    "cell": CELLS,
    "primitive_cell": CELLS,
    "cell_tolerance": [0, 0.02, 0.5, -1, "x", None],
    "volume": [100, 180.5, 0, -1, "big", None],
    "density": [2.2, 101, None],
    "min_distance": [1.5, 0, 21, *PAIRS],
    "coordination": [6, *PAIRS],
}


@st.composite
def orders(draw: st.DrawFn) -> dict[str, Any]:
    """Orders that are right, and wrong in every way that a schema can tell."""
    kinds = draw(st.lists(st.sampled_from(list(GOOD)), min_size=0, max_size=2, unique=True))
    result: dict[str, Any] = {
        kind: draw(st.sampled_from([*GOOD[kind] * 3, *BAD[kind], None])) for kind in kinds
    }
    if "host" in result or not draw(st.integers(0, 9)):
        result["add"] = draw(st.sampled_from([*ADD[:2] * 3, *ADD]))
    if draw(st.integers(0, 3)):
        result["space_group"] = draw(st.sampled_from(GROUPS))
    for name in draw(
        st.lists(st.sampled_from(["z", "atoms", "max_atoms", "max_sites", "count"]), max_size=2)
    ):
        result[name] = draw(st.sampled_from(NUMBERS))
    if not draw(st.integers(0, 3)):
        result["id"] = draw(st.sampled_from(["salt", 7, "a b", "", None, True, "-x", "x" * 101, 1.5]))
    for name in draw(st.lists(st.sampled_from(list(TERMS)), max_size=2, unique=True)):
        result[name] = draw(st.sampled_from(TERMS[name]))
    if not draw(st.integers(0, 9)):
        result["formulas"] = "NaCl"
    return result


BEYOND = (
    "has no",
    "must be at most",
    "letter",
    "multiplicity",
    "are those of one",
    "no letter",
    "unknown space group",
    "unknown element",
    "which the order does not hold",
    "has the cell",
    "has no volume",
    "no crystal can have",
    "the pair",
)
"""In words of the parser, what a schema cannot say."""


@given(orders())
def test_schema_and_parser_agree(order: dict[str, Any]) -> None:
    valid = SCHEMA.is_valid(json.loads(json.dumps(order)))
    try:
        parsed = parse_order(order)
    except OrderError as error:
        if valid:
            assert any(words in str(error) for words in BEYOND), (order, error)
    else:
        assert valid, order
        assert SCHEMA.is_valid(parsed.to_mapping())


def test_schemas_are_schemas_and_files_have_one() -> None:
    Draft202012Validator.check_schema(order_schema())
    Draft202012Validator.check_schema(orders_schema())
    files = Draft202012Validator(orders_schema())
    one = {"formula": "NaCl", "count": 3}
    for data in (one, [one, one], {"orders": [one]}):
        assert files.is_valid(data)
    for data in ([], {}, {"orders": []}, {"orders": one}, {"orders": [one], "more": 1}, "NaCl", [3]):
        assert not files.is_valid(data)


@pytest.mark.parametrize(
    "order",
    [
        {"formula": "NaCl", "z": 1, "atoms": 2},
        {"formula": "NaCl", "max_sites": 3},
        {"system": "Na-Cl", "z": 3},
        {"sites": {"Na": 1}},
        {"wyckoff": [["Na", "a"]]},
        {"formula": "NaCl", "system": "Na-Cl"},
        {"space_group": 225},
        {"formula": "NaCl", "volume": 100, "density": 2},
        {"formula": "NaCl", "cell_tolerance": 0.1},
    ],
)
def test_what_does_not_go_together_is_refused_by_both(order: dict[str, Any]) -> None:
    assert not SCHEMA.is_valid(order)
    with pytest.raises(OrderError):
        parse_order(order)
