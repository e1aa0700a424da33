"""What worker processes do with one crystal; each loads the potential once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crystalsmith.crystal import Crystal
from crystalsmith.discovery.candidate import State
from crystalsmith.potentials import RelaxSettings, relax_free, relax_symmetric, single_points
from crystalsmith.potentials.calculators import process_calculator


@dataclass(frozen=True)
class Limits:
    """Of a relaxation; see ``relaxation.relax_symmetric``."""

    max_calls: int
    fmax: float
    smax: float
    seconds: float


def energies(potential: str, crystals: Sequence[Crystal]) -> list[tuple[float | None, str | None]]:
    """Single points in eV per atom, and why there is none."""
    found = single_points(list(crystals), process_calculator(potential))
    return [(e.value if math.isfinite(e.value) else None, e.reason) for e in found]


def relax(potential: str, stage: str, limits: Limits, crystal: Crystal) -> State:
    """Relax a crystal under its symmetry (``symmetric``) or without it (``free``).

    Returns:
        The state; its energy is None where the relaxation fell into a hole, failed, or left no crystal.
    """
    function = relax_symmetric if stage == "symmetric" else relax_free
    done = function(
        crystal,
        process_calculator(potential),
        RelaxSettings(
            max_calls=limits.max_calls,
            fmax=limits.fmax,
            smax=limits.smax,
            seconds=limits.seconds,
            max_volume_change=None,
        ),
    )
    energy = done.energy if done.sound else None
    return State(stage, done.crystal, energy, done.converged, done.reason, done.calls)
