"""How sure an answer is: candidates against each other, and all of them against none being right.

Every candidate i has a figure u_i = w . x_i, of its misfit and of what the generator thinks of it without the
pattern; that none of them is right has the figure 0. Probabilities are exp(u) over the sum of all. The
weights were fitted (``calibration.json``) to simulated patterns of held-out crystals, among them patterns of
other compounds, for which no candidate was right.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np

ONE, SEVERAL, NONE = "one answer", "several fit equally", "none fits"
"""The verdicts."""

FEATURES = (
    *("constant", "misfit", "rwp", "overlap", "missing", "foreign"),
    *("frozen", "figure", "freedom", "moved", "run", "stretch", "likely"),
)
"""What a figure is made of; see ``features``."""

FLOOR = 0.03
"""Part of a pattern that is as good as none: widths and textures are never quite as assumed."""

TEMPERATURE, MOST_ENERGY = 0.06, 0.3
"""What an energy is worth, where there are some: eV per atom for a factor of e, and the most that counts. Of
the order of what the ranking of orders gives to energies of unrelaxed crystals; not fitted with the rest."""

EXCHANGED = 1.5
"""Log-odds that dealing out elements anew costs, as the generator has not made it so by itself."""

EXCESS, MOST_EXCESS = 12.0, 0.1
"""Log-odds that a larger residual costs, for a factor of e, and the most that counts: it tells apart what
fits nearly as well, and the last percent of a measured pattern is often the model of its lines."""

NOTHING = 0.02
"""Misfit that is as good as none."""

MOST_FREE = 30
"""Free coordinates beyond which more of them say no more."""

CLOSE, CLOSE_IF_FEW, FEW = 0.05, 0.15, 3
"""Misfit up to which an answer may end the search: with so few free coordinates that nothing can be fitted
that is not so, a larger one. What has many and moved far may be a mimic of something simpler."""

FAR = 0.3
"""Angstrom that an atom has moved by the refinement, from which on an answer of many free coordinates does
not end the search."""


@dataclass(frozen=True)
class Evidence:
    """What is known of one candidate structure.

    Attributes:
        misfit, rwp, overlap, missing, foreign: of its last fit, see ``trials.Fitted``.
        frozen: misfit with its coordinates as generated.
        figure: log-odds of the judges within the order; 0 where nobody judged.
        freedom: free coordinates.
        moved: largest way of an atom by the refinement, Angstrom.
        stretch: greatest relative change of a length of the generator's cell.
        likely: log-odds of the network's own judgement of the refined crystal; 0 where nobody asked.
        energy: eV per atom above the lowest of the answers; 0 where nobody computed it.
        exchanged: elements that scatter alike were dealt out anew.
        excess: logarithm of rwp over the lowest of the answers; 0 where they were not compared.
    """

    misfit: float
    rwp: float
    overlap: float
    missing: float = 0.0
    foreign: float = 0.0
    frozen: float = 1.0
    figure: float = 0.0
    freedom: int = 0
    moved: float = 0.0
    stretch: float = 0.0
    likely: float = 0.0
    energy: float = 0.0
    exchanged: bool = False
    excess: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """The verdict on a pattern.

    Attributes:
        words: ``one answer``, ``several fit equally`` or ``none fits``.
        p: probability of each candidate, in their order.
        none: probability that none of them is right.
        caveat: what the pattern cannot tell apart, in a sentence; empty where it tells all.
    """

    words: str
    p: tuple[float, ...]
    none: float
    caveat: str = ""


def features(evidence: Evidence) -> np.ndarray:
    """(len(FEATURES),) figures of one candidate."""

    def log(misfit: float) -> float:
        return math.log(min(max(misfit, 0.0), 2.0) + NOTHING)

    return np.array(
        [
            1.0,
            log(evidence.misfit),
            math.log(math.hypot(min(evidence.rwp, 2.0), FLOOR)),
            math.log(max(1 - evidence.overlap, 0.0) + 0.01),
            math.log(min(max(evidence.missing, 0.0), 1.0) + 0.01),
            math.log(min(max(evidence.foreign, 0.0), 1.0) + 0.01),
            log(evidence.frozen) - log(evidence.misfit),
            float(np.clip(evidence.figure, -8, 8)),
            math.log1p(evidence.freedom),
            min(evidence.moved, 1.0),
            # Many coordinates that have gone far fit anything.
            min(evidence.freedom, MOST_FREE) / 10 * min(evidence.moved, 1.0),
            min(abs(evidence.stretch), 0.2),
            float(np.clip(evidence.likely, -4, 4)),
        ]
    )


@lru_cache(maxsize=1)
def weights() -> np.ndarray:
    """(len(FEATURES),) fitted weights."""
    text = resources.files("crystalsmith.solving").joinpath("calibration.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return np.array([float(data["weights"][name]) for name in FEATURES])


def figures(evidence: Sequence[Evidence]) -> np.ndarray:
    """(n,) log-odds of candidates against none being right."""
    if not evidence:
        return np.zeros(0)
    cost = [
        min(max(e.energy, 0.0), MOST_ENERGY) / TEMPERATURE
        + EXCHANGED * e.exchanged
        + EXCESS * min(max(e.excess, 0.0), MOST_EXCESS)
        for e in evidence
    ]
    return np.stack([features(e) for e in evidence]) @ weights() - np.array(cost)


def probabilities(u: np.ndarray) -> tuple[np.ndarray, float]:
    """(n,) probabilities of candidates with these figures (n,), and of none."""
    top = max(0.0, float(u.max(initial=0.0)))
    parts, none = np.exp(u - top), math.exp(-top)
    total = parts.sum() + none
    return parts / total, none / total


def settled(evidence: Evidence) -> bool:
    """Whether a likely answer fits so well that no simpler one can still come."""
    few = evidence.freedom <= FEW
    return evidence.misfit <= (CLOSE_IF_FEW if few else CLOSE) and (few or evidence.moved < FAR)


def judge(evidence: Sequence[Evidence]) -> Verdict:
    """The verdict on distinct structures.

    Args:
        evidence: of n structures, each one once.
    """
    p, none = probabilities(figures(evidence))
    best = float(p.max(initial=0.0))
    words = NONE if none > 0.5 else ONE if best > 0.5 else SEVERAL
    return Verdict(words, tuple(float(x) for x in p), float(none))
