"""Energies of a potential, as likelihoods of Boltzmann's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crystalsmith.conditions.condition import Condition
from crystalsmith.crystal import SYMBOLS
from crystalsmith.errors import OrderError
from crystalsmith.graph import CrystalBatch

STEEP = 20.0
"""eV/Angstrom and eV a strain, each atom: steeper slopes, of atoms that all but touch, are cut off there."""


@dataclass(frozen=True)
class Energy(Condition):
    """Low energies: the likelihood is exp(-E / T), E the energy of the primitive cell.

    Each step asks the potential a few times for energy, forces and stress, so that sampling takes many times
    as long; it begins where atoms have found their places.

    Attributes:
        potential: as of ``potentials.load_calculator``, such as ``chgnet`` or ``7net-0``.
        temperature: T, eV.
        begins: time of the schedules from which on it counts, see ``Condition``.

    Raises:
        OrderError: a temperature that is none.
        RelaxationError: the potential is unknown, not installed, or does not know the elements.
    """

    potential: str
    temperature: float = 0.1
    begins: float = 0.5
    rounds = 4

    def __post_init__(self) -> None:
        from crystalsmith.potentials.calculators import check_potential

        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise OrderError(f"a temperature is a number of eV above 0, not {self.temperature}")
        check_potential(self.potential)

    def misfit(self, crystals: CrystalBatch) -> Tensor:
        lay, t = crystals.layout, crystals.layout.tables
        lattice = t.primitive[lay.space_group] @ crystals.lattice()
        inverse = t.primitive_inverse[lay.space_group][lay.crystal[lay.atom_orbit]]
        fractional = torch.einsum("ai,aij->aj", crystals.atom_positions(), inverse)
        numbers = lay.element[lay.atom_orbit].cpu().numpy()
        owner = lay.crystal[lay.atom_orbit].cpu().numpy()
        cells, places = (x.detach().double().cpu().numpy() for x in (lattice, fractional))
        found = [self._energy(cells[b], places[owner == b], numbers[owner == b]) for b in range(lay.size)]
        energy = lattice.new_tensor([e for e, _, _ in found])
        by_place = torch.tensor(np.concatenate([f for _, f, _ in found])).to(lattice)
        by_cell = torch.tensor(np.stack([c for _, _, c in found])).to(lattice)
        # The potential's slopes as those of a linear function that has its value here.
        value = energy + ((lattice - lattice.detach()) * by_cell).sum((1, 2))
        along = ((fractional - fractional.detach()) * by_place).sum(1)
        return value.index_add(0, lay.crystal[lay.atom_orbit], along) / self.temperature

    def _energy(
        self, lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray
    ) -> tuple[float, np.ndarray, np.ndarray]:
        """Energy, and its slopes by fractional coordinates (n, 3) and by the lattice (3, 3)."""
        from ase import Atoms

        from crystalsmith.errors import RelaxationError
        from crystalsmith.potentials.calculators import one_line, process_calculator, unknown_to

        calculator = process_calculator(self.potential)
        if unknown := unknown_to(calculator, {SYMBOLS[z] for z in numbers}):
            raise RelaxationError(f"{self.potential}: {unknown}")
        atoms = Atoms(numbers, cell=lattice, scaled_positions=fractional, pbc=True)
        atoms.calc = calculator
        try:
            energy = float(atoms.get_potential_energy())
            forces = np.clip(atoms.get_forces(), -STEEP, STEEP)
            virial = atoms.get_volume() * atoms.get_stress(voigt=False)
        except Exception as error:
            raise RelaxationError(f"{self.potential} failed: {one_line(error)}") from None
        virial = np.clip(virial, -STEEP * len(numbers), STEEP * len(numbers))
        return energy, -forces @ lattice.T, np.linalg.inv(lattice).T @ virial
