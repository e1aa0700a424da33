"""The training loss: denoising score matching of both fields at one random noise level a crystal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.diffusion import Model
from crystalsmith.diffusion.residuals import noise_residuals
from crystalsmith.graph import CrystalBatch, Guide
from crystalsmith.graph.ragged import segment_sum

WILD = 1000.0
"""Mean square of a crystal's residuals beyond which it is left out; a network that says nothing is near 1."""


@dataclass(frozen=True)
class Losses:
    """Mean squares by crystal; B crystals.

    Attributes:
        time: (B,) noise time of each crystal.
        position, lattice: (B,) squared residuals summed over a crystal's coordinates.
        position_count, lattice_count: (B,) how many coordinates those were.
        position_target: (B,) squared target, summed: the loss of a network that says nothing.
        position_weight: (B,) weight of the noise level, see ``level_weight``.
    """

    time: Tensor
    position: Tensor
    lattice: Tensor
    position_count: Tensor
    lattice_count: Tensor
    position_target: Tensor
    position_weight: Tensor

    def mean(self) -> tuple[Tensor, Tensor]:
        """Position and lattice loss, means over coordinates.

        A crystal of n free coordinates weighs as sqrt(n): in the plain mean a few crystals of low symmetry
        would drown the others. One whose residual is beyond ``WILD`` counts as nothing: at the highest noise
        a cell can be so distorted that the network's answer is off by orders of magnitude, and the direction
        of such a step is noise.
        """
        root = self.position_count.clamp(min=1).sqrt()
        counted = (self.position_count > 0) * root
        position = _tamed(self.position, self.position_count)
        position = (self.position_weight * position / root).sum() / counted.sum().clamp(min=1)
        lattice = _tamed(self.lattice, self.lattice_count)
        return position, lattice.sum() / self.lattice_count.sum().clamp(min=1)


def _tamed(total: Tensor, count: Tensor) -> Tensor:
    """Squared residuals (B,) with the wild ones at zero; what is not finite stays, so that it is noticed."""
    return torch.where(total > WILD * count.clamp(min=1), 0.0, total)


def level_weight(sigma: Tensor) -> Tensor:
    """Weight of the position loss at noise levels (B,), same shape.

    The target shrinks as the torus grows uniform, to 1 / (1 + (sigma / 0.2)^4) in the mean over crystals;
    without a weight against it the levels that decide where an atom goes would hardly count.
    """
    return 1 / (0.2 + 1 / (1 + (sigma / 0.2) ** 4))


def known_elements(clean: CrystalBatch, forget: float, generator: torch.Generator) -> Tensor | None:
    """(S,) 0 for orbits whose element is hidden, drawn for each element of each crystal; None for none."""
    if forget == 0:
        return None
    lay = clean.layout
    # All orbits of an element in a crystal together, or the others would tell.
    kept = torch.rand(lay.size, 119, generator=generator) >= forget
    return kept.to(clean.w)[lay.crystal, lay.element]


def denoising_losses(
    model: Model,
    clean: CrystalBatch,
    time: Tensor,
    generator: torch.Generator,
    forget: float = 0.0,
    guide: Guide | None = None,
) -> Losses:
    """Noise a batch to the times given and compare what the network says with the noise.

    Args:
        model: network and fields.
        clean: B crystals.
        time: (B,) in [0, 1].
        generator: source of the noise, on the CPU.
        forget: share of the elements that the network sees by their properties alone.
        guide: known crystals that the network may go by.
    """
    lay = clean.layout
    known = known_elements(clean, forget, generator)
    position_normal = torch.randn(clean.w.shape, generator=generator).to(clean.w)
    lattice_normal = torch.randn(clean.strain.shape, generator=generator).to(clean.strain)
    found = noise_residuals(model, clean, time, position_normal, lattice_normal, known, guide)
    position, lattice = found.position**2, found.lattice**2

    def per_crystal(x: Tensor) -> Tensor:
        return segment_sum(x.sum(1), lay.crystal, lay.size)

    return Losses(
        time=time,
        position=per_crystal(position),
        lattice=lattice.sum(1),
        position_count=per_crystal(lay.free_mask.to(position.dtype)),
        lattice_count=lay.strain_mask.sum(1),
        position_target=per_crystal(found.target**2),
        position_weight=level_weight(found.sigma),
    )
