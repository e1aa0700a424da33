"""Which Wyckoff position a point lies on, and with which free parameters, from the project's own tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from crystalsmith.errors import StructureError
from crystalsmith.symmetry import SpaceGroup, WyckoffPosition, space_group


@dataclass(frozen=True, eq=False)
class _Finder:
    """Arrays of one group; Y letters, n operations.

    In primitive fractional coordinates the free space of a position is spanned by whole lattice vectors.
    Completed to a basis of the lattice they split a point into torus coordinates w (first d) and a rest that
    is whole exactly when the point is on the position.
    """

    letters: tuple[WyckoffPosition, ...]
    multiplicity: np.ndarray  # (Y,) in the primitive cell
    origin: np.ndarray  # (Y, 3) primitive fractional
    split: np.ndarray  # (Y, 3, 3) acts on columns
    rest: np.ndarray  # (Y, 3, 3) maps the rest back to primitive fractional; first d columns zero
    to_primitive: np.ndarray  # (3, 3) rows: conventional @ to_primitive


def _complete(basis: np.ndarray) -> np.ndarray:
    """(3, 3) unimodular integer matrix whose first columns are those of ``basis`` (3, d)."""
    d = basis.shape[1]
    if d == 3:
        return basis
    small = np.array(list(product((0, 1, -1, 2, -2), repeat=3)))
    if d == 0:
        return np.eye(3)
    if d == 2:
        cross = np.cross(basis[:, 0], basis[:, 1])
        return np.column_stack([basis, small[np.abs(np.abs(small @ cross) - 1).argmin()]])
    for second in small:
        normal = np.cross(basis[:, 0], second)
        value = np.abs(small @ normal)
        if (value == 1).any():
            return np.column_stack([basis, second, small[(value == 1).argmax()]])
    raise AssertionError("the period of a Wyckoff position is not a primitive lattice vector")


@lru_cache(maxsize=230)
def _finder(number: int) -> _Finder:
    group = space_group(number)
    to_primitive = np.linalg.inv(group.primitive)
    letters = tuple(group.wyckoff.values())
    split, rest, origin = [], [], []
    for p in letters:
        lattice_vectors = np.rint(to_primitive.T @ p.basis @ p.period)
        whole = _complete(lattice_vectors)
        split.append(np.linalg.inv(whole))
        rest.append(whole * (np.arange(3) >= p.dof))
        origin.append(p.origin @ to_primitive)
    return _Finder(
        letters=letters,
        multiplicity=np.array([p.multiplicity_primitive for p in letters]),
        origin=np.array(origin),
        split=np.array(split),
        rest=np.array(rest),
        to_primitive=to_primitive,
    )


def find_wyckoff(
    group: SpaceGroup, points: np.ndarray, sizes: np.ndarray, lattice: np.ndarray, tolerance: float
) -> list[tuple[WyckoffPosition, np.ndarray]]:
    """The Wyckoff position of each point and the free parameters of one of its images.

    Args:
        group: the space group.
        points: (r, 3) conventional fractional coordinates, one for each orbit.
        sizes: (r,) points of each orbit in the primitive cell.
        lattice: (3, 3) conventional, Angstrom.
        tolerance: how far (Angstrom) a point may lie from the position.

    Returns:
        For each point the position and u (d,), with the torus coordinates w of u in [0, 1); of all images in
        the position's free space the one whose w comes first.

    Raises:
        StructureError: if no position of that multiplicity holds the point.
    """
    f = _finder(group.number)
    primitive = group.primitive @ lattice
    images = (np.einsum("nij,rj->rni", group.rotations, points) + group.translations) @ f.to_primitive
    y = np.einsum("yij,rnyj->rnyi", f.split, images[:, :, None] - f.origin)
    remainder = np.einsum("yij,rnyj->rnyi", f.rest, y - np.rint(y)) @ primitive
    distance = np.linalg.norm(remainder, axis=-1)  # (r, n, Y)
    result = []
    for r, size in enumerate(sizes):
        of_letter = np.where(f.multiplicity == size, distance[r].min(axis=0), np.inf)
        best = int(of_letter.argmin())
        if not of_letter[best] < tolerance:
            raise StructureError(
                f"no Wyckoff position of space group {group.number} with {size} atoms in the primitive cell "
                f"holds ({', '.join(f'{x:.4f}' for x in points[r])})"
            )
        position = f.letters[best]
        on = distance[r, :, best] <= of_letter[best] + 1e-6
        w = y[r, on, best, : position.dof]
        w = w - np.floor(w)
        w[w > 1 - 1e-7] = 0.0
        first = np.lexsort(np.rint(w * 1e6).T[::-1])[0] if position.dof else 0
        result.append((position, position.period @ w[first]))
    return result


def locate(position: WyckoffPosition, point: np.ndarray, lattice: np.ndarray) -> tuple[np.ndarray, float]:
    """Free parameters of a point on a position's own free space, not on that of another image.

    Args:
        position: the Wyckoff position.
        point: (3,) conventional fractional coordinates.
        lattice: (3, 3) conventional, Angstrom.

    Returns:
        u (d,) with torus coordinates in [0, 1), and the point's distance from the free space in Angstrom.
    """
    group = space_group(position.space_group)
    f = _finder(group.number)
    row = f.letters.index(position)
    y = f.split[row] @ (np.asarray(point) @ f.to_primitive - f.origin[row])
    rest = f.rest[row] @ (y - np.rint(y))
    w = y[: position.dof] - np.floor(y[: position.dof])
    return position.period @ w, float(np.linalg.norm(rest @ group.primitive @ lattice))
