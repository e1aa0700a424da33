"""Which atoms and bonds of a periodic crystal to show in one unit cell."""

from itertools import product
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.neighborlist import natural_cutoffs, neighbor_list
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crystalsmith.errors import StructureError

BOUNDARY_TOLERANCE = 1e-3
"""Atoms this near to a cell face (fraction of the cell vector) count as lying on it."""


class HalfBonds(NamedTuple):
    """Bonds seen from each drawn atom; one between two drawn atoms is listed from both ends."""

    starts: NDArray[np.int_]
    """Index of the drawn atom, shape (bonds,)."""
    vectors: NDArray[np.float64]
    """From that atom to its neighbour in Å, shape (bonds, 3)."""
    numbers: NDArray[np.int_]
    """Atomic number of the neighbour, shape (bonds,)."""


def cell_filled(atoms: Atoms) -> Atoms:
    """Complete a unit cell with the images of the atoms on its faces, edges and corners.

    An atom at fractional coordinate 0 is shown at 1 too, so that a rock salt
    cell of 8 atoms becomes the familiar block of 27.

    Args:
        atoms: a crystal; its cell has three vectors (Å) that span a volume.

    Returns:
        The filled cell with the same cell vectors, not periodic. Its array
        ``site`` of shape (atoms,) tells which input atom each atom is an image of.

    Raises:
        StructureError: the cell has no volume. A ValueError.
    """
    if atoms.cell.rank < 3 or atoms.cell.volume < 1e-6:
        raise StructureError("a crystal's cell needs three vectors that span a volume")
    fractional = atoms.get_scaled_positions(wrap=False) % 1.0
    fractional[fractional > 1.0 - BOUNDARY_TOLERANCE] -= 1.0
    on_face = fractional < BOUNDARY_TOLERANCE
    shifts = np.array(list(product((0, 1), repeat=3)))
    shown = np.all(on_face[:, None, :] | (shifts == 0), axis=2)
    sites, shift_indices = np.nonzero(shown)
    filled = Atoms(
        numbers=atoms.numbers[sites],
        scaled_positions=fractional[sites] + shifts[shift_indices],
        cell=atoms.cell,
        pbc=False,
    )
    filled.set_array("site", sites)
    return filled


class PeriodicBonds(NamedTuple):
    """Bonds of the atoms of one cell, each listed from both ends."""

    first: NDArray[np.int_]
    """Index of an atom, shape (bonds,)."""
    second: NDArray[np.int_]
    """Index of its neighbour, shape (bonds,)."""
    shifts: NDArray[np.int_]
    """The cell that the neighbour lies in, shape (bonds, 3)."""
    vectors: NDArray[np.float64]
    """From the atom to the neighbour in Å, shape (bonds, 3)."""


def periodic_bonds(atoms: Atoms) -> PeriodicBonds:
    """Find the bonds of a crystal.

    Two atoms are bonded if they are no farther apart than 1.2 times the sum of
    their covalent radii, and not much farther than the nearest neighbour of
    either: large cations then get no bonds to each other.

    Args:
        atoms: one cell; taken as periodic.
    """
    periodic = atoms.copy()
    periodic.pbc = True
    cutoffs = natural_cutoffs(periodic, mult=1.2)
    first, second, distance, shifts, vector = neighbor_list("ijdSD", periodic, cutoffs)
    nearest = np.full(len(atoms), np.inf)
    np.minimum.at(nearest, first, distance)
    # Unlike atoms may differ in distance as in a distorted octahedron, like ones (metals) hardly.
    slack = np.where(atoms.numbers[first] == atoms.numbers[second], 1.1, 1.3)
    bonded = distance <= slack * np.minimum(nearest[first], nearest[second])
    return PeriodicBonds(first[bonded], second[bonded], shifts[bonded], vector[bonded])


def half_bonds(atoms: Atoms, filled: Atoms) -> HalfBonds:
    """Find those of `periodic_bonds` to draw in a filled cell.

    Bonds that leave the drawing are kept for atoms inside the cell only, where
    they show the coordination; on the boundary they would be mere spikes.

    Args:
        atoms: the periodic crystal.
        filled: what `cell_filled` made of it.

    Returns:
        The bonds, from each drawn atom.
    """
    first, second, _, vector = periodic_bonds(atoms)
    starts, bonds = np.nonzero(filled.arrays["site"][:, None] == first)
    gap, _ = cKDTree(filled.positions).query(filled.positions[starts] + vector[bonds])
    fractional = filled.get_scaled_positions(wrap=False)
    inside = np.all((fractional > BOUNDARY_TOLERANCE) & (fractional < 1 - BOUNDARY_TOLERANCE), axis=1)
    kept = (gap < 1e-3) | inside[starts]
    starts, bonds = starts[kept], bonds[kept]
    return HalfBonds(starts, vector[bonds], atoms.numbers[second[bonds]])


def ball_radii(numbers: NDArray[np.int_]) -> NDArray[np.float64]:
    """Radii in Å of the balls that stand for these elements, same shape: small ones stay visible."""
    return 0.20 + 0.20 * covalent_radii[numbers]
