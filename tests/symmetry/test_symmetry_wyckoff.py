"""All 1731 Wyckoff positions against spglib, and their maps against the operations in exact arithmetic.

Exact points: free coordinates are multiples of 6 / GRID, so that every point is a whole number of GRID-ths.
"""

import itertools
import math

import numpy as np
import pytest
import spglib
from test_symmetry_operations import GROUPS, standard_halls

from crystalsmith.symmetry import (
    SpaceGroup,
    WyckoffPosition,
    cell_to_lattice,
    lattice_family,
    reference_lattice,
    space_group,
    tables,
)

pytestmark = pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib's own
GRID = 24 * 10007
POSITIONS = [(group, position) for group in GROUPS for position in group.wyckoff.values()]
# Axes in the order that spglib prefers, so that it keeps the setting it is given.
CELLS = {
    "triclinic": (8, 9.1, 10.3, 96, 94, 99),
    "monoclinic": (8, 9.1, 10.3, 90, 97, 90),
    "orthorhombic": (8, 9.1, 10.3, 90, 90, 90),
    "tetragonal": (8, 8, 10.3, 90, 90, 90),
    "hexagonal": (8, 8, 10.3, 90, 90, 120),
    "cubic": (8, 8, 8, 90, 90, 90),
}


def label(position: WyckoffPosition) -> str:
    return f"{position.space_group}{position.letter}"


def random_torus(rng: np.random.Generator, d: int) -> np.ndarray:
    return 6 * rng.integers(1, GRID // 6, size=d) / GRID


def codes(group: SpaceGroup, points: np.ndarray) -> np.ndarray:
    """One integer for each point (..., 3) modulo the lattice; equal if and only if the points are."""
    scaled = points @ np.linalg.inv(group.primitive) * GRID
    whole = np.rint(scaled)
    assert np.abs(whole - scaled).max() < 1e-4
    whole = whole.astype(np.int64) % GRID
    return (whole[..., 0] * GRID + whole[..., 1]) * GRID + whole[..., 2]


def on_torus(position: WyckoffPosition, w: np.ndarray) -> np.ndarray:
    """Representative for torus coordinates w (..., d)."""
    return position.position(w @ position.period.T)


def orbit(group: SpaceGroup, point: np.ndarray) -> np.ndarray:
    """Sorted codes of the distinct points of the primitive cell, from the operations alone."""
    return np.unique(codes(group, group.rotations @ point + group.translations))


def minors_gcd(matrix: np.ndarray) -> int:
    """Greatest common divisor of the largest minors of an integer matrix (3, d)."""
    d = matrix.shape[1]
    minors = [round(np.linalg.det(matrix[list(rows)])) for rows in itertools.combinations(range(3), d)]
    return math.gcd(*minors)


@pytest.mark.parametrize("seed", [0, 1])
def test_spglib_finds_the_same_letters_site_symmetries_and_orbits(seed):
    """One crystal for each group, an element on every position: an exact group with all its letters."""
    rng = np.random.default_rng(seed)
    seen = 0
    for group in GROUPS:
        letters = list(group.wyckoff)
        if len(group.rotations) <= 4:  # one general orbit is still more symmetric than its group
            letters += [letters[-1]] * 2
        points, kinds = [], []
        for kind, letter in enumerate(letters, 1):
            position = group.wyckoff[letter]
            images = position.images(rng.random(position.dof))
            points.append((images[:, None] + group.centring).reshape(-1, 3))
            kinds += [kind] * len(points[-1])
            assert len(points[-1]) == position.multiplicity, label(position)
        lattice = cell_to_lattice(group.number, CELLS[lattice_family(group.number)])
        crystal, hall = (lattice, np.vstack(points) % 1.0, kinds), standard_halls()[group.number]
        data = spglib.get_symmetry_dataset(crystal, symprec=1e-4, hall_number=hall)
        assert data is not None and data.number == group.number, group.symbol
        assert np.allclose(data.transformation_matrix, np.eye(3), atol=1e-6), group.symbol
        shift = data.origin_shift @ np.linalg.inv(group.primitive)
        assert np.allclose(shift, np.rint(shift), atol=1e-6), group.symbol
        for atom, kind in enumerate(kinds):
            position = group.wyckoff[letters[kind - 1]]
            assert data.wyckoffs[atom] == position.letter, label(position)
            assert data.site_symmetry_symbols[atom] == position.site_symmetry, label(position)
            assert data.crystallographic_orbits[atom] == kinds.index(kind), label(position)
        seen += len(group.wyckoff)
    assert seen == 1731


def test_letters_run_from_a_to_the_general_position():
    for group in GROUPS:
        alphabet = [*map(chr, range(97, 123)), "A"]
        assert list(group.wyckoff) == alphabet[: len(group.wyckoff)], group.symbol
        general = group.wyckoff[list(group.wyckoff)[-1]]
        assert general.dof == 3 and general.site_symmetry == "1", group.symbol
        assert general.multiplicity_primitive == len(group.rotations), group.symbol
    assert len(space_group(47).wyckoff) == 27


def test_stabiliser_gives_multiplicity_and_freedom():
    """Orbit and stabiliser: m = |G| / |S|, and the free space is what S leaves fixed."""
    rng = np.random.default_rng(2)
    for group, position in POSITIONS:
        point = on_torus(position, random_torus(rng, position.dof))
        fixed = codes(group, group.rotations @ point + group.translations) == codes(group, point)
        stabiliser = group.rotations[fixed]
        assert position.multiplicity_primitive * len(stabiliser) == len(group.rotations), label(position)
        assert position.multiplicity == position.multiplicity_primitive * len(group.centring), label(position)
        projector = stabiliser.mean(axis=0)
        assert np.trace(projector) == pytest.approx(position.dof), label(position)
        assert np.allclose(projector @ position.basis, position.basis), label(position)
        assert position.dof == 0 or np.linalg.matrix_rank(position.basis) == position.dof, label(position)


def test_images_are_the_orbit_each_point_once():
    rng = np.random.default_rng(3)
    for group, position in POSITIONS:
        w = random_torus(rng, position.dof)
        images = position.images(w @ position.period.T)
        assert np.allclose(images[0], on_torus(position, w)), label(position)
        assert images.shape == (position.multiplicity_primitive, 3), label(position)
        found = np.sort(codes(group, images))
        assert (np.diff(found) > 0).all(), label(position)
        assert np.array_equal(found, orbit(group, images[0])), label(position)


def test_images_are_closed_under_the_group():
    rng = np.random.default_rng(4)
    for group, position in POSITIONS:
        images = position.images(random_torus(rng, position.dof) @ position.period.T)
        moved = np.einsum("gij,mj->gmi", group.rotations, images) + group.translations[:, None]
        expected = np.sort(codes(group, images))
        assert (np.sort(codes(group, moved), axis=1) == expected).all(), label(position)


def test_free_parameters_are_those_of_ita():
    """ITA names a parameter after the first coordinate that is it, as in (x, -x, z) or (1/8, y, -y + 1/4)."""
    for _, position in POSITIONS:
        named = [
            next(k for k in range(3) if np.array_equal(position.basis[k], unit) and position.origin[k] == 0)
            for unit in np.eye(position.dof)
        ]
        assert named == sorted(set(named)), label(position)


def test_bases_are_integer_and_periods_primitive():
    for group, position in POSITIONS:
        d = position.dof
        assert position.basis.shape == (3, d) and position.basis.dtype.kind == "i", label(position)
        assert position.period.shape == (d, d), label(position)
        if d == 0:
            continue
        # Columns in the primitive basis: whole, and no lattice translation of the free space missed.
        steps = np.linalg.inv(group.primitive).T @ position.basis @ position.period
        assert np.allclose(steps, np.rint(steps), atol=1e-9), label(position)
        assert minors_gcd(np.rint(steps)) == 1, label(position)


def test_periods_are_short():
    """Reduced in the reference metric: no column gets shorter by adding or subtracting others."""
    for group, position in POSITIONS:
        vectors = (position.basis @ position.period).T @ reference_lattice(group.number)
        for signs in itertools.product((-1, 0, 1), repeat=position.dof):
            for k in np.flatnonzero(np.array(signs) == 0):
                other = vectors[k] + np.array(signs) @ vectors
                assert other @ other > vectors[k] @ vectors[k] - 1e-9, label(position)


def self_maps(position: WyckoffPosition) -> tuple[np.ndarray, np.ndarray]:
    t, d = tables(), position.dof
    rows = slice(t.self_start[position.index], t.self_start[position.index + 1])
    return t.self_linear[rows, :d, :d], t.self_offset[rows, :d]


def test_self_maps_lead_to_points_of_the_orbit():
    rng = np.random.default_rng(5)
    for group, position in POSITIONS:
        w = random_torus(rng, position.dof)
        linear, offset = self_maps(position)
        assert linear.dtype.kind == "i"
        targets = codes(group, on_torus(position, linear @ w + offset))
        assert targets[0] == codes(group, on_torus(position, w)), label(position)
        assert len(np.unique(targets)) == len(targets), label(position)
        assert np.isin(targets, orbit(group, on_torus(position, w))).all(), label(position)


def test_self_maps_are_as_many_as_images_in_the_free_space():
    """A point is in free space + lattice if lattice planes along the free space see it at whole distances."""
    rng = np.random.default_rng(6)
    normals = np.array(list(itertools.product(range(-3, 4), repeat=3)))
    for group, position in POSITIONS:
        inverse = np.linalg.inv(group.primitive)
        images = position.images(random_torus(rng, position.dof) @ position.period.T) @ inverse
        planes = normals[(normals @ np.rint(inverse.T @ position.basis) == 0).all(axis=1)]
        distance = (images - images[0]) @ planes.T
        inside = (np.abs(distance - np.rint(distance)) < 1e-7).all(axis=1)
        assert inside.sum() == len(self_maps(position)[0]), label(position)


def test_self_maps_are_a_group():
    for _, position in POSITIONS:
        linear, offset = self_maps(position)
        keys = {(*a.ravel(), *over_grid(b)) for a, b in zip(linear, offset, strict=True)}
        assert len(keys) == len(linear), label(position)
        products = np.einsum("aij,bjk->abik", linear, linear).reshape(len(linear) ** 2, -1)
        shifts = (np.einsum("aij,bj->abi", linear, offset) + offset[:, None]).reshape(len(products), -1)
        assert {(*a, *b) for a, b in zip(products, over_grid(shifts), strict=True)} == keys, label(position)


def over_grid(x: np.ndarray) -> np.ndarray:
    """Torus coordinates in units of 1 / GRID, in [0, GRID)."""
    whole = np.rint(x * GRID)
    assert np.abs(whole - x * GRID).max(initial=0) < 1e-4
    return whole.astype(np.int64) % GRID
