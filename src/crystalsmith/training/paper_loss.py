"""The paper's two objectives: noise in positions in a clean lattice, and in the lattice with both noised."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from crystalsmith.diffusion import PaperModel
from crystalsmith.diffusion.edge_scores import lattice_eps, position_eps
from crystalsmith.diffusion.lengths import from_transformed, length_mask, to_transformed
from crystalsmith.diffusion.orbit_target import orbit_target
from crystalsmith.graph import GeneralBatch
from crystalsmith.graph.general import concatenate
from crystalsmith.graph.ragged import segment_sum


class PaperLosses(NamedTuple):
    """Squared errors of each crystal (B,), means over its coordinates, in units of the noise level: that is
    the weighting lambda(sigma) = sigma^2 of the scores. 1 is the loss of a network that says nothing.
    """

    position: Tensor
    lattice: Tensor


def levels_of(spread: Tensor, number: int) -> Tensor:
    """(B,) noise levels from numbers (B,) in [0, 1)."""
    return (spread * number).long().clamp(max=number - 1)


def paper_losses(
    model: PaperModel, clean: GeneralBatch, level: Tensor, generator: torch.Generator, wrapped: bool
) -> PaperLosses:
    """Noise a batch to the levels given and compare what the network says with the noise.

    Args:
        model: the network and its levels.
        clean: B crystals.
        level: (B,) from 0.
        generator: source of the noise, on the CPU.
        wrapped: compare positions with ``orbit_target`` in place of the noise itself.
    """

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(clean.position)

    sigmas, lattice_sigmas = model.levels.sigmas(clean.position.device, clean.position.dtype)
    sigma, lattice_sigma = sigmas[level], lattice_sigmas[level]
    orbits = len(clean.element)
    mask = length_mask(clean.space_group)
    transformed = to_transformed(clean.lengths, clean.space_group)
    lattice_noise = normal(clean.size, 3) * mask
    lengths = from_transformed(transformed + lattice_sigma[:, None] * lattice_noise, clean.space_group)

    def moved(batch: GeneralBatch) -> tuple[GeneralBatch, Tensor]:
        noise = normal(orbits, 3)
        inverse = torch.linalg.inv(batch.lattice())[batch.crystal]
        step = sigma[batch.crystal, None] * noise
        position = batch.position + (step[:, :, None] * inverse).sum(1)
        return batch.with_state(torch.remainder(position, 1.0), batch.lengths), noise

    if model.joint:
        # Positions noised in the noised cell, in which the sampler moves them.
        frame = clean.with_state(clean.position, lengths)
        noised, noise = moved(frame)
        output, graph, _ = model.run(noised, level, sigma)
        eps = position_eps(graph, output[:, 0], orbits)
        eps_lattice = lattice_eps(noised, graph, output[:, 1])
        at = noised.position
    else:
        frame = clean
        first, noise = moved(clean)
        second, _ = moved(clean)
        pair = concatenate(first, second.with_state(second.position, lengths))
        output, graph, _ = model.run(pair, level.repeat(2), sigma.repeat(2))
        eps = position_eps(graph, output[:, 0], 2 * orbits)[:orbits]
        eps_lattice = lattice_eps(pair, graph, output[:, 1])[clean.size :]
        at = first.position
    if wrapped:
        with torch.no_grad():
            noise = orbit_target(frame, at, sigma[clean.crystal])
    per_orbit = ((eps - noise) ** 2).mean(1)
    count = torch.bincount(clean.crystal, minlength=clean.size)
    lattice = ((eps_lattice - lattice_noise) ** 2 * mask).sum(1) / mask.sum(1)
    return PaperLosses(segment_sum(per_orbit, clean.crystal, clean.size) / count, lattice)
