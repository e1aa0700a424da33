"""Ranking: judges of finished crystals, from nearly free to dear, and the figure to sort drafts by."""

from crystalsmith.potentials.energies import Energy, single_points
from crystalsmith.ranking.denoising import denoising_error, denoising_errors
from crystalsmith.ranking.judges import JUDGES, resolve_judges
from crystalsmith.ranking.ladder import Ladder
from crystalsmith.ranking.score import Score, totals

__all__ = [
    "JUDGES",
    "Energy",
    "Ladder",
    "Score",
    "denoising_error",
    "denoising_errors",
    "resolve_judges",
    "single_points",
    "totals",
]
