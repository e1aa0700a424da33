"""The ladder: candidates before ever dearer judges, the dearest for the front-runners only."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.bonds import bond_room
from crystalsmith.diffusion import AnyModel, Model
from crystalsmith.potentials import RelaxSettings, load_calculator, relax_symmetric
from crystalsmith.potentials.energies import single_points
from crystalsmith.ranking.agreement import agreements, draft_differences, same_structures
from crystalsmith.ranking.calibration import calibration_of
from crystalsmith.ranking.denoising import denoising_error, denoising_errors
from crystalsmith.ranking.judges import resolve_judges
from crystalsmith.ranking.score import Score
from crystalsmith.ranking.verdicts import verdicts

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

FRONT_RUNNERS = 4
"""Structures that are relaxed, of an order or of the drafts of a crystal."""

RELAXATION_CALLS = 8
"""Calls of the potential for each of them."""


@dataclass(frozen=True)
class Candidate:
    """A sound crystal with what is known of it beforehand.

    Attributes:
        crystal: to be judged.
        log_prior: log-likelihood of its assignment, where known.
        kind: how it came about, one of ``assignments.KINDS``.
        weight, members: of the known arrangement that it began with, as of ``assignments.Start``.
    """

    crystal: Crystal
    log_prior: float | None = None
    kind: str = "network"
    weight: float | None = None
    members: int | None = None


@dataclass
class Ladder:
    """Judges of a run.

    Attributes:
        model: whose crystals are judged.
        judges: names, from ``resolve_judges``.
        potential: name; loaded when it is first asked.
        seconds: time that each judge has taken.
        judged: crystals that each has seen, drafts counted one by one.
    """

    model: AnyModel
    judges: tuple[str, ...]
    potential: str | None = None
    front_runners: int = FRONT_RUNNERS
    calls: int = RELAXATION_CALLS
    seconds: dict[str, float] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    _calculator: Calculator | None = None

    @staticmethod
    def of(
        model: AnyModel,
        judges: str | Iterable[str] | None,
        potential: str | None,
        best_of: int,
        sorts: bool = False,
    ) -> Ladder | None:
        """The ladder that settings ask for, None for none; see ``resolve_judges`` for them and for Raises."""
        names = resolve_judges(model, judges, potential, best_of, sorts)
        return Ladder(model, names, potential) if names else None

    @property
    def calculator(self) -> Calculator:
        """The potential.

        Raises:
            RelaxationError: it cannot be loaded.
        """
        if self._calculator is None:
            assert self.potential is not None
            self._calculator = load_calculator(self.potential)
        return self._calculator

    def alone(self, candidates: Sequence[Candidate]) -> list[Score]:
        """What the judges say of each of n candidates by itself; those of one call are worked on together.

        Raises:
            RelaxationError: the potential cannot be loaded; what it does later costs a candidate its energy
                only.
        """
        crystals = [c.crystal for c in candidates]
        return self._with_energies(crystals, self._cheap(candidates), list(range(len(crystals))))

    def judge(self, candidates: Sequence[Candidate], *, last: bool = True) -> list[Score]:
        """Judge the drafts of one crystal beside each other.

        The scores depend on these drafts alone, to the last digit: each crystal is judged by itself.

        Args:
            candidates: n sound drafts.
            last: this is the comparison that decides: front-runners are relaxed, if the judges ask for it.

        Returns:
            n scores; ``verdicts`` compares them.

        Raises:
            RelaxationError: as ``alone``.
        """
        if not candidates:
            return []
        crystals = [c.crystal for c in candidates]
        with self._timed("agreement", len(candidates)):
            difference = draft_differences(crystals)
        scores = self._cheap(candidates, difference)
        figures = [v.figure for v in verdicts(crystals, scores, difference)]
        scores = self._with_energies(crystals, scores, same_structures(difference, figures))
        return self.relax(crystals, scores, difference) if last else scores

    def relax(
        self, crystals: Sequence[Crystal], scores: Sequence[Score], difference: np.ndarray | None = None
    ) -> list[Score]:
        """The scores with relaxed energies of the front-runners, where the judges ask for them.

        Front-runners are the first ``front_runners`` structures by ``verdicts``; candidates that are the same
        structure have one energy.

        Args:
            crystals: n candidates that are compared.
            scores: of each.
            difference: (n, n) of their fingerprints, if they are known.

        Raises:
            RelaxationError: as ``alone``.
        """
        if "relaxation" not in self.judges or len(crystals) < 2:
            return list(scores)
        if difference is None:
            difference = draft_differences(crystals)
        figures = [v.figure for v in verdicts(crystals, scores, difference)]
        stands = same_structures(difference, figures)
        own = sorted(set(stands), key=lambda i: (-figures[i], i))[: self.front_runners]
        if len(own) < 2:
            return list(scores)
        calculator = self.calculator
        settings = RelaxSettings(max_calls=self.calls, max_volume_change=None)
        found: dict[int, float | None] = {}
        with self._timed("relaxation", len(own)):
            for i in own:
                done = relax_symmetric(crystals[i], calculator, settings)
                found[i] = done.energy if done.sound else None
        return [
            s.with_(relaxed_energy=found.get(i), potential=self.potential)
            for s, i in zip(scores, stands, strict=True)
        ]

    @contextmanager
    def _timed(self, name: str, crystals: int) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
        self.judged[name] = self.judged.get(name, 0) + crystals

    def _cheap(self, candidates: Sequence[Candidate], difference: np.ndarray | None = None) -> list[Score]:
        """What the model's own judges say; agreement among those with these differences, or of one alone."""
        n = len(candidates)
        errors: Sequence[float | None] = [None] * n
        if "denoising" in self.judges and n:
            assert isinstance(self.model, Model)
            with self._timed("denoising", n):
                found = denoising_errors(self.model, [c.crystal for c in candidates])
                errors = [float(e) for e in denoising_error(found)]
        shares: Sequence[float | None] = [None] * n
        if "agreement" in self.judges:
            shares = [1.0] * n if difference is None else [float(a) for a in agreements(difference)]
        single = difference is None or n == 1
        weights = calibration_of(tuple(j for j in self.judges if not (single and j == "agreement")))
        result = []
        for c, error, share in zip(candidates, errors, shares, strict=True):
            free = sum(p.dof for p in c.crystal.positions_of_sites)
            result.append(
                Score(
                    formula=c.crystal.formula,
                    likely=weights.log_odds(error, share, free),
                    denoising=error,
                    agreement=share,
                    log_prior=c.log_prior,
                    kind=c.kind,
                    weight=c.weight,
                    members=c.members,
                    free=free,
                    room=bond_room(c.crystal),
                )
            )
        return result

    def _with_energies(
        self, crystals: Sequence[Crystal], scores: list[Score], stands: list[int]
    ) -> list[Score]:
        """The scores with single points, those of candidates that stand for others shared."""
        if "energy" not in self.judges or not crystals:
            return scores
        own = sorted(set(stands))
        calculator = self.calculator
        with self._timed("energy", len(own)):
            found = dict(zip(own, single_points([crystals[i] for i in own], calculator), strict=True))
        result = []
        for s, i in zip(scores, stands, strict=True):
            value, reason = found[i].value, found[i].reason
            energy = value if math.isfinite(value) else None
            result.append(s.with_(energy=energy, energy_failure=reason, potential=self.potential))
        return result
