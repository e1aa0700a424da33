"""Orders: what is understood, what is refused and how."""

from __future__ import annotations

import gzip
import json
import os
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from crystalsmith.errors import OrderError, SymmetryError
from crystalsmith.orders import Order, parse_order, parse_orders, read_orders
from crystalsmith.symmetry import space_group

EXAMPLES = int(os.environ.get("CRYSTALSMITH_EXAMPLES", "500"))
SALT = {"space_group": 225, "sites": {"Na": 1, "Cl": 1}}


def test_order_of_sites() -> None:
    order = parse_order({"id": "salt", "space_group": "F m -3 m", "sites": {"Na": 1, "Cl": 2}, "count": 3})
    assert (order.id, order.space_group, order.count) == ("salt", 225, 3)
    assert order.sites == {"Na": 1, "Cl": 2}
    assert order.wyckoff is None
    assert order == Order(225, sites={"Cl": 2, "Na": 1}, count=3, id="salt")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("Bmab", 64),
        ("C42/mmc", 132),
        ("C-1", 2),
        ("-P 2ybc", 14),
        ("D4h^17", 139),
        ("#225", 225),
        ("227:2", 227),
        ("Fm3̅m", 225),
        ("P6₃/mmc", 194),
        ("P2(1)/n", 14),
        ("P 21/m 21/m 2/n (origin choice 2)", 59),
    ],
)
def test_groups_by_any_name_where_no_letters_come_with_them(name: str, number: int) -> None:
    order = parse_order({"space_group": name, "sites": {"Na": 1, "Cl": 1}})
    assert order.space_group == number
    assert parse_order({"space_group": [name, 62], "formula": "NaCl"}).space_group == tuple(
        sorted({number, 62})
    )


def test_order_of_letters_may_carry_their_multiplicity() -> None:
    order = parse_order({"space_group": 221, "wyckoff": [["Sr", "1a"], ["Ti", "b"], ["O", "3c"]]})
    assert order.wyckoff == (("Sr", "a"), ("Ti", "b"), ("O", "c"))
    assert order.count == 1


def test_letter_with_freedom_and_the_27th_letter() -> None:
    order = parse_order({"space_group": 47, "wyckoff": [["O", "A"], ["O", "A"], ["Ti", "a"]]})
    assert order.content.check(order.bounds, 20) == 17


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sites": {"Xq": 1}}, ["unknown element 'Xq'"]),
        ({"sites": {"na": 1}}, ["unknown element 'na'", "Na"]),
        ({"sites": {"Sodium": 1}}, ["Sodium", "Na"]),
        ({"sites": {"Fe3+": 1}}, ["Fe"]),
        ({"sites": {"D": 1}}, ["H"]),
        ({"sites": {1: 1}}, ["unknown element 1"]),
        ({"sites": {}}, ["sites is empty"]),
        ({"sites": ["Na"]}, ["sites must map"]),
        ({"sites": {"Na": 0}}, ["'Na'", "at least 1", "0"]),
        ({"sites": {"Na": -2}}, ["at least 1", "-2"]),
        ({"sites": {"Na": 1.0}}, ["whole number", "1.0"]),
        ({"sites": {"Na": True}}, ["whole number", "True"]),
        ({"sites": {"Na": "1"}}, ["whole number", "'1'"]),
        ({"sites": {"Na": None}}, ["whole number"]),
        ({"sites": {"Na": 10**6}}, ["at most 200"]),
        ({"sites": {"Na": 150, "Cl": 150}}, ["300 sites"]),
        ({"sites": None}, ["one of sites, wyckoff", "none"]),
        ({"wyckoff": [["Na", "a"]]}, ["sites and wyckoff"]),
        ({"space_group": 231}, ["231", "1 to 230"]),
        ({"space_group": 0}, ["0"]),
        ({"space_group": True}, ["True"]),
        ({"space_group": 225.0}, ["225.0"]),
        ({"space_group": "Fm3n"}, ["Fm3n", "did you mean"]),
        ({"space_group": "P1" * 1000}, ["unknown space group"]),
        ({"space_group": None}, ["space_group is missing"]),
        (
            {"space_group": "I2/a", "sites": None, "wyckoff": [["Na", "a"]]},
            ["non-standard setting", "15", "letters"],
        ),
        ({"count": 0}, ["count", "at least 1"]),
        ({"count": 10**12}, ["count", "at most"]),
        ({"count": 10**5000}, ["count", "at most"]),
        ({"count": "three"}, ["count", "whole number"]),
        ({"count": float("nan")}, ["count", "whole number"]),
        ({"id": "../../etc/passwd"}, ["not safe", "etc-passwd"]),
        ({"id": "a b"}, ["not safe", "'a-b'"]),
        ({"id": ""}, ["id is empty"]),
        ({"id": True}, ["id must be a name"]),
        ({"id": "x" * 101}, ["not safe"]),
        ({"id": "\u0627"}, ["not safe"]),
        ({"spacegroup": 225}, ["unknown key 'spacegroup'", "space_group"]),
        ({"formula": "NaCl"}, ["one of sites, wyckoff, formula, system", "sites and formula"]),
        ({"!": "red"}, ["unknown key '!'", "known are id, space_group, sites, wyckoff, formula, system"]),
        ({7: 225}, ["unknown key 7"]),
    ],
)
def test_malformed_order_is_refused_in_one_line_with_the_reason(
    change: dict[Any, Any], words: list[str]
) -> None:
    with pytest.raises(OrderError) as caught:
        parse_order({**SALT, **change}, "orders.yaml, order 3")
    message = str(caught.value)
    assert message.startswith("orders.yaml, order 3")
    assert "\n" not in message and len(message) < 500
    for word in words:
        assert word in message


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ([["Na", "a"], ["Cl", "a"]], ["no free parameter", "both Na and Cl", "e, f"]),
        ([["Na", "a"], ["Na", "a"]], ["no free parameter", "twice"]),
        ([["Na", "z"]], ["no Wyckoff letter 'z'", "225"]),
        ([["Na", "A"]], ["no Wyckoff letter 'A'"]),
        ([["Na", "8a"]], ["4a", "8a"]),
        ([["Na", 1]], ["one letter"]),
        ([["Na", ""]], ["one letter"]),
        ([["Na"]], ["[element, letter]"]),
        (["Na"], ["[element, letter]"]),
        ("Na:a", ["must be a list"]),
        ({"Na": "a"}, ["must be a list"]),
        ([], ["empty"]),
        ([["Na", "l"]] * 500, ["500 sites"]),
    ],
)
def test_malformed_letters_are_refused(pairs: Any, words: list[str]) -> None:
    with pytest.raises(OrderError) as caught:
        parse_order({"space_group": 225, "wyckoff": pairs})
    for word in words:
        assert word in str(caught.value)


def test_ids_come_from_content_and_repeats_are_numbered() -> None:
    perovskite = {"space_group": 221, "wyckoff": [["Sr", "a"], ["Ti", "b"], ["O", "c"]]}
    orders = parse_orders([SALT, perovskite, {"space_group": 62, "sites": {"O": 3, "Li": 1}}, SALT])
    assert [o.id for o in orders] == ["225-Na-Cl", "221-Sr.a-Ti.b-O.c", "62-O3-Li", "225-Na-Cl-2"]
    long = parse_order({"space_group": 1, "wyckoff": [["Na", "a"]] * 150})
    assert len(long.id) <= 60
    assert long.id != parse_order({"space_group": 1, "wyckoff": [["Na", "a"]] * 151}).id


def test_ids_that_repeat_are_refused_whatever_their_case() -> None:
    with pytest.raises(OrderError, match="two orders have the id salt"):
        parse_orders([{**SALT, "id": "Salt"}, {**SALT, "id": "salt"}])


def test_number_as_id_is_a_name() -> None:
    assert parse_order({**SALT, "id": 17}).id == "17"


def test_order_is_validated_in_python_too() -> None:
    with pytest.raises(OrderError, match="unknown element"):
        Order(225, sites={"Xx": 1})
    with pytest.raises(OrderError, match="one of sites, wyckoff"):
        Order(225)


SALT_JSON = '{"id": "salt", "space_group": 225, "sites": {"Na": 1, "Cl": 1}, "count": 2}'
CAESIUM_JSON = '{"space_group": "Pm-3m", "wyckoff": [["Cs", "a"], ["Cl", "b"]]}'
SALT_YAML = "{id: salt, space_group: 225, sites: {Na: 1, Cl: 1}, count: 2}"
FILES = {
    "list.yaml": f"- {SALT_YAML}\n- space_group: Pm-3m\n  wyckoff: [[Cs, a], [Cl, b]]\n",
    "mapping.yml": f"orders:\n  - {SALT_YAML}\n  - {{space_group: Pm-3m, wyckoff: [[Cs, a], [Cl, b]]}}\n",
    "list.json": f"[{SALT_JSON},\n{CAESIUM_JSON}]",
    "lines.jsonl": f"{SALT_JSON}\n\n{CAESIUM_JSON}\n",
}


@pytest.mark.parametrize("rename", [str, lambda name: "orders", lambda name: name + ".gz"])
@pytest.mark.parametrize("name", FILES)
def test_every_format_by_name_and_by_content(tmp_path: Any, name: str, rename: Any) -> None:
    path = tmp_path / rename(name)
    raw = FILES[name].encode()
    path.write_bytes(gzip.compress(raw) if path.name.endswith(".gz") else b"\xef\xbb\xbf" + raw)
    salt, caesium = read_orders(path)
    assert salt == Order(225, sites={"Na": 1, "Cl": 1}, count=2, id="salt")
    assert caesium == Order(221, wyckoff=[("Cs", "a"), ("Cl", "b")])


def test_single_order_in_a_file(tmp_path: Any) -> None:
    path = tmp_path / "one.yaml"
    path.write_text("space_group: 225\nsites: {Na: 1, Cl: 1}\n")
    assert read_orders(path) == [Order(225, sites={"Na": 1, "Cl": 1})]


def test_yaml_leaves_nobelium_dates_and_octals_alone(tmp_path: Any) -> None:
    path = tmp_path / "orders.yaml"
    path.write_text("- {id: 2024-01-01, space_group: 010, sites: {No: 1, Y: 1}}\n")
    (order,) = read_orders(path)
    assert (order.id, order.space_group, order.sites) == ("2024-01-01", 10, {"No": 1, "Y": 1})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.yaml", "", ["empty"]),
        ("a.yaml", " \n\n", ["empty"]),
        ("a.yaml", "[]", ["no orders"]),
        ("a.yaml", "just text", ["an order maps names"]),
        ("a.yaml", "- {space_group: 225, sites: {Na: 1, Na: 2}}", ["line 1", "'Na' stands twice"]),
        ("a.yaml", "- {space_group: 225, sites: {Na: 1}\n- x", ["line 2"]),
        ("a.yaml", "- !!python/object/apply:os.system ['true']", ["line 1"]),
        ("a.yaml", "- !!timestamp x", ["not valid YAML"]),
        ("a.yaml", "&a [*a]", ["order 1"]),
        ("a.yaml", "? [1, 2]\n: 3", ["a.yaml"]),
        ("a.yaml", "? {a: 1}\n: 3", ["key must be plain"]),
        ("a.yaml", "[" * 3000, ["a.yaml"]),
        ("a.yaml", "orders: 3", ["orders must be a list"]),
        ("a.yaml", "orders: []\nseed: 1", ["unknown key 'seed'"]),
        ("a.json", "[" * 100_000, ["nested too deeply"]),
        ("a.json", '{"space_group": 225,', ["a.json"]),
        ("a.json", '{"space_group": 225, "space_group": 226}', ["'space_group' stands twice"]),
        ("a.jsonl", '{"space_group": 225, "sites": {"Na": 1}}\n{"space_group"', ["line 2"]),
        (
            "a.jsonl",
            '{"space_group": 225, "sites": {"Na": 1}}\n{"space_group": 225, "sites": {"Zz": 1}}',
            ["line 2", "'Zz'"],
        ),
        ("a.jsonl", '{"id": "x", "space_group": 225, "sites": {"Na": 0}}', ["line 1 (x)"]),
        ("a.jsonl", '{"count": ' + "9" * 5000 + "}", ["line 1"]),
        ("a.yaml", b"\xff\xfe\x00", ["UTF-8"]),
        ("a.yaml", gzip.compress(b"space_group: 225" * 100, mtime=0)[:-20], ["gzip"]),
    ],
)
def test_malformed_file_is_refused_in_one_line(
    tmp_path: Any, name: str, content: Any, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(OrderError) as caught:
        read_orders(path)
    message = str(caught.value)
    assert str(path) in message and "\n" not in message
    for word in words:
        assert word in message


def test_missing_file_and_folder(tmp_path: Any) -> None:
    with pytest.raises(OrderError, match="no such file"):
        read_orders(tmp_path / "nothing.yaml")
    with pytest.raises(OrderError, match="cannot be read"):
        read_orders(tmp_path)
    with pytest.raises(OrderError, match="cannot be read"):
        read_orders("a\0b")


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["Na", "Cl", "a", "b", "Pm-3m", 225, 1, 10**30]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(max_size=4) | st.sampled_from(["Na", "O"]) | st.integers(), inner, max_size=3
        )
    ),
    max_leaves=8,
)
SITES = (
    st.dictionaries(st.sampled_from(["Na", "Cl", "O", "Xx", "fe"]), st.integers(-1, 4) | PLAIN, max_size=3)
    | PLAIN
)
PAIRS = (
    st.lists(
        st.tuples(st.sampled_from(["Na", "O", "Qq"]) | PLAIN, st.sampled_from("abcdeAZ") | PLAIN), max_size=4
    )
    | PLAIN
)
NUMBERS = st.floats(-1, 1100) | st.sampled_from([5.0, 5.0, 90.0, 90.0, 120.0, 60])
CELL = (
    st.lists(NUMBERS, min_size=5, max_size=7)
    | st.sampled_from(
        [[4, 4, 4, 90, 90, 90], [4, 5, 6, 80, 95, 100], [5, 5, 5, 60, 60, 60], [5, 5, 9, 90, 90, 120]]
    )
    | PLAIN
)
BY_PAIR = (
    st.dictionaries(st.sampled_from(["Na-O", "O-O", "Na-Qq", "Na", ""]), st.floats(-1, 30) | PLAIN) | PLAIN
)
SITE = st.fixed_dictionaries(
    {
        "element": st.sampled_from(["O", "Qq"]) | PLAIN,
        "letter": st.sampled_from("abz"),
        "free": st.lists(NUMBERS),
    }
)
HOST = (
    st.fixed_dictionaries(
        {
            "space_group": st.integers(-1, 231) | PLAIN,
            "cell": CELL,
            "sites": st.lists(SITE, max_size=2) | PLAIN,
        }
    )
    | st.sampled_from(["", "no-such-file.cif", "\0"])
    | PLAIN
)
ORDERS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=6) | PLAIN,
        "space_group": st.integers(-1, 232) | st.sampled_from(["Fm-3m", "P1", "R3c:H"]) | PLAIN,
        "sites": SITES,
        "wyckoff": PAIRS,
        "formula": st.sampled_from(["NaCl", "Ca(OH)2", "Fe0", "La1.8O3", "Xy"])
        | st.text("CaO2()", max_size=6),
        "system": st.sampled_from(["Cu-K-Si", "K K", "Na,Cl"]) | PLAIN,
        **{key: st.integers(-1, 60) | PLAIN for key in ("z", "atoms", "max_atoms", "max_sites")},
        "count": st.integers(-1, 5) | PLAIN,
        **{key: CELL for key in ("cell", "primitive_cell")},
        **{key: st.floats(-1, 200) | PLAIN for key in ("volume", "density", "cell_tolerance")},
        **{key: st.floats(-1, 30) | BY_PAIR for key in ("min_distance", "coordination")},
        "host": HOST,
        "add": st.dictionaries(st.sampled_from(["Li", "H", "Qq"]), st.integers(-1, 9) | st.just("any"))
        | PLAIN,
        "cuont": PLAIN,
    },
)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(ORDERS | PLAIN)
@example({"space_group": "²", "sites": {"Na": 1}})
@example({"space_group": 1, "wyckoff": [["Na", "²"]]})
def test_no_order_whatever_leads_to_another_error(data: Any) -> None:
    try:
        order = parse_order(data)
    except (OrderError, SymmetryError) as error:
        assert len(str(error).splitlines()) == 1
        return
    assert parse_order(json.loads(json.dumps(order.to_mapping()))) == order
    if order.wyckoff is not None:
        letters = space_group(order.space_group).wyckoff
        fixed = [letter for _, letter in order.wyckoff if letters[letter].dof == 0]
        assert len(fixed) == len(set(fixed))


@settings(max_examples=EXAMPLES // 2, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.text() | st.binary() | (ORDERS | st.lists(ORDERS)).map(repr),
    st.sampled_from([".yaml", ".json", ".jsonl", ".csv", ""]),
)
@example("!!bool foo", ".yaml")
@example("!!binary é", ".yaml")
@example("<<: 3", ".yaml")
@example("id,cell\n\0,1", ".csv")
@example('formula,cell\nNaCl,"!!binary é"', ".csv")
def test_no_file_whatever_leads_to_another_error(
    tmp_path_factory: Any, content: str | bytes, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"orders{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    try:
        read_orders(path)
    except (OrderError, SymmetryError) as error:
        assert len(str(error).splitlines()) == 1
