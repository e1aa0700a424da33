"""Crystals to and from pymatgen and ASE objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.errors import StructureError

if TYPE_CHECKING:
    from ase import Atoms
    from pymatgen.core import Structure


def crystal_to_structure(crystal: Crystal, primitive: bool) -> Structure:
    """See ``Crystal.to_structure``."""
    from pymatgen.core import Lattice, Structure

    symbols, fractional = crystal.positions(primitive)
    lattice = crystal.primitive_lattice if primitive else crystal.lattice
    return Structure(Lattice(lattice), symbols, fractional)


def crystal_to_atoms(crystal: Crystal, primitive: bool) -> Atoms:
    """See ``Crystal.to_atoms``."""
    from ase import Atoms

    symbols, fractional = crystal.positions(primitive)
    lattice = crystal.primitive_lattice if primitive else crystal.lattice
    return Atoms(symbols, scaled_positions=fractional, cell=np.array(lattice), pbc=True)


def structure_to_arrays(structure: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lattice (3, 3), fractional coordinates (n, 3) and atomic numbers (n,) of a structure.

    Args:
        structure: a pymatgen Structure or ASE Atoms, told apart by their methods so that neither library
            must be loaded.

    Raises:
        StructureError: disordered, not an element, without a cell, or neither of the two types.
    """
    if hasattr(structure, "get_atomic_numbers"):
        if not np.all(structure.pbc) or structure.cell.rank < 3:
            raise StructureError("not periodic: the atoms have no three-dimensional periodic cell")
        lattice = np.array(structure.cell)
        # Not get_scaled_positions, which solves for each call with wrapping at the cell's edge.
        return lattice, structure.positions @ np.linalg.inv(lattice), np.array(structure.numbers)
    if not (hasattr(structure, "lattice") and hasattr(structure, "is_ordered")):
        raise StructureError(f"{type(structure).__name__} is neither a pymatgen Structure nor ASE Atoms")
    if not structure.is_ordered:
        raise StructureError("disordered: the structure has a site that is partly or jointly occupied")
    numbers = []
    for site in structure:
        symbol = getattr(getattr(site.specie, "element", site.specie), "symbol", str(site.specie))
        numbers.append({"D": 1, "T": 1}.get(symbol, NUMBERS.get(symbol, 0)))
    fractional = np.array(structure.frac_coords).reshape(-1, 3)
    return np.array(structure.lattice.matrix), fractional, np.array(numbers)
