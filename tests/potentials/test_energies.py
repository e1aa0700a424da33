"""Energies of many crystals: the same together as one by one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from crystalsmith.crystal import Crystal, Site
from crystalsmith.potentials import disagreement, energies, load_calculator, single_points
from crystalsmith.potentials.disagreement import HOLE
from crystalsmith.potentials.energies import Energy

CELL = (90.0, 90.0, 90.0)
ROCK_SALT = Crystal(225, (4.21, 4.21, 4.21, *CELL), (Site("Mg", "a"), Site("O", "b")))
PEROVSKITE = Crystal(221, (3.9, 3.9, 3.9, *CELL), (Site("Ti", "a"), Site("Sr", "b"), Site("O", "d")))
QUARTZ = Crystal(
    154, (4.91, 4.91, 5.4, 90.0, 90.0, 120.0), (Site("Si", "a", (0.47,)), Site("O", "c", (0.41, 0.27, 0.12)))
)
RADON = Crystal(225, (7.0, 7.0, 7.0, *CELL), (Site("Rn", "a"),))


@pytest.mark.parametrize(("potential", "module"), [("chgnet", "chgnet"), ("7net-0", "sevenn")])
def test_together_as_alone(potential, module):
    pytest.importorskip(module)
    calculator = load_calculator(potential)
    crystals = [ROCK_SALT, PEROVSKITE, RADON, QUARTZ]
    atoms = QUARTZ.to_atoms(primitive=True)
    atoms.calc = calculator
    forces = atoms.get_forces().copy()
    found = single_points(crystals, calculator)
    calculator.reset()  # a batch leaves the calculator as it was, which takes single crystals
    assert np.allclose(atoms.get_forces(), forces, atol=1e-4) and np.abs(forces).max() > 0.01
    for crystal, energy in zip(crystals, found, strict=True):
        if crystal is RADON:
            assert math.isnan(energy.value) and energy.reason == "the potential does not know Rn"
            continue
        atoms = crystal.to_atoms(primitive=True)
        atoms.calc = calculator
        assert energy.reason is None
        assert energy.value == pytest.approx(atoms.get_potential_energy() / len(atoms), abs=1e-5)
    assert single_points([], calculator) == []


class Batches:
    """Stands for what a potential can do together; spoiled by one crystal."""

    def __init__(self, spoiled: Crystal | None = None) -> None:
        self.sizes: list[list[int]] = []
        self.spoiled = spoiled

    def __call__(self, crystals):
        self.sizes.append([c.n_atoms for c in crystals])
        if self.spoiled in crystals:
            raise RuntimeError("not that one")
        return [float(c.n_atoms) for c in crystals]


def test_batches_are_bounded_by_crystals_and_by_atoms(monkeypatch):
    together = Batches()
    monkeypatch.setattr(energies, "_batched", lambda calculator: together)
    monkeypatch.setattr(energies, "BATCH", 4)
    monkeypatch.setattr(energies, "BATCH_ATOMS", 12)
    crystals = [ROCK_SALT] * 5 + [QUARTZ, QUARTZ, PEROVSKITE]
    found = single_points(crystals, object())
    assert found == [Energy(float(c.n_atoms)) for c in crystals]
    assert together.sizes == [[2, 2, 2, 2], [2, 9], [9], [5]]  # never more than 4, never more than 12 atoms


def test_one_that_spoils_a_batch_spoils_itself_alone(monkeypatch):
    together = Batches(spoiled=QUARTZ)
    monkeypatch.setattr(energies, "_batched", lambda calculator: together)
    monkeypatch.setattr(
        energies, "_alone", lambda crystal, _: Energy(np.nan, "failed") if crystal is QUARTZ else Energy(-1.0)
    )
    found = single_points([ROCK_SALT, QUARTZ, PEROVSKITE], object())
    assert [x.reason for x in found] == [None, "failed", None] and found[0].value == -1.0


def test_a_hole_shows_against_another_potential():
    first = np.array([-5.0, -4.9, -4.7, -5.1, np.nan, -4.8])
    second = first + 0.37 + np.array([0.0, 0.01, -0.01, 0.2, 0.0, 0.0])  # other references of the elements
    found = disagreement(first, second)
    assert np.isnan(found[4]) and found[[0, 1, 2, 5]] == pytest.approx([0, 0.01, -0.01, 0], abs=1e-9)
    assert found[3] == pytest.approx(0.2) and (found > HOLE).sum() == 1
    assert disagreement(first[:2], second[:2]).tolist() == [0, 0]  # of two neither is the rest
    assert disagreement(second, first)[3] == pytest.approx(-0.2)
