"""The candidates of one order beside each other: by which figure they are sorted, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.ranking.agreement import LIKE, draft_differences
from crystalsmith.ranking.calibration import OrderCalibration, order_calibration
from crystalsmith.ranking.features import JUDGED, asked, columns, votes
from crystalsmith.ranking.score import Score

CERTAINTY = ("share", "drawn", "lent", "prior", "free")
"""What the certainty of a candidate rests on, beside a constant: the log-odds of its share, together with
candidates like it, in the chances of all; and the absolute figures of ``features`` under these names."""

_BOUND = 1e-4
_LEAST_PRIOR = -12.0


@dataclass(frozen=True)
class Verdict:
    """What the comparison says of one candidate.

    Attributes:
        figure: by which candidates are sorted, higher is better; differences are log-odds.
        p: stated probability that it is right, that is the real crystal that such an order asks for.
    """

    figure: float
    p: float


def verdicts(
    crystals: Sequence[Crystal], scores: Sequence[Score], difference: np.ndarray | None = None
) -> list[Verdict]:
    """Compare the candidates of an order.

    Where some were relaxed, these are the front-runners: they are compared with each other by relaxed
    energies, and the others stay as far behind them as they were by single points.

    Args:
        crystals: n of them.
        scores: what judges made of each by itself.
        difference: (n, n) of their fingerprints, if they are known.

    Returns:
        n verdicts. They depend on these candidates alone.
    """
    if not scores:
        return []
    if difference is None:
        difference = draft_differences(crystals)
    judges, potential = judges_of(scores), potential_of(scores)
    single = last = order_calibration(judges, potential)
    if any(s.relaxed_energy is not None for s in scores):
        last = order_calibration(judges, potential, relaxed=True)
    figure = compared(scores, difference, judges, single, last)
    p = certainties(certainty_columns(scores, difference, figure), last)
    return [Verdict(float(f), float(q)) for f, q in zip(figure, p, strict=True)]


def compared(
    scores: Sequence[Score],
    difference: np.ndarray,
    judges: tuple[str, ...],
    single: OrderCalibration,
    relaxed: OrderCalibration,
) -> np.ndarray:
    """(n,) the figures of candidates: by single points, and those of front-runners by relaxed energies."""
    figure = figures([s.with_(relaxed_energy=None) for s in scores], difference, single, judges)
    front = np.array([s.relaxed_energy is not None for s in scores])
    if not front.any():
        return figure
    own = figures(front_runners_alone(scores), difference, relaxed, judges)
    behind = np.minimum(figure - figure[front].min(), 0.0)
    return np.where(front, own, own[front].min() + behind)


def front_runners_alone(scores: Sequence[Score]) -> list[Score]:
    """The scores, with energies of those alone that were relaxed."""
    return [s if s.relaxed_energy is not None else s.with_(energy=None) for s in scores]


def figures(
    scores: Sequence[Score], difference: np.ndarray, calibration: OrderCalibration, judges: tuple[str, ...]
) -> np.ndarray:
    """(n,) the figures of candidates by all energies that they have; ``judges`` are those of the model."""
    counts = asked(judges, potential_of(scores) is not None)
    return np.asarray(columns(scores, difference) @ np.where(counts, calibration.weights, 0.0))


def certainty_columns(scores: Sequence[Score], difference: np.ndarray, figure: np.ndarray) -> np.ndarray:
    """(n, len(CERTAINTY)) what the certainty of candidates with these figures (n,) rests on."""
    chance = np.exp(figure - figure.max())
    share = (1 / (1 + (difference / LIKE) ** 2)) @ (chance / chance.sum())
    share = np.clip(share, _BOUND, 1 - _BOUND)
    drawn, lent = votes(scores, difference)
    prior = [max(min(s.log_prior or 0.0, 0.0), _LEAST_PRIOR) for s in scores]
    free = [np.log1p(s.free or 0) for s in scores]
    return np.column_stack([np.log(share / (1 - share)), drawn, lent, prior, free])


def certainties(table: np.ndarray, calibration: OrderCalibration) -> np.ndarray:
    """(n,) chances to be right of candidates with these columns of ``CERTAINTY``."""
    odds = table @ calibration.sure[1:] + calibration.sure[0]
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def judges_of(scores: Sequence[Score]) -> tuple[str, ...]:
    """The model's judges that some of these scores heard."""
    heard = {
        "denoising": any(s.denoising is not None for s in scores),
        "agreement": any(s.agreement is not None for s in scores),
    }
    return tuple(name for name in JUDGED if heard[name])


def potential_of(scores: Sequence[Score]) -> str | None:
    """The potential that some of these scores have an energy of; ``""`` for one of files that do not tell."""
    return next((s.potential or "" for s in scores if s.best_energy is not None), None)
