"""Random numbers that belong to one crystal alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def draw_by_crystal(
    seeds: Sequence[int],
    shapes: Sequence[tuple[int, int]],
    lattice: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Callable[[Callable[..., Tensor]], tuple[Tensor, Tensor]]:
    """A source of random numbers in which every crystal has a generator of its own.

    Args:
        seeds: one for each crystal.
        shapes: rows and columns that each crystal has of the positions.
        lattice: columns of the lattice.
        device, dtype: of the numbers.

    Returns:
        A function that takes ``torch.randn`` or ``torch.rand`` and draws for positions, one crystal after
        another, and for lattices (B, lattice).
    """
    generators = [torch.Generator("cpu").manual_seed(s % 2**63) for s in seeds]

    def draw(kind: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
        # On the CPU and in double precision whatever the device, so that seeds mean the same everywhere.
        # Metal has no double precision to copy.
        own = {"dtype": torch.float64, "device": "cpu"}
        parts = [
            (kind(*n, generator=g, **own), kind(lattice, generator=g, **own))
            for n, g in zip(shapes, generators, strict=True)
        ]
        position = torch.cat([p for p, _ in parts])
        cell = torch.stack([q for _, q in parts])
        return position.to(dtype).to(device), cell.to(dtype).to(device)

    return draw
