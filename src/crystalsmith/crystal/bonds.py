"""Bonds: the shortest ones of a crystal, and whether real crystals have any as short.

For every pair of elements, and for the first to fourth neighbour of the one among atoms of the other, a limit
is kept: 5 % (15 % with a metal) below the second shortest such distance of 64,261 computed crystals, but at
most 0.9 of the sum of covalent radii, less for rare pairs: those that were only met apart may still bond. So
a carbon atom may have one neighbour at 1.2 Angstrom, but not three. Pairs that were met in fewer than two
crystals have 0.62 of the sum of covalent or ionic radii, whichever is less. Of the crystals that the table is
made from 1 fails, of 7,140 others 1. It is made by ``tools/make_bond_table.py``.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import NamedTuple

import numpy as np

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.elements import COVALENT_RADII, ELECTRONEGATIVITY, NUMBERS, SYMBOLS

NEIGHBOURS = 4
"""Neighbours of an atom among those of one element that have limits of their own."""

STEP = 0.02
"""Step of the table, in sums of covalent radii."""

UNMET = 0.62
"""Limit for pairs that were not met, in sums of radii: the closest of 2,000 well-known pairs come to 0.64."""

_IONIC = 1.2
"""Difference of electronegativities from which two elements may be ions to each other."""

_FARTHEST = 1.3
"""How far bonds are sought, in sums of covalent radii."""


class Bond(NamedTuple):
    """The shortest distance between atoms of two elements, in Angstrom."""

    first: str
    second: str
    length: float


def neighbour_distances(crystal: Crystal, reach: float) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Distances around one atom of each site.

    Args:
        crystal: n atoms in the primitive cell, m sites.
        reach: distances up to this one are complete (Angstrom).

    Returns:
        Atomic numbers of the sites (m), of the atoms (n), and for each site the distances (n, images) from it
        to the atoms and their images, infinite for the atom itself.
    """
    symbols, fractional = crystal.positions()
    lattice = crystal.primitive_lattice
    numbers = np.array([NUMBERS[s] for s in symbols])
    first = np.unique(crystal.orbit_of_atom(), return_index=True)[1]
    spacing = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    span = np.floor(reach / spacing + 0.5).astype(int)
    images = np.stack(np.meshgrid(*(np.arange(-s, s + 1) for s in span), indexing="ij"), -1).reshape(-1, 3)
    moved = images @ lattice
    rows = []
    for atom in first:
        difference = fractional - fractional[atom]
        difference -= np.rint(difference)
        distance = np.linalg.norm((difference @ lattice)[:, None] + moved, axis=2)
        distance[atom][~images.any(axis=1)] = np.inf
        rows.append(distance)
    return numbers[first], numbers, rows


def shortest_bonds(crystal: Crystal) -> list[Bond]:
    """The shortest distance of every pair of elements that are neighbours, shortest first."""
    radii = np.array(COVALENT_RADII)
    reach = _FARTHEST * 2 * float(radii[[NUMBERS[site.element] for site in crystal.sites]].max())
    centres, numbers, rows = neighbour_distances(crystal, reach)
    found: dict[tuple[int, int], float] = {}
    for z, distance in zip(centres, rows, strict=True):
        nearest = distance.min(axis=1)
        for other in np.unique(numbers):
            length = float(nearest[numbers == other].min())
            if length < _FARTHEST * (radii[z] + radii[other]):
                low, high = sorted((int(z), int(other)), key=lambda n: (ELECTRONEGATIVITY[n], n))
                found[low, high] = min(length, found.get((low, high), np.inf))
    bonds = [Bond(SYMBOLS[a], SYMBOLS[b], length) for (a, b), length in found.items()]
    return sorted(bonds, key=lambda bond: bond.length)


def bond_limits(first: str, second: str) -> np.ndarray:
    """(4,) least distances (Angstrom) from an atom of one element to its four nearest of another."""
    return np.asarray(_limits()[NUMBERS[first], NUMBERS[second]])


def limits_by_number() -> np.ndarray:
    """(119, 119, 4) least distances (Angstrom), by atomic numbers of centre and neighbour, read only."""
    return _limits()


def short_bond(crystal: Crystal) -> Bond | None:
    """A pair of elements that come closer than in any known crystal; None where there is none."""
    limits = _limits()
    elements = sorted({NUMBERS[site.element] for site in crystal.sites})
    reach = float(limits[np.ix_(elements, elements)].max())
    centres, numbers, rows = neighbour_distances(crystal, reach)
    for z, distance in zip(centres, rows, strict=True):
        for other in elements:
            near = distance[numbers == other].ravel()
            if len(near) > NEIGHBOURS:
                near = np.partition(near, NEIGHBOURS - 1)[:NEIGHBOURS]
            near = np.sort(near)
            if np.any(near < limits[z, other, : len(near)]):
                return Bond(SYMBOLS[z], SYMBOLS[other], float(near[0]))
    return None


def bond_room(crystal: Crystal) -> float:
    """The shortest bond beside its limit: the least ratio of a distance to ``bond_limits``.

    A sound crystal has 1 and more; near 1 it is as tight as the tightest of those known.
    """
    limits = _limits()[:, :, 0]
    elements = sorted({NUMBERS[site.element] for site in crystal.sites})
    reach = _FARTHEST * 2 * float(np.array(COVALENT_RADII)[elements].max())
    centres, numbers, rows = neighbour_distances(crystal, reach)
    nearest = ((z, distance.min(axis=1)) for z, distance in zip(centres, rows, strict=True))
    return min(float((distance / limits[z, numbers]).min()) for z, distance in nearest)


@lru_cache(maxsize=1)
def _limits() -> np.ndarray:
    """(119, 119, 4) Angstrom, by atomic numbers of centre and neighbour."""
    file = resources.files("crystalsmith.crystal").joinpath("bonds.npz")
    with resources.as_file(file) as path, np.load(path) as data:
        shares = np.zeros((119, 119, NEIGHBOURS))
        known = np.cumsum(data["steps"], axis=2, dtype=int)  # each neighbour's beyond the one before
        shares[: len(known), : len(known)] = known * STEP
    limits = shares * radius_sums("covalent")[..., None]
    lowest = UNMET * np.fmin(radius_sums("covalent"), radius_sums("ionic"))
    limits = np.where(limits > 0, limits, lowest[..., None])
    limits.setflags(write=False)
    return np.asarray(limits)


def radius_sums(kind: str) -> np.ndarray:
    """(119, 119) sums of covalent or ionic radii in Angstrom; NaN where there are no such ions."""
    if kind == "covalent":
        radii = np.array(COVALENT_RADII)
        return np.asarray(radii[:, None] + radii)
    from crystalsmith.crystal.chemistry import ionic_radii

    radii, pull = ionic_radii(), np.array(ELECTRONEGATIVITY)
    apart = np.abs(pull[:, None] - pull) > _IONIC
    return np.where(apart, radii[:, None] + radii, np.nan)
