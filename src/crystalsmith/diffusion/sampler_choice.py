"""Which samplers the methods have, and what is taken where nothing is said."""

from __future__ import annotations

from crystalsmith.diffusion.annealed_langevin import ANNEALED, STEPS
from crystalsmith.diffusion.samplers import CALLS_PER_STEP, SAMPLERS
from crystalsmith.errors import ConfigError

DEFAULT_SAMPLER = {"default": "stochastic", "paper": "annealed"}
DEFAULT_CALLS = 50
"""Network calls of the default method's samplers."""


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
        steps = STEPS if method == "paper" else (DEFAULT_CALLS - 1) // CALLS_PER_STEP[name]
    return name, steps
