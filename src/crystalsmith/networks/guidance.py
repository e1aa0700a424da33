"""What a guide, a known crystal with similar elements, tells the denoiser of positions and lattice.

If a guide were right up to an error of a known width, the noise in a state would follow from it by itself.
The network is given those answers for a few widths, and learns how far to trust each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from crystalsmith.graph import CrystalBatch, Guide, mean_displacement
from crystalsmith.networks.structure_factor import REFLECTIONS, structure_factors

POSITION_WIDTHS = (0.01, 0.04, 0.15)
"""Errors of a guide's positions, in units of the reference cell's cube root."""
LATTICE_WIDTHS = (0.1, 0.3, 1.0)
"""Errors of a guide's log-strain, in units of its spread in the data."""
_K = len(POSITION_WIDTHS)
HIDDEN = 64


@dataclass(frozen=True)
class Hints:
    """What the noise would be if the guide were right; B crystals with S orbits, K widths.

    Attributes:
        position: (S, K, 3) answers for the positions, in orthonormal free coordinates; 0 without a guide.
        arrow: (S, K, 3) mean displacements over their widths; 0 without a guide.
        lattice: (B, K, 6) answers for the lattice; 0 without a guide.
    """

    position: Tensor
    arrow: Tensor
    lattice: Tensor


class Guidance(nn.Module):
    """Scalars and vectors of orbits from a guide, and its answers weighed. At first it says nothing.

    Args:
        scalars, vectors: channels of an orbit.
        noise: features of the noise levels.
        context: whether the guide's structure factors are seen.
    """

    def __init__(self, scalars: int, vectors: int, noise: int, context: bool) -> None:
        super().__init__()
        self.encode = nn.Sequential(
            nn.Linear(2 * _K + 12 + 1 + noise, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, scalars)
        )
        self.place = nn.Linear(2 * REFLECTIONS, scalars, bias=False) if context else None
        self.arrow = nn.Linear(_K, vectors, bias=False)
        self.position_gate = nn.Linear(scalars, _K)
        self.lattice_gate = nn.Linear(scalars + noise, 6 * _K)
        ends = [self.encode[-1], self.place, self.arrow, self.position_gate, self.lattice_gate]
        for last in ends:
            for p in last.parameters() if last is not None else ():
                nn.init.zeros_(p)

    def forward(
        self, batch: CrystalBatch, guide: Guide, log_sigma: Tensor, strain: Tensor, noise: Tensor
    ) -> tuple[Tensor, Hints]:
        """(S, scalars) to add to the orbits' scalars, and the guide's answers.

        Args:
            batch: the noised crystals.
            guide: theirs; its strain in units of the lattice field.
            log_sigma: (B, 2) logarithms of the noise levels of positions and lattice.
            strain: (B, 6) of the batch as the network is given it: in units of the lattice field, over
                sqrt(1 + sigma^2).
            noise: (B, noise) features of the noise levels.
        """
        lay = batch.layout
        position_sigma, lattice_sigma = log_sigma.exp().unbind(1)
        widths = guide.w.new_tensor(POSITION_WIDTHS)
        sigma = position_sigma[lay.crystal, None]
        width = torch.sqrt(sigma**2 + widths**2)
        present = guide.present[lay.crystal, None]
        with torch.no_grad():
            mean, log = mean_displacement(lay, guide.w, batch.w, width)
            arrow = mean / width[:, :, None] * (present[:, :, None] * lay.free_mask[:, None])
            position = arrow * (sigma / width)[:, :, None]

        root = torch.sqrt(1 + lattice_sigma**2)[:, None]
        away = guide.strain - strain * root
        square = lattice_sigma[:, None] ** 2 + away.new_tensor(LATTICE_WIDTHS) ** 2
        lattice = away[:, None] / square[:, :, None] + (strain / root)[:, None]
        lattice = lattice * (lattice_sigma[:, None] * root * guide.present[:, None])[:, :, None]

        told = torch.cat(
            [
                (away / root).clamp(-4, 4),
                guide.strain.clamp(-4, 4),
                guide.weight.clamp(min=1e-6).log()[:, None] / 4,
                noise,
            ],
            1,
        )
        seen = torch.cat(
            [torch.linalg.vector_norm(arrow, dim=2), log.clamp(min=-20) / 4, told[lay.crystal]], 1
        )
        s = self.encode(seen)
        if self.place is not None:
            factors = structure_factors(batch.with_state(guide.w, batch.strain))
            s = s + self.place(torch.cat([factors.real, factors.imag], 1))
        return s * present, Hints(position, arrow, lattice)

    def vectors(self, hints: Hints, step: Tensor) -> Tensor:
        """(S, 3, vectors) Cartesian vectors towards the guide.

        Args:
            hints: of ``forward``.
            step: (S, 3, 3) rows take orthonormal free coordinates to Cartesian ones, of order 1.
        """
        return self.arrow((hints.arrow @ step).transpose(1, 2))

    def position(self, s: Tensor, hints: Hints) -> Tensor:
        """(S, 3) to add to the answer for the positions, from scalars (S, scalars)."""
        return (self.position_gate(s)[:, :, None] * hints.position).sum(1)

    def lattice(self, pooled: Tensor, hints: Hints) -> Tensor:
        """(B, 6) to add to the answer for the lattice, from scalars and noise of the crystals."""
        return (self.lattice_gate(pooled).view(hints.lattice.shape) * hints.lattice).sum(1)
