"""Reduction of many lattices at once to short, nearly orthogonal vectors: fewer translations to look at."""

from __future__ import annotations

import torch
from torch import Tensor


def reduce_lattices(lattice: Tensor, rounds: int = 40) -> Tensor:
    """Reduced bases of the same lattices (after Semaev 2001, with a rounded closest-vector step).

    Args:
        lattice: (N, 3, 3) rows.
        rounds: most rounds; far fewer suffice but for cells that are flat by orders of magnitude.

    Returns:
        (N, 3, 3) rows, by length; computed in double precision.
    """
    b = lattice.double()
    for _ in range(rounds):
        length = (b * b).sum(2)
        b = torch.gather(b, 1, length.argsort(1)[:, :, None].expand_as(b))
        first, second, third = b.unbind(1)
        second = second - torch.round((second * first).sum(1) / (first * first).sum(1))[:, None] * first
        plane = torch.stack([first, second], 1)
        gram = plane @ plane.transpose(1, 2)
        along = torch.linalg.solve(gram, (plane @ third[:, :, None])[:, :, 0])
        third = third - (torch.round(along)[:, :, None] * plane).sum(1)
        new = torch.stack([first, second, third], 1)
        shorter = (new * new).sum((1, 2)) < (b * b).sum((1, 2)) * (1 - 1e-9)
        if not bool(shorter.any()):
            break
        b = torch.where(shorter[:, None, None], new, b)
    return b.to(lattice.dtype)
