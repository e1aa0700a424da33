"""Which samplers the methods have, and what is taken where nothing is said."""

from __future__ import annotations

import math

from torch import Tensor

from crystalsmith.diffusion.annealed_langevin import ANNEALED, STEPS
from crystalsmith.diffusion.samplers import CALLS_PER_STEP, SAMPLERS
from crystalsmith.diffusion.schedules import sampling_times, short_times
from crystalsmith.errors import ConfigError

DEFAULT_SAMPLER = {"default": "multistep", "paper": "annealed"}
FEW_CALLS, DEFAULT_CALLS = 15, 50
"""Network calls of ``multistep``, and of the default method's other samplers."""


def sampler_names(method: str) -> list[str]:
    """Samplers of a method."""
    return list(ANNEALED if method == "paper" else SAMPLERS)


def resolve_sampler(method: str, sampler: str | None, steps: int | None) -> tuple[str, int]:
    """Name and steps of the sampler, the method's defaults filled in.

    Steps are those of the whole way, but for the paper's method, where they are those at every noise level.

    Raises:
        ConfigError: unknown sampler.
    """
    name = sampler or DEFAULT_SAMPLER[method]
    names = sampler_names(method)
    if name not in names:
        raise ConfigError(f"unknown sampler {name!r} of the {method} method; choose from {', '.join(names)}")
    if steps is None:
        calls = FEW_CALLS if name == "multistep" else DEFAULT_CALLS
        steps = STEPS if method == "paper" else (calls - 1) // CALLS_PER_STEP[name]
    return name, steps


def times_of(sampler: str, steps: int, begin: float = 1.0) -> Tensor:
    """(n + 1,) times that a sampler of the default method goes through, float64.

    Args:
        sampler: a name in ``SAMPLERS``.
        steps: of the whole way; what begins later takes the same share of them.
        begin: where it begins.

    Raises:
        ConfigError: if there is no step.
    """
    if sampler == "multistep":
        return short_times(steps, begin)
    return sampling_times(math.ceil(steps * begin)) * begin
