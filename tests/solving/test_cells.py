"""Cells in the axes of space groups, and crystals strained to them."""

import numpy as np
import pytest

from crystalsmith.crystal import Crystal
from crystalsmith.solving.cells import Cell, on_cell


def scaled(crystal: Crystal, factors: tuple[float, float, float]) -> Crystal:
    cell = [x * f for x, f in zip(crystal.cell, factors, strict=False)] + list(crystal.cell[3:])
    return Crystal(crystal.space_group, tuple(cell), crystal.sites)


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("rock salt", (1.05, 1.05, 1.05)),
        ("rutile", (0.96, 0.96, 1.04)),
        ("corundum", (1.03, 1.03, 0.97)),
        ("aragonite", (1.03, 0.96, 1.02)),
        ("baddeleyite", (0.97, 1.03, 1.02)),
        ("tenorite", (1.02, 0.97, 1.01)),
        ("boric acid", (1.02, 1.0, 0.98)),
    ],
)
def test_a_candidate_is_strained_to_the_cell_in_whatever_axes(known, name, factors):
    """The axes in another order, or primitive: the crystal ends on its own published cell."""
    crystal = known[name]
    candidate = scaled(crystal, factors)
    a, b, c, alpha, beta, gamma = crystal.cell
    for values in ((a, b, c, alpha, beta, gamma), (b, c, a, beta, gamma, alpha)):
        found = on_cell(candidate, Cell(values))
        assert found is not None and found.cell == pytest.approx(crystal.cell, abs=1e-6)
        assert found.sites == candidate.sites
    lengths = np.linalg.norm(crystal.primitive_lattice, axis=1)
    cos = crystal.primitive_lattice @ crystal.primitive_lattice.T / np.outer(lengths, lengths)
    angles = np.degrees(np.arccos([cos[1, 2], cos[0, 2], cos[0, 1]]))
    found = on_cell(candidate, Cell((*lengths, *angles)))
    assert found is not None and found.cell == pytest.approx(crystal.cell, abs=1e-5)


def test_a_lattice_of_another_shape_is_refused(known):
    assert on_cell(known["rutile"], Cell((4.6, 4.6, 5.9, 90, 90, 90))) is None
    assert on_cell(known["rock salt"], Cell((5.6, 5.6, 5.9, 90, 90, 90))) is None


def test_a_cell_is_read_back():
    cell = Cell((4.0, 4.0, 6.0, 90.0, 90.0, 90.0), "indexed", "tetragonal P", (("m_rev", 2.5),))
    assert Cell.from_dict(cell.to_dict()) == cell
    assert cell.volume == pytest.approx(96.0)
