"""The noise that a noised point of an orbit can be said to hold, whichever point of the orbit it came from.

The network cannot know which image of a site was noised, nor in which cell: what it can learn of the noise
that was added is its mean over all of them. Training on that mean has the same optimum and less variance, and
where the noise is wider than the cell nothing is left of it, as it should be. The published method trains on
the noise itself.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from crystalsmith.graph import GeneralBatch
from crystalsmith.graph.ragged import expand, segment_sum
from crystalsmith.symmetry import tables

_WIDE = 1.0
"""Noise of this many periods leaves an axis uniform to eight digits."""

_TERMS = 4
_HEXAGONAL = (143, 194)


@lru_cache(maxsize=8)
def _translations(device: torch.device, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Lattice translations of the smallest cell with orthogonal axes, fractional in the conventional one.

    Returns:
        First row and number of rows of each group (231,), and the rows (C, 3). For hexagonal axes that cell
        is spanned by a, a + 2 b and c, and holds b too.
    """
    t = tables()
    rows, count = [], [0]
    for g in range(1, 231):
        centring = t.centring[t.centring_start[g - 1] : t.centring_start[g]]
        if _HEXAGONAL[0] <= g <= _HEXAGONAL[1]:
            centring = np.concatenate([centring, centring + np.array([0, 1, 0])])
        rows.append(centring)
        count.append(len(centring))
    number = torch.tensor(count, device=device)
    table = torch.tensor(np.concatenate(rows), device=device, dtype=dtype)
    return torch.cumsum(number, 0) - number, number, table


def orbit_target(clean: GeneralBatch, noised: Tensor, sigma: Tensor) -> Tensor:
    """(S, 3) Cartesian noise in noised points, in units of sigma: minus sigma times the score of the noised
    orbit given the clean one.

    Args:
        clean: crystals with S orbits, in the cell in which the noise was added.
        noised: (S, 3) conventional fractional coordinates.
        sigma: (S,) Angstrom.
    """
    t = clean.tables
    first, number, translations = _translations(noised.device, noised.dtype)
    group = clean.group
    general = t.general[group]
    count = t.multiplicity[general] * number[group]
    orbit, rank = expand(count)
    many = number[group][orbit]
    op = t.image_op[t.image_start[general][orbit] + rank // many]
    image = torch.einsum("mij,mj->mi", t.rotations[op], clean.position[orbit]) + t.translations[op]
    image = image + translations[first[group][orbit] + rank % many]
    away = ((noised[orbit] - image)[:, :, None] * clean.lattice()[clean.crystal[orbit]]).sum(1)
    period = clean.lengths.clone()
    hexagonal = (clean.space_group >= _HEXAGONAL[0]) & (clean.space_group <= _HEXAGONAL[1])
    period[:, 1] *= torch.where(hexagonal, math.sqrt(3.0), 1.0)
    period = period[clean.crystal[orbit]]
    away = away - period * torch.round(away / period)

    width = sigma[orbit, None]
    shift = torch.arange(-_TERMS, _TERMS + 1, device=away.device, dtype=away.dtype)
    z = (away[:, :, None] + period[:, :, None] * shift) / width[:, :, None]
    exponent = -0.5 * z * z
    peak = exponent.amax(2, keepdim=True)
    weight = torch.exp(exponent - peak)
    total = weight.sum(2)
    mean = (weight * z).sum(2) / total
    log = peak[:, :, 0] + torch.log(total)
    wide = width > _WIDE * period
    mean, log = mean.masked_fill(wide, 0.0), log.masked_fill(wide, 0.0).sum(1)
    most = torch.full_like(sigma, -math.inf).scatter_reduce(0, orbit, log, "amax")
    share = torch.exp(log - most[orbit])
    above = segment_sum(share[:, None] * mean, orbit, len(sigma))
    return above / segment_sum(share, orbit, len(sigma))[:, None]
