"""One crystal against its target, before and after relaxation; what was found out is kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.errors import CrystalsmithError
from crystalsmith.potentials import RelaxSettings, relax_symmetric
from crystalsmith.potentials.calculators import process_calculator
from crystalsmith.potentials.many import each
from crystalsmith.rediscovery.match import TOLERANCES, displacements
from crystalsmith.runs.engines import Engine
from crystalsmith.runs.folder import Journal
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.progress import Progress, silent

SECONDS = 900.0
"""Time limit for one crystal."""


@dataclass(frozen=True)
class State:
    """A crystal and how it stands to its target.

    Attributes:
        crystal: as generated, or relaxed.
        rms: displacement at each of ``TOLERANCES``, None where it does not match.
    """

    crystal: Crystal
    rms: tuple[float | None, ...]

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        return {"crystal": self.crystal.to_dict(), "rms": self.rms}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> State:
        """The inverse.

        Raises:
            KeyError, TypeError, CrystalsmithError: other data.
        """
        rms = tuple(None if x is None else float(x) for x in data["rms"])
        return State(Crystal.from_dict(data["crystal"]), rms)


@dataclass(frozen=True)
class Outcome:
    """What came of a trial.

    Attributes:
        before: as generated.
        after: relaxed; None where no relaxation was asked for, or it came to nothing.
        energy: relaxed, eV per atom.
        calls: evaluations of the potential.
        reason: why the relaxation ended, or why there is none.
    """

    before: State
    after: State | None = None
    energy: float | None = None
    calls: int = 0
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        after = None if self.after is None else self.after.to_dict()
        return {
            "before": self.before.to_dict(),
            "after": after,
            "energy": self.energy,
            "calls": self.calls,
            "reason": self.reason,
        }

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Outcome:
        """The inverse.

        Raises:
            KeyError, TypeError, CrystalsmithError: other data.
        """
        before, after = data["before"], data["after"]
        return Outcome(
            State.from_dict(before),
            None if after is None else State.from_dict(after),
            data["energy"],
            data["calls"],
            data["reason"],
        )


@dataclass(frozen=True)
class Trial:
    """A crystal to compare with its target.

    Attributes:
        crystal: as generated, of the target's composition.
        target: what it was meant to be.
        potential: to relax with; None for none.
        calls: evaluations of the potential at most.
    """

    crystal: Crystal
    target: Crystal
    potential: str | None
    calls: int

    @property
    def key(self) -> str:
        """Hash of all that the outcome depends on."""
        relaxation = None if self.potential is None else [self.potential, self.calls]
        parts = [self.crystal.to_dict(), self.target.to_dict(), relaxation, TOLERANCES]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def assess(trial: Trial) -> Outcome:
    """Match, relax, and match again."""
    before = _state(trial.crystal, trial.target)
    if trial.potential is None:
        return Outcome(before)
    settings = RelaxSettings(max_calls=trial.calls, max_volume_change=None, seconds=SECONDS)
    try:
        done = relax_symmetric(trial.crystal, process_calculator(trial.potential), settings)
    except CrystalsmithError as error:
        return Outcome(before, reason=str(error))
    if not done.sound:
        return Outcome(before, calls=done.calls, reason=done.reason)
    return Outcome(before, _state(done.crystal, trial.target), done.energy, done.calls, done.reason)


def _state(crystal: Crystal, target: Crystal) -> State:
    return State(crystal, displacements(crystal, target))


@dataclass
class Trials:
    """Outcomes on disk by the trials' keys; what stands there is not tried again.

    Attributes:
        journal: the file.
        rows: what stands in it; an outcome, or why there is none.

    Raises:
        OutputError: a damaged line, or a file that cannot be read or written.
    """

    journal: Journal
    rows: dict[str, Outcome | Failed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.journal.read(self._take)

    def _take(self, data: Any, place: int) -> None:
        failure = data.get("failure")
        found = Outcome.from_dict(data) if failure is None else Failed(str(failure))
        self.rows[str(data["key"])] = found

    def carry_out(
        self, trials: Sequence[Trial], engine: Engine, stage: str, progress: Progress = silent
    ) -> list[Outcome | Failed]:
        """Do what is not on disk yet; outcomes are there as they come.

        Args:
            trials: n of them.
            engine: where it is done.
            stage: name that ``progress`` is told.
            progress: told how many trials are settled.

        Returns:
            n outcomes, or why there is none.

        Raises:
            OutputError: the journal cannot be written.
        """
        keys = [trial.key for trial in trials]
        todo = {key: trial for key, trial in zip(keys, trials, strict=True) if key not in self.rows}

        def take(key: str, result: Outcome | Failed, seconds: float) -> None:
            row = {"failure": result.reason} if isinstance(result, Failed) else result.to_dict()
            self.journal.append([{"key": key, **row}])
            self.rows[key] = result
            progress(stage, sum(k in self.rows for k in keys), len(keys))

        progress(stage, sum(k in self.rows for k in keys), len(keys))
        # The search looks at the time between calls; the limit here is for a call that never ends.
        each(assess, todo, stage=stage, engine=engine, seconds=SECONDS + 60, on_done=take)
        return [self.rows[key] for key in keys]
