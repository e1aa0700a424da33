"""The paper's sampler: two annealed Langevin processes in turn, one on positions and one on the lattice.

Figure 2 and section 4 of the paper. At every noise level, from the highest down, T times: a step of the
positions, then a step of the transformed lengths at fixed fractional coordinates, each with a network call of
its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from crystalsmith.diffusion.lengths import from_transformed, length_mask, to_transformed
from crystalsmith.graph import GeneralBatch

ANNEALED = {"annealed": True, "annealed-noisy": False}
"""Names of the sampler with and without a last step without noise; the published one is without."""

STEPS = 80
"""Steps at every level; the paper takes 60 or 80."""

NARROWEST, WIDEST = -20.0, 60.0
"""Transformed lengths are kept within these: 1.3 to 60 Angstrom."""

FIRST_SPREAD = 2.0
"""Standard deviation of the transformed lengths that a crystal starts from."""


@dataclass(frozen=True)
class StepSizes:
    """Steps in units of the squared noise level, and how hot the lattice is.

    Attributes:
        position: step of the positions (the published 1e-3 sigma^2 / sigma_min^2).
        lattice: step of the transformed lengths.
        temperature: factor on the noise of the lattice's steps; below 1 so that it stays near a maximum.
    """

    position: float = 1.0
    lattice: float = 0.1
    temperature: float = 0.3


class Scores(Protocol):
    """What the network says, in units of the noise levels, with score = -eps / sigma."""

    def position(self, batch: GeneralBatch, level: int) -> Tensor:
        """(S, 3) Cartesian noise of the points."""
        ...

    def lattice(self, batch: GeneralBatch, level: int) -> Tensor:
        """(B, 3) noise of the transformed free lengths."""
        ...

    def both(self, batch: GeneralBatch, level: int) -> tuple[Tensor, Tensor]:
        """Both of the same state, for one network call."""
        ...


def first_state(batch: GeneralBatch, normal: Tensor, uniform: Tensor) -> GeneralBatch:
    """A random cell and uniform positions from standard normal (B, 3) and uniform (S, 3) numbers."""
    return batch.with_state(uniform, from_transformed(FIRST_SPREAD * normal, batch.space_group))


def _shifted(batch: GeneralBatch, step: Tensor) -> GeneralBatch:
    """Points moved by Cartesian steps (S, 3), Angstrom."""
    inverse = torch.linalg.inv(batch.lattice())[batch.crystal]
    position = batch.position + (step[:, :, None] * inverse).sum(1)
    return batch.with_state(torch.remainder(position, 1.0), batch.lengths)


def _strained(batch: GeneralBatch, step: Tensor) -> GeneralBatch:
    """Transformed lengths moved by steps (B, 3), fractional coordinates kept."""
    group = batch.space_group
    moved = to_transformed(batch.lengths, group) + step * length_mask(group)
    return batch.with_state(batch.position, from_transformed(moved.clamp(NARROWEST, WIDEST), group))


@torch.no_grad()
def annealed_langevin(
    scores: Scores,
    batch: GeneralBatch,
    position_sigma: Tensor,
    lattice_sigma: Tensor,
    steps: int,
    normal: Callable[[], tuple[Tensor, Tensor]],
    *,
    sizes: StepSizes | None = None,
    joint: bool = False,
    denoise: bool = True,
    callback: Callable[[int, GeneralBatch], None] | None = None,
) -> GeneralBatch:
    """Carry random crystals through all noise levels.

    Args:
        scores: of the network.
        batch: the crystals at the highest level.
        position_sigma, lattice_sigma: (levels,) ascending; Angstrom.
        steps: at each level.
        normal: draws standard normal numbers for positions (S, 3) and lattice (B, 3).
        sizes: of the steps.
        joint: one network call for both steps, of the same state.
        denoise: end with a step without noise, to the mean of the clean state given the last one.
        callback: called after each step with its number, from 0, and the batch.

    Returns:
        The crystals after the last step.
    """
    sizes = sizes or StepSizes()
    number = 0
    for level in reversed(range(len(position_sigma))):
        sigma, sigma_lattice = position_sigma[level], lattice_sigma[level]
        for _ in range(steps):
            noise, noise_lattice = normal()
            if joint:
                eps, eps_lattice = scores.both(batch, level)
            else:
                eps = scores.position(batch, level)
            batch = _shifted(batch, sigma * (-0.5 * sizes.position * eps + sizes.position**0.5 * noise))
            if not joint:
                eps_lattice = scores.lattice(batch, level)
            hot = sizes.temperature * sizes.lattice**0.5 * noise_lattice
            batch = _strained(batch, sigma_lattice * (-0.5 * sizes.lattice * eps_lattice + hot))
            if callback is not None:
                callback(number, batch)
            number += 1
    if denoise:
        if joint:
            eps, eps_lattice = scores.both(batch, 0)
        else:
            eps = scores.position(batch, 0)
        batch = _shifted(batch, -position_sigma[0] * eps)
        if not joint:
            eps_lattice = scores.lattice(batch, 0)
        batch = _strained(batch, -lattice_sigma[0] * eps_lattice)
    return batch
