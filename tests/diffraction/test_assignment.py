"""Cells by which the strong reflections of a crystal are lines of a pattern."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crystals import KYANITE
from crystalsmith.diffraction import radiation
from crystalsmith.diffraction.assignment import assigned_cells, metric_basis
from crystalsmith.diffraction.background import prepared
from crystalsmith.diffraction.fit import observed_of
from crystalsmith.diffraction.lattice_search import Lines, lattice_of, monomials
from crystalsmith.diffraction.simulation import Optics, Spoiling, measured, simulate
from crystalsmith.symmetry import lattice_family, space_group

OPEN = {"cubic": 1, "hexagonal": 2, "tetragonal": 2, "orthorhombic": 3, "monoclinic": 4, "triclinic": 6}


@pytest.mark.parametrize("number", range(1, 231))
def test_open_numbers_of_a_group_are_those_of_its_lattices(number):
    basis = metric_basis(number)
    assert len(basis) == OPEN[lattice_family(number)]
    rng = np.random.default_rng(number)
    indices = rng.integers(-4, 5, (20, 3))
    for rotation in np.rint(space_group(number).rotations):
        assert np.allclose(monomials(indices @ rotation) @ basis.T, monomials(indices) @ basis.T)


def test_a_triclinic_cell_that_is_off_by_percents_is_found():
    clean = simulate(KYANITE, radiation("CuKa1"), (8.0, 80.0), 0.02, Optics(width=0.1))
    observed = observed_of(prepared(measured(clean, Spoiling(seed=1), 0.1)))
    places = clean.two_theta[1:-1][
        (np.diff(clean.intensity)[:-1] > 0)
        & (np.diff(clean.intensity)[1:] <= 0)
        & (clean.intensity[1:-1] > 0.03 * clean.intensity.max())
    ]
    q = (2 * np.sin(np.radians(places) / 2) / 1.54056) ** 2
    slope = 2 * np.sin(np.radians(places)) / 1.54056**2 * np.radians(1)
    lines = Lines(q, 0.035 * slope, slope)
    off = replace(KYANITE, cell=(7.33, 7.70, 5.66, 91.4, 99.6, 107.5))
    first, second = assigned_cells([off, off], observed, lines, [0, 0], 3)
    assert first == second and 1 <= len(first) <= 3
    away = np.subtract(first[0].cell, KYANITE.cell)
    assert np.abs(away[:3]).max() < 0.02 and np.abs(away[3:]).max() < 0.2
    assert all(c.sites == KYANITE.sites and c.space_group == 2 for c in first)
    # What cannot be: lines of a far larger cell only.
    few = Lines(q[:4] / 100, 0.035 * slope[:4], slope[:4])
    assert assigned_cells([off], observed, few, [0], 3) == [[]]


def test_numbers_of_a_cell_are_those_of_its_lattice():
    lattice = lattice_of(np.array([0.02, 0.018, 0.035, 0.002, 0.006, 0.008]))
    indices = np.array([[1, 0, 0], [0, 1, -1], [2, 1, 3]])
    square = (np.linalg.norm(indices @ np.linalg.inv(lattice).T, axis=1)) ** 2
    assert square == pytest.approx(monomials(indices) @ [0.02, 0.018, 0.035, 0.002, 0.006, 0.008])
