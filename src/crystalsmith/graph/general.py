"""Crystals whose orbits are each given by one point anywhere in the cell: the state of the paper's method.

No Wyckoff letter is known beforehand. A point in general position has as many images as the group has
operations; where it lies on, or close to, a special position some of them coincide, see ``coincidence``.
Lattices are orthorhombic or higher (space groups 16 to 230), so lengths are all that is free in them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from crystalsmith.graph.batch import CrystalBatch
from crystalsmith.graph.tables import TorchTables
from crystalsmith.symmetry import reference_lattice, tables

FIRST_GROUP = 16
"""Space groups from here on have cells whose angles are fixed."""


@dataclass(frozen=True)
class GeneralBatch:
    """B crystals with S orbits.

    Attributes:
        space_group: (B,) numbers, all at least ``FIRST_GROUP``.
        crystal: (S,) crystal of each orbit, ascending.
        element: (S,) atomic number.
        position: (S, 3) conventional fractional coordinates of one point of each orbit.
        lengths: (B, 3) a, b, c of the conventional cells, Angstrom.
        tables: the symmetry tables on the batch's device and in its dtype.
    """

    space_group: Tensor
    crystal: Tensor
    element: Tensor
    position: Tensor
    lengths: Tensor
    tables: TorchTables

    @property
    def size(self) -> int:
        """Number of crystals."""
        return len(self.space_group)

    @property
    def group(self) -> Tensor:
        """(S,) space group of each orbit."""
        return self.space_group[self.crystal]

    def with_state(self, position: Tensor, lengths: Tensor) -> GeneralBatch:
        """The same orbits at other positions and in other cells."""
        return replace(self, position=position, lengths=lengths)

    def lattice(self) -> Tensor:
        """(B, 3, 3) conventional lattices, rows, Angstrom."""
        return self.tables.reference[self.space_group] * self.lengths[:, :, None]


def to_general(batch: CrystalBatch) -> GeneralBatch:
    """The same crystals, each orbit by its representative; what its Wyckoff letter was is forgotten."""
    lay = batch.layout
    return GeneralBatch(
        space_group=lay.space_group,
        crystal=lay.crystal,
        element=lay.element,
        position=batch.representative(),
        lengths=torch.linalg.vector_norm(batch.lattice(), dim=2),
        tables=lay.tables,
    )


@dataclass(frozen=True)
class Operations:
    """The operations of the space groups, as many as the largest has, short ones filled up with the identity.

    Attributes:
        count: (231,) operations of each group, one for each coset of the lattice translations.
        first: (231,) row of the first one (the identity) in ``TorchTables.rotations``.
        product: (231, 48, 48) number of the operation that i after j makes, up to a lattice translation.
        cartesian: (O, 3, 3) rotation of every row of ``TorchTables.rotations`` for COLUMN vectors in
            Angstrom; it does not depend on the lengths of the cell where the angles are fixed.
    """

    count: Tensor
    first: Tensor
    product: Tensor
    cartesian: Tensor


MOST = 48
"""Operations of the largest point group."""


@lru_cache(maxsize=1)
def _operations() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    t = tables()
    first = np.concatenate([[0], t.op_start[:230]])
    count = np.concatenate([[1], np.diff(t.op_start[:231])])
    product = np.zeros((231, MOST, MOST), dtype=np.int64)
    cartesian = np.zeros((len(t.rotations), 3, 3))
    code = 3 ** np.arange(9)
    for g in range(1, 231):
        rows = slice(t.op_start[g - 1], t.op_start[g])
        rotations = t.rotations[rows]
        n = len(rotations)
        keys = (rotations.reshape(n, 9) + 1) @ code
        order = np.argsort(keys)
        both = np.einsum("iab,jbc->ijac", rotations, rotations)
        found = np.searchsorted(keys[order], (both.reshape(n, n, 9) + 1) @ code)
        product[g, :n, :n] = order[found]
        basis = reference_lattice(g).T
        cartesian[rows] = basis @ rotations @ np.linalg.inv(basis)
    return count, first, product, cartesian


@lru_cache(maxsize=8)
def operations(device: torch.device, dtype: torch.dtype) -> Operations:
    """The operations on a device; made once for each device and dtype."""
    count, first, product, cartesian = _operations()
    return Operations(
        count=torch.tensor(count, device=device),
        first=torch.tensor(first, device=device),
        product=torch.tensor(product, device=device),
        cartesian=torch.tensor(cartesian, device=device, dtype=dtype),
    )


def concatenate(first: GeneralBatch, second: GeneralBatch) -> GeneralBatch:
    """One batch of the crystals of two."""

    def both(a: Tensor, b: Tensor) -> Tensor:
        return torch.cat([a, b])

    return GeneralBatch(
        space_group=both(first.space_group, second.space_group),
        crystal=both(first.crystal, second.crystal + first.size),
        element=both(first.element, second.element),
        position=both(first.position, second.position),
        lengths=both(first.lengths, second.lengths),
        tables=first.tables,
    )
