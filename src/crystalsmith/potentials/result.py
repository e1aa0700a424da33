"""What goes into a relaxation beside crystal and potential, and what comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.errors import RelaxationError

SOUND = ("converged", "out of calls", "out of time", "stalled")
"""Reasons after which the crystal is worth its energy; after any other one it was on its way to nowhere."""


@dataclass(frozen=True)
class Limits:
    """When a relaxation ends.

    Attributes:
        max_calls: evaluations of the potential at most.
        fmax: converged below this force on an atom, eV/Angstrom, ...
        smax: ... and this component of the stress, eV/Angstrom^3.
        max_strain: largest stretch or squeeze of any direction, as a fraction, between start and end.
        max_shift: largest way of an atom in Angstrom, the strain apart.
        max_volume_change: the volume may grow or shrink by this fraction of the smaller one: with 0.5 to 3/2
            or to 2/3 of the start's; None for no limit but ``max_strain``.
        max_seconds: no evaluation begins later than this after the start; None for no limit.

    Raises:
        RelaxationError: a limit that is not positive, or no number.
    """

    max_calls: int = 60
    fmax: float = 0.05
    smax: float = 0.005
    max_strain: float = 0.4
    max_shift: float = 2.0
    max_volume_change: float | None = None
    max_seconds: float | None = None

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not value > 0:
                raise RelaxationError(f"{name} of a relaxation must be above zero, not {value}")


@dataclass(frozen=True)
class Relaxation:
    """What came of a relaxation.

    Attributes:
        crystal: the converged crystal, or else the one of lowest energy that was met. A symmetric relaxation
            keeps space group, elements and letters of the start; a free one gives the crystal in the
            standard setting of the group that it has in the end.
        energy: its energy, eV per atom; NaN if not even the start has one.
        calls: evaluations of the potential.
        converged: the criteria hold for ``crystal``.
        reason: why it ended: ``converged``, ``out of calls``, ``too close``, ``not finite``, ``collapsed``,
            ``left the bounds``, ``out of time``, ``stalled`` (the energy does not follow the forces), or
            ``the potential failed: ...``.
        energy_start: of the crystal given, eV per atom.
        fmax: largest force on an atom of ``crystal`` that symmetry allows, eV/Angstrom.
        stress: largest component of the stress of ``crystal`` that symmetry allows, eV/Angstrom^3.
    """

    crystal: Crystal
    energy: float
    calls: int
    converged: bool
    reason: str
    energy_start: float
    fmax: float
    stress: float

    @property
    def sound(self) -> bool:
        """Whether the crystal is worth keeping: it has an energy and did not fly apart."""
        return self.reason in SOUND and math.isfinite(self.energy)

    def to_json(self) -> dict[str, Any]:
        """All of it in plain JSON types; a number that is not finite is None."""
        return {
            "crystal": self.crystal.to_dict(),
            "calls": self.calls,
            "converged": self.converged,
            "reason": self.reason,
            **{name: _number(getattr(self, name)) for name in _NUMBERS},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Relaxation:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: it is not of a relaxation.
        """
        numbers = {name: math.nan if data[name] is None else float(data[name]) for name in _NUMBERS}
        return cls(
            crystal=Crystal.from_dict(data["crystal"]),
            calls=int(data["calls"]),
            converged=bool(data["converged"]),
            reason=str(data["reason"]),
            **numbers,
        )


_NUMBERS = ("energy", "energy_start", "fmax", "stress")


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
