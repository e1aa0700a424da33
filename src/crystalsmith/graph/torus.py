"""Displacements between two states of an orbit on its torus, whichever of its points represents either."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache

import torch
from torch import Tensor

from crystalsmith.graph.batch import Layout
from crystalsmith.graph.ragged import expand


@lru_cache(maxsize=8)
def _shifts(device: torch.device, dtype: torch.dtype) -> Tensor:
    return torch.tensor(list(itertools.product((-1.0, 0.0, 1.0), repeat=3)), device=device, dtype=dtype)


def mean_displacement(layout: Layout, start: Tensor, end: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
    """Mean displacement from the points of one orbit to a point of another, near points weighing most.

    The points are those of the first orbit that lie in the free space of the second one's representative; a
    point at the distance r weighs as exp(-r^2 / (2 width^2)).

    Args:
        layout: S orbits.
        start, end: (S, 3) torus coordinates of the two.
        width: (S, K), in units of the orthonormal free coordinates.

    Returns:
        (S, K, 3) displacements in orthonormal free coordinates, and (S, K) logarithms of the weights' sum.
    """
    t = layout.tables
    orbit, rank = expand(t.self_count[layout.wyckoff])
    row = t.self_start[layout.wyckoff][orbit] + rank
    image = torch.einsum("mij,mj->mi", t.self_linear[row], start[orbit]) + t.self_offset[row]
    away = end[orbit] - image
    away = away - torch.round(away)
    # The unit cell of the torus is reduced, so the nearest 27 images hold all weight that matters: the
    # mean over the width is wrong by less than 5e-4 up to a width of 0.3, and by 0.03 at 0.5.
    shift = _shifts(away.device, away.dtype) * layout.free_mask[orbit][:, None, :]
    z = torch.einsum("mij,mkj->mki", t.unit_inverse[layout.wyckoff][orbit], away[:, None] + shift)
    exponent = -0.5 * (z * z).sum(-1)[:, None] / width[orbit, :, None] ** 2
    # With fewer than three free coordinates the shifts repeat, equally often each.
    peak = torch.full(width.shape, -math.inf, device=z.device, dtype=z.dtype)
    peak = peak.scatter_reduce(0, orbit[:, None].expand(-1, width.shape[1]), exponent.amax(2), "amax")
    share = torch.exp(exponent - peak[orbit, :, None])
    total = torch.zeros_like(peak).index_add_(0, orbit, share.sum(2))
    mean = z.new_zeros((*width.shape, 3)).index_add_(0, orbit, share @ z)
    return mean / total[:, :, None], peak + total.log()
