"""The bond check by pair of elements."""

from __future__ import annotations

import numpy as np
import pytest

from crystals import KNOWN
from crystalsmith.crystal import SYMBOLS, Crystal, Site
from crystalsmith.crystal.bonds import bond_limits, short_bond, shortest_bonds


def molecules(first: str, second: str, length: float, edge: float = 8.0) -> Crystal:
    """Pairs of atoms far apart from each other, in a cell without symmetry."""
    sites = (Site(first, "a", (0.1, 0.1, 0.1)), Site(second, "a", (0.1 + length / edge, 0.1, 0.1)))
    return Crystal(1, (edge, edge + 0.1, edge + 0.2, 90, 90, 90), sites)


def cubic(group: int, a: float, *sites: str) -> Crystal:
    return Crystal(group, (a, a, a, 90, 90, 90), tuple(Site(*s.split(":")) for s in sites))


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_known_crystals_pass(name):
    assert short_bond(KNOWN[name]) is None


@pytest.mark.parametrize(
    ("first", "second", "right", "wrong"),
    [
        ("H", "H", 0.74, 0.65),
        ("O", "H", 0.96, 0.58),
        ("C", "H", 1.09, 0.75),
        ("N", "H", 1.01, 0.70),
        ("C", "C", 1.20, 0.51),
        ("C", "O", 1.13, 0.90),
        ("N", "N", 1.10, 0.85),
        ("O", "O", 1.21, 0.95),
        ("F", "F", 1.42, 1.00),
        ("Cl", "Cl", 1.99, 1.60),
        ("Br", "Br", 2.28, 1.80),
        ("I", "I", 2.67, 2.20),
        ("H", "F", 0.92, 0.70),
        ("H", "Cl", 1.27, 0.95),
        ("H", "Se", 1.46, 1.00),
        ("S", "O", 1.43, 1.10),
        ("Hg", "Hg", 2.50, 1.80),
        ("Re", "Re", 2.22, 1.60),
        ("Cs", "F", 2.70, 2.00),
    ],
)
def test_molecules_pass_and_what_is_shorter_than_any_bond_does_not(first, second, right, wrong):
    assert short_bond(molecules(first, second, right)) is None
    for a, b in ((first, second), (second, first)):
        found = short_bond(molecules(a, b, wrong))
        assert found is not None and {found.first, found.second} == {first, second}
        assert found.length == pytest.approx(wrong, abs=1e-6)


def diamond(length: float) -> Crystal:
    return cubic(227, 4 * length / 3**0.5, "C:a")


def test_one_neighbour_of_carbon_may_be_close_but_not_four():
    assert short_bond(diamond(1.54)) is None
    assert short_bond(molecules("C", "C", 1.20)) is None and bond_limits("C", "C")[0] < 1.20
    for length in (1.12, 1.20, 1.24):
        assert short_bond(diamond(length)) is not None


@pytest.mark.parametrize(
    ("crystal", "passes"),
    [
        (cubic(225, 3.615, "Cu:a"), True),
        (cubic(225, 2.6, "Cu:a"), False),
        (cubic(229, 2.866, "Fe:a"), True),
        (cubic(229, 2.0, "Fe:a"), False),
        (cubic(225, 5.64, "Na:a", "Cl:b"), True),
        (cubic(225, 4.2, "Na:a", "Cl:b"), False),
        (cubic(221, 3.359, "Po:a"), True),
        (cubic(225, 4.21, "Mg:a", "O:b"), True),
        (cubic(225, 3.2, "Mg:a", "O:b"), False),
    ],
)
def test_elements_and_salts(crystal, passes):
    assert (short_bond(crystal) is None) == passes


def test_every_pair_has_limits_and_they_grow_with_the_neighbour():
    for a in SYMBOLS[1:104]:
        for b in SYMBOLS[1:104]:
            limits = bond_limits(a, b)
            assert 0.2 < limits[0] and limits[-1] < 5 and (np.diff(limits) >= 0).all()
        assert bond_limits("O", a)[0] == pytest.approx(bond_limits(a, "O")[0])


def test_shortest_bonds_are_those_of_the_crystal():
    (bond,) = [b for b in shortest_bonds(KNOWN["rock salt"]) if {b.first, b.second} == {"Na", "Cl"}]
    assert bond.length == pytest.approx(KNOWN["rock salt"].cell[0] / 2)
    assert (bond.first, bond.second) == ("Na", "Cl")
    lengths = [b.length for b in shortest_bonds(KNOWN["spinel"])]
    assert lengths == sorted(lengths)


def test_an_atom_is_no_neighbour_of_itself_but_its_images_are():
    chain = Crystal(123, (9.0, 9.0, 1.0, 90, 90, 90), (Site("C", "a"),))
    found = short_bond(chain)
    assert found is not None and found.length == pytest.approx(1.0)
