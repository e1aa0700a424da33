"""The cells in which a space group describes a lattice."""

from __future__ import annotations

import numpy as np
import pytest

from batches import every_group
from crystalsmith.conditions.settings import GivenCell
from crystalsmith.crystal import Crystal
from crystalsmith.errors import OrderError
from crystalsmith.symmetry import lattice_to_cell


def turned(lattice: np.ndarray, seed: int) -> np.ndarray:
    """Another basis of the same lattice."""
    rng = np.random.default_rng(seed)
    step = np.eye(3, dtype=int)
    for _ in range(2):
        i, j = rng.permutation(3)[:2]
        step[i] += rng.choice([-1, 1]) * step[j]
    return step[rng.permutation(3)] @ lattice


def near(cells: tuple[tuple[float, ...], ...], cell: tuple[float, ...]) -> bool:
    return any(np.allclose(c, cell, rtol=1e-4) for c in cells)


def in_shape(crystal: Crystal) -> bool:
    """Whether its conventional cell is one that a lattice of moderate shape would be given."""
    a, b, c, alpha, beta, gamma = crystal.cell
    return max(a, b, c) < 2 * min(a, b, c) and beta >= 90 and max(alpha, beta, gamma) <= 130


@pytest.mark.parametrize("crystal", every_group()[2::7], ids=lambda c: str(c.space_group))
def test_a_primitive_cell_gives_the_conventional_one(crystal: Crystal) -> None:
    if in_shape(crystal):
        cell = tuple(lattice_to_cell(turned(crystal.primitive_lattice, crystal.space_group)).tolist())
        assert near(GivenCell(cell, primitive=True).settings(crystal.space_group), crystal.cell)


@pytest.mark.parametrize("crystal", every_group(), ids=lambda c: str(c.space_group))
def test_a_conventional_cell_stands_first_in_its_own_group(crystal: Crystal) -> None:
    given = GivenCell(crystal.cell)
    assert np.allclose(given.settings(crystal.space_group)[0], crystal.cell, rtol=1e-6)
    primitive = abs(np.linalg.det(crystal.primitive_lattice))
    assert given.primitive_volume(crystal.space_group) == pytest.approx(primitive, rel=1e-6)


def test_axes_in_another_order() -> None:
    # GdFeO3 as papers give it, in Pbnm, and its axes in Pnma.
    cells = GivenCell((5.349, 5.611, 7.669, 90, 90, 90)).settings(62)
    assert len(cells) == 6 and near(cells, (5.611, 7.669, 5.349, 90, 90, 90))
    # P2_1/n and P2_1/c of one crystal.
    cells = GivenCell((5.0, 8.0, 6.0, 90, 95.0, 90)).settings(14)
    c = np.sqrt(25 + 36 + 2 * 5 * 6 * np.cos(np.radians(95)))
    assert any(np.allclose(sorted(x[:3]), sorted((5.0, 8.0, c)), rtol=1e-4) for x in cells)


def test_rhombohedral_axes() -> None:
    cells = GivenCell((5.13, 5.13, 5.13, 55.3, 55.3, 55.3)).settings(167)  # corundum
    assert any(np.allclose(x, (4.761, 4.761, 12.99, 90, 90, 120), rtol=2e-3) for x in cells)
    assert GivenCell((5.13, 5.13, 5.13, 55.3, 55.3, 55.3)).settings(164) == ()


def test_a_lattice_of_less_symmetry_has_no_cell() -> None:
    assert GivenCell((4.0, 5.0, 6.0, 90, 90, 90)).settings(221) == ()
    assert GivenCell((4.0, 5.0, 6.0, 90, 90, 90)).settings(123) == ()
    assert GivenCell((4.0, 4.0, 4.0, 90, 90, 90)).settings(16)  # more is no hindrance


@pytest.mark.parametrize(
    "cell", [(1, 2, 3), (0, 1, 1, 90, 90, 90), (4, 4, 4, 60, 60, 130), (1, 1, 1, 90, 90, "x")]
)
def test_no_cell(cell: tuple[float, ...]) -> None:
    with pytest.raises(OrderError):
        GivenCell(cell)


def test_a_measured_cell_is_of_a_family_within_its_tolerance() -> None:
    measured = (4.59, 4.61, 2.96, 90.2, 90, 89.9)
    assert GivenCell(measured).settings(136) == ()
    (cell, *_) = GivenCell(measured, slack=0.01).settings(136)
    assert cell[0] == cell[1] == pytest.approx(4.6, abs=0.01) and cell[3:] == (90, 90, 90)
    assert GivenCell(measured, slack=0.01).freedom == 2
