"""The record of a crystal: what it accepts, what it derives, and its points against spglib's operations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import spglib
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.core import Composition, Element

from crystals import FORMULAS, KNOWN, random_crystal
from crystalsmith.crystal import NUMBERS, SYMBOLS, Crystal, Site, reduced_formula
from crystalsmith.crystal.distance import shortest_distance
from crystalsmith.crystal.hall import hall_number, hermann_mauguin
from crystalsmith.errors import StructureError, SymmetryError
from crystalsmith.symmetry import space_group

CUBE = (4.0, 4.0, 4.0, 90.0, 90.0, 90.0)


@pytest.mark.parametrize("name", KNOWN)
def test_known_crystals_have_their_formula_and_density_of_points(name: str) -> None:
    crystal = KNOWN[name]
    assert crystal.formula == FORMULAS[name]
    assert Composition(crystal.formula).reduced_formula == Composition(FORMULAS[name]).reduced_formula
    structure = crystal.to_structure()
    assert len(structure) == crystal.n_atoms_conventional
    assert len(crystal.to_atoms()) == crystal.n_atoms
    assert structure.volume == pytest.approx(crystal.volume)
    lengths = (*structure.lattice.abc, *structure.lattice.angles)
    assert lengths == pytest.approx(crystal.cell, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "bond"),
    [("rock salt", 2.8201), ("diamond", 1.5446), ("quartz", 1.604), ("rutile", 1.947), ("spinel", 1.92)],
)
def test_bond_lengths(name: str, bond: float) -> None:
    assert KNOWN[name].shortest_distance() == pytest.approx(bond, abs=0.01)


@pytest.mark.parametrize("number", range(1, 231))
def test_orbits_are_those_of_spglibs_operations(number: int) -> None:
    crystal = random_crystal(number, np.random.default_rng(number))
    operations = spglib.get_symmetry_from_database(hall_number(number))
    symbols, points = crystal.positions(primitive=False)
    owner = crystal.orbit_of_atom(primitive=False)
    assert len(points) == crystal.n_atoms_conventional == len(owner)
    assert points.min() >= 0 and points.max() < 1
    for index, site in enumerate(crystal.sites):
        start = crystal.positions_of_sites[index].position(np.array(site.free))
        images = np.einsum("nij,j->ni", operations["rotations"], start) + operations["translations"]
        ours = points[owner == index]
        difference = images[:, None] - ours
        distance = np.abs(difference - np.rint(difference)).max(axis=-1)
        assert distance.min(axis=1).max() < 1e-9, "an image is missing"
        assert distance.min(axis=0).max() < 1e-9, "a point is no image"
        assert {s for s, o in zip(symbols, owner, strict=True) if o == index} == {site.element}


@pytest.mark.parametrize("number", [1, 5, 12, 38, 43, 70, 82, 110, 146, 167, 197, 206, 225, 227, 230])
def test_primitive_and_conventional_cells_are_one_crystal(number: int) -> None:
    crystal = random_crystal(number, np.random.default_rng(7))
    group = space_group(number)
    symbols, primitive = crystal.positions()
    assert crystal.n_atoms * len(group.centring) == crystal.n_atoms_conventional
    # Put the primitive points, all centrings of them, into the conventional cell: the same set of atoms.
    spread = (primitive @ group.primitive)[:, None] + group.centring
    spread = spread.reshape(-1, 3)
    conventional_symbols, conventional = crystal.positions(primitive=False)
    difference = spread[:, None] - conventional
    close = np.abs(difference - np.rint(difference)).max(axis=-1) < 1e-9
    assert (close.sum(axis=0) == 1).all() and (close.sum(axis=1) == 1).all()
    repeated = np.repeat(symbols, len(group.centring))
    assert (repeated == np.array(conventional_symbols)[close.argmax(axis=1)]).all()


def test_wyckoff_string_and_counts() -> None:
    spinel = KNOWN["spinel"]
    assert spinel.wyckoff == "Mg:a Al:d O:e"
    assert spinel.counts == {"Mg": 2, "Al": 4, "O": 8}
    assert spinel.anonymous_counts == (1, 2, 4)
    assert hash(spinel) == hash(Crystal(spinel.space_group, spinel.cell, spinel.sites))


@given(st.dictionaries(st.sampled_from(SYMBOLS[1:104]), st.integers(1, 60), min_size=1, max_size=6))
def test_formula_holds_the_composition_in_pymatgens_order(counts: dict[str, int]) -> None:
    formula = reduced_formula(counts)
    # factor=True divides as we do, save that pymatgen doubles diatomic elements.
    wanted = Composition(counts)
    divisor = math.gcd(*counts.values())
    assert Composition(formula) == Composition({k: v // divisor for k, v in wanted.as_dict().items()})
    order = [e.symbol for e in sorted(wanted.elements, key=lambda e: (_x(e), e.symbol))]
    places = [formula.index(s) for s in order if sum(s in t for t in order) == 1]
    assert places == sorted(places)


def _x(element: Element) -> float:
    return element.X if not math.isnan(element.X) else math.inf


def test_all_symbols_are_pymatgens() -> None:
    assert [Element.from_Z(z).symbol for z in range(1, 119)] == list(SYMBOLS[1:])
    assert NUMBERS["Og"] == 118


@pytest.mark.parametrize(
    ("number", "cell", "sites", "error", "says"),
    [
        (231, CUBE, [("Na", "a", ())], SymmetryError, "231"),
        (225, CUBE, [("Xx", "a", ())], StructureError, "Xx"),
        (225, CUBE, [("Na", "z", ())], SymmetryError, "no Wyckoff letter"),
        (225, CUBE, [("Na", "a", (0.1,))], SymmetryError, "0 free parameters"),
        (225, CUBE, [("Na", "e", ())], SymmetryError, "1 free parameters"),
        (225, CUBE, [("Na", "e", (math.nan,))], StructureError, "not finite"),
        (225, CUBE, [], StructureError, "at least one site"),
        (225, CUBE, [("Na", "a", ()), ("Cl", "a", ())], SymmetryError, "no freedom"),
        (225, (4, 4, 5, 90, 90, 90), [("Na", "a", ())], SymmetryError, "cubic"),
        (194, (4, 4, 5, 90, 90, 90), [("Na", "a", ())], SymmetryError, "hexagonal axes"),
        (166, (4, 4, 4, 60, 60, 60), [("Na", "a", ())], SymmetryError, "hexagonal axes"),
        (14, (4, 5, 6, 95, 90, 90), [("Na", "a", ())], SymmetryError, "monoclinic"),
        (2, (4, 5, 6, 10, 20, 90), [("Na", "a", ())], StructureError, "no volume"),
        (2, (4, 5, -6, 90, 90, 90), [("Na", "a", ())], StructureError, "length or angle"),
        (2, (4, 5, math.inf, 90, 90, 90), [("Na", "a", ())], StructureError, "length or angle"),
        (2, (4, 5, 6, 90, 90), [("Na", "a", ())], StructureError, "six numbers"),
    ],
)
def test_impossible_crystals_are_refused(
    number: int, cell: tuple, sites: list, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        Crystal(number, cell, tuple(Site(*s) for s in sites))


def test_cell_is_made_exact_for_its_family() -> None:
    crystal = Crystal(194, (3.0000004, 2.9999996, 5.0, 90.0000003, 90, 119.99998), (Site("Mg", "c"),))
    assert crystal.cell == (3.0, 3.0, 5.0, 90.0, 90.0, 120.0)


@given(st.integers(1, 230), st.integers(0, 2**32 - 1))
def test_dictionary_round_trip_is_exact(number: int, seed: int) -> None:
    crystal = random_crystal(number, np.random.default_rng(seed))
    assert Crystal.from_dict(crystal.to_dict()) == crystal


@pytest.mark.parametrize(
    "data", [{}, {"space_group": 1, "cell": CUBE}, {"space_group": 1, "cell": CUBE, "sites": [1]}]
)
def test_dictionary_of_something_else_is_refused(data: dict) -> None:
    with pytest.raises(StructureError, match="not the data of a crystal"):
        Crystal.from_dict(data)


@pytest.mark.parametrize("seed", range(8))
def test_shortest_distance_in_flat_and_skewed_cells(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lattice = np.diag([1.5, 9.0, 4.0]) @ (np.eye(3) + np.triu(rng.uniform(-3, 3, (3, 3)), 1))
    points = rng.random((5, 3))
    # Brute force over far more images than can matter.
    shifts = np.stack(np.meshgrid(*[np.arange(-12, 13)] * 3, indexing="ij"), -1).reshape(-1, 3)
    best = math.inf
    for i in range(5):
        for j in range(5):
            distance = np.linalg.norm((points[i] - points[j] + shifts) @ lattice, axis=1)
            best = min(best, distance[distance > 1e-9].min())
    assert shortest_distance(lattice, points) == pytest.approx(best)


@pytest.mark.parametrize(
    ("number", "symbol"),
    [
        (225, "F m -3 m"),
        (227, "F d -3 m :2"),
        (166, "R -3 m :H"),
        (14, "P 1 21/c 1"),
        (62, "P n m a"),
        (1, "P 1"),
    ],
)
def test_hermann_mauguin_symbols_name_the_setting(number: int, symbol: str) -> None:
    assert hermann_mauguin(number) == symbol
