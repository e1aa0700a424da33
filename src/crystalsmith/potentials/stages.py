"""One crystal all the way: under its symmetry first, where calls go far, then free of it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.errors import ConfigError
from crystalsmith.potentials.energies import single_points
from crystalsmith.potentials.free import relax_free
from crystalsmith.potentials.result import Relaxation
from crystalsmith.potentials.symmetric import relax_symmetric

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

STAGES = ("symmetric", "free")


@dataclass(frozen=True)
class Settings:
    """How crystals are relaxed.

    Attributes:
        only: one of ``STAGES``, or None for both.
        fmax: converged below this force on an atom, eV/Angstrom, ...
        smax: ... and this component of the stress, eV/Angstrom^3.
        max_calls: evaluations of the potential at most, each stage.
        max_volume_change: largest change of the volume in a stage, as for ``Limits``.
        seconds: time for both stages; None for no limit.
    """

    only: str | None = None
    fmax: float = 0.05
    smax: float = 0.005
    max_calls: int = 120
    max_volume_change: float | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.only not in (None, *STAGES):
            raise ConfigError(f"there is no stage {self.only!r}; name symmetric or free, or none for both")
        for name in ("fmax", "smax", "max_calls", "max_volume_change"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ConfigError(f"{name} must be above zero, not {getattr(self, name)}")
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigError(f"seconds must be above zero, not {self.seconds}; leave it out for no limit")

    @property
    def stages(self) -> tuple[str, ...]:
        """What is done, in this order."""
        return STAGES if self.only is None else (self.only,)

    def to_json(self) -> dict[str, Any]:
        """All of it in plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """What came of one crystal.

    Attributes:
        start: the crystal given.
        asked: stages that were to be done.
        stages: those that were, by name, in this order; after one that is not sound no other begins.
        energy_start: of the crystal given, eV per atom; NaN if it has none.
    """

    start: Crystal
    asked: tuple[str, ...]
    stages: Mapping[str, Relaxation]
    energy_start: float

    @property
    def result(self) -> Relaxation | None:
        """The last stage whose crystal is worth keeping."""
        sound = [stage for stage in self.stages.values() if stage.sound]
        return sound[-1] if sound else None

    @property
    def converged(self) -> bool:
        """The last stage asked for was done and met its criteria."""
        last = self.stages.get(self.asked[-1])
        return last is not None and last.converged

    @property
    def reason(self) -> str:
        """``converged``, or the stage that ended otherwise and why."""
        if self.converged:
            return "converged"
        name, stage = list(self.stages.items())[-1]
        return f"{name}: {stage.reason}"

    def to_json(self) -> dict[str, Any]:
        """All of it in plain JSON types."""
        return {
            "start": self.start.to_dict(),
            "asked": list(self.asked),
            "energy_start": self.energy_start if math.isfinite(self.energy_start) else None,
            "stages": {name: stage.to_json() for name, stage in self.stages.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: it is not of an outcome.
        """
        stages = {str(name): Relaxation.from_json(stage) for name, stage in data["stages"].items()}
        asked = tuple(str(name) for name in data["asked"])
        if not asked or not stages or not set(stages) <= set(asked):
            raise ValueError("an outcome has the stages that were asked for")
        energy = math.nan if data["energy_start"] is None else float(data["energy_start"])
        return cls(Crystal.from_dict(data["start"]), asked, stages, energy)


def relax_crystal(crystal: Crystal, calculator: Calculator, settings: Settings | None = None) -> Outcome:
    """Relax a crystal under its symmetry, and on from there without; never raises for what a potential does.

    Args:
        crystal: where to start.
        calculator: ASE calculator with energy, forces and stress. It is reset first, so that what it did
            before does not show in the last digits.
        settings: the usual ones if not given.
    """
    settings = settings or Settings()
    began = time.monotonic()
    if hasattr(calculator, "reset"):
        calculator.reset()
    stages: dict[str, Relaxation] = {}
    current = crystal
    for name in settings.stages:
        left = None if settings.seconds is None else settings.seconds - (time.monotonic() - began)
        left = None if left is None else max(left, 1e-9)  # the stage itself says that the time is over
        function = relax_symmetric if name == "symmetric" else relax_free
        done = function(
            current,
            calculator,
            max_calls=settings.max_calls,
            fmax=settings.fmax,
            smax=settings.smax,
            max_volume_change=settings.max_volume_change,
            max_seconds=left,
        )
        stages[name] = done
        if not done.sound:
            break
        current = done.crystal
    if "symmetric" in stages:
        energy = stages["symmetric"].energy_start
    else:  # a free stage begins at a crystal that was pushed
        energy = single_points([crystal], calculator)[0].value
    return Outcome(crystal, settings.stages, stages, energy)
