"""The most likely state near an expected one: proximal steps, each crystal of a batch by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from crystalsmith.graph.ragged import segment_sum

_SHRINK = 0.25
_SLACK = 1e-5
"""Of a value; a growth by less is none, in single precision."""


class Move(NamedTuple):
    """A displacement of a batch in units of its spread: z (S, 3) of positions, e (B, 6) of strains."""

    z: Tensor
    e: Tensor


def proximal(
    misfit: Callable[[Move], Tensor],
    crystal: Tensor,
    free: Move,
    like: Tensor,
    rounds: int,
) -> Move:
    """Where ``misfit(m) + |m|^2 / 2`` is least, looked for from zero.

    In units of the spread that is the most likely state of a normal distribution of that spread times the
    likelihood whose negative logarithm the misfit is; for a normal likelihood it is the mean of the product.
    Gradient descent with the steps of Barzilai and Borwein (1988), and a step back where the value grew.

    Args:
        misfit: (B,) of a move, differentiable, of each crystal for its own rows.
        crystal: (S,) crystal of each orbit.
        free: True (boolean) for what may move.
        like: a tensor of the dtype and device wanted.
        rounds: evaluations.
    """
    size = len(free.e)

    def dot(a: Move, b: Move) -> Tensor:
        return segment_sum((a.z * b.z).sum(1), crystal, size) + (a.e * b.e).sum(1)

    def look(at: Move) -> tuple[Tensor, Move]:
        """The value (B,), infinite where it is not finite, and its gradient."""
        z, e = at.z.detach().requires_grad_(), at.e.detach().requires_grad_()
        with torch.enable_grad():
            value = misfit(Move(z, e)) + 0.5 * dot(Move(z, e), Move(z, e))
            found = torch.autograd.grad(value.sum(), (z, e))
        slope = Move(*(torch.where(may, g.nan_to_num(), 0.0) for g, may in zip(found, free, strict=True)))
        return torch.where(torch.isfinite(value), value, torch.inf).detach(), slope

    def along(at: Move, step: Tensor, way: Move) -> Move:
        return Move(at.z - step[crystal, None] * way.z, at.e - step[:, None] * way.e)

    def chosen(which: Tensor, a: Move, b: Move) -> Move:
        return Move(torch.where(which[crystal, None], a.z, b.z), torch.where(which[:, None], a.e, b.e))

    here = Move(like.new_zeros(free.z.shape), like.new_zeros(free.e.shape))
    value, slope = look(here)
    # At first no farther than one spread: what lies beyond is hardly what the misfit is like here.
    step = 1 / dot(slope, slope).sqrt().clamp(min=1.0)
    for _ in range(rounds - 1):
        trial = along(here, step, slope)
        height, incline = look(trial)
        lower = height <= value + _SLACK * (1 + value.abs())
        way = Move(trial.z - here.z, trial.e - here.e)
        turn = Move(incline.z - slope.z, incline.e - slope.e)
        curve = dot(way, turn)
        # Beside the misfit there is a curvature of one; where they are less together, the way is downhill.
        newton = torch.where(curve > 0, dot(way, way) / curve.clamp(min=1e-12), 2 * step)
        step = torch.where(lower, newton.clamp(1e-6, 2.0), _SHRINK * step)
        here, slope = chosen(lower, trial, here), chosen(lower, incline, slope)
        value = torch.where(lower, height, value)
    return here
