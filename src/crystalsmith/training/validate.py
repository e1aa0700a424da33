"""Validation: both losses on held-out crystals, by noise level, with the same noise every time."""

from __future__ import annotations

import torch

from crystalsmith.diffusion import Model
from crystalsmith.training.examples import Examples
from crystalsmith.training.loss import denoising_losses

LEVELS = (0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95)


@torch.no_grad()
def validate(model: Model, examples: Examples, crystals: int = 128) -> dict[str, float]:
    """Losses by level and field, and their means over levels.

    Args:
        model: with the weights to judge.
        examples: held-out crystals.
        crystals: how many go into one batch.

    Returns:
        "position", "lattice": means; "position@t", "lattice@t": at noise time t. Position losses are relative
        to saying nothing.
    """
    sums = {t: [0.0, 0.0, 0.0, 0.0] for t in LEVELS}
    index = torch.arange(len(examples), device=examples.device)
    for k, part in enumerate(index.split(crystals)):
        clean = examples.batch(part)
        for j, t in enumerate(LEVELS):
            generator = torch.Generator().manual_seed(1_000 * k + j)
            losses = denoising_losses(
                model, clean, torch.full((len(part),), t, device=examples.device), generator
            )
            for i, x in enumerate(
                (losses.position, losses.position_target, losses.lattice, losses.lattice_count)
            ):
                sums[t][i] += float(x.sum())
    result = {}
    for t, (position, target, lattice, count) in sums.items():
        result[f"position@{t}"] = position / max(target, 1e-12)
        result[f"lattice@{t}"] = lattice / max(count, 1e-12)
    for name in ("position", "lattice"):
        result[name] = sum(result[f"{name}@{t}"] for t in LEVELS) / len(LEVELS)
    return result
