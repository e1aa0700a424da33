"""Validation: both losses on held-out crystals, by noise level, with the same noise every time."""

from __future__ import annotations

import torch

from crystalsmith.diffusion import Model, PaperModel
from crystalsmith.graph import to_general
from crystalsmith.training.examples import Examples
from crystalsmith.training.loss import denoising_losses
from crystalsmith.training.paper_loss import paper_losses

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
        to saying nothing. Where the examples have guides, "guided_..." are the same with the most similar of
        them; crystals that have none go without.
    """
    result = _by_level(model, examples, crystals, guided=False)
    if examples.guides is not None:
        found = _by_level(model, examples, crystals, guided=True)
        result |= {f"guided_{name}": value for name, value in found.items()}
    return result


def _by_level(model: Model, examples: Examples, crystals: int, guided: bool) -> dict[str, float]:
    sums = {t: [0.0, 0.0, 0.0, 0.0] for t in LEVELS}
    index = torch.arange(len(examples), device=examples.device)
    for k, part in enumerate(index.split(crystals)):
        clean = examples.batch(part)
        guide = examples.guides.nearest(part) if guided and examples.guides is not None else None
        for j, t in enumerate(LEVELS):
            generator = torch.Generator().manual_seed(1_000 * k + j)
            time = torch.full((len(part),), t, device=examples.device)
            losses = denoising_losses(model, clean, time, generator, guide=guide)
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


@torch.no_grad()
def validate_paper(model: PaperModel, examples: Examples, crystals: int = 64) -> dict[str, float]:
    """Losses of the paper's method by level, and their means over levels.

    Args:
        model: with the weights to judge.
        examples: held-out crystals.
        crystals: how many go into one batch.

    Returns:
        "position", "lattice": means, comparable with the published ones: the target is the noise itself,
        whatever the model was trained on. "position@n", "lattice@n": at level n.
    """
    result = {}
    index = torch.arange(len(examples), device=examples.device)
    for n in range(model.levels.number):
        position, lattice = 0.0, 0.0
        for k, part in enumerate(index.split(crystals)):
            generator = torch.Generator().manual_seed(1_000 * k + n)
            clean = to_general(examples.batch(part))
            level = torch.full((len(part),), n, device=examples.device)
            losses = paper_losses(model, clean, level, generator, wrapped=False)
            position += float(losses.position.sum())
            lattice += float(losses.lattice.sum())
        result[f"position@{n}"] = position / len(examples)
        result[f"lattice@{n}"] = lattice / len(examples)
    for name in ("position", "lattice"):
        result[name] = sum(result[f"{name}@{n}"] for n in range(model.levels.number)) / model.levels.number
    return result
