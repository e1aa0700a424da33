"""The symmetry tables as tensors, ready to be gathered from by batched code."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from crystalsmith.symmetry import STRAIN_BASIS, Tables, reference_lattice, strain_mask, tables


@dataclass(frozen=True)
class TorchTables:
    """Tensors by Wyckoff row y (1731), space group g (231, row 0 unused) or operation, in one dtype.

    Attributes:
        free_basis: (1731, 3, 3) columns move the position per unit of w: ``basis @ period``, zero beyond dof.
        origin: (1731, 3).
        unit: (1731, 3, 3) ``w = unit @ z``: z are orthonormal in the reference metric (primitive reference
            volume 1).
        unit_inverse: (1731, 3, 3) ``z = unit_inverse @ w``.
        free_mask: (1731, 3) True for the first dof coordinates.
        dof, multiplicity: (1731,) integers, multiplicity in the primitive cell.
        general: (231,) Wyckoff row of the general position.
        image_start, image_op: points of the primitive cell as operations (rows of ``rotations``).
        self_start, self_count, self_linear, self_offset: maps of w onto points of the same orbit in the same
            free space.
        site_start, site_count, site_rotation: rotations W of the operations that leave the representative
            where it is.
        rotations: (O, 3, 3), translations: (O, 3).
        primitive: (231, 3, 3) rows, primitive_inverse: (231, 3, 3), cells: (231,) primitive cells in a
            conventional one.
        reference: (231, 3, 3) reference lattice, rows, unit lengths; reference_volume: (231,).
        strain_basis: (6, 3, 3); strain_mask: (231, 6) boolean.
        polar: (231, 3).
        normalizer_count: (231,), map_start: (1732,), map_to, map_linear, map_offset: see ``symmetry.Tables``.
    """

    free_basis: Tensor
    origin: Tensor
    unit: Tensor
    unit_inverse: Tensor
    free_mask: Tensor
    dof: Tensor
    multiplicity: Tensor
    general: Tensor
    image_start: Tensor
    image_op: Tensor
    self_start: Tensor
    self_count: Tensor
    self_linear: Tensor
    self_offset: Tensor
    site_start: Tensor
    site_count: Tensor
    site_rotation: Tensor
    rotations: Tensor
    translations: Tensor
    primitive: Tensor
    primitive_inverse: Tensor
    cells: Tensor
    reference: Tensor
    reference_volume: Tensor
    strain_basis: Tensor
    strain_mask: Tensor
    polar: Tensor
    normalizer_count: Tensor
    map_start: Tensor
    map_to: Tensor
    map_linear: Tensor
    map_offset: Tensor


def _site_rotations(t: Tables, free_basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Site-symmetry rotations of all Wyckoff positions in turn, and their number by position (1731,)."""
    rotations, counts = [], []
    for y, g in enumerate(t.wyckoff_group):
        ops = slice(t.op_start[g - 1], t.op_start[g])
        turn = t.rotations[ops]
        still = (turn @ free_basis[y] - free_basis[y]).round(6) == 0
        shift = (turn @ t.origin[y] + t.translations[ops] - t.origin[y]) @ np.linalg.inv(t.primitive[g])
        keep = still.all((1, 2)) & (np.abs(shift - shift.round()) < 1e-6).all(1)
        rotations.append(turn[keep])
        counts.append(int(keep.sum()))
    return np.concatenate(rotations), np.array(counts)


@lru_cache(maxsize=8)
def torch_tables(device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> TorchTables:
    """Tables on a device; made once for each device and dtype."""
    t = tables()
    n = len(t.dof)
    reference = np.stack([np.eye(3)] + [reference_lattice(g) for g in range(1, 231)])
    volume = np.linalg.det(reference)
    cells = np.rint(1 / np.linalg.det(t.primitive)).astype(np.int64)
    free_basis = t.basis @ t.period
    mask = np.arange(3) < t.dof[:, None]
    unit_inverse = np.zeros((n, 3, 3))
    for y in range(n):
        g = t.wyckoff_group[y]
        step = free_basis[y].T @ reference[g] * (cells[g] / volume[g]) ** (1 / 3)
        metric = step @ step.T + np.diag(1.0 - mask[y])
        unit_inverse[y] = np.linalg.cholesky(metric).T
    op_base = t.op_start[t.wyckoff_group - 1]
    image_count = np.diff(t.image_start)
    image_op = t.image_op + np.repeat(op_base, image_count)

    site_rotation, site_count = _site_rotations(t, free_basis)

    def real(a: np.ndarray) -> Tensor:
        return torch.tensor(a, dtype=dtype, device=device)

    def whole(a: np.ndarray) -> Tensor:
        return torch.tensor(a, dtype=torch.long, device=device)

    return TorchTables(
        free_basis=real(free_basis),
        origin=real(t.origin),
        unit=real(np.linalg.inv(unit_inverse)),
        unit_inverse=real(unit_inverse),
        free_mask=torch.tensor(mask, device=device),
        dof=whole(t.dof),
        multiplicity=whole(t.multiplicity_primitive),
        general=whole(np.concatenate([[0], t.wyckoff_start[1:231] - 1])),
        image_start=whole(t.image_start),
        image_op=whole(image_op),
        self_start=whole(t.self_start),
        self_count=whole(np.diff(t.self_start)),
        self_linear=real(t.self_linear),
        self_offset=real(t.self_offset),
        site_start=whole(np.cumsum(site_count) - site_count),
        site_count=whole(site_count),
        site_rotation=real(site_rotation),
        rotations=real(t.rotations),
        translations=real(t.translations),
        primitive=real(t.primitive),
        primitive_inverse=real(np.linalg.inv(t.primitive)),
        cells=whole(cells),
        reference=real(reference),
        reference_volume=real(volume),
        strain_basis=real(STRAIN_BASIS),
        strain_mask=torch.tensor(
            np.stack([np.zeros(6, bool)] + [strain_mask(g) for g in range(1, 231)]), device=device
        ),
        polar=real(t.polar),
        normalizer_count=whole(np.concatenate([[1], np.diff(t.normalizer_start)])),
        map_start=whole(t.map_start),
        map_to=whole(t.map_to),
        map_linear=real(t.map_linear),
        map_offset=real(t.map_offset),
    )
