"""What is known of the cell: the cell itself, its volume, or the density."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from crystalsmith.conditions.condition import Condition, Held
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.crystal import fit_cell
from crystalsmith.errors import CrystalsmithError, OrderError
from crystalsmith.graph import Layout
from crystalsmith.symmetry import cell_to_lattice, lattice_to_cell, lattice_to_strain, strain_to_lattice

AVOGADRO = 0.602214076
"""Daltons in 1e-24 g: one g/cm^3 is so many daltons in an Angstrom^3."""

EXACT = 1e-6
"""Relative; a cell that is given is met to this."""


@dataclass(frozen=True)
class FixedCell(Condition):
    """The conventional cell, in the standard setting of the crystal's space group.

    Attributes:
        cell: a, b, c (Angstrom), alpha, beta, gamma (degrees).
        tolerance: standard deviation of its lengths, relative, and of its angles in radians; 0 for exactly
            this cell.

    Raises:
        OrderError: not a cell, or a tolerance below 0 or of 0.5 and more.
    """

    cell: tuple[float, ...]
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "cell", tuple(float(x) for x in self.cell))
        try:
            fit_cell(1, self.cell)
        except CrystalsmithError as error:
            raise OrderError(str(error)) from None
        _check_tolerance(self.tolerance)

    def hold(self, layout: Layout) -> Held:
        strains = []
        for number, volume in zip(layout.space_group.tolist(), layout.volume.tolist(), strict=True):
            lattice = cell_to_lattice(number, np.array(self.of(number)))
            strains.append(lattice_to_strain(number, lattice, volume * int(layout.tables.cells[number])))
        strain = _real(layout, np.array(strains))
        return Held.nothing(layout).with_strain(strain, torch.full_like(strain, self.tolerance))

    def of(self, number: int) -> tuple[float, ...]:
        """The cell made exact for a space group's family.

        Raises:
            OrderError: it is of another family.
        """
        try:
            return fit_cell(number, self.cell)
        except CrystalsmithError as error:
            raise OrderError(str(error)) from None

    def finish(self, crystal: Crystal) -> Crystal:
        return crystal if self.tolerance else replace(crystal, cell=self.of(crystal.space_group))

    def adapt(self, crystal: Crystal) -> Crystal:
        wanted = self.of(crystal.space_group)
        return replace(
            crystal, cell=_within(crystal, wanted, 2 * self.tolerance) if self.tolerance else wanted
        )


@dataclass(frozen=True)
class FixedVolume(Condition):
    """The volume of the conventional cell.

    Attributes:
        volume: Angstrom^3.
        tolerance: standard deviation, relative; 0 for exactly this volume.

    Raises:
        OrderError: a volume that is none, or a tolerance below 0 or of 0.5 and more.
    """

    volume: float
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.volume) and self.volume > 0):
            raise OrderError(f"a volume is a number of Angstrom^3 above 0, not {self.volume}")
        _check_tolerance(self.tolerance)

    def hold(self, layout: Layout) -> Held:
        wanted = torch.full_like(layout.volume, self.volume)
        return _held_volume(layout, wanted, self.tolerance)

    def finish(self, crystal: Crystal) -> Crystal:
        return crystal if self.tolerance else self.adapt(crystal)

    def adapt(self, crystal: Crystal) -> Crystal:
        return _of_volume(crystal, self.volume, self.tolerance)


@dataclass(frozen=True)
class FixedDensity(Condition):
    """The density.

    Attributes:
        density: g/cm^3.
        tolerance: standard deviation, relative; 0 for exactly this density.

    Raises:
        OrderError: a density that is none, or a tolerance below 0 or of 0.5 and more.
    """

    density: float
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.density) and self.density > 0):
            raise OrderError(f"a density is a number of g/cm^3 above 0, not {self.density}")
        _check_tolerance(self.tolerance)

    def hold(self, layout: Layout) -> Held:
        own = torch.tensor(masses(), dtype=layout.volume.dtype, device=layout.volume.device)[layout.element]
        mass = torch.zeros_like(layout.volume)
        mass.index_add_(0, layout.crystal, own * layout.tables.multiplicity[layout.wyckoff])
        cells = layout.tables.cells[layout.space_group]
        return _held_volume(layout, mass * cells / (self.density * AVOGADRO), self.tolerance)

    def finish(self, crystal: Crystal) -> Crystal:
        return crystal if self.tolerance else self.adapt(crystal)

    def adapt(self, crystal: Crystal) -> Crystal:
        cells = crystal.n_atoms_conventional // crystal.n_atoms
        volume = mass_of(crystal.counts) * cells / (self.density * AVOGADRO)
        return _of_volume(crystal, volume, self.tolerance)


def masses() -> np.ndarray:
    """(119,) standard atomic weights by atomic number, daltons."""
    from ase.data import atomic_masses

    return np.asarray(atomic_masses, dtype=float)[:119]


def mass_of(counts: Mapping[str, int]) -> float:
    """Mass of so many atoms of each element, daltons."""
    from crystalsmith.crystal import NUMBERS

    return float(sum(masses()[NUMBERS[e]] * n for e, n in counts.items()))


def _held_volume(layout: Layout, wanted: Tensor, tolerance: float) -> Held:
    """Conventional cells (B,) of these volumes: the isotropic strain alone says so."""
    reference = layout.volume * layout.tables.cells[layout.space_group]
    held = Held.nothing(layout)
    strain, spread = held.strain.clone(), held.strain_tolerance.clone()
    strain[:, 0], spread[:, 0] = (wanted / reference).log() / 3**0.5, tolerance / 3**0.5
    return held.with_strain(strain, spread)


def _of_volume(crystal: Crystal, volume: float, tolerance: float) -> Crystal:
    """A crystal with its cell scaled to within two tolerances of a volume."""
    away = math.log(volume / crystal.volume)
    away -= min(max(away, -2 * tolerance), 2 * tolerance)
    scale = math.exp(away / 3)
    return replace(crystal, cell=(*(x * scale for x in crystal.cell[:3]), *crystal.cell[3:]))


def _within(crystal: Crystal, wanted: tuple[float, ...], most: float) -> tuple[float, ...]:
    """A crystal's cell, its strains from the wanted one cut off at ``most``."""
    number = crystal.space_group
    lattice = cell_to_lattice(number, np.array(wanted))
    volume = float(abs(np.linalg.det(lattice)))
    middle = lattice_to_strain(number, lattice, volume)
    own = lattice_to_strain(number, crystal.lattice, volume)
    strain = middle + np.clip(own - middle, -most, most)
    a, b, c, alpha, beta, gamma = lattice_to_cell(strain_to_lattice(number, strain, volume)).tolist()
    return (a, b, c, alpha, beta, gamma)


def _check_tolerance(tolerance: float) -> None:
    if not (math.isfinite(tolerance) and 0 <= tolerance < 0.5):
        raise OrderError(f"a tolerance is a share from 0 to 0.5, such as 0.02, not {tolerance}")


def _real(layout: Layout, values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=layout.volume.dtype, device=layout.volume.device)
