"""How far a calculated pattern is from an observed one, in several figures."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_NOTICED = 3.0  # sigma by which an intensity must differ to count as missing or foreign


class Measures(NamedTuple):
    """Figures (R,) of R calculated patterns.

    Attributes:
        rwp: weighed R factor, the smooth rest of the background taken away from both.
        overlap: cosine between the roots of the intensities.
        missing: share of the calculated intensity that was not observed.
        foreign: share of the observed intensity that is not calculated.
    """

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
    return Measures(rwp, overlap, missing, foreign)
