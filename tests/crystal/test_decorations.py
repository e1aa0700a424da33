"""Ways to deal out elements over positions: as many as published, and told apart by pymatgen."""

from itertools import combinations

import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.decorations import decorations
from crystalsmith.symmetry import hermite_forms

ALIKE = {"Fe": ("Fe", "Co"), "Co": ("Fe", "Co")}
FCC = np.array([[0, 2, 2], [2, 0, 2], [2, 2, 0]])
SC = 3 * np.eye(3)


def alloy(lattice: np.ndarray, iron: int, cobalt: int) -> Crystal:
    """Iron, then cobalt on the points of a lattice, in the first of its sublattices."""
    matrix = hermite_forms(iron + cobalt)[0]
    sides = [range(n) for n in np.diag(matrix)]
    points = np.stack(np.meshgrid(*sides, indexing="ij"), -1).reshape(-1, 3) @ np.linalg.inv(matrix)
    return Crystal.from_structure(
        Structure(Lattice(matrix @ lattice), ["Fe"] * iron + ["Co"] * cobalt, points)
    )


@pytest.mark.parametrize(
    ("lattice", "counts"),
    [
        # Hart and Forcade, Phys. Rev. B 77, 224115 (2008): binary derivative structures of each size, those
        # that differ in the names of the elements alone counted once.
        (FCC, [2, 3, 12, 14, 50]),
        (SC, [3, 3, 15]),
    ],
)
def test_derivative_structures_are_as_many_as_published(lattice: np.ndarray, counts: list[int]) -> None:
    found = []
    for size in range(2, 2 + len(counts)):
        total = 0
        for iron in range(1, size // 2 + 1):
            total += len(decorations(alloy(lattice, iron, size - iron), ALIKE, 1000))
        found.append(total)
    # Of as many atoms of both, an exchange of the two may give another structure: they are in every count
    # twice, and are taken away by pymatgen.
    for place, size in enumerate(range(2, 2 + len(counts))):
        if size % 2 == 0:
            ways = [c.to_structure() for c in decorations(alloy(lattice, size // 2, size // 2), ALIKE, 1000)]
            matcher = StructureMatcher(stol=0.05, primitive_cell=True)
            swapped = []
            for way in ways:
                other = way.copy()
                other.replace_species({"Fe": "Co", "Co": "Fe"})
                swapped.append(other)
            own = [any(matcher.fit(a, b) for b in swapped[:k]) for k, a in enumerate(ways)]
            found[place] -= sum(own)
    assert found == counts


def test_all_are_the_same_arrangement_and_none_is_another() -> None:
    spinel = Crystal.from_structure(
        Structure.from_spacegroup(
            "Fd-3m:2",
            Lattice.cubic(8.2),
            ["Fe", "Co", "O"],
            [[0.125] * 3, [0.5] * 3, [0.2625] * 3],
        )
    )
    found = decorations(spinel, {**ALIKE, "O": ("O",)}, 100)
    assert {c.formula for c in found} == {spinel.formula}
    assert {c.n_atoms for c in found} == {spinel.n_atoms}
    matcher = StructureMatcher(stol=0.05)
    structures = [c.to_structure(primitive=True) for c in found]
    assert any(matcher.fit(s, spinel.to_structure(primitive=True)) for s in structures)
    assert not any(matcher.fit(a, b) for a, b in combinations(structures, 2))
    merged = [s.copy() for s in structures]
    for one in merged:
        one.replace_species({"Co": "Fe"})
    assert all(matcher.fit(merged[0], one) for one in merged[1:])
    symmetry = [len(c.group.rotations) for c in found]
    assert symmetry[0] == max(symmetry)


def test_smaller_cells_are_there_where_they_are_asked_for() -> None:
    """Of four iron and four cobalt atoms those with one, two and three of each as well, but no more."""
    eight = alloy(FCC, 4, 4)
    alone, all_ = decorations(eight, ALIKE, 1000), decorations(eight, ALIKE, 1000, smaller=True)
    fewer = {n: [c for c in all_ if c.n_atoms == n] for n in (2, 4, 6, 8)}
    assert sum(map(len, fewer.values())) == len(all_) and len(fewer[8]) == len(alone)
    assert [len(fewer[n]) for n in (2, 4, 6)] == [2, 5, 20]
    assert {c.formula for c in all_} == {eight.formula}


def test_small_distortions_do_not_hide_the_arrangement() -> None:
    """Atoms that are off by less than the tolerance: in CuAu of c/a = 0.99 either of both may be anywhere."""
    tetragonal = Crystal.from_structure(
        Structure(Lattice.tetragonal(2.8, 2.8 * 2**0.5 * 1.002), ["Fe", "Co"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    )
    groups = {c.space_group for c in decorations(tetragonal, ALIKE, 10)}
    assert groups == {123, 166}


@pytest.mark.parametrize(
    "classes", [{"Fe": ("Fe",), "Co": ("Co",)}, {"Fe": ("Fe",), "Co": ("Co",), "O": ("O",)}]
)
def test_elements_that_are_not_alike_stay(classes: dict[str, tuple[str, ...]]) -> None:
    assert decorations(alloy(FCC, 1, 3), classes, 10) == []


def test_too_many_ways_are_none() -> None:
    assert decorations(alloy(FCC, 10, 10), ALIKE, 10) == []
