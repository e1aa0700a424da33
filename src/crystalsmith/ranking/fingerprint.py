"""A crystal as a vector of distances, so that drafts of one composition can be compared cheaply.

The vector holds, for every ordered pair of elements, the distances from each atom of the one to its nearest
atoms of the other, sorted (the pointwise distance distribution of Widdowson and Kurlin, by element). It does
not depend on the cell, the origin or the order of the atoms, and changes continuously with the crystal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crystalsmith.crystal import Crystal

NEIGHBOURS = 10
"""Distances from an atom to each element."""


def fingerprint(crystal: Crystal, neighbours: int = NEIGHBOURS) -> np.ndarray:
    """Sorted distances by pair of elements, in units of (volume / atoms)^(1/3), its logarithm last.

    Args:
        crystal: what to describe.
        neighbours: k, distances from an atom to each element.

    Returns:
        (n k e + 1,) for n atoms of e elements in the primitive cell.
    """
    symbols, fractional = crystal.positions(primitive=True)
    lattice = _reduced(crystal.primitive_lattice)
    fractional = fractional @ crystal.primitive_lattice @ np.linalg.inv(lattice)
    volume = abs(float(np.linalg.det(lattice)))
    unit = (volume / len(symbols)) ** (1 / 3)
    element = np.array(symbols)
    elements = sorted(set(symbols))
    first = np.unique(crystal.orbit_of_atom(), return_index=True, return_counts=True)
    representatives, multiplicity = first[1], first[2]
    fewest = min(int((element == e).sum()) for e in elements)
    # A ball of so many atoms of the rarest element, with some room for their being unevenly spread.
    reach = 1.4 * (3 * (neighbours + 1) * volume / (4 * np.pi * fewest)) ** (1 / 3)
    spacing = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    span = np.ceil(reach / spacing).astype(int)
    images = np.stack(np.meshgrid(*(np.arange(-s, s + 1) for s in span), indexing="ij"), -1).reshape(-1, 3)
    moved = images @ lattice
    parts = []
    rows: dict[tuple[str, str], list[np.ndarray]] = {}
    for atom, times in zip(representatives, multiplicity, strict=True):
        difference = fractional - fractional[atom]
        difference -= np.rint(difference)
        away = (difference @ lattice)[:, None] + moved  # (n, images, 3)
        square = np.einsum("nki,nki->nk", away, away)
        for other in elements:
            near = square[element == other].ravel()
            near = np.partition(near, min(neighbours + 1, len(near) - 1))[: neighbours + 1]
            near = np.sqrt(np.sort(near))
            if other == element[atom]:
                near = near[1:]  # the atom itself
            near = np.append(near, np.full(neighbours, reach))[:neighbours]
            rows.setdefault((str(element[atom]), other), []).extend([np.minimum(near, reach)] * int(times))
    for pair in sorted(rows):
        parts.append(np.sort(np.array(rows[pair]), axis=0).ravel())
    return np.append(np.concatenate(parts) / unit, np.log(unit))


def differences(fingerprints: Sequence[np.ndarray]) -> np.ndarray:
    """(n, n) root mean square differences of the fingerprints of n crystals of one composition."""
    f = np.array(fingerprints)
    shape = f[:, None, :-1] - f[None, :, :-1]
    size = f[:, None, -1] - f[None, :, -1]
    return np.asarray(np.sqrt((shape**2).mean(2) + size**2))


def _reduced(lattice: np.ndarray) -> np.ndarray:
    """(3, 3) a short basis of the same lattice: pairs of vectors made short until none gets shorter."""
    b = lattice.copy()
    for _ in range(100):
        changed = False
        for i in range(3):
            for j in range(3):
                if i != j:
                    n = np.rint(b[i] @ b[j] / (b[j] @ b[j]))
                    if n:
                        shorter = b[i] - n * b[j]
                        if shorter @ shorter < b[i] @ b[i] * (1 - 1e-9):
                            b[i], changed = shorter, True
        if not changed:
            break
    return b
