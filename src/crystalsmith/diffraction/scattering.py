"""How strongly atoms scatter X-rays: form factors and anomalous scattering, both from gemmi.

Form factors are those of neutral atoms of the International Tables (1992), ``f(s) = sum_i a_i exp(-b_i s^2/4)
+ c`` with s = 1/d; anomalous scattering is after Cromer and Liberman.
"""

from __future__ import annotations

from functools import lru_cache

import gemmi
import numpy as np
import torch
from torch import Tensor

from crystalsmith.diffraction.radiation import KEV_ANGSTROM

HEAVIEST = 98
"""Atomic number up to which there are form factors; heavier elements get those of this one, scaled."""


@lru_cache(maxsize=1)
def form_factor_table() -> np.ndarray:
    """(119, 9) a1 to a4, b1 to b4, c by atomic number; row 0 is unused."""
    table = np.zeros((119, 9))
    for z in range(1, 119):
        a_b_c = np.array(gemmi.Element(min(z, HEAVIEST)).it92.get_coefs())
        a_b_c[[0, 1, 2, 3, 8]] *= z / min(z, HEAVIEST)
        table[z] = a_b_c
    table.setflags(write=False)
    return table


@lru_cache(maxsize=64)
def anomalous_table(wavelength: float) -> np.ndarray:
    """(119, 2) f' and f'' by atomic number at a wavelength in Angstrom; zero beyond gemmi's elements."""
    table = np.zeros((119, 2))
    energy = 1000 * KEV_ANGSTROM / wavelength
    for z in range(1, 93):
        table[z] = gemmi.cromer_liberman(z=z, energy=energy)
    table.setflags(write=False)
    return table


def form_factors(element: Tensor, square: Tensor) -> Tensor:
    """(S, H) form factors of elements (S,), atomic numbers, at 1/d^2 (S, H) in 1/Angstrom^2."""
    table = torch.tensor(form_factor_table(), dtype=square.dtype, device=square.device)[element]
    result = table[:, 8:].expand_as(square).clone()
    for i in range(4):
        result = result + table[:, i, None] * torch.exp(-table[:, 4 + i, None] * (square / 4))
    return result
