"""Shapes of lines: pseudo-Voigt functions whose width changes with the angle, summed on an even grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csc_matrix
from torch import Tensor

_GAUSS = 4 * math.log(2.0)


@dataclass(frozen=True)
class Grid:
    """Evenly spaced angles 2 theta in degrees.

    Attributes:
        start: the first.
        step: between neighbours.
        size: how many.
    """

    start: float
    step: float
    size: int

    @property
    def stop(self) -> float:
        """The last."""
        return self.start + self.step * (self.size - 1)

    def values(self, dtype: torch.dtype = torch.float64) -> Tensor:
        """(N,) all of them."""
        return self.start + self.step * torch.arange(self.size, dtype=dtype)


def pseudo_voigt(distance: Tensor, width: Tensor, mixing: Tensor) -> Tensor:
    """Pseudo-Voigt function of area 1.

    Args:
        distance: from its middle, degrees.
        width: full width at half maximum, degrees.
        mixing: share of the Lorentzian.
    """
    x = (distance / width) ** 2
    gauss = math.sqrt(_GAUSS / math.pi) * torch.exp(-_GAUSS * x)
    lorentz = (2 / math.pi) / (1 + 4 * x)
    return (mixing * lorentz + (1 - mixing) * gauss) / width


@dataclass(frozen=True)
class Shape:
    """A pseudo-Voigt function and its derivatives with respect to its place, width and mixing."""

    value: Tensor
    place: Tensor
    width: Tensor
    mixing: Tensor


def shape_of(distance: Tensor, width: Tensor, mixing: Tensor, gaussian: bool = False) -> Shape:
    """``pseudo_voigt`` with its derivatives.

    Args:
        distance, width, mixing: as there.
        gaussian: all mixing is 0 and stays so; half of the work, and no derivative with respect to it.
    """
    u = distance / width
    x = u * u
    gauss = (math.sqrt(_GAUSS / math.pi) / width) * torch.exp(-_GAUSS * x)
    if gaussian:
        place = (2 * _GAUSS) * gauss * u / width
        return Shape(gauss, place, place * u - gauss / width, torch.zeros_like(gauss[:, :, :1]))
    down = 1 / (1 + 4 * x)
    lorentz = (2 / math.pi / width) * down
    value = lorentz * mixing + gauss * (1 - mixing)
    # d ln/du of each part: -2 c u and -8 u / (1 + 4 u^2); du/dplace = -1/width, du/dwidth = -u/width.
    fall = (8 * mixing) * lorentz * down + (2 * _GAUSS * (1 - mixing)) * gauss
    place = fall * u / width
    return Shape(value, place, place * u - value / width, lorentz - gauss)


def window(reach: Tensor | float, grid: Grid) -> int:
    """Points on each side of a line that lie within ``reach`` degrees."""
    return max(1, min(math.ceil(float(reach) / grid.step), grid.size))


def spread(kernels: list[tuple[Tensor, Tensor]], first: Tensor, grid: Grid) -> Tensor:
    """Sum lines on a grid.

    Args:
        kernels: pairs of a function at the W points around each line, (B, H, W), and columns (B, H, P) that
            are each multiplied by it.
        first: (B, H) number of the first of a line's W points, which may lie beyond the grid.
        grid: where to sum.

    Returns:
        (B, N, sum of P): the columns of the pairs in turn.
    """
    b, points = len(first), kernels[0][0].shape[2]
    columns = sum(column.shape[2] for _, column in kernels)
    index = first[:, :, None] + torch.arange(points, device=first.device)
    outside = (index < 0) | (index >= grid.size)
    index = torch.where(outside, grid.size, index)  # one more point takes what lies beyond
    index = index + (grid.size + 1) * torch.arange(b, device=first.device)[:, None, None]
    parts = [kernel[:, :, :, None] * column[:, :, None, :] for kernel, column in kernels]
    total = parts[0] if len(parts) == 1 else torch.cat(parts, 3)
    out = total.new_zeros((b * (grid.size + 1), columns))
    out = out.index_add(0, index.reshape(-1), total.reshape(-1, columns))
    return out.reshape(b, grid.size + 1, columns)[:, :-1]


def spread_apart(kernels: list[tuple[Tensor, Tensor]], first: Tensor, grid: Grid) -> Tensor:
    """As ``spread``, on the processor and without a graph: some four times as quick with many columns."""
    b, lines = first.shape
    points = kernels[0][0].shape[2]
    index = first[:, :, None] + torch.arange(points)
    index = torch.where((index < 0) | (index >= grid.size), grid.size, index)
    index = index + (grid.size + 1) * torch.arange(b)[:, None, None]
    rows = index.reshape(-1).to(torch.int32).numpy()
    starts = np.arange(0, len(rows) + 1, points, dtype=np.int32)
    parts = [
        csc_matrix(
            (kernel.detach().reshape(-1).numpy(), rows, starts),
            shape=(b * (grid.size + 1), b * lines),
        )
        @ column.detach().reshape(b * lines, -1).numpy()
        for kernel, column in kernels
    ]
    out = torch.from_numpy(parts[0] if len(parts) == 1 else np.concatenate(parts, 1))
    return out.reshape(b, grid.size + 1, -1)[:, :-1]
