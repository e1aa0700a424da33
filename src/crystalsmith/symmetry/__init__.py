"""Symmetry of all 230 space groups, from tables that ship with the package.

Conventions of the whole project, said here once:

* **Setting.** ITA standard: unique axis b and cell choice 1 for monoclinic groups, origin choice 2, hexagonal
  axes for rhombohedral groups (obverse).
* **Cells.** "Conventional" is the ITA cell of that setting; "primitive" is spanned by
  ``SpaceGroup.primitive``. Fractional coordinates, operations and free parameters always refer to the
  conventional cell unless a name says ``primitive``.
* **Rows and columns.** Lattice matrices hold the vectors a, b, c as ROWS (as pymatgen and ASE do); a position
  is a row of fractional coordinates, so ``cartesian = fractional @ lattice``. An operation acts as
  ``x' = W x + w``, that is ``x @ W.T + w`` on rows.
* **Orientation.** A lattice is ``reference_lattice @ expm(strain)`` with a symmetric strain (``lattice.py``):
  for orthogonal families a, b, c lie along x, y, z; for hexagonal axes a along x and c along z.
* **Wyckoff positions.** ``x = basis @ u + origin`` with an integer ``basis`` (3 x d) and the free parameters
  u that ITA calls x, y, z. ``u = period @ w`` turns coordinates w on the unit torus into u: the columns of
  ``basis @ period`` are the shortest lattice translations inside the free space, so two w that differ by
  integers are the same atom.
"""

from crystalsmith.symmetry.lattice import (
    STRAIN_BASIS,
    cell_to_lattice,
    hermite_forms,
    lattice_family,
    lattice_to_cell,
    lattice_to_strain,
    reference_lattice,
    strain_mask,
    strain_to_lattice,
)
from crystalsmith.symmetry.spacegroup import SpaceGroup, WyckoffPosition, space_group
from crystalsmith.symmetry.tables import Tables, tables

__all__ = [
    "STRAIN_BASIS",
    "SpaceGroup",
    "Tables",
    "WyckoffPosition",
    "cell_to_lattice",
    "hermite_forms",
    "lattice_family",
    "lattice_to_cell",
    "lattice_to_strain",
    "reference_lattice",
    "space_group",
    "strain_mask",
    "strain_to_lattice",
    "tables",
]
