"""The denoising error: how badly the network undoes noise that was added to a finished crystal.

A crystal that the network holds for likely is one that it finds again from a little way off. The noise is the
same for all drafts of one layout, so that drafts differ by themselves and not by luck.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from crystalsmith.crystal import Crystal
from crystalsmith.diffusion import Model
from crystalsmith.diffusion.request import draw_by_crystal
from crystalsmith.diffusion.residuals import noise_residuals
from crystalsmith.graph import CrystalBatch, to_batch
from crystalsmith.graph.ragged import segment_sum

TIMES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
"""Noise times that tell right drafts from wrong ones best: atoms off by 0.1 to 1 Angstrom. With less noise
every draft is found again, since each is at the bottom of a valley of its own."""

REPEATS = 2

LATTICE_WEIGHT = 0.5
"""Of the lattice's error beside that of the positions."""

_FLOOR, _CEILING = 1e-4, 1e4  # of mean squares, so that no one number outweighs all others


def denoising_error(errors: np.ndarray) -> np.ndarray:
    """(n,) one figure for each crystal, lower is better.

    It is the logarithm of the mean square of the positions over times, plus ``LATTICE_WEIGHT`` times that of
    the lattice; positions that are all fixed add nothing.

    Args:
        errors: (n, t, 2) from ``denoising_errors``.
    """
    squares = np.clip(np.nan_to_num(errors, nan=_CEILING, posinf=_CEILING), _FLOOR, _CEILING).mean(1)
    fixed = np.isnan(errors[:, :, 0]).all(1) & ~np.isnan(errors[:, :, 1]).all(1)
    position = np.where(fixed, 0.0, np.log(squares[:, 0]))
    return np.asarray(position + LATTICE_WEIGHT * np.log(squares[:, 1]))


@torch.no_grad()
def denoising_errors(
    model: Model,
    crystals: Sequence[Crystal],
    *,
    times: Sequence[float] = TIMES,
    repeats: int = REPEATS,
    batch_atoms: int = 512,
) -> np.ndarray:
    """Mean squared residuals of the network on noised crystals.

    A crystal's numbers depend on it and the model alone, not on what else is in the batch (up to rounding).

    Args:
        model: network and fields.
        crystals: n of them.
        times: t noise times in [0, 1], as of training.
        repeats: draws of noise for each.
        batch_atoms: most atoms in a batch, every repeat counted; a larger crystal has one of its own.

    Returns:
        (n, t, 2) mean square for each free coordinate of the positions and of the lattice; a network that
        knows nothing has about 1 of each. NaN for positions where no coordinate is free.
    """
    result = np.full((len(crystals), len(times), 2), np.nan)
    was_training = model.network.training
    model.network.eval()
    try:
        for part in _batches(crystals, repeats, batch_atoms):
            clean = to_batch(
                [crystals[i] for i in part for _ in range(repeats)],
                model.statistics.atomic_volume,
                model.device,
                model.dtype,
            )
            for k, time in enumerate(times):
                each = _errors(model, clean, time, seeds=[1000 * k + r for r in range(repeats)] * len(part))
                result[part, k] = each.reshape(len(part), repeats, 2).mean(1)
    finally:
        model.network.train(was_training)
    return result


def _batches(crystals: Sequence[Crystal], repeats: int, batch_atoms: int) -> Iterator[list[int]]:
    part: list[int] = []
    atoms = 0
    for i, crystal in enumerate(crystals):
        size = crystal.n_atoms * repeats
        if part and atoms + size > batch_atoms:
            yield part
            part, atoms = [], 0
        part.append(i)
        atoms += size
    if part:
        yield part


def _errors(model: Model, clean: CrystalBatch, time: float, seeds: Sequence[int]) -> np.ndarray:
    """(B, 2) mean squares of one draw of noise a crystal."""
    lay = clean.layout
    orbits = torch.bincount(lay.crystal, minlength=lay.size).tolist()
    draw = draw_by_crystal(seeds, [(n, 3) for n in orbits], 6, clean.w.device, clean.w.dtype)
    at = torch.full((lay.size,), time, device=clean.w.device, dtype=clean.w.dtype)
    found = noise_residuals(model, clean, at, *draw(torch.randn))
    position = segment_sum((found.position**2).sum(1), lay.crystal, lay.size)
    free = segment_sum(lay.free_mask.to(position.dtype).sum(1), lay.crystal, lay.size)
    lattice = (found.lattice**2).sum(1) / lay.strain_mask.sum(1)
    return torch.stack([position / free, lattice], 1).double().cpu().numpy()
