"""Noise schedules: pure functions of a time t that runs from 1 (all noise) to 0 (data)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.errors import ConfigError


@dataclass(frozen=True)
class LogSchedule:
    """sigma(t) with log sigma linear in t, from ``low`` at t = 0 to ``high`` at t = 1."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ConfigError(f"a noise schedule needs 0 < low < high, not low={self.low}, high={self.high}")

    def sigma(self, t: Tensor) -> Tensor:
        """Noise level at t, same shape."""
        return torch.exp(math.log(self.low) + t * math.log(self.high / self.low))


DECISIVE = (0.5, 0.92)
"""Times between which positions and cell find their place.

Above, the torus is uniform; below, all is settled but details.
"""


def focus(u: Tensor, share: float) -> Tensor:
    """Times in [0, 1] from u in [0, 1], same shape: ``share`` of them in ``DECISIVE``, the rest over all."""
    low, high = DECISIVE
    inside = (1 - share) + share / (high - low)
    first, last = (1 - share) * low, 1 - (1 - share) * (1 - high)
    if share >= 1:
        return low + u * (high - low)
    below, above = u / (1 - share), 1 - (1 - u) / (1 - share)
    return torch.where(u < first, below, torch.where(u > last, above, low + (u - first) / inside))


SHORT = (0.95, 0.2)
"""Where a way of few steps begins and ends.

Above, the torus is uniform and the lattice's prior known; below, a step to the mean is as good as many.
"""


def short_times(steps: int, begin: float = 1.0) -> Tensor:
    """(n + 1,) falling times over ``SHORT``, ``steps`` of them for the whole of it.

    Args:
        steps: of the whole way.
        begin: where the way begins; a later one has fewer steps, at least one.

    Raises:
        ConfigError: if there is no step.
    """
    if steps < 1:
        raise ConfigError(f"a sampler needs at least one step, not {steps}")
    high, low = min(begin, SHORT[0]), min(SHORT[1], begin / 2)
    share = (high - low) / (SHORT[0] - SHORT[1])
    number = min(steps, max(1, math.ceil(steps * share - 1e-9)))
    return torch.linspace(high, low, number + 1, dtype=torch.float64, device="cpu")


def sampling_times(steps: int, share: float = 0.0) -> Tensor:
    """(steps + 1,) times from 1 down to 0, ``share`` of them extra in ``DECISIVE``.

    Raises:
        ConfigError: if there is no step.
    """
    if steps < 1:
        raise ConfigError(f"a sampler needs at least one step, not {steps}")
    return focus(torch.linspace(1, 0, steps + 1, dtype=torch.float64, device="cpu"), share)
