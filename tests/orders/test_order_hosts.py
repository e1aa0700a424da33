"""Orders for what a host takes up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crystalsmith.conditions import FixedCell, FixedSites
from crystalsmith.crystal import Crystal, Site
from crystalsmith.errors import ImpossibleOrder, OrderError
from crystalsmith.orders import parse_order
from crystalsmith.orders.frequencies import WyckoffPrior
from crystalsmith.orders.hosts import Host
from crystalsmith.orders.sources import Frequencies

OXYGEN = Crystal(225, (4.62, 4.62, 4.62, 90, 90, 90), (Site("O", "a"),))
# Brucite without its hydrogen.
LAYERS = Crystal(164, (3.142, 3.142, 4.766, 90, 90, 120), (Site("Mg", "a"), Site("O", "d", (0.2203,))))
SOURCE = Frequencies(WyckoffPrior(np.zeros((1731, 6))))


def recipes(order: Any, number: int = 500) -> list[Any]:
    found = order.content.likely(order.bounds, SOURCE, 200, number)
    assert found is not None
    return found


def test_lithium_in_oxygen() -> None:
    order = parse_order({"host": OXYGEN, "add": {"Li": 2}})
    assert order.content.elements == ("O", "Li")
    assert order.content.check(order.bounds, 200) == 3
    found = recipes(order)
    assert all(r.n_atoms == 3 and r.sites[0][0] == "O" for r in found)
    fluorite = next(r for r in found if r.space_group == 225)
    assert fluorite.sites == (("O", "a"), ("Li", "c"))
    assert fluorite.conditions == (FixedCell(OXYGEN.cell), FixedSites(((0, ()),)))
    assert {r.space_group for r in found} > {225, 216, 166, 1}
    free = next(r for r in found if r.space_group == 1)
    assert free.freedom == 6  # the oxygen does not move


def test_the_group_can_be_named() -> None:
    order = parse_order({"host": OXYGEN, "add": {"Li": 2}, "space_group": [216, 160]})
    assert {r.space_group for r in recipes(order)} == {216, 160}
    with pytest.raises(ImpossibleOrder, match="no room for 2 Li in O in P2_1/c"):
        wrong = parse_order({"host": OXYGEN, "add": {"Li": 2}, "space_group": 14})
        wrong.content.check(wrong.bounds, 200)


def test_no_atom_is_put_onto_the_host() -> None:
    for recipe in recipes(parse_order({"host": LAYERS, "add": {"H": 1}})):
        letters = {letter for element, letter in recipe.sites if element == "H"}
        assert recipe.space_group != 164 or letters == {"b"}  # a is magnesium's, c and d have two atoms


def test_any_number_prefers_what_charges_and_room_allow() -> None:
    order = parse_order({"host": LAYERS, "add": {"H": "any"}})
    found = recipes(order)
    hydrogen = [sum(1 for e, _ in r.sites if e == "H") and r.n_atoms - 3 for r in found]
    assert hydrogen[0] == 2 and set(hydrogen) > {1, 2, 3}
    few = parse_order({"host": LAYERS, "add": {"H": "any"}, "max_atoms": 4})
    assert {r.n_atoms for r in recipes(few)} == {4}


def test_a_file_and_its_order_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "host.cif").write_text(LAYERS.to_cif())
    order = parse_order({"host": str(tmp_path / "host.cif"), "add": {"H": 2}, "cell_tolerance": 0.02})
    assert isinstance(order.content, Host) and order.content.crystal.formula == "MgO2"
    assert order.id == "MgO2-H2"
    again = parse_order(order.to_mapping())
    assert again == order and again.content == order.content and hash(again) == hash(order)


def test_a_cell_of_its_own_choice_keeps_its_translations(tmp_path: Path) -> None:
    """A doubled cell without symmetry: its atoms have twice the translations, the crystals need not."""
    from pymatgen.core import Structure

    structure = Structure(
        [[4, 0, 0], [0, 4, 0], [0, 0, 12]], ["Po"] * 3, [[0, 0, 0], [0, 0, 1 / 3], [0, 0, 2 / 3]]
    )
    structure.to(filename=str(tmp_path / "POSCAR"), fmt="poscar")
    order = parse_order({"host": str(tmp_path / "POSCAR"), "add": {"H": 1}})
    assert order.content.crystal.n_atoms == 3
    assert all(r.n_atoms == 4 for r in recipes(order))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"host": "no-such.cif", "add": {"Li": 1}}, "no-such.cif"),
        ({"host": ".", "add": {"Li": 1}}, "is a folder"),
        ({"host": OXYGEN}, "goes with add"),
        ({"add": {"Li": 1}, "formula": "NaCl"}, "add goes with host"),
        ({"host": OXYGEN, "add": {}}, "must map elements"),
        ({"host": OXYGEN, "add": {"Li": 0}}, "at least 1"),
        ({"host": OXYGEN, "add": {"Li": 1.5}}, "whole number"),
        ({"host": OXYGEN, "add": {"Li": "some"}}, "whole number"),
        ({"host": OXYGEN, "add": {"Xx": 1}}, "unknown element"),
        ({"host": 3, "add": {"Li": 1}}, "must be a file"),
        ({"host": {"space_group": 1}, "add": {"Li": 1}}, "not the data of a crystal"),
        ({"host": OXYGEN, "add": {"Li": 1}, "volume": 100}, "does not go with host"),
        ({"host": OXYGEN, "add": {"Li": 1}, "z": 4}, "does not go with host"),
        ({"host": OXYGEN, "add": {"Li": 1}, "formula": "Li2O"}, "host"),
    ],
)
def test_what_is_wrong_is_refused_in_one_line(values: dict[str, Any], words: str) -> None:
    with pytest.raises(OrderError, match=words) as caught:
        parse_order(values)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_crystal(tmp_path: Path) -> None:
    (tmp_path / "x.cif").write_text("not a crystal")
    with pytest.raises(OrderError, match=r"x\.cif"):
        parse_order({"host": str(tmp_path / "x.cif"), "add": {"H": 1}})
