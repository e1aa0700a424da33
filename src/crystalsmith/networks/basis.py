"""Radial bases of edge lengths and embeddings of the noise levels."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crystalsmith.crystal.elements import COVALENT_RADII

BESSEL = 10
BOND = 14
RADIAL = BESSEL + BOND
"""Number of radial basis functions."""


def envelope(x: Tensor) -> Tensor:
    """Smooth cutoff of x = distance / cutoff: 1 at 0, and 0 with two derivatives at 1.

    Gasteiger et al. 2020 (DimeNet), with the exponent 5.
    """
    x = x.clamp(max=1.0)
    x5 = x**5
    return 1 - 21 * x5 + 35 * x5 * x - 15 * x5 * x * x


def radial_basis(distance: Tensor, cutoff: Tensor, bond: Tensor) -> Tensor:
    """(E, RADIAL) Bessel functions of distance / cutoff, and Gaussians of distance / bond, all under the
    envelope.

    Args:
        distance: (E,) Angstrom.
        cutoff: (E,) Angstrom.
        bond: (E,) sum of the covalent radii, Angstrom: where a bond of these two elements would be.
    """
    x = distance / cutoff
    n = torch.arange(1, BESSEL + 1, device=x.device, dtype=x.dtype)
    bessel = torch.sin(math.pi * n * x[:, None]) / x.clamp(min=1e-2)[:, None] * 0.5
    centre = torch.linspace(0.3, 2.6, BOND, device=x.device, dtype=x.dtype)
    gauss = torch.exp(-0.5 * ((distance / bond)[:, None] - centre).div(0.18) ** 2)
    return torch.cat([bessel, gauss], 1) * envelope(x)[:, None]


def covalent_radii(device: torch.device, dtype: torch.dtype) -> Tensor:
    """(119,) Angstrom by atomic number."""
    return torch.tensor(COVALENT_RADII, device=device, dtype=dtype)


def noise_features(log_sigma: Tensor, size: int = 16) -> Tensor:
    """(..., size) sines and cosines of log sigma, with periods from 1.5 to 24 e-folds."""
    low, high = math.log10(1.5), math.log10(24.0)
    period = torch.logspace(low, high, size // 2, device=log_sigma.device, dtype=log_sigma.dtype)
    angle = log_sigma[..., None] * (2 * math.pi / period)
    return torch.cat([angle.sin(), angle.cos()], -1)
