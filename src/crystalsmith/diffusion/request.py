"""What one crystal is made of, and random numbers that belong to it alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.symmetry import space_group


@dataclass(frozen=True)
class Request:
    """What one crystal is made of.

    Attributes:
        space_group: number.
        sites: (element, Wyckoff letter) of every orbit; ``"*"`` for a letter that is left to the method.
    """

    space_group: int
    sites: tuple[tuple[str, str], ...]

    @property
    def n_orbits(self) -> int:
        """Number of orbits."""
        return len(self.sites)

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the primitive cell."""
        group = space_group(self.space_group)
        return sum(group.position(letter).multiplicity_primitive for _, letter in self.sites)


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
    generators = [torch.Generator().manual_seed(s % 2**63) for s in seeds]

    def draw(kind: Callable[..., Tensor]) -> tuple[Tensor, Tensor]:
        parts = [
            (kind(*n, generator=g, dtype=torch.float64), kind(lattice, generator=g, dtype=torch.float64))
            for n, g in zip(shapes, generators, strict=True)
        ]
        position = torch.cat([p for p, _ in parts])
        cell = torch.stack([q for _, q in parts])
        return position.to(device, dtype), cell.to(device, dtype)

    return draw
