"""The fields that are diffused, plug-ins of one diffusion: positions on a torus, lattices as log-strains.

Both noise in orthonormal coordinates of their own, so that to a sampler they look alike: a state, an output
of the network turned into the noise that it sees (``eps``, with score = -eps / sigma), and a step in those
coordinates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from crystalsmith.diffusion.schedules import LogSchedule
from crystalsmith.graph import Layout, mean_displacement


class Field(Protocol):
    """What a sampler and a loss need of a field; n rows, k coordinates each."""

    @property
    def schedule(self) -> LogSchedule:
        """Noise levels, in the units of the orthonormal coordinates."""
        ...

    def owner(self, layout: Layout) -> Tensor:
        """(n,) crystal of each row."""
        ...

    def mask(self, layout: Layout) -> Tensor:
        """(n, k) True for coordinates that exist."""
        ...

    def prior(
        self, layout: Layout, normal: Tensor, uniform: Tensor, sigma: Tensor | float | None = None
    ) -> Tensor:
        """(n, k) a state from standard normal and uniform numbers (n, k), at t = 1 or another high noise."""
        ...

    def noise(self, layout: Layout, clean: Tensor, step: Tensor) -> Tensor:
        """A clean state (n, k) displaced by noise (n, k) in orthonormal coordinates."""
        ...

    def move(self, layout: Layout, state: Tensor, step: Tensor) -> Tensor:
        """The state (n, k) after a sampler's step (n, k) in orthonormal coordinates, kept within bounds."""
        ...

    def eps(self, layout: Layout, state: Tensor, output: Tensor, sigma: Tensor) -> Tensor:
        """(n, k) the noise in the state in units of sigma (n, 1), as the network's output (n, k) tells it."""
        ...

    def residual(
        self, layout: Layout, clean: Tensor, noised: Tensor, output: Tensor, sigma: Tensor
    ) -> Tensor:
        """(n, k) what the training loss squares.

        It is 1 on average for a network that knows nothing, where the field can be known.
        """
        ...


POSITION_NOISE = LogSchedule(0.005, 0.5)
LATTICE_NOISE = LogSchedule(0.01, 2.0)


@dataclass(frozen=True)
class PositionField:
    """Free coordinates of orbits on their torus; sigma in units of the reference cell's cube root.

    The kernel is a wrapped normal around EVERY point of the clean orbit that lies in the free space of the
    representative: the state is the orbit, and which of its points represents it carries no information. This
    lowers the variance of the target at high noise and changes nothing in its mean.
    """

    schedule: LogSchedule = POSITION_NOISE

    def owner(self, layout: Layout) -> Tensor:
        return layout.crystal

    def mask(self, layout: Layout) -> Tensor:
        return layout.free_mask

    def prior(
        self, layout: Layout, normal: Tensor, uniform: Tensor, sigma: Tensor | float | None = None
    ) -> Tensor:
        return uniform * layout.free_mask

    def noise(self, layout: Layout, clean: Tensor, step: Tensor) -> Tensor:
        return self.move(layout, clean, step)

    def move(self, layout: Layout, state: Tensor, step: Tensor) -> Tensor:
        moved = state + torch.einsum("sij,sj->si", layout.tables.unit[layout.wyckoff], step)
        return torch.remainder(moved, 1.0) * layout.free_mask

    def eps(self, layout: Layout, state: Tensor, output: Tensor, sigma: Tensor) -> Tensor:
        return output * layout.free_mask

    def target(self, layout: Layout, clean: Tensor, noised: Tensor, sigma: Tensor) -> Tensor:
        """(S, 3) -sigma times the score of the noised orbit given the clean one; sigma (S, 1)."""
        mean, _ = mean_displacement(layout, clean, noised, sigma)
        return mean[:, 0] / sigma * layout.free_mask

    def residual(
        self, layout: Layout, clean: Tensor, noised: Tensor, output: Tensor, sigma: Tensor
    ) -> Tensor:
        return output * layout.free_mask - self.target(layout, clean, noised, sigma)


@dataclass(frozen=True)
class LatticeField:
    """Log-strain of the lattice around the reference cell, in units of its spread in the data.

    The network's output is preconditioned as in EDM (Karras et al. 2022, table 1).

    Attributes:
        scale: (6,) root mean squares of the strain components in the training set.
    """

    scale: tuple[float, ...] = (0.07, 0.6, 0.45, 0.2, 0.2, 0.2)
    schedule: LogSchedule = LATTICE_NOISE

    def owner(self, layout: Layout) -> Tensor:
        return torch.arange(layout.size, device=layout.crystal.device)

    def mask(self, layout: Layout) -> Tensor:
        return layout.strain_mask

    def unit(self, layout: Layout) -> Tensor:
        """(6,) the scale as a tensor."""
        return torch.tensor(self.scale, device=layout.volume.device, dtype=layout.volume.dtype)

    def prior(
        self, layout: Layout, normal: Tensor, uniform: Tensor, sigma: Tensor | float | None = None
    ) -> Tensor:
        spread = math.hypot(1.0, self.schedule.high if sigma is None else float(sigma))
        return normal * spread * self.unit(layout) * layout.strain_mask

    def noise(self, layout: Layout, clean: Tensor, step: Tensor) -> Tensor:
        return clean + step * self.unit(layout) * layout.strain_mask

    def move(self, layout: Layout, state: Tensor, step: Tensor) -> Tensor:
        # Far beyond the widest noise no crystal lies, and cells become too flat to build a graph for.
        limit = 3.0 * self.schedule.high * self.unit(layout)
        return self.noise(layout, state, step).clamp(-limit, limit)

    def eps(self, layout: Layout, state: Tensor, output: Tensor, sigma: Tensor) -> Tensor:
        y = state / self.unit(layout)
        root = torch.sqrt(sigma**2 + 1)
        clean = y / root**2 + sigma / root * output
        return (y - clean) / sigma * layout.strain_mask

    def residual(
        self, layout: Layout, clean: Tensor, noised: Tensor, output: Tensor, sigma: Tensor
    ) -> Tensor:
        root = torch.sqrt(sigma**2 + 1)
        y0, y = clean / self.unit(layout), noised / self.unit(layout)
        return (output - (y0 - y / root**2) * root / sigma) * layout.strain_mask
