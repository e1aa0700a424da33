"""One crystal all the way: under its symmetry first, where calls go far, then free of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.potentials.energies import single_points
from crystalsmith.potentials.relaxation import Relaxation, relax_free, relax_symmetric
from crystalsmith.potentials.settings import RelaxSettings
from crystalsmith.runs.plain import from_plain, to_plain

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


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
        """The last stage that counts (``Relaxation.sound``)."""
        sound = [stage for stage in self.stages.values() if stage.sound]
        return sound[-1] if sound else None

    @property
    def sound(self) -> bool:
        """Whether there is a ``result``: a crystal and an energy that count."""
        return self.result is not None

    @property
    def calls(self) -> int:
        """Evaluations of the potential in all stages."""
        return sum(stage.calls for stage in self.stages.values())

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
        return dict(to_plain(self))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """The inverse of ``to_json``.

        Raises:
            KeyError, TypeError, ValueError: it is not of an outcome.
        """
        outcome = from_plain(cls, data)
        if not outcome.asked or not outcome.stages or not set(outcome.stages) <= set(outcome.asked):
            raise ValueError("an outcome has the stages that were asked for")
        return outcome


def relax_crystal(crystal: Crystal, calculator: Calculator, settings: RelaxSettings | None = None) -> Outcome:
    """Relax a crystal under its symmetry, and on from there without; never raises for what a potential does.

    Args:
        crystal: where to start.
        calculator: ASE calculator with energy, forces and stress. It is reset first, so that what it did
            before does not show in the last digits.
        settings: the usual ones if not given.
    """
    settings = settings or RelaxSettings()
    began = time.monotonic()
    if hasattr(calculator, "reset"):
        calculator.reset()
    stages: dict[str, Relaxation] = {}
    current = crystal
    for name in settings.stages:
        function = relax_symmetric if name == "symmetric" else relax_free
        left = settings.seconds
        if left is not None:  # the stage itself says that the time is over
            left = max(left - (time.monotonic() - began), 1e-9)
        stages[name] = done = function(current, calculator, replace(settings, seconds=left))
        if not done.sound:
            break
        current = done.crystal
    if "symmetric" in stages:
        energy = stages["symmetric"].energy_start
    else:  # a free stage begins at a crystal that was pushed
        energy = single_points([crystal], calculator)[0].value
    return Outcome(crystal, settings.stages, stages, energy)
