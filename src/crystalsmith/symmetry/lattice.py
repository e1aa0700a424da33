"""Lattice families and the log-strains that each of them allows.

A conventional lattice is ``L = s * R @ expm(E)``, rows a, b, c: R the reference lattice of the family (unit
lengths), s a scale in Angstrom and E a symmetric strain in the space that the family's symmetry leaves
invariant. E is the polar decomposition's logarithm, so it depends on the metric of L alone, never on its
orientation.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

_S2, _S3, _S6 = np.sqrt(2.0), np.sqrt(3.0), np.sqrt(6.0)

STRAIN_BASIS = np.array(
    [
        np.eye(3) / _S3,  # isotropic
        np.diag([1.0, 1.0, -2.0]) / _S6,  # along c
        np.diag([1.0, -1.0, 0.0]) / _S2,  # a against b
        np.array([[0, 0, 1.0], [0, 0, 0], [1.0, 0, 0]]) / _S2,  # beta
        np.array([[0, 0, 0], [0, 0, 1.0], [0, 1.0, 0]]) / _S2,  # alpha
        np.array([[0, 1.0, 0], [1.0, 0, 0], [0, 0, 0]]) / _S2,  # gamma
    ]
)
"""(6, 3, 3) orthonormal (Frobenius) symmetric matrices; a family allows the first 1, 2, 3, 4 or 6 of them."""

FAMILY_STRAINS = {
    "cubic": 1,
    "hexagonal": 2,
    "tetragonal": 2,
    "orthorhombic": 3,
    "monoclinic": 4,
    "triclinic": 6,
}
_LAST = {
    "triclinic": 2,
    "monoclinic": 15,
    "orthorhombic": 74,
    "tetragonal": 142,
    "hexagonal": 194,
    "cubic": 230,
}


def lattice_family(number: int) -> str:
    """Crystal family of a space-group number; trigonal groups, held in hexagonal axes, count as hexagonal."""
    return next(family for family, last in _LAST.items() if number <= last)


def strain_mask(number: int) -> np.ndarray:
    """(6,) boolean: which rows of ``STRAIN_BASIS`` the space group allows."""
    return np.arange(6) < FAMILY_STRAINS[lattice_family(number)]


@lru_cache(maxsize=230)
def reference_lattice(number: int) -> np.ndarray:
    """(3, 3) rows a, b, c of unit length: hexagonal axes for groups 143 to 194, else the identity."""
    lattice = np.eye(3)
    if 143 <= number <= 194:
        lattice[1] = [-0.5, _S3 / 2, 0.0]
    lattice.setflags(write=False)
    return lattice


def strain_to_lattice(number: int, strain: np.ndarray, volume: float) -> np.ndarray:
    """Conventional lattice (3, 3) in Å from strains (6,) around a reference cell of ``volume`` (Å^3)."""
    reference = reference_lattice(number)
    scale = (volume / np.linalg.det(reference)) ** (1 / 3)
    value, vector = np.linalg.eigh(np.einsum("k,kij->ij", np.asarray(strain, float), STRAIN_BASIS))
    return scale * reference @ (vector * np.exp(value)) @ vector.T


def lattice_to_strain(number: int, lattice: np.ndarray, volume: float) -> np.ndarray:
    """Inverse of ``strain_to_lattice`` for a conventional lattice (3, 3) in any orientation.

    Components that the family forbids are zero.
    """
    inverse = np.linalg.inv(reference_lattice(number))
    scale = (volume / np.linalg.det(reference_lattice(number))) ** (1 / 3)
    metric = inverse @ (lattice @ lattice.T) @ inverse.T / scale**2
    value, vector = np.linalg.eigh(metric)
    log = (vector * (0.5 * np.log(value))) @ vector.T
    return np.where(strain_mask(number), np.einsum("kij,ij->k", STRAIN_BASIS, log), 0.0)


def cell_to_lattice(number: int, cell: np.ndarray) -> np.ndarray:
    """Conventional lattice (3, 3) in our orientation from a, b, c (Angstrom), alpha, beta, gamma (degrees).

    What the family forbids is dropped, at the same volume.
    """
    lengths, angles = np.asarray(cell[:3], float), np.radians(np.asarray(cell[3:], float))
    cos = np.cos(angles)
    cosines = np.array([[1, cos[2], cos[1]], [cos[2], 1, cos[0]], [cos[1], cos[0], 1]])
    metric = np.outer(lengths, lengths) * cosines
    lattice = np.linalg.cholesky(metric)
    return strain_to_lattice(number, lattice_to_strain(number, lattice, 1.0), 1.0)


def lattice_to_cell(lattice: np.ndarray) -> np.ndarray:
    """(6,) a, b, c (Angstrom), alpha, beta, gamma (degrees) of a lattice (3, 3)."""
    length = np.linalg.norm(lattice, axis=1)
    unit = lattice / length[:, None]
    cos = np.clip([unit[1] @ unit[2], unit[0] @ unit[2], unit[0] @ unit[1]], -1, 1)
    return np.concatenate([length, np.degrees(np.arccos(cos))])


def hermite_forms(index: int) -> np.ndarray:
    """(m, 3, 3) one basis of each sublattice of an index, upper triangular; rows are whole numbers of the
    lattice's own."""
    forms = []
    for a in _divisors(index):
        for d in _divisors(index // a):
            f = index // a // d
            b, c, e = (x.ravel() for x in np.meshgrid(range(d), range(f), range(f), indexing="ij"))
            block = np.zeros((len(b), 3, 3), dtype=int)
            block[:, 0, 0], block[:, 1, 1], block[:, 2, 2] = a, d, f
            block[:, 0, 1], block[:, 0, 2], block[:, 1, 2] = b, c, e
            forms.append(block)
    return np.concatenate(forms)


def _divisors(number: int) -> list[int]:
    return [k for k in range(1, number + 1) if number % k == 0]
