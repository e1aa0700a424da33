"""Compositions of a chemical system: neutral if they can be, within bounds, as in similar systems."""

from __future__ import annotations

import math
from collections import Counter
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Element

from crystalsmith.crystal.chemistry import element_features, oxidation_states
from crystalsmith.crystal.elements import NUMBERS, SYMBOLS, formula_order
from crystalsmith.crystal.properties import dissimilarity
from crystalsmith.prior import Compositions, Known, known_assignments
from crystalsmith.prior.compositions import is_ionic, is_neutral
from priors import known_occupations


def numbers(text: str) -> tuple[int, ...]:
    return tuple(NUMBERS[s] for s in text.split())


def all_known() -> list[Known]:
    return known_assignments(known_occupations())


def p1(text: str, *ratio: int) -> Known:
    """A crystal of P1, which has one position."""
    return Known(1, numbers(text), tuple((0,) * n for n in ratio))


@pytest.mark.parametrize(
    ("elements", "ratio", "expected"),
    [
        ("Na Cl", (1, 1), True),
        ("Na Cl", (1, 2), False),
        ("Mg O", (1, 1), True),
        ("Mg O", (1, 2), False),
        ("Fe O", (3, 4), True),  # one Fe(II), two Fe(III)
        ("Fe O", (1, 1), True),
        ("Fe O", (2, 3), True),
        ("Fe O", (1, 2), False),
        ("Sr Ti O", (1, 1, 3), True),
        ("Sr Ti O", (1, 1, 2), False),
        ("K Cu Si", (2, 1, 1), True),  # Si takes up four
        ("K Cu Si", (1, 1, 1), False),
        ("Na K", (1, 1), False),
        ("Xe F", (1, 2), True),
        ("He F", (1, 2), False),  # no state of helium is known
        ("O", (1,), False),
        ("C", (1,), True),  # carbon with itself
    ],
)
def test_neutral_by_hand(elements: str, ratio: tuple[int, ...], expected: bool) -> None:
    assert is_neutral(numbers(elements), ratio) is expected
    doubled = tuple(2 * n for n in ratio)
    if expected:
        assert is_neutral(numbers(elements), doubled)


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ("Na Cl", True),
        ("Cu K Si", False),
        ("Fe Sn Ta", False),
        ("Ga As", False),
        ("Li P S", True),
        ("Al Ni", False),
        ("Na K", False),
        ("Fe", False),
        ("C", False),  # it takes two elements
        ("O F", False),
        ("C O", True),
        ("He Na", False),
    ],
)
def test_ionic_by_hand(elements: str, expected: bool) -> None:
    assert is_ionic(numbers(elements)) is expected


SYSTEMS = [
    "Na Cl",
    "K Br",
    "Al Ni",
    "Fe O",
    "Mg Al O",
    "Cu K Si",
    "Ni Al Ti",
    "Fe",
    "Li Na K Rb",
    "Ca Ti O Cl",
]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("max_atoms", [4, 7, 20])
def test_probabilities_of_ratios(system: str, max_atoms: int) -> None:
    elements = tuple(sorted(numbers(system), key=lambda z: formula_order(SYMBOLS[z])))
    found = Compositions(all_known()).probabilities(elements, max_atoms)
    assert sum(found.values()) == pytest.approx(1)
    for ratio, p in found.items():
        assert p > 0 and len(ratio) == len(elements)
        assert min(ratio) >= 1 and math.gcd(*ratio) == 1
        assert sum(ratio) <= max_atoms


def lent_one_by_one(known: list[Known], elements: tuple[int, ...], max_atoms: int) -> dict[Any, float]:
    """The rule in plain words: each crystal in each matching, then each ratio for how frequent it is."""
    n = len(elements)
    seen = Counter(
        (k.elements, tuple(c // math.gcd(*k.counts) for c in k.counts)) for k in known if len(k.counts) == n
    )
    rows = [(z, r, times) for (z, r), times in sorted(seen.items()) if sum(r) <= max_atoms]
    weight: dict[Any, float] = {}
    for order in permutations(range(n)):
        for z, r, _ in rows:
            d = np.array([dissimilarity()[a, z[k]] for a, k in zip(elements, order, strict=True)]).sum()
            ratio = tuple(r[k] for k in order)
            weight[ratio] = weight.get(ratio, 0.0) + (1 + d / (2 * 3.0 * 0.6**2)) ** -3.0
    if not rows:
        return {(1,) * n: 1.0}
    whole = sum(times for _, _, times in rows)
    for pattern in {tuple(sorted(r)) for _, r, _ in rows}:
        times = sum(t for _, r, t in rows if tuple(sorted(r)) == pattern)
        orders = set(permutations(pattern))
        for ratio in orders:
            weight[ratio] += times / whole / len(orders)
    if is_ionic(elements):
        weight = {r: w for r, w in weight.items() if is_neutral(elements, r)} or weight
    return {r: w / sum(weight.values()) for r, w in sorted(weight.items())}


@pytest.mark.parametrize("system", SYSTEMS)
def test_chances_and_their_order_are_those_of_the_plain_rule(system: str) -> None:
    """To the last digits: a seed shall draw the same."""
    found = Compositions(all_known()).probabilities(numbers(system), 20)
    plain = lent_one_by_one(all_known(), numbers(system), 20)
    assert list(found) == list(plain)
    assert np.array(list(found.values())) == pytest.approx(np.array(list(plain.values())), rel=1e-14)


@given(st.lists(st.sampled_from(range(1, 95)), min_size=2, max_size=3, unique=True))
def test_ionic_systems_have_neutral_ratios_only_where_there_are_any(elements: list[int]) -> None:
    """The ratios that known crystals have in any order of their elements, filtered by hand."""
    z = tuple(elements)
    found = Compositions(all_known()).probabilities(z, 20)
    everything = {
        tuple(c // math.gcd(*k.counts) for c in order)
        for k in all_known()
        if len(k.counts) == len(z)
        for order in permutations(k.counts)
    }
    neutral = {r for r in everything if is_neutral(z, r)}
    assert set(found) == (neutral if is_ionic(z) and neutral else everything)


def test_what_similar_systems_do_is_likelier() -> None:
    known = [p1("Na Cl", 1, 1), p1("Ca F", 1, 2), p1("Ni Al", 1, 3), p1("Ti Ni", 1, 2)]
    alloys = Compositions(known).probabilities(numbers("Pd Al"), 10)
    assert max(alloys, key=alloys.__getitem__) == (1, 3)
    assert alloys[1, 3] > alloys[3, 1] > 0
    assert Compositions(known).probabilities(numbers("Sr F"), 10) == {(1, 2): pytest.approx(1)}
    # Frequency alone decides where nothing is similar: 1:2 in two crystals of four, in either order.
    far = Compositions(known).probabilities(numbers("Rn Og"), 10)
    assert far[1, 2] == pytest.approx(0.25, abs=0.02) and far[2, 1] == pytest.approx(0.25, abs=0.02)


def test_elements_may_stand_in_any_order() -> None:
    c = Compositions(all_known())
    one, two = c.probabilities(numbers("Mg Al O"), 20), c.probabilities(numbers("O Mg Al"), 20)
    assert {(r[1], r[2], r[0]): p for r, p in two.items()} == pytest.approx(one)


def test_nothing_known() -> None:
    c = Compositions([])
    assert c.probabilities(numbers("Na Cl"), 5) == {(1, 1): 1.0}
    assert c.probabilities(numbers("Na Cl O"), 2) == {}
    assert Compositions(all_known()).probabilities(numbers("Na Cl O"), 2) == {}


# What the elements are told by.


def test_features_are_finite_and_of_order_one() -> None:
    table = element_features()
    assert table.shape == (119, 29)
    assert np.isfinite(table).all() and np.abs(table).max() <= 3
    assert not table[0].any()
    common = table[1:95]
    assert np.abs(common.mean(0)).max() < 0.2  # but for what is cut off
    assert (common.std(0) > 0.3).all() and (common.std(0) < 1.1).all()
    assert len({row.tobytes() for row in common}) == 94
    with pytest.raises(ValueError, match="read-only"):
        table[1, 0] = 1.0


def test_features_of_similar_elements_are_similar() -> None:
    table = element_features()

    def apart(a: str, b: str) -> float:
        return float(np.linalg.norm(table[NUMBERS[a]] - table[NUMBERS[b]]))

    for near, far in ((("Na", "K"), ("Na", "Cl")), (("Fe", "Co"), ("Fe", "O")), (("La", "Ce"), ("La", "C"))):
        assert apart(*near) < 0.6 * apart(*far)


@pytest.mark.parametrize("symbol", ["H", "Na", "Mg", "Fe", "O", "Cl", "Ti", "Si", "La", "U", "He", "Cu"])
def test_oxidation_states_are_those_of_pymatgen(symbol: str) -> None:
    states = oxidation_states()
    assert len(states) == 119 and states[0] == ()
    assert states[NUMBERS[symbol]] == tuple(sorted(Element(symbol).common_oxidation_states))
