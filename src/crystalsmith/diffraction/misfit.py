"""How far a calculated pattern is from an observed one, in several figures."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

RELATIVE = 0.05
"""Part of an intensity by which a good model may be off: shapes of lines, texture, thermal motion."""

FLOOR = 0.003
"""Part of the highest intensity that is uncertain everywhere: what is left of the background."""

ROBUST = 4.0
"""Differences beyond so many of these uncertainties lose weight: foreign lines."""

_NOTICED = 3.0  # sigma by which an intensity must differ to count as missing or foreign


def allowed(observed: Tensor, sigma: Tensor, relative: float = RELATIVE, floor: float = FLOOR) -> Tensor:
    """(N,) by how much a calculated intensity may be off: noise, and what no model gets right."""
    y = observed.clamp(min=0)
    return (sigma**2 + (relative * y) ** 2 + floor**2 + floor * y).sqrt()


def robust_loss(residual: Tensor, robust: float = ROBUST) -> Tensor:
    """Square of small residuals, logarithm of large ones (Cauchy)."""
    return robust**2 * torch.log1p((residual / robust) ** 2)


class Measures(NamedTuple):
    """Figures (R,) of R calculated patterns.

    Attributes:
        misfit: what is not explained: 0 for a perfect model, noise or not, 1 for no lines at all.
        rwp: weighed R factor, the smooth rest of the background taken away from both.
        overlap: cosine between the roots of the intensities.
        missing: share of the calculated intensity that was not observed.
        foreign: share of the observed intensity that is not calculated.
    """

    misfit: Tensor
    rwp: Tensor
    overlap: Tensor
    missing: Tensor
    foreign: Tensor


def measures(observed: Tensor, sigma: Tensor, calculated: Tensor, rest: Tensor) -> Measures:
    """Compare calculated patterns (R, N) with an observed one (N,).

    Args:
        observed: intensities without background.
        sigma: (N,) their uncertainties.
        calculated: (R, N).
        rest: (R, N) what of the background was left, or taken away too much.
    """
    net = observed - rest
    weight = sigma**-2
    difference = net - calculated
    rwp = ((weight * difference**2).sum(1) / (weight * net**2).sum(1).clamp(min=1e-30)).sqrt()
    seen = torch.where(net > _NOTICED * sigma, net, 0.0)
    root, other = seen.sqrt(), calculated.clamp(min=0).sqrt()
    # Weak tails below the noise are no difference.
    other = torch.where((net > _NOTICED * sigma) | (calculated > _NOTICED * sigma), other, 0.0)
    norm = torch.linalg.vector_norm(root, dim=1) * torch.linalg.vector_norm(other, dim=1)
    overlap = (root * other).sum(1) / norm.clamp(min=1e-30)
    noise = _NOTICED * sigma
    missing = (calculated - net - noise).clamp(min=0).sum(1) / calculated.clamp(min=0).sum(1).clamp(min=1e-30)
    foreign = (net - calculated - noise).clamp(min=0).sum(1) / net.clamp(min=0).sum(1).clamp(min=1e-30)
    error = allowed(observed, sigma)
    noise_alone = (sigma / error) ** 2
    best = (noise_alone * (1 - 1.5 * noise_alone / ROBUST**2)).mean()
    cost = robust_loss((net - calculated) / error).mean(1)
    empty = robust_loss(observed / error).mean()
    unexplained = (cost - best) / (empty - best).clamp(min=1e-6)
    return Measures(unexplained, rwp, overlap, missing, foreign)
