"""Misfits that a user brings along: functions that torch differentiates, or that know their own gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from crystalsmith.conditions.condition import Condition
from crystalsmith.errors import ConfigError
from crystalsmith.graph import CrystalBatch


@dataclass(frozen=True)
class Misfit(Condition):
    """A function as a condition.

    Attributes:
        function: (B,) minus the logarithm of the likelihood of each crystal of a batch, differentiable in
            ``w`` and ``strain``.
        begins: time of the schedules from which on it counts, see ``Condition``.
    """

    function: Callable[[CrystalBatch], Tensor]
    begins: float = 0.7

    def misfit(self, crystals: CrystalBatch) -> Tensor:
        return _checked(self.function(crystals), crystals)


@dataclass(frozen=True)
class GradientMisfit(Condition):
    """A function that knows its own gradient, for what torch does not differentiate.

    Attributes:
        function: of a batch, values (B,) as of ``Misfit``, their derivatives by ``w`` (S, 3) and by
            ``strain`` (B, 6).
        begins: time of the schedules from which on it counts, see ``Condition``.
    """

    function: Callable[[CrystalBatch], tuple[Tensor, Tensor, Tensor]]
    begins: float = 0.7

    def misfit(self, crystals: CrystalBatch) -> Tensor:
        still = crystals.with_state(crystals.w.detach(), crystals.strain.detach())
        value, by_w, by_strain = self.function(still)
        lay = crystals.layout
        along = ((crystals.w - still.w) * by_w).sum(1)
        value = _checked(value, crystals) + ((crystals.strain - still.strain) * by_strain).sum(1)
        return value.index_add(0, lay.crystal, along.to(value))


def _checked(value: Tensor, crystals: CrystalBatch) -> Tensor:
    if not isinstance(value, Tensor) or value.shape != (crystals.layout.size,):
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ConfigError(f"a misfit is one number a crystal, ({crystals.layout.size},), not {shape}")
    return torch.as_tensor(value)
