"""Volumes, compositions and strains of the crystals of a data set, and volumes of the elements' atoms."""

from __future__ import annotations

import numpy as np

from crystalsmith.data.dataset import Dataset
from crystalsmith.symmetry import STRAIN_BASIS, reference_lattice, strain_mask, tables


def primitive_volumes(dataset: Dataset) -> np.ndarray:
    """(n,) volumes of the primitive cells, Angstrom^3."""
    a = dataset.arrays
    cell = a["cell"].astype(float)
    cos = np.cos(np.radians(cell[:, 3:]))
    root = np.sqrt(1 - (cos**2).sum(1) + 2 * cos.prod(1))
    centring = np.rint(1 / np.linalg.det(tables().primitive[a["space_group"]]))
    return cell[:, :3].prod(1) * root / centring


def compositions(dataset: Dataset) -> np.ndarray:
    """(n, 119) atoms of each element in the primitive cells."""
    a = dataset.arrays
    n = len(dataset)
    owner = np.repeat(np.arange(n), np.diff(a["start"]))
    counts = np.zeros((n, 119))
    np.add.at(counts, (owner, a["element"].astype(int)), tables().multiplicity_primitive[a["wyckoff"]])
    return counts


def fit_atomic_volumes(dataset: Dataset) -> np.ndarray:
    """(119,) volume of an atom of each element, Angstrom^3; typical where unseen, 0 for index 0.

    Fitted to the volumes of primitive cells, by their relative errors. A few rounds of reweighting keep
    outliers (layered and porous crystals) from setting the scale.
    """
    volume, counts = primitive_volumes(dataset), compositions(dataset)
    typical = float(np.median(volume / counts.sum(1)))
    design = counts / volume[:, None]
    weight = np.ones(len(volume))
    result = np.full(119, typical)
    for _ in range(5):
        ridge = 0.3 * np.eye(119)
        matrix = design.T @ (design * weight[:, None]) * typical**2 + ridge
        result = np.linalg.solve(matrix, typical * design.T @ weight + ridge @ np.ones(119)) * typical
        result = np.clip(result, 2.0, None)
        weight = 1 / (1 + (np.log(volume / (counts @ result)) / 0.2) ** 2)
    result[0] = 0.0
    return result


def strains(dataset: Dataset, reference_volume: np.ndarray) -> np.ndarray:
    """(n, 6) log-strain of every lattice around its reference cell.

    Args:
        dataset: n crystals.
        reference_volume: (n,) of the primitive cells, Angstrom^3.
    """
    a = dataset.arrays
    group = a["space_group"].astype(int)
    cell = a["cell"].astype(float)
    cos = np.cos(np.radians(cell[:, 3:]))
    metric = cell[:, :3, None] * cell[:, None, :3]
    for i, j, k in ((0, 1, 2), (0, 2, 1), (1, 2, 0)):
        metric[:, i, j] *= cos[:, k]
        metric[:, j, i] *= cos[:, k]
    reference = np.stack([np.eye(3)] + [reference_lattice(g) for g in range(1, 231)])[group]
    centring = np.rint(1 / np.linalg.det(tables().primitive[group]))
    scale = (reference_volume * centring / np.linalg.det(reference)) ** (1 / 3)
    inverse = np.linalg.inv(reference) / scale[:, None, None]
    value, vector = np.linalg.eigh(inverse @ metric @ inverse.transpose(0, 2, 1))
    log = (vector * (0.5 * np.log(value))[:, None]) @ vector.transpose(0, 2, 1)
    mask = np.stack([np.zeros(6, bool)] + [strain_mask(g) for g in range(1, 231)])[group]
    return np.einsum("kij,nij->nk", STRAIN_BASIS, log) * mask
