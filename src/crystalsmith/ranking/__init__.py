"""Ranking: judges of finished crystals, from nearly free to dear, and the figure to sort candidates by."""

from crystalsmith.potentials.energies import Energy, single_points
from crystalsmith.ranking.denoising import denoising_error, denoising_errors
from crystalsmith.ranking.judges import JUDGES, resolve_judges
from crystalsmith.ranking.ladder import Candidate, Ladder
from crystalsmith.ranking.score import Score
from crystalsmith.ranking.verdicts import Verdict, verdicts

__all__ = [
    "JUDGES",
    "Candidate",
    "Energy",
    "Ladder",
    "Score",
    "Verdict",
    "denoising_error",
    "denoising_errors",
    "resolve_judges",
    "single_points",
    "verdicts",
]
