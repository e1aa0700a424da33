"""A crystal as a vector of what its symmetry leaves free: Wyckoff parameters and lattice strains."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal import Crystal, Site
from crystalsmith.symmetry import STRAIN_BASIS, lattice_to_cell, strain_mask

if TYPE_CHECKING:
    from ase import Atoms


class SymmetricVariables:
    """The free variables x (p + s,) around one crystal, and gradients of an energy with respect to them.

    x holds the free parameters u of all sites, p together, then s strains e. The conventional lattice is
    ``L0 @ (I + sum_k e_k B_k)`` with the rows B_k of ``STRAIN_BASIS`` that the lattice family allows: these
    commute with the rotations of the point group in the project's orientation, so any e keeps the family.
    Fractional coordinates are linear in u, so atoms never jump across the cell's edge.

    Attributes:
        crystal: the crystal at ``start``.
        start: (p + s,) its variables; the strains are zero.
        n_free: p.
        images: (n, 3, p) d(conventional fractional coordinates)/du of the n atoms of the primitive cell.
        strains: (s, 3, 3) allowed strains.
        orbits: (n,) site of each atom.
    """

    def __init__(self, crystal: Crystal) -> None:
        self.crystal = crystal
        self.strains = STRAIN_BASIS[strain_mask(crystal.space_group)]
        self.orbits = crystal.orbit_of_atom()
        self._ends = np.cumsum([0, *(p.dof for p in crystal.positions_of_sites)])
        self.n_free = int(self._ends[-1])
        self.images = np.zeros((crystal.n_atoms, 3, self.n_free))
        fixed = []
        atom = 0
        for i, position in enumerate(crystal.positions_of_sites):
            m = position.multiplicity_primitive
            self.images[atom : atom + m, :, self.parameters(i)] = position.image_rotations @ position.basis
            fixed.append(position.image_rotations @ position.origin + position.image_translations)
            atom += m
        self._fixed = np.concatenate(fixed)
        self._symbols = [crystal.sites[i].element for i in self.orbits]
        free = [value for site in crystal.sites for value in site.free]
        self.start = np.array([*free, *([0.0] * len(self.strains))])

    def parameters(self, site: int) -> slice:
        """Where the free parameters of a site stand in x."""
        return slice(int(self._ends[site]), int(self._ends[site + 1]))

    def deformation(self, x: np.ndarray) -> np.ndarray:
        """(3, 3) I + strain, symmetric."""
        return np.eye(3) + np.tensordot(x[self.n_free :], self.strains, 1)

    def lattice(self, x: np.ndarray) -> np.ndarray:
        """(3, 3) conventional lattice in Angstrom."""
        return self.crystal.lattice @ self.deformation(x)

    def cell(self, x: np.ndarray) -> np.ndarray:
        """(3, 3) primitive lattice in Angstrom."""
        return self.crystal.group.primitive @ self.lattice(x)

    def positions(self, x: np.ndarray) -> np.ndarray:
        """(n, 3) Cartesian, Angstrom, unwrapped, of the atoms of the primitive cell."""
        return (self.images @ x[: self.n_free] + self._fixed) @ self.lattice(x)

    def to_atoms(self, x: np.ndarray) -> Atoms:
        """The primitive cell as ASE Atoms, positions unwrapped."""
        from ase import Atoms

        return Atoms(self._symbols, positions=self.positions(x), cell=self.cell(x), pbc=True)

    def to_crystal(self, x: np.ndarray) -> Crystal:
        """The crystal at x, of the same space group, elements and letters.

        Raises:
            StructureError: if a value is not finite or the cell has no volume.
        """
        cell = lattice_to_cell(self.lattice(x))
        sites = tuple(
            Site(site.element, site.letter, tuple(x[self.parameters(i)].tolist()))
            for i, site in enumerate(self.crystal.sites)
        )
        return Crystal(self.crystal.space_group, tuple(cell.tolist()), sites)

    def gradient(self, x: np.ndarray, forces: np.ndarray, stress: np.ndarray) -> np.ndarray:
        """(p + s,) dE/dx in eV over the units of x.

        Args:
            x: (p + s,) where the forces were computed.
            forces: (n, 3) eV/Angstrom on the atoms of the primitive cell.
            stress: (3, 3) (dE/dstrain) / V in eV/Angstrom^3, positive under tension.
        """
        volume = abs(np.linalg.det(self.cell(x)))
        positional = -np.einsum("kip,ij,kj->p", self.images, self.lattice(x), forces)
        # A change de of the strain deforms the present lattice by (I + e)^-1 de.
        push = volume * np.linalg.solve(self.deformation(x), stress)
        return np.concatenate([positional, np.einsum("kij,ij->k", self.strains, push)])

    def forces(self, x: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        """(sites,) length in eV/Angstrom of the force on an atom of each orbit, as far as symmetry allows it.

        Args:
            x: (p + s,).
            gradient: (p + s,) dE/dx.
        """
        lengths = []
        lattice = self.lattice(x)
        for i, position in enumerate(self.crystal.positions_of_sites):
            moves = position.basis.T @ lattice  # (d, 3) Angstrom of each parameter
            pull = gradient[self.parameters(i)] / position.multiplicity_primitive
            lengths.append(np.sqrt(pull @ np.linalg.solve(moves @ moves.T, pull)))
        return np.array(lengths)

    def stress(self, stress: np.ndarray) -> np.ndarray:
        """(3, 3) the part of a stress that the lattice family allows."""
        return np.einsum("kij,kab,ab->ij", self.strains, self.strains, stress)

    def shifts(self, step: np.ndarray) -> np.ndarray:
        """(sites,) Angstrom, in the cell of the start, by which a change of x moves an atom of each orbit."""
        lattice = self.crystal.lattice
        return np.array(
            [
                np.linalg.norm(step[self.parameters(i)] @ position.basis.T @ lattice)
                for i, position in enumerate(self.crystal.positions_of_sites)
            ]
        )
