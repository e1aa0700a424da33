"""What the network says of noised crystals, less what was to be said: the matter of losses and of scores."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.diffusion.model import Model
from crystalsmith.graph import CrystalBatch, Guide


@dataclass(frozen=True)
class Residuals:
    """Answers and targets at one noise level a crystal; B crystals with S orbits.

    Attributes:
        position: (S, 3) the network's answer less the target, zero where no coordinate is free.
        lattice: (B, 6) the same, zero where the family allows no strain.
        target: (S, 3) target of the positions.
        sigma: (B,) noise level of the positions.
    """

    position: Tensor
    lattice: Tensor
    target: Tensor
    sigma: Tensor


def noise_residuals(
    model: Model,
    clean: CrystalBatch,
    time: Tensor,
    position_normal: Tensor,
    lattice_normal: Tensor,
    known: Tensor | None = None,
    guide: Guide | None = None,
) -> Residuals:
    """Noise a batch and compare what the network says with the noise.

    Args:
        model: network and fields.
        clean: B crystals with S orbits.
        time: (B,) in [0, 1].
        position_normal: (S, 3) standard normal numbers, the noise of the positions.
        lattice_normal: (B, 6) the same for the lattices.
        known: (S,) 0 for orbits whose element the network is not told; None for none.
        guide: known crystals that the network may go by.
    """
    lay = clean.layout
    noised, sigma = {}, {}
    for name, f, state, normal in (
        ("position", model.position, clean.w, position_normal),
        ("lattice", model.lattice, clean.strain, lattice_normal),
    ):
        sigma[name] = f.schedule.sigma(time)
        noised[name] = f.noise(lay, state, sigma[name][f.owner(lay), None] * normal * f.mask(lay))
    batch = clean.with_state(noised["position"], noised["lattice"])
    out_position, out_lattice = model.answer(batch, sigma, known, guide)
    out_position, out_lattice = out_position.float(), out_lattice.float()
    with torch.no_grad():
        target = model.position.target(lay, clean.w, batch.w, sigma["position"][lay.crystal, None])
    return Residuals(
        position=(out_position - target) * lay.free_mask,
        lattice=model.lattice.residual(
            lay, clean.strain, batch.strain, out_lattice, sigma["lattice"][:, None]
        ),
        target=target,
        sigma=sigma["position"],
    )
