"""Free lengths of conventional cells, and the transform in which the paper adds noise to them.

``L = k ln(exp(l / k) - 1)`` takes a length l > 0 to any real number, and is close to l where l is well above
k = 10 Angstrom; ``l = k ln(1 + exp(L / k))`` takes it back (section 4 of the paper).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softplus

SCALE = 10.0
"""Angstrom; k of the transform."""

_TETRAGONAL, _CUBIC = 75, 195  # first groups whose a = b, and whose a = b = c


def axis_of_length(space_group: Tensor) -> Tensor:
    """(B, 3) number of the free length that a, b and c are, from 0, for groups (B,) from 16 on.

    Orthorhombic a, b, c; tetragonal and hexagonal a, a, c; cubic a, a, a.
    """
    free = space_group.new_tensor([[0, 1, 2], [0, 0, 1], [0, 0, 0]])
    return free[(space_group >= _TETRAGONAL).long() + (space_group >= _CUBIC).long()]


def length_mask(space_group: Tensor) -> Tensor:
    """(B, 3) True for as many free lengths as the group has, groups (B,) from 16 on."""
    return torch.arange(3, device=space_group.device) <= axis_of_length(space_group).amax(1)[:, None]


def to_transformed(lengths: Tensor, space_group: Tensor) -> Tensor:
    """(B, 3) transformed free lengths of cells with a, b, c (B, 3), zero beyond the free ones."""
    axis = axis_of_length(space_group)
    free = torch.zeros_like(lengths).scatter(1, axis.flip(1), lengths.flip(1))  # the first axis has the word
    x = (free / SCALE).clamp(min=1e-6)
    return (SCALE * (x + torch.log(-torch.expm1(-x)))) * length_mask(space_group)


def from_transformed(transformed: Tensor, space_group: Tensor) -> Tensor:
    """(B, 3) lengths a, b, c in Angstrom of transformed free lengths (B, 3)."""
    return SCALE * softplus(transformed / SCALE).gather(1, axis_of_length(space_group))


def slope(transformed: Tensor) -> Tensor:
    """dl / dL of transformed lengths, same shape."""
    return torch.sigmoid(transformed / SCALE)
