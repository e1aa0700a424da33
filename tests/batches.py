"""Batches for the tests of graphs, networks and diffusion."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch

from crystals import random_crystal
from crystalsmith.crystal import Crystal, Site
from crystalsmith.graph import CrystalBatch, to_batch
from crystalsmith.symmetry import STRAIN_BASIS, lattice_to_cell, strain_mask

VOLUMES = np.full(119, 18.0)
"""Angstrom^3 by atomic number."""


@lru_cache(maxsize=4)
def every_group(seed: int = 0, max_sites: int = 3, max_atoms: int = 24) -> tuple[Crystal, ...]:
    """One random crystal of each of the 230 space groups."""
    rng = np.random.default_rng(seed)
    return tuple(random_crystal(number, rng, max_sites, max_atoms) for number in range(1, 231))


def batch_of(*crystals: Crystal, dtype: torch.dtype = torch.float64) -> CrystalBatch:
    """Crystals as a batch in double precision."""
    return to_batch(crystals, VOLUMES, dtype=dtype)


def noised(batch: CrystalBatch, seed: int = 0, strain: float = 1.5) -> CrystalBatch:
    """Random positions and random strains, the largest eigenvalue of each up to ``strain``."""
    rng = np.random.default_rng(seed)
    lay = batch.layout
    w = rng.random((len(lay.crystal), 3)) * lay.free_mask.numpy()
    y = np.stack([np.where(strain_mask(int(g)), rng.normal(size=6), 0) for g in lay.space_group])
    largest = np.abs(np.linalg.eigvalsh(np.einsum("bk,kij->bij", y, STRAIN_BASIS))).max(1)
    y *= (strain * rng.random(lay.size) / largest)[:, None]
    return batch.with_state(torch.tensor(w).to(batch.w), torch.tensor(y).to(batch.strain))


def in_p1(crystal: Crystal, supercell: np.ndarray | None = None) -> tuple[Crystal, np.ndarray, np.ndarray]:
    """A crystal without its symmetry: every atom of the primitive cell, or of a supercell, its own orbit.

    Args:
        crystal: any.
        supercell: (3, 3) integers; rows are the new vectors in terms of the primitive ones.

    Returns:
        The crystal in space group 1; the rotation Q with ``v @ Q`` a row vector v of the first orientation in
        the new one; for each atom the atom of the primitive cell that it is (n,).
    """
    matrix = np.eye(3, dtype=int) if supercell is None else np.asarray(supercell)
    symbols, points = crystal.positions()
    reach = np.abs(matrix).sum(0).max() + 1
    grid = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), -1).reshape(-1, 3)
    inside = grid @ np.linalg.inv(matrix)
    grid = grid[((inside > -1e-9) & (inside < 1 - 1e-9)).all(1)]
    assert len(grid) == round(abs(np.linalg.det(matrix)))
    lattice = matrix @ crystal.primitive_lattice
    origin = np.repeat(np.arange(len(points)), len(grid))
    places = ((points[:, None] + grid).reshape(-1, 3)) @ np.linalg.inv(matrix) % 1.0
    sites = tuple(Site(symbols[i], "a", tuple(x)) for i, x in zip(origin, places.tolist(), strict=True))
    plain = Crystal(1, tuple(lattice_to_cell(lattice).tolist()), sites)
    return plain, np.linalg.solve(lattice, plain.lattice), origin
