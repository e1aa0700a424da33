"""What worker processes do with one crystal; each loads the potential once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from crystalsmith.crystal import Crystal
from crystalsmith.discovery.candidate import State
from crystalsmith.generation.validity import fault

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

# A relaxation that ended in one of these ways still has a crystal worth its energy.
_SOUND = ("converged", "out of calls", "out of time", "stalled")


@dataclass(frozen=True)
class Limits:
    """Of a relaxation; see ``relaxation.relax_symmetric``."""

    max_calls: int
    fmax: float
    smax: float
    seconds: float


@lru_cache(maxsize=1)
def calculator(potential: str) -> Calculator:
    """The potential of this process, which is made ready for it: one thread, memory kept."""
    import torch

    from crystalsmith.allocator import keep_freed_memory
    from crystalsmith.relaxation import load_calculator

    keep_freed_memory()
    torch.set_num_threads(1)
    return load_calculator(potential)


def energies(potential: str, crystals: Sequence[Crystal]) -> list[tuple[float | None, str | None]]:
    """Single points in eV per atom, and why there is none."""
    from crystalsmith.relaxation import single_points

    found = single_points(list(crystals), calculator(potential))
    return [(e.value if math.isfinite(e.value) else None, e.reason) for e in found]


def relax(potential: str, stage: str, limits: Limits, crystal: Crystal) -> State:
    """Relax a crystal under its symmetry (``symmetric``) or without it (``free``).

    Returns:
        The state; its energy is None where the relaxation fell into a hole, failed, or left no crystal.
    """
    from crystalsmith.relaxation import relax_free, relax_symmetric

    function = relax_symmetric if stage == "symmetric" else relax_free
    done = function(
        crystal,
        calculator(potential),
        max_calls=limits.max_calls,
        fmax=limits.fmax,
        smax=limits.smax,
        max_seconds=limits.seconds,
    )
    reason = done.reason
    wreck = fault(done.crystal) if reason in _SOUND else None
    sound = reason in _SOUND and math.isfinite(done.energy) and wreck is None
    return State(
        stage,
        done.crystal,
        done.energy if sound else None,
        done.converged,
        wreck or reason,
        done.calls,
    )
