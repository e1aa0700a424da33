"""What judges made of one draft, and the figure by which drafts are sorted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Score:
    """Parts of a draft's score; None for a judge that was not asked or had no answer.

    Attributes:
        formula: reduced formula; energies are compared between drafts of the same one only.
        likely: the model's own judgement, log-odds that the draft is right.
        denoising: its denoising error, see ``denoising.denoising_error``.
        agreement: share of the crystal's drafts that are like it, itself included.
        log_prior: log-likelihood of its assignment of Wyckoff positions.
        energy: single point of the potential, eV per atom.
        relaxed_energy: after a few steps of symmetric relaxation, eV per atom.
        temperature: eV per atom that count as one unit of log-odds against a draft.
        energy_failure: why it has no energy.
    """

    formula: str
    likely: float = 0.0
    denoising: float | None = None
    agreement: float | None = None
    log_prior: float | None = None
    energy: float | None = None
    relaxed_energy: float | None = None
    temperature: float | None = None
    energy_failure: str | None = None

    @property
    def p_given_letters(self) -> float:
        """Chance that cell and coordinates are right if the letters are, by the model's own judgement.

        Nothing is said of the letters: those of another polymorph may have 0.99. Fitted on held-out crystals
        whose letters were given (``calibration.json``). Files of before call it ``probability``.
        """
        return 1 / (1 + math.exp(-max(-700.0, min(700.0, self.likely))))

    @property
    def best_energy(self) -> float | None:
        """The lowest energy known, eV per atom."""
        return self.energy if self.relaxed_energy is None else self.relaxed_energy

    def with_(self, **parts: float | str | None) -> Score:
        """The same with other parts."""
        return replace(self, **parts)  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types, what is None left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Score:
        """The inverse of ``to_dict``.

        Raises:
            TypeError: other keys.
        """
        return Score(**data)


def totals(scores: Sequence[Score]) -> list[float]:
    """The figures by which drafts are sorted, higher is better.

    A figure is the log-odds of the model's own judgement, plus ``PRIOR_WEIGHT`` times the log-likelihood of
    the assignment, less the energy above the lowest of the same formula among those compared, over the
    temperature. Crystals of different formulas therefore differ by the first two alone. A draft that has no
    energy where another of its formula has one counts as lying ``NO_ENERGY`` temperatures above it.
    """
    lowest: dict[str, float] = {}
    for s in scores:
        if s.best_energy is not None:
            lowest[s.formula] = min(s.best_energy, lowest.get(s.formula, math.inf))
    return [_total(s, lowest.get(s.formula)) for s in scores]


PRIOR_WEIGHT = 2.5
"""Of the log-likelihood beside log-odds that were fitted with the assignment given: the right of 20 crystals
of a formula then comes first most often (150 formulas of mp20_val; flat from 2 to 5)."""

NO_ENERGY = 20.0
"""Temperatures above the lowest energy at which a draft counts that the potential failed on."""


def _total(score: Score, lowest: float | None) -> float:
    figure = score.likely + PRIOR_WEIGHT * (score.log_prior or 0.0)
    if lowest is None:
        return figure
    if score.best_energy is None or not score.temperature:
        return figure - NO_ENERGY
    return figure - (score.best_energy - lowest) / score.temperature
