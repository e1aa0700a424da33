"""Euclidean normalisers of all 230 groups: definitions in exact arithmetic, indices from ITA's tables."""

import itertools
import math

import numpy as np
import pytest
from test_symmetry_operations import GROUPS, in_lattice
from test_symmetry_wyckoff import CELLS, POSITIONS, codes, label, on_torus, orbit, random_torus

from crystalsmith.symmetry import SpaceGroup, cell_to_lattice, lattice_family, space_group, tables


def normalizer(group: SpaceGroup) -> tuple[np.ndarray, np.ndarray]:
    t = tables()
    rows = slice(t.normalizer_start[group.number - 1], t.normalizer_start[group.number])
    return t.normalizer_rotations[rows], t.normalizer_translations[rows]


def in_lattice_up_to_polar(group: SpaceGroup, shift: np.ndarray) -> np.ndarray:
    """Which rows of ``shift`` are lattice translations after some move along the polar axes."""
    across = (shift[..., None, :] - group.centring)[..., ~group.polar]
    return (np.abs(across - np.rint(across)) < 1e-9).all(axis=-1).any(axis=-1)


def test_the_identity_comes_first():
    for group in GROUPS:
        rotations, translations = normalizer(group)
        assert np.array_equal(rotations[0], np.eye(3)) and not translations[0].any(), group.symbol


def test_elements_keep_the_lattice_and_every_metric_of_the_family():
    for group in GROUPS:
        lattice = cell_to_lattice(group.number, CELLS[lattice_family(group.number)])
        metric = lattice @ lattice.T
        rotations, _ = normalizer(group)
        turned = (group.primitive @ rotations.swapaxes(1, 2)).reshape(-1, 3)
        assert in_lattice(group, turned).all(), group.symbol
        assert np.allclose(rotations.swapaxes(1, 2) @ metric @ rotations, metric), group.symbol


def test_elements_conjugate_the_group_into_itself():
    for group in GROUPS:
        row = {tuple(w.ravel()): k for k, w in enumerate(group.rotations)}
        for n, t in zip(*normalizer(group), strict=True):
            inverse = np.rint(np.linalg.inv(n)).astype(int)
            rotations = n @ group.rotations @ inverse
            known = [row[tuple(w.ravel())] for w in rotations]
            shifts = group.translations @ n.T + t - rotations @ t
            assert in_lattice(group, shifts - group.translations[known]).all(), (group.symbol, n.tolist(), t)


def test_elements_are_distinct_and_closed_modulo_the_group_and_polar_shifts():
    for group in GROUPS:
        rotations, translations = normalizer(group)
        # All products of an element and an operation: which element made which isometry.
        turns = np.einsum("aij,bjk->abik", rotations, group.rotations).reshape(-1, 3, 3)
        shifts = np.einsum("aij,bj->abi", rotations, group.translations) + translations[:, None]
        element = np.repeat(np.arange(len(rotations)), len(group.rotations))
        for a, b in itertools.product(range(len(rotations)), repeat=2):
            same = (turns == rotations[a] @ rotations[b]).all(axis=(1, 2))
            left = shifts.reshape(-1, 3)[same] - (rotations[a] @ translations[b] + translations[a])
            found = element[same][in_lattice_up_to_polar(group, left)].tolist()
            assert len(found) == 1, (group.symbol, a, b)
            assert b or found == [a], (group.symbol, a)


def test_translations_are_complete():
    """As many as invariant factors say.

    Shifts s with (W - 1) s in the lattice for all W, modulo the lattice and polar shifts, number the product
    of the invariant factors of the stacked matrices W - 1: the greatest common divisor of their largest
    minors.
    """
    for group in GROUPS:
        inverse = np.linalg.inv(group.primitive)
        primitive = np.rint(inverse.T @ group.rotations @ group.primitive.T).astype(int)
        rows = np.unique((primitive - np.eye(3, dtype=int)).reshape(-1, 3), axis=0)
        rank = 3 - int(group.polar.sum())
        expected = 0
        for columns in itertools.combinations(range(3), rank):
            pick = np.array(list(itertools.combinations(range(len(rows)), rank)), dtype=int)
            minors = np.linalg.det(rows[:, list(columns)][pick]) if rank else np.ones(1)
            expected = math.gcd(expected, *np.rint(minors).astype(int).tolist())
        rotations, _ = normalizer(group)
        pure = (rotations == np.eye(3, dtype=int)).all(axis=(1, 2)).sum()
        assert pure == expected, group.symbol


# Index of the group in its Euclidean normaliser for a generic lattice, without the infinite factors of polar
# directions: International Tables for Crystallography A, tables of Euclidean normalisers.
INDEX = {
    "P1": 2,
    "P-1": 8,
    "P2": 8,
    "C2": 4,
    "P2_1/c": 8,
    "C2/c": 4,
    "P2_12_12_1": 16,
    "F222": 8,
    "Fdd2": 2,
    "Pnma": 8,
    "Cmcm": 4,
    "Fmmm": 2,
    "P4_1": 4,
    "I-4": 16,
    "I4_1/a": 4,
    "P4mm": 4,
    "I4mm": 2,
    "P4/mmm": 4,
    "I4/mmm": 2,
    "P3": 24,
    "R3": 4,
    "R-3": 4,
    "R32": 4,
    "R3m": 2,
    "R-3m": 2,
    "P-3m1": 4,
    "P-6": 24,
    "P-6m2": 12,
    "P6_3/mmc": 2,
    "P23": 8,
    "F23": 16,
    "P2_13": 8,
    "Pa-3": 2,
    "Ia-3": 2,
    "P4_332": 2,
    "F-43m": 8,
    "Pm-3m": 2,
    "Fm-3m": 2,
    "Fd-3m": 2,
    "Im-3m": 1,
    "Ia-3d": 1,
}


@pytest.mark.parametrize(("symbol", "index"), INDEX.items())
def test_index(symbol, index):
    assert len(normalizer(space_group(symbol))[0]) == index


@pytest.mark.parametrize(
    ("symbol", "shifts"),
    [
        ("P-1", list(itertools.product((0, 0.5), repeat=3))),
        ("Pm-3m", [(0, 0, 0), (0.5, 0.5, 0.5)]),
        ("Fm-3m", [(0, 0, 0), (0.5, 0.5, 0.5)]),
        ("F-43m", [(0, 0, 0), (0.25, 0.25, 0.25), (0.5, 0.5, 0.5), (0.75, 0.75, 0.75)]),
        ("P4mm", [(0, 0, 0), (0.5, 0.5, 0)]),
        ("P2_1/c", list(itertools.product((0, 0.5), repeat=3))),
        ("P-6m2", [(a, b, c) for a, b in [(0, 0), (1 / 3, 2 / 3), (2 / 3, 1 / 3)] for c in (0, 0.5)]),
        ("P6_3/mmc", [(0, 0, 0), (0, 0, 0.5)]),
        ("R-3m", [(0, 0, 0), (0, 0, 0.5)]),
        ("Im-3m", [(0, 0, 0)]),
    ],
)
def test_known_shifts_of_origin(symbol, shifts):
    group = space_group(symbol)
    rotations, translations = normalizer(group)
    ours = translations[(rotations == np.eye(3)).all(axis=(1, 2))]
    same = in_lattice(group, ours[:, None] - np.array(shifts))
    assert (same.sum(axis=0) == 1).all() and (same.sum(axis=1) == 1).all(), ours


def test_inversion_is_in_the_normaliser_of_every_group_that_is_not_enantiomorphic():
    """An inversion turns a group into its mirror image: of the same type, but for the 11 pairs."""
    tetragonal, trigonal = {76, 78, 91, 92, 95, 96}, {144, 145, 151, 152, 153, 154}
    hexagonal, cubic = {169, 170, 171, 172, 178, 179, 180, 181}, {212, 213}
    pairs = tetragonal | trigonal | hexagonal | cubic
    for group in GROUPS:
        rotations, _ = normalizer(group)
        orientation = [np.linalg.det(w) < 0 for w in (*rotations, *group.rotations)]
        assert any(orientation) == (group.number not in pairs), group.symbol


def test_maps_carry_every_orbit_where_the_normaliser_does():
    t = tables()
    rng = np.random.default_rng(7)
    count = 0
    for group, position in POSITIONS:
        letters = list(group.wyckoff.values())
        w = random_torus(rng, position.dof)
        point = on_torus(position, w)
        for k, (n, s) in enumerate(zip(*normalizer(group), strict=True)):
            row, d = t.map_start[position.index] + k, position.dof
            target = letters[t.map_to[row] - letters[0].index]
            assert target.index == t.map_to[row], (label(position), k)
            assert (target.dof, target.multiplicity) == (d, position.multiplicity), (label(position), k)
            mapped = t.map_linear[row, :d, :d] @ w + t.map_offset[row, :d]
            images = np.sort(codes(group, target.images(mapped @ target.period.T)))
            assert np.array_equal(images, orbit(group, n @ point + s)), (label(position), k)
            count += 1
    assert count == len(t.map_to) == t.map_start[-1]


def test_elements_permute_the_positions():
    t = tables()
    for group in GROUPS:
        index = np.array([position.index for position in group.wyckoff.values()])
        for k in range(len(normalizer(group)[0])):
            assert np.array_equal(np.sort(t.map_to[t.map_start[index] + k]), index), (group.symbol, k)
