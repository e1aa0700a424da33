"""Orders for formulas, systems, ranges and several space groups: what is understood and what is refused."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crystalsmith.assignments import list_assignments, positions_of
from crystalsmith.errors import ImpossibleOrder, OrderError
from crystalsmith.orders import Order, check_orders, parse_order, parse_orders, sort_out
from crystalsmith.orders.words import parse_sites, parse_space_groups
from fake_model import FakeModel
from priors import known_occupations, small_network

SALT_SITES = {"Na": 1, "Cl": 1}


def clever() -> FakeModel:
    """A model with a prior."""
    return FakeModel(prior=small_network(), occupations=known_occupations())


# What is understood.


def test_formula_order() -> None:
    order = parse_order({"formula": "O3 Sr Ti", "space_group": "Pm-3m", "z": 2, "max_atoms": 10, "count": 4})
    assert (order.formula, order.space_group, order.z, order.max_atoms) == ("SrTiO3", 221, 2, 10)
    assert order.sites is None and order.wyckoff is None and order.system is None
    assert order == Order(221, formula="SrTiO3", z=2, max_atoms=10, count=4)
    assert order.content.elements == ("Sr", "Ti", "O")
    assert parse_order({"formula": "Ca(OH)2"}).formula == "CaH2O2"
    # As it was written: z counts units of this size.
    assert parse_order({"formula": "Ti2O4", "z": 1}) != parse_order({"formula": "TiO2", "z": 1})


def test_system_order() -> None:
    order = parse_order({"system": "Si-Cu, K", "max_sites": 5, "space_group": [2, "Fm-3m", 2]})
    assert (order.system, order.max_sites, order.space_group) == ("Cu-K-Si", 5, (2, 225))
    assert order == Order(["Fm-3m", 2], system="K-Si-Cu", max_sites=5)  # type: ignore[arg-type]


def test_ranges_and_lists() -> None:
    order = parse_order({"space_group": [225, "Pm-3m"], "sites": {"K": "1-2", "Cl": [2, 3], "O": "2-2"}})
    assert order.space_group == (221, 225)
    assert order.sites == {"K": "1-2", "Cl": "2-3", "O": 2}
    assert order == Order((221, 225), sites={"K": " 1 - 2 ", "Cl": "2-3", "O": 2})
    assert parse_order({"space_group": ["Fm-3m", 225], "sites": SALT_SITES}).space_group == 225
    assert order.groups_name == "Pm-3m (221), Fm-3m (225)"
    assert Order(list(range(1, 10)), sites=SALT_SITES).groups_name == "9 space groups"  # type: ignore[arg-type]
    assert Order(formula="NaCl").groups_name == "any"


def test_space_groups_as_typed() -> None:
    assert parse_space_groups("Fm-3m") == "Fm-3m"
    assert parse_space_groups("225") == "225"
    assert parse_space_groups("195-230") == list(range(195, 231))
    assert parse_space_groups("2, P-1,10-12") == ["2", "P-1", 10, 11, 12]
    assert parse_space_groups("P2_1/c") == "P2_1/c"
    assert parse_sites("K=1-2,Cl=3") == {"K": "1-2", "Cl": 3}
    # What makes no sense is left for the order to refuse.
    wrong = {"12-10": "12-10", "0-3": "0", "229-231": "231", "1-99999": "lists 99999 groups", ",": "','"}
    for text, words in wrong.items():
        with pytest.raises(OrderError, match=words):
            parse_order({"space_group": parse_space_groups(text), "sites": SALT_SITES})


ORDERS: list[dict[str, Any]] = [
    {"formula": "NaCl"},
    {"formula": "Na2Cl2"},
    {"formula": "NaCl", "z": 4},
    {"formula": "NaCl", "atoms": 4},
    {"formula": "NaCl", "max_atoms": 4},
    {"formula": "NaCl", "space_group": 225},
    {"formula": "NaCl", "space_group": [221, 225]},
    {"formula": "NaCl", "space_group": "221"},
    {"formula": "Li7Na7K7Rb7Cs7Be7Mg7Ca7Sr7Ba7O7S7H3Al3Ga3In3"},
    {"formula": "Li7Na7K7Rb7Cs7Be7Mg7Ca7Sr7Ba7O7S7H3Al3Ga3In4"},
    {"system": "Cu-K-Si"},
    {"system": "Cu-K"},
    {"system": "Cu-K-Si", "max_sites": 5},
    {"system": "Cu-K-Si", "max_atoms": 5},
    {"system": "Cu-K-Si", "max_atoms": 5, "max_sites": 5},
    {"sites": {"K": "1-2", "Cl": 1}, "space_group": 225},
    {"sites": {"K": 1, "Cl": "1-2"}, "space_group": 225},
    {"sites": {"K": 1, "Cl": 1}, "space_group": 225},
    {"sites": {"K": 1, "Cl": 1}, "space_group": [1, 225]},
    {"sites": {"K": 12, "Cl": 1}, "space_group": 225},
]


def test_ids_are_file_names_and_differ() -> None:
    ids = [parse_order(o).id for o in ORDERS]
    assert len({i.lower() for i in ids}) == len(ids)
    for name in ids:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}", name), name
    assert ids[0] == "NaCl" and "Cu-K-Si" in ids
    # Whatever gets the same name is numbered within a run.
    alike = [{"space_group": [1, 3, 9], "formula": "NaCl"}, {"space_group": [1, 5, 9], "formula": "NaCl"}]
    assert len({o.id for o in parse_orders([*alike, *alike])}) == 4


GROUPS = st.integers(1, 230) | st.lists(st.integers(1, 230), min_size=1, max_size=5)
SYMBOLS = st.lists(st.sampled_from(["Na", "Cl", "O", "Cu", "Si"]), min_size=1, max_size=4, unique=True)
SIZE = st.integers(1, 200)
RANGES = st.integers(1, 5) | st.tuples(st.integers(1, 4), st.integers(4, 9)).map(lambda r: f"{r[0]}-{r[1]}")
COMMON: dict[str, Any] = {"count": st.integers(1, 9), "id": st.sampled_from(["a", "x-1"])}
FORMULAS = st.lists(
    st.tuples(st.sampled_from(["Na", "Cl", "O", "Cu", "Si"]), st.sampled_from(["", "2", "7", "12"])),
    min_size=1,
).map(lambda parts: "".join(e + n for e, n in parts))
FORMULA_ORDERS = st.fixed_dictionaries(
    {"formula": FORMULAS}, optional={"space_group": GROUPS, "max_atoms": SIZE, **COMMON}
)
SYSTEM_ORDERS = st.fixed_dictionaries(
    {"system": SYMBOLS.map("-".join)},
    optional={"space_group": GROUPS, "max_atoms": SIZE, "max_sites": SIZE, **COMMON},
)
SITES = st.dictionaries(st.sampled_from(["Na", "Cl", "O"]), RANGES, min_size=1)
SITE_ORDERS = st.fixed_dictionaries(
    {"sites": SITES, "space_group": GROUPS}, optional={"max_atoms": SIZE, **COMMON}
)
VALID = (
    FORMULA_ORDERS.flatmap(lambda o: st.sampled_from([o, {**o, "z": 3}, {**o, "atoms": 12}]))
    | SYSTEM_ORDERS
    | SITE_ORDERS
)


@given(VALID)
def test_round_trip_through_plain_data(mapping: dict[str, Any]) -> None:
    order = parse_order(mapping)
    plain = json.loads(json.dumps(order.to_mapping()))
    again = parse_order(plain)
    assert again == order and hash(again) == hash(order)
    assert again.to_mapping() == order.to_mapping()
    assert set(plain) == {*mapping, "id", "count"}
    for key in ("max_atoms", "max_sites", "z", "atoms"):
        assert plain.get(key) == mapping.get(key)


# What is refused.


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"formula": ""}, "the formula is empty"),
        ({"formula": "  "}, "the formula is empty"),
        ({"formula": "Na(Cl"}, "not understood"),
        ({"formula": "NaCl!"}, "not understood"),
        ({"formula": "salt"}, "not understood"),
        ({"formula": "La1.85Sr0.15CuO4"}, "fractional numbers"),
        ({"formula": "NaXx"}, "Xx is no chemical element"),
        ({"formula": "D2O"}, "D is no chemical element; write H"),
        ({"formula": "Fe0O"}, "no atom of Fe"),
        ({"formula": 7}, "formula is text"),
        ({"formula": ["NaCl"]}, "formula is text"),
        ({"formula": "C9999"}, "more than 1000 atoms"),
        ({"formula": "NaCl", "z": 0}, "z must be at least 1, not 0"),
        ({"formula": "NaCl", "z": -4}, "z must be at least 1, not -4"),
        ({"formula": "NaCl", "z": 1.5}, "z must be a whole number, not 1.5"),
        ({"formula": "NaCl", "z": "4"}, "z must be a whole number, not '4'"),
        ({"formula": "NaCl", "z": True}, "z must be a whole number, not True"),
        ({"formula": "NaCl", "z": 10**9}, "z must be at most 1000"),
        ({"formula": "NaCl", "atoms": 0}, "atoms must be at least 1, not 0"),
        ({"formula": "NaCl", "max_atoms": 0}, "max_atoms must be at least 1, not 0"),
        ({"formula": "NaCl", "max_atoms": 2000}, "max_atoms must be at most 1000"),
        ({"formula": "NaCl", "z": 4, "atoms": 2}, "z and atoms both tell how large the cell is"),
        ({"formula": "NaCl", "max_sites": 2}, "does not go with formula; it takes z, atoms, max_atoms"),
        ({"formula": "NaCl", "space_group": []}, "space_group is an empty list"),
        ({"formula": "NaCl", "space_group": [225, 231]}, "231"),
        ({"formula": "NaCl", "space_group": [[225]]}, "space group"),
        ({"formula": "NaCl", "space_group": [True]}, "True"),
        ({"formula": "NaCl", "space_group": [1] * 231}, "lists 231 groups"),
        ({"formula": "NaCl", "system": "Na-Cl"}, "this one has formula and system"),
        ({"system": ""}, "system is empty"),
        ({"system": " - "}, "system is empty"),
        ({"system": "Cu-Xx"}, "unknown element 'Xx'"),
        ({"system": "Cu-cu"}, "did you mean Cu"),
        ({"system": "Cu-K-Cu"}, "names an element twice"),
        ({"system": "H-He-Li-Be-B-C-N"}, "names 7 elements; at most 6"),
        ({"system": ["Cu", "K"]}, "system must name elements"),
        ({"system": "Cu-K", "z": 1}, "z does not go with system; it takes max_atoms, max_sites"),
        ({"system": "Cu-K", "max_sites": 0}, "max_sites must be at least 1"),
        ({"sites": {"K": "1-2"}}, "space_group is missing"),
        ({"sites": {"K": "2-1"}, "space_group": 1}, "the range 2-1 is upside down; write 1-2"),
        ({"sites": {"K": "0-1"}, "space_group": 1}, "at least 1, not 0"),
        ({"sites": {"K": "1-"}, "space_group": 1}, "whole number, not '1-'"),
        ({"sites": {"K": "1-2-3"}, "space_group": 1}, "whole number, not '1-2-3'"),
        ({"sites": {"K": [1]}, "space_group": 1}, "a lowest and a highest"),
        ({"sites": {"K": [1, 2, 3]}, "space_group": 1}, "a lowest and a highest"),
        ({"sites": {"K": [1, 2.5]}, "space_group": 1}, "whole number, not 2.5"),
        ({"sites": {"K": "1-300"}, "space_group": 1}, "at most 200"),
        ({"sites": {"K": "1-150", "O": "1-150"}, "space_group": 1}, "300 sites"),
        ({"sites": {"K": 1}, "space_group": 1, "z": 2}, "z does not go with sites; it takes max_atoms"),
        ({"wyckoff": [["K", "a"]], "space_group": [1, 2]}, "letters are those of one space group"),
        ({"wyckoff": [["K", "a"]]}, "letters are those of one space group"),
        ({"wyckoff": [["K", "a"]], "space_group": 1, "z": 9}, "does not go with wyckoff; leave it out"),
    ],
)
def test_malformed_orders(mapping: dict[str, Any], words: str) -> None:
    with pytest.raises(OrderError) as caught:
        parse_order({"id": "mine", **mapping}, "orders.jsonl line 7")
    message = str(caught.value)
    assert message.startswith("orders.jsonl line 7 (mine): ") and "\n" not in message and len(message) < 300
    assert words in message
    assert not isinstance(caught.value, ImpossibleOrder)


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"formula": "NaCl", "atoms": 3}, "3 atoms are no multiple of the 2 atoms of NaCl"),
        ({"formula": "NaCl", "atoms": 3, "space_group": 225}, "no multiple of the 2 atoms of NaCl"),
        ({"formula": "NaCl", "space_group": 230, "atoms": 2}, "Ia-3d (230)"),
        ({"formula": "NaCl", "space_group": 225, "z": 3}, "does not fill the 4 primitive cells"),
        ({"formula": "NaCl", "space_group": [225, 227], "z": 5}, "z = 5 in Fm-3m (225), Fd-3m (227)"),
        ({"formula": "SrTiO3", "max_atoms": 4}, "at most 4 atoms in any space group"),
        (
            {"formula": "NaCl", "space_group": 230, "max_atoms": 15},
            "of up to 15 atoms in Ia-3d (230)",
        ),
        (
            {"formula": "NaCl", "space_group": 1, "z": 1000},
            "needs at least 2000 atoms in the primitive cell; the limit is",
        ),
        ({"system": "Cu-K-Si", "max_atoms": 2}, "at least as many atoms; raise max_atoms from 2"),
        ({"system": "Cu-K-Si", "max_sites": 2}, "at least as many sites; raise max_sites from 2"),
        ({"system": "Cu-K-Si", "space_group": 230, "max_atoms": 20}, "Ia-3d (230) needs at least 28 atoms"),
        ({"system": "Cu-K-Si", "space_group": [230], "max_atoms": 28}, "was found within the bounds"),
        ({"sites": {"K": "12-14"}, "space_group": [225, 230]}, "needs at least 58 atoms"),
    ],
)
def test_impossible_orders(mapping: dict[str, Any], words: str) -> None:
    order = parse_order({"id": "mine", **mapping}, "orders.jsonl line 7")
    with pytest.raises(ImpossibleOrder) as caught:
        check_orders([order], clever())
    message = str(caught.value)
    assert message.startswith("orders.jsonl line 7 (mine): ") and "\n" not in message
    assert words in message


def test_impossible_orders_are_sorted_out() -> None:
    orders = parse_orders([{"formula": "NaCl"}, {"formula": "NaCl", "atoms": 3}, {"system": "Na-Cl"}], "x")
    checked = sort_out(orders, clever())
    assert checked.orders == [orders[0], orders[2]]
    (refusal,) = checked.refused
    assert refusal.order is orders[1] and str(refusal).startswith("x, order 2 (NaCl-atoms3): 3 atoms")
    with pytest.raises(ImpossibleOrder, match=r"order 2 .* \(and 1 more orders\)"):
        sort_out([orders[1], orders[1]], clever())


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"formula": "NaCl", "atoms": 60}, "has 60 atoms"),
        ({"formula": "NaCl", "space_group": 1, "z": 27}, "has 54 atoms"),
        ({"formula": "NaCl", "max_atoms": 60}, "may have 60 atoms"),
        ({"formula": "Ca19Si17O18"}, "has 54 atoms"),
        ({"system": "Na-Cl", "max_atoms": 53}, "may have 53 atoms"),
        ({"sites": {"Na": 1}, "space_group": 225, "max_atoms": 100}, "may have 100 atoms"),
    ],
)
def test_more_atoms_than_the_model_was_trained_on_are_warned_of(mapping: dict[str, Any], words: str) -> None:
    (note,) = check_orders([parse_order({"id": "mine", **mapping})], clever())
    assert f"order mine {words} in the primitive cell" in note and "at most 52" in note
    within = {**mapping, "formula": "NaCl"} if "formula" in mapping else dict(mapping)
    for key in ("z", "atoms", "max_atoms"):
        within.pop(key, None)
    assert check_orders([parse_order(within)], clever()) == []


def test_orders_that_need_a_prior_which_is_not_there() -> None:
    for mapping in ({"formula": "NaCl"}, {"system": "Na-Cl"}):
        with pytest.raises(ImpossibleOrder, match=r"checkpoint lacks; add one with crystalsmith train-prior"):
            check_orders([parse_order(mapping)], FakeModel())
        with pytest.raises(ImpossibleOrder, match="leave --letters frequencies out"):
            check_orders([parse_order(mapping)], clever(), "frequencies")
        assert check_orders([parse_order(mapping)], clever(), "drawn") == []
    assert check_orders([Order(225, sites=SALT_SITES)], FakeModel()) == []
    assert check_orders([Order(225, sites=SALT_SITES)], clever(), "frequencies") == []


# How many assignments there are.


@pytest.mark.parametrize(
    ("mapping", "counts"),
    [
        ({"formula": "NaCl", "space_group": 225, "atoms": 2}, {225: [(1, 1)]}),
        ({"formula": "TiO2", "space_group": [136, 141], "z": 4}, {136: [(4, 8)], 141: [(2, 4)]}),
        ({"formula": "SrTiO3", "space_group": 221, "max_atoms": 11}, {221: [(1, 1, 3), (2, 2, 6)]}),
    ],
)
def test_formulas_say_how_many_assignments_there_are(
    mapping: dict[str, Any], counts: dict[int, list[tuple[int, ...]]]
) -> None:
    order = parse_order(mapping)
    listed = sum(len(list(list_assignments(g, n))) for g, all_n in counts.items() for n in all_n)
    assert order.content.choices(order.bounds, 52) == listed > 0


def test_sites_say_how_many_assignments_there_are() -> None:
    order = Order((221, 225), sites={"Na": 1, "Cl": 1}, max_atoms=2)
    ways = 0
    for g in (221, 225):
        p = positions_of(g)
        ones = [k for k in range(len(p)) if p.size[k] == 1]
        assert all(p.fixed[k] for k in ones)
        ways += 2 * len(list(combinations(ones, 2)))
    assert order.content.choices(order.bounds, 52) == ways
    ranges = Order(225, sites={"Na": "1-2", "Cl": 1})
    single = [Order(225, sites={"Na": n, "Cl": 1}) for n in (1, 2)]
    assert ranges.content.choices(ranges.bounds, 52) == sum(o.content.choices(o.bounds, 52) for o in single)
    # Formulas in all groups and many cells take too long to count.
    wide = Order(formula="Na")
    assert wide.content.choices(wide.bounds, 52) is None
