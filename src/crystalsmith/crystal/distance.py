"""Distances between the atoms of one crystal."""

from __future__ import annotations

import numpy as np


def shortest_distance(lattice: np.ndarray, fractional: np.ndarray) -> float:
    """Smallest distance (Angstrom) between two points of a periodic set, own lattice images included.

    Args:
        lattice: (3, 3) rows in Angstrom.
        fractional: (n, 3).
    """
    n = len(fractional)
    spacing = 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)
    # No periodic packing of spheres is denser than fcc, so two points are at least this close.
    reach = 2 ** (1 / 6) * (abs(np.linalg.det(lattice)) / n) ** (1 / 3) * (1 + 1e-9)
    span = np.ceil(reach / spacing + 0.5).astype(int)
    images = np.stack(np.meshgrid(*(np.arange(-s, s + 1) for s in span), indexing="ij"), -1).reshape(-1, 3)
    i, j = np.triu_indices(n)
    difference = fractional[i] - fractional[j]
    difference -= np.rint(difference)
    best = np.inf
    # A hundred thousand vectors at a time, so that a large flat cell does not take all memory.
    step = max(1, 100_000 // len(images))
    for start in range(0, len(i), step):
        block = (difference[start : start + step, None] + images) @ lattice
        square = np.einsum("nki,nki->nk", block, block)
        same = (i == j)[start : start + step]
        square[np.ix_(same, ~images.any(axis=1))] = np.inf
        best = min(best, float(square.min()))
    return float(np.sqrt(best))


def closest_pair(lattice: np.ndarray, fractional: np.ndarray) -> tuple[int, int, float]:
    """The nearest two points by the rounded image: exact for distances well below the cell's spacings.

    Args:
        lattice: (3, 3) rows in Angstrom.
        fractional: (n, 3), n >= 2.

    Returns:
        Their rows and distance in Angstrom.
    """
    difference = fractional[:, None] - fractional
    difference -= np.rint(difference)
    cartesian = difference @ lattice
    square = np.einsum("ijk,ijk->ij", cartesian, cartesian)
    np.fill_diagonal(square, np.inf)
    i, j = divmod(int(square.argmin()), len(fractional))
    return i, j, float(np.sqrt(square[i, j]))
