"""Lattice families and log-strains: against the operations of all 230 groups, ASE and random cells."""

import numpy as np
import pytest
from ase.cell import Cell
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from test_symmetry_operations import GROUPS

from crystalsmith.symmetry import (
    STRAIN_BASIS,
    SpaceGroup,
    cell_to_lattice,
    lattice_family,
    lattice_to_cell,
    lattice_to_strain,
    reference_lattice,
    strain_mask,
    strain_to_lattice,
)

NUMBERS = st.integers(1, 230)
VOLUMES = st.floats(1.0, 1e5)
STRAINS = st.lists(st.floats(-0.6, 0.6), min_size=6, max_size=6).map(np.array)
DIMENSIONS = {"triclinic": 6, "monoclinic": 4, "orthorhombic": 3, "tetragonal": 2, "hexagonal": 2, "cubic": 1}
COS_LIMIT = 0.35


def cartesian_rotations(group: SpaceGroup) -> np.ndarray:
    """(n, 3, 3) matrices that turn Cartesian column vectors, in the reference lattice."""
    columns = reference_lattice(group.number).T
    return columns @ group.rotations @ np.linalg.inv(columns)


def allowed(number: int, strain: np.ndarray) -> np.ndarray:
    return np.where(strain_mask(number), strain, 0.0)


@st.composite
def cells(draw) -> tuple[int, np.ndarray]:
    """A space group and a cell that its family allows."""
    number = draw(NUMBERS)
    a, b, c = (draw(st.floats(1.5, 60.0)) for _ in range(3))
    alpha, beta, gamma = (np.degrees(np.arccos(draw(st.floats(-COS_LIMIT, COS_LIMIT)))) for _ in range(3))
    cell = {
        "triclinic": (a, b, c, alpha, beta, gamma),
        "monoclinic": (a, b, c, 90, beta, 90),
        "orthorhombic": (a, b, c, 90, 90, 90),
        "tetragonal": (a, a, c, 90, 90, 90),
        "hexagonal": (a, a, c, 90, 90, 120),
        "cubic": (a, a, a, 90, 90, 90),
    }[lattice_family(number)]
    return number, np.array(cell)


def test_strain_basis_is_orthonormal_and_symmetric():
    assert STRAIN_BASIS.shape == (6, 3, 3)
    assert np.allclose(np.einsum("aij,bij->ab", STRAIN_BASIS, STRAIN_BASIS), np.eye(6))
    assert np.allclose(STRAIN_BASIS, STRAIN_BASIS.swapaxes(1, 2))


def test_reference_lattice_makes_every_operation_a_rotation():
    for group in GROUPS:
        turns = cartesian_rotations(group)
        assert np.allclose(turns @ turns.swapaxes(1, 2), np.eye(3)), group.symbol
        assert np.allclose(np.linalg.norm(reference_lattice(group.number), axis=1), 1), group.symbol
        assert np.linalg.det(reference_lattice(group.number)) > 0, group.symbol


def test_allowed_strains_are_invariant_under_every_rotation():
    for group in GROUPS:
        basis = STRAIN_BASIS[strain_mask(group.number)]
        turns = cartesian_rotations(group)
        turned = np.einsum("gij,ajk,glk->gail", turns, basis, turns)
        assert np.allclose(turned, basis), group.symbol


def test_allowed_strains_are_all_invariant_tensors():
    """As many as symmetric tensors hold the trivial representation, by the characters of W."""
    for group in GROUPS:
        trace = np.trace(group.rotations, axis1=1, axis2=2)
        squared = np.trace(group.rotations @ group.rotations, axis1=1, axis2=2)
        invariant = ((trace**2 + squared) / 2).mean()
        assert strain_mask(group.number).sum() == invariant, group.symbol
        assert invariant == DIMENSIONS[lattice_family(group.number)], group.symbol


@settings(deadline=None)
@given(NUMBERS, STRAINS, VOLUMES)
def test_allowed_lattices_have_the_metric_of_the_group(number, strain, volume):
    group = GROUPS[number - 1]
    lattice = strain_to_lattice(number, allowed(number, strain), volume)
    metric = lattice @ lattice.T
    turned = group.rotations.swapaxes(1, 2) @ metric @ group.rotations
    assert np.allclose(turned, metric, rtol=1e-9, atol=1e-9 * metric.max())


@settings(deadline=None)
@given(NUMBERS, STRAINS, VOLUMES, st.integers(0, 2**32 - 1))
def test_strain_and_lattice_are_inverse_in_any_orientation(number, strain, volume, seed):
    strain = allowed(number, strain)
    lattice = strain_to_lattice(number, strain, volume)
    turned = lattice @ Rotation.random(rng=np.random.default_rng(seed)).as_matrix()
    for seen in (lattice, turned, -turned):
        assert np.allclose(lattice_to_strain(number, seen, volume), strain, atol=1e-8)


@settings(deadline=None)
@given(NUMBERS, STRAINS, VOLUMES)
def test_only_the_isotropic_strain_changes_the_volume(number, strain, volume):
    lattice = strain_to_lattice(number, allowed(number, strain), volume)
    assert np.linalg.det(lattice) == pytest.approx(volume * np.exp(np.sqrt(3) * strain[0]), rel=1e-9)


@settings(deadline=None)
@given(NUMBERS, STRAINS, VOLUMES)
def test_forbidden_strains_are_dropped(number, strain, volume):
    """A lattice slightly out of shape becomes the nearest one of the family, at the same volume."""
    lattice = strain_to_lattice(number, strain, volume)
    assert np.allclose(lattice_to_strain(number, lattice, volume), allowed(number, strain), atol=1e-8)
    repaired = cell_to_lattice(number, lattice_to_cell(lattice))
    assert np.linalg.det(repaired) == pytest.approx(np.linalg.det(lattice), rel=1e-6)
    assert np.allclose(lattice_to_strain(number, repaired, volume), allowed(number, strain), atol=1e-6)


@settings(deadline=None)
@given(cells())
def test_cell_and_lattice_are_inverse_and_agree_with_ase(drawn):
    number, cell = drawn
    lattice = cell_to_lattice(number, cell)
    theirs = Cell.fromcellpar(cell)
    assert np.allclose(lattice @ lattice.T, theirs @ theirs.T, rtol=1e-8, atol=1e-7)
    assert np.linalg.det(lattice) == pytest.approx(theirs.volume, rel=1e-8)
    assert np.allclose(lattice_to_cell(lattice), cell, rtol=1e-7)
    assert np.allclose(Cell(lattice).cellpar(), cell, rtol=1e-7)
    again = strain_to_lattice(number, lattice_to_strain(number, lattice, 77.0), 77.0)
    assert np.allclose(again, lattice, rtol=1e-8, atol=1e-8)


@settings(deadline=None)
@given(cells())
def test_orientation_is_the_one_of_the_docstring(drawn):
    number, cell = drawn
    lattice = cell_to_lattice(number, cell)
    unit = lattice / np.linalg.norm(lattice, axis=1)[:, None]
    family = lattice_family(number)
    if family in ("orthorhombic", "tetragonal", "cubic"):
        assert np.allclose(unit, np.eye(3))
    elif family == "hexagonal":
        assert np.allclose(unit, [[1, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1]])
    elif family == "monoclinic":
        assert np.allclose(unit[1], [0, 1, 0])
        assert np.allclose(unit[[0, 2], 1], 0)
    # The strain is symmetric: lattice = reference @ symmetric.
    stretch = np.linalg.solve(reference_lattice(number), lattice)
    assert np.allclose(stretch, stretch.T, atol=1e-8) and (np.linalg.eigvalsh(stretch) > 0).all()


@pytest.mark.parametrize(
    ("number", "family"),
    [
        (1, "triclinic"),
        (2, "triclinic"),
        (3, "monoclinic"),
        (15, "monoclinic"),
        (16, "orthorhombic"),
        (74, "orthorhombic"),
        (75, "tetragonal"),
        (142, "tetragonal"),
        (143, "hexagonal"),
        (194, "hexagonal"),
        (195, "cubic"),
        (230, "cubic"),
    ],
)
def test_family_boundaries(number, family):
    assert lattice_family(number) == family


def test_known_cells():
    rock_salt = cell_to_lattice(225, np.array([5.64, 5.64, 5.64, 90, 90, 90]))
    assert np.allclose(rock_salt, 5.64 * np.eye(3))
    zinc_oxide = cell_to_lattice(186, np.array([3.2495, 3.2495, 5.2069, 90, 90, 120]))
    expected = [[3.2495, 0, 0], [-1.62475, 2.814150, 0], [0, 0, 5.2069]]
    assert np.allclose(zinc_oxide, expected, atol=1e-6)
    assert np.linalg.det(zinc_oxide) == pytest.approx(47.615, abs=1e-3)
