"""What a data set holds, in numbers: lattice systems, space groups, elements, inequivalent sites."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crystalsmith.crystal import SYMBOLS
from crystalsmith.data.dataset import Dataset
from crystalsmith.errors import DataError

LATTICE_SYSTEMS = (
    "triclinic",
    "monoclinic",
    "orthorhombic",
    "tetragonal",
    "rhombohedral",
    "hexagonal",
    "cubic",
)
"""The seven lattice systems, from the least symmetric to the most."""

_RHOMBOHEDRAL = (146, 148, 155, 160, 161, 166, 167)


def lattice_system(number: int) -> str:
    """Lattice system of a space group; a trigonal group is rhombohedral if its lattice is, else hexagonal."""
    if number in _RHOMBOHEDRAL:
        return "rhombohedral"
    for last, system in ((2, 0), (15, 1), (74, 2), (142, 3), (194, 5)):
        if number <= last:
            return LATTICE_SYSTEMS[system]
    return "cubic"


@dataclass(frozen=True, eq=False)
class Statistics:
    """Counts over a data set.

    Attributes:
        structures: crystals.
        atoms: atoms, all primitive cells together.
        lattice_systems: structures of each, in the order of ``LATTICE_SYSTEMS``.
        space_groups: (231,) structures by space-group number; entry 0 is unused.
        structures_with: (119,) structures that hold an element, by atomic number.
        atoms_of: (119,) atoms of each element in all primitive cells.
        sites_of_an_element: (m + 1,) how many times an element occupies so many inequivalent sites of a
            structure.
    """

    structures: int
    atoms: int
    lattice_systems: dict[str, int]
    space_groups: np.ndarray
    structures_with: np.ndarray
    atoms_of: np.ndarray
    sites_of_an_element: np.ndarray


def statistics(dataset: Dataset) -> Statistics:
    """Count.

    Raises:
        DataError: if the data set is empty.
    """
    from crystalsmith.symmetry import tables

    if not len(dataset):
        raise DataError("the data set is empty: there is nothing to count")
    a = dataset.arrays
    groups = np.bincount(a["space_group"], minlength=231)
    owner = np.repeat(np.arange(len(dataset)), np.diff(a["start"]))
    element = a["element"].astype(np.int64)
    pairs, sites = np.unique(owner * len(SYMBOLS) + element, return_counts=True)
    multiplicity = tables().multiplicity_primitive[a["wyckoff"]]
    systems = dict.fromkeys(LATTICE_SYSTEMS, 0)
    for number in range(1, 231):
        systems[lattice_system(number)] += int(groups[number])
    return Statistics(
        structures=len(dataset),
        atoms=int(multiplicity.sum()),
        lattice_systems=systems,
        space_groups=groups,
        structures_with=np.bincount(pairs % len(SYMBOLS), minlength=len(SYMBOLS)),
        atoms_of=np.bincount(element, weights=multiplicity, minlength=len(SYMBOLS)).astype(np.int64),
        sites_of_an_element=np.bincount(sites),
    )
