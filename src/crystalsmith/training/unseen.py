"""Elements that the training set lacks: their nearest neighbours in the periodic table stand in for them.

A set can lack an element for reasons that have nothing to do with it (the Materials Project withdrew its
ytterbium compounds). Without this, the network would meet random weights.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from crystalsmith.diffusion import Model


def neighbours(z: int, seen: np.ndarray) -> list[int]:
    """Nearest seen atomic numbers: one on either side where both are within two places, else the nearest."""
    near = sorted(np.flatnonzero(seen), key=lambda other: (abs(int(other) - z), int(other)))
    sides = [int(o) for o in near[:2] if abs(int(o) - z) <= 2]
    return sides if len(sides) == 2 and (sides[0] - z) * (sides[1] - z) < 0 else [int(near[0])]


@torch.no_grad()
def stand_in_for_unseen(model: Model) -> Model:
    """Give unseen elements the mean embedding and volume of their neighbours, in place."""
    seen = np.asarray(model.statistics.elements) > 0
    volume = np.array(model.statistics.atomic_volume, dtype=float)
    if not seen.any():
        return model
    for z in range(1, len(seen)):
        if not seen[z]:
            near = neighbours(z, seen)
            model.network.element.weight[z] = model.network.element.weight[near].mean(0)
            volume[z] = volume[near].mean()
    s = model.statistics
    model.statistics = replace(s, atomic_volume=volume)
    return model
