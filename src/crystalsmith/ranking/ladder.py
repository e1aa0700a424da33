"""The ladder: drafts of one crystal before ever dearer judges, the dearest for the front-runners only."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.diffusion import AnyModel, Model
from crystalsmith.potentials import RelaxSettings, load_calculator, relax_symmetric
from crystalsmith.potentials.energies import single_points
from crystalsmith.ranking.agreement import agreements, draft_differences, same_structures
from crystalsmith.ranking.calibration import calibration_of
from crystalsmith.ranking.denoising import denoising_error, denoising_errors
from crystalsmith.ranking.judges import resolve_judges
from crystalsmith.ranking.score import Score, totals

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

FRONT_RUNNERS = 4
"""Structures of a crystal that are relaxed."""

RELAXATION_CALLS = 8
"""Calls of the potential for each of them."""


@dataclass
class Ladder:
    """Judges of a run.

    Attributes:
        model: whose drafts are judged.
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

    def denoise(self, crystals: Sequence[Crystal]) -> np.ndarray | None:
        """(n,) denoising errors of crystals in one batch, for ``judge``; None where nobody asks for them."""
        if "denoising" not in self.judges or not crystals:
            return None
        assert isinstance(self.model, Model)
        with self._timed("denoising", len(crystals)):
            return denoising_error(denoising_errors(self.model, crystals))

    def judge(
        self,
        drafts: Sequence[Crystal],
        log_priors: Sequence[float | None] = (),
        denoising: np.ndarray | None = None,
    ) -> list[Score]:
        """Judge the drafts of one crystal beside each other.

        The scores depend on these drafts alone, to the last digit: each crystal is judged by itself.

        Args:
            drafts: n sound crystals.
            log_priors: (n,) log-likelihoods of their assignments, where known.
            denoising: (n,) their denoising errors, where ``denoise`` was asked before.

        Returns:
            n scores; ``totals`` makes figures of them.

        Raises:
            RelaxationError: the potential cannot be loaded; what it does later costs a draft its energy only.
        """
        if not drafts:
            return []
        scores = [Score(formula=c.formula) for c in drafts]
        for i, value in enumerate(log_priors):
            scores[i] = scores[i].with_(log_prior=value)
        errors = self.denoise(drafts) if denoising is None else denoising
        if errors is not None:
            scores = [s.with_(denoising=float(e)) for s, e in zip(scores, errors, strict=True)]
        single = len(drafts) == 1
        difference = np.zeros((1, 1)) if single else self._compare(drafts)
        if "agreement" in self.judges:
            shares = agreements(difference)
            scores = [s.with_(agreement=float(a)) for s, a in zip(scores, shares, strict=True)]
        weights = calibration_of(self.judges)
        scores = [
            s.with_(likely=weights.log_odds(s.denoising, s.agreement, _free(c)))
            for s, c in zip(scores, drafts, strict=True)
        ]
        stands = same_structures(difference, totals(scores))
        if "energy" in self.judges:
            scores = self._single_points(drafts, scores, stands, weights.energy)
        if "relaxation" in self.judges:
            scores = self._relax(drafts, scores, stands, weights.relaxation)
        return scores

    @contextmanager
    def _timed(self, name: str, crystals: int) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began
        self.judged[name] = self.judged.get(name, 0) + crystals

    def _compare(self, drafts: Sequence[Crystal]) -> np.ndarray:
        with self._timed("agreement", len(drafts)):
            return draft_differences(drafts)

    def _single_points(
        self, drafts: Sequence[Crystal], scores: list[Score], stands: list[int], temperature: float
    ) -> list[Score]:
        own = sorted(set(stands))
        calculator = self.calculator
        with self._timed("energy", len(own)):
            found = dict(zip(own, single_points([drafts[i] for i in own], calculator), strict=True))
        result = []
        for s, i in zip(scores, stands, strict=True):
            value, reason = found[i].value, found[i].reason
            energy = value if math.isfinite(value) else None
            result.append(s.with_(energy=energy, energy_failure=reason, temperature=temperature))
        return result

    def _relax(
        self, drafts: Sequence[Crystal], scores: list[Score], stands: list[int], temperature: float
    ) -> list[Score]:
        figures = totals(scores)
        own = sorted(set(stands), key=lambda i: (-figures[i], i))[: self.front_runners]
        calculator = self.calculator
        found = {}
        with self._timed("relaxation", len(own)):
            for i in own:
                done = relax_symmetric(
                    drafts[i], calculator, RelaxSettings(max_calls=self.calls, max_volume_change=None)
                )
                found[i] = done.energy if done.sound else None
        return [
            s.with_(relaxed_energy=found.get(i), temperature=temperature)
            for s, i in zip(scores, stands, strict=True)
        ]


def _free(crystal: Crystal) -> int:
    return sum(p.dof for p in crystal.positions_of_sites)
