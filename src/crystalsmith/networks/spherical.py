"""Radial and angular bases of DimeNet: Bessel and spherical Bessel functions, and real spherical harmonics.

Source: Gasteiger, Gross and Guennemann 2020 (Directional message passing), equations 6 to 8. The Legendre
polynomials of the angle between two bonds are never evaluated: by the addition theorem
``P_l(a . b) = sum_m Y_lm(a) Y_lm(b)``, so sums over all pairs of bonds of an atom are sums over bonds.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import spherical_jn
from torch import Tensor

from crystalsmith.networks.basis import envelope


@lru_cache(maxsize=4)
def bessel_zeros(orders: int, number: int) -> np.ndarray:
    """(orders, number) first positive zeros of the spherical Bessel functions j_0 ... j_(orders - 1).

    The zeros of j_l lie between those of j_(l-1).
    """
    total = number + orders - 1
    previous = np.pi * np.arange(1, total + 1)
    rows = [previous[:number]]
    for order in range(1, orders):
        ends = pairwise(previous)
        previous = np.array(
            [brentq(lambda x, n=order: spherical_jn(n, x), a, b, xtol=1e-14) for a, b in ends]
        )
        rows.append(previous[:number])
    return np.stack(rows)


def radial_bessel(distance: Tensor, cutoff: Tensor, scale: float, number: int) -> Tensor:
    """(E, number) ``sqrt(2) sin(n pi x) / x`` under the envelope, x = distance / scale.

    Args:
        distance: (E,) Angstrom.
        cutoff: (E,) Angstrom, where the envelope is zero; at most ``scale``.
        scale: Angstrom.
        number: of functions.
    """
    x = (distance / scale)[:, None]
    n = torch.arange(1, number + 1, device=x.device, dtype=x.dtype)
    # torch.sinc(y) is sin(pi y) / (pi y), finite at 0.
    return math.sqrt(2) * math.pi * n * torch.sinc(n * x) * envelope(distance / cutoff)[:, None]


def spherical_harmonics(direction: Tensor, orders: int) -> Tensor:
    """(..., orders^2) real spherical harmonics of unit vectors (..., 3), l = 0 ... orders - 1, m = -l ... l.

    Scaled such that the sum over m of the product at two directions is P_l of the cosine between them. Where
    the vector is null all but l = 0 are zero.
    """
    x, y, z = direction.unbind(-1)
    cosine, sine = [torch.ones_like(x)], [torch.zeros_like(x)]  # r^m sin^m(theta) cos or sin (m phi)
    for _ in range(1, orders):
        cosine.append(cosine[-1] * x - sine[-1] * y)
        sine.append(sine[-1] * x + cosine[-2] * y)
    squared = x * x + y * y + z * z
    columns: list[list[Tensor]] = [[] for _ in range(orders)]
    for m in range(orders):
        # Associated Legendre functions over sin^m, without the phase (-1)^m, upward in l.
        below = torch.zeros_like(x)
        here = torch.full_like(x, float(np.prod(np.arange(1.0, 2 * m, 2))) if m else 1.0)
        for order in range(m, orders):
            if order > m:
                raised = ((2 * order - 1) * z * here - (order + m - 1) * squared * below) / (order - m)
                below, here = here, raised
            scale = math.sqrt((2 if m else 1) * math.factorial(order - m) / math.factorial(order + m))
            columns[order].append(scale * here * cosine[m])
            if m:
                columns[order].insert(0, scale * here * sine[m])
    return torch.stack([c for order in columns for c in order], -1)


class FourierBessel:
    """The radial part of DimeNet's two-dimensional basis, ``sqrt(2 / j_(l+1)(z_ln)^2) j_l(z_ln x)``.

    Looked up in a table between whose points it is cubic: errors below 1e-6, and far faster than recurrences.
    """

    POINTS = 1024

    def __init__(self, orders: int, number: int) -> None:
        self.orders, self.number = orders, number
        zeros = bessel_zeros(orders, number)
        self._zeros = zeros
        self._tables: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def exact(self, x: np.ndarray) -> np.ndarray:
        """(..., orders, number) values at x, by scipy."""
        order = np.arange(self.orders)[:, None]
        scale = np.sqrt(2.0) / np.abs(spherical_jn(order + 1, self._zeros))
        return scale * spherical_jn(order, self._zeros * np.asarray(x)[..., None, None])

    def _table(self, device: torch.device, dtype: torch.dtype) -> Tensor:
        key = (device, dtype)
        if key not in self._tables:
            grid = np.arange(-1, self.POINTS + 3) / self.POINTS
            values = self.exact(np.abs(grid))
            values[0] *= (-1.0) ** np.arange(self.orders)[:, None]  # j_l(-x) = (-1)^l j_l(x)
            self._tables[key] = torch.tensor(values.reshape(len(grid), -1), device=device, dtype=dtype)
        return self._tables[key]

    def __call__(self, x: Tensor) -> Tensor:
        """(E, orders, number) values at x (E,) in [0, 1], by cubic interpolation."""
        table = self._table(x.device, x.dtype)
        place = x.clamp(0, 1) * self.POINTS
        cell = place.floor().clamp(max=self.POINTS - 1)
        u = (place - cell)[:, None]
        row = cell.long()
        a, b, c, d = (table.index_select(0, row + k) for k in range(4))
        # Lagrange through four points.
        value = (
            a * (-u * (u - 1) * (u - 2) / 6)
            + b * ((u + 1) * (u - 1) * (u - 2) / 2)
            + c * (-(u + 1) * u * (u - 2) / 2)
            + d * ((u + 1) * u * (u - 1) / 6)
        )
        return value.view(-1, self.orders, self.number)
