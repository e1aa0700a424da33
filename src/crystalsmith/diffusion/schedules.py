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


def sampling_times(steps: int, power: float = 1.0) -> Tensor:
    """(steps + 1,) times from 1 down to 0; ``power`` > 1 puts more of them at low noise.

    Raises:
        ConfigError: if there is no step.
    """
    if steps < 1:
        raise ConfigError(f"a sampler needs at least one step, not {steps}")
    return torch.linspace(1, 0, steps + 1, dtype=torch.float64) ** power
