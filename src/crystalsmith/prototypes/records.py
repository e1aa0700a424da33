"""Known arrangements with coordinates, from any source: what a template is made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crystalsmith.assignments import Assignment, positions_of
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.elements import NUMBERS, formula_order
from crystalsmith.prior import Prototypes
from crystalsmith.prototypes.alignment import torus
from crystalsmith.symmetry import lattice_to_strain, tables


@dataclass(frozen=True, eq=False)
class Record:
    """One known arrangement.

    Attributes:
        space_group: number.
        slots: positions of the sites of each element, in the order of the elements that ``Prototypes`` has.
        w: (n, 3) torus coordinates, slot by slot.
        strain: (6,) log-strain without its isotropic part.
        ratio: logarithm of the volume over that of its atoms.
        name: in words.
        members: crystals it stands for.
        spread: root mean square distance of their atoms from these, in (volume / atoms)^(1/3).
        e_above_hull: eV/atom of the crystal of this name, NaN where unknown.
    """

    space_group: int
    slots: Assignment
    w: np.ndarray
    strain: np.ndarray
    ratio: float
    name: str
    members: int = 1
    spread: float = 0.0
    e_above_hull: float = math.nan


class Source(Protocol):
    """Where known arrangements come from.

    Attributes:
        kind: one of ``assignments.start.SOURCES``.
        atomic_volume: (119,) Angstrom^3, what its ratios of volumes refer to.
        hash: of its content.
    """

    kind: str

    @property
    def atomic_volume(self) -> np.ndarray: ...

    @property
    def hash(self) -> str: ...

    def of_ratio(self, ratio: tuple[int, ...]) -> Prototypes:
        """The arrangements among which those of a formula's numbers, ascending, are found."""
        ...

    def record(self, prototypes: Prototypes, row: int) -> Record:
        """One of them."""
        ...


def record_of(crystal: Crystal, atomic_volume: np.ndarray, name: str) -> Record:
    """The record of one crystal, its elements cations first."""
    number = crystal.space_group
    first = positions_of(number).first
    rows = np.array([p.index for p in crystal.positions_of_sites])
    elements = sorted({s.element for s in crystal.sites}, key=formula_order)
    place = {e: k for k, e in enumerate(elements)}
    order = sorted(range(len(rows)), key=lambda k: (place[crystal.sites[k].element], int(rows[k]), k))
    slots = tuple(
        tuple(int(rows[k]) - first for k in order if crystal.sites[k].element == e) for e in elements
    )
    free = np.zeros((len(rows), 3))
    for k, site in enumerate(crystal.sites):
        free[k, : len(site.free)] = site.free
    volume = cell_volume(number, slots, [NUMBERS[e] for e in elements], atomic_volume)
    strain = lattice_to_strain(number, crystal.lattice, volume)
    ratio = float(strain[0] * np.sqrt(3.0))
    strain = strain * (np.arange(6) > 0)
    return Record(number, slots, torus(rows, free)[order], strain, ratio, name)


def cell_volume(number: int, slots: Assignment, elements: Sequence[int], atomic_volume: np.ndarray) -> float:
    """Volume of the atoms of a conventional cell, Angstrom^3; elements are atomic numbers."""
    size, first = tables().multiplicity, positions_of(number).first
    return float(
        sum(
            atomic_volume[z] * sum(int(size[first + p]) for p in slot)
            for z, slot in zip(elements, slots, strict=True)
        )
    )
