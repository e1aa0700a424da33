"""Reflections of a space group: one of each set that a powder cannot tell apart, and how many are in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from crystalsmith.symmetry import space_group

_ROUND = 4  # boxes of indices are made as large as the next multiple: few different ones are made


@dataclass(frozen=True)
class Reflections:
    """Reflections of B crystals, each row padded to the longest with reflections of multiplicity 0.

    Attributes:
        indices: (B, H, 3) conventional Miller indices.
        multiplicity: (B, H) reflections that symmetry makes equal, those of -h included; 0 marks padding.
    """

    indices: Tensor
    multiplicity: Tensor


@lru_cache(maxsize=512)
def unique_reflections(number: int, box: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Reflections of a space group with ``|h| <= box``, one of each set of equal intensity.

    Those that centring, screw axes and glide planes extinguish are left out, and so is (000).

    Args:
        number: space group.
        box: largest |h|, |k|, |l|.

    Returns:
        Indices (H, 3) and multiplicities (H,).
    """
    group = space_group(number)
    most = np.array(box)
    axes = [np.arange(0, most[0] + 1), np.arange(-most[1], most[1] + 1), np.arange(-most[2], most[2] + 1)]
    h = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    whole = h @ group.centring.T
    h = h[(np.abs(whole - np.rint(whole)) < 1e-6).all(1) & (h != 0).any(1)]
    reach = 4 * int(most.max()) + 1  # of any index that an operation can make of these, hexagonal axes too
    weight = np.array([reach * reach, reach, 1])
    own = h @ weight
    highest = own.copy()
    still = np.zeros(len(h), dtype=np.int64)
    absent = np.zeros(len(h), dtype=bool)
    for rotation, translation in zip(group.rotations, group.translations, strict=True):
        code = h @ np.rint(rotation).astype(np.int64) @ weight
        np.maximum(highest, np.abs(code), out=highest)
        same = code == own
        phase = h @ translation
        absent |= same & (np.abs(phase - np.rint(phase)) > 1e-6)
        still += same
        still += code == -own
    kept = (own == highest) & ~absent
    multiplicity = 2 * len(group.rotations) // still[kept]
    return h[kept], multiplicity


def reflections_of(
    space_groups: Sequence[int], lattices: np.ndarray, longest: float, shortest: float = 0.0
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Reflections of crystals within a shell of reciprocal space, for each its own arrays.

    Args:
        space_groups: (B,) numbers.
        lattices: (B, 3, 3) conventional, rows in Angstrom.
        longest, shortest: 1/d in 1/Angstrom.

    Returns:
        For each crystal indices (H, 3) and multiplicities (H,), by falling d.
    """
    found = []
    for number, lattice in zip(space_groups, lattices, strict=True):
        reach = np.linalg.norm(lattice, axis=1) * longest
        a, b, c = (int(_ROUND * np.ceil((r + 1e-9) / _ROUND)) for r in reach)
        h, multiplicity = unique_reflections(int(number), (a, b, c))
        length = np.linalg.norm(h @ np.linalg.inv(lattice).T, axis=1)
        inside = np.flatnonzero((length <= longest) & (length >= shortest))
        inside = inside[np.argsort(length[inside], kind="stable")]
        found.append((h[inside], multiplicity[inside]))
    return found


def padded(
    found: Sequence[tuple[np.ndarray, np.ndarray]],
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Reflections:
    """Reflections of several crystals as one batch."""
    most = max([1, *(len(h) for h, _ in found)])
    indices = np.zeros((len(found), most, 3))
    indices[:, :, 2] = 1.0  # padding needs a length
    multiplicity = np.zeros((len(found), most))
    for b, (h, m) in enumerate(found):
        indices[b, : len(h)] = h
        multiplicity[b, : len(h)] = m
    return Reflections(
        torch.tensor(indices, dtype=dtype, device=device),
        torch.tensor(multiplicity, dtype=dtype, device=device),
    )
