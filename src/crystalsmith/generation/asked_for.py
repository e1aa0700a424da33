"""Crystals of an order for a formula, known phases and others, by the chance to be the one asked for.

That a known phase is the one asked for is what the index says of it (``prior.polymorphs``); that a crystal is
this phase, and not its letters with wrong coordinates, is what the judges say of it. The rest, that the index
lacks the one asked for, goes to the crystals that are no known phase: to the best of them times its stated
chance, to the others in proportion to exp of their scores.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.orders.formula import FormulaKind

if TYPE_CHECKING:
    from crystalsmith.generation.journal import Entry
    from crystalsmith.generation.known import KnownPhases
    from crystalsmith.orders import Order
    from crystalsmith.ranking import Score

MISSED = 0.15
"""eV per atom above the lowest crystal, beyond its phase's own distance to the hull, at which a crystal with
the letters of a known phase cannot be that phase."""

_NEVER = 1e-4


@dataclass(frozen=True)
class Weights:
    """What judges say of crystals with the letters of known phases: ``asked_for.json``.

    Attributes:
        likely: to which power the chance counts that cell and coordinates are right if the letters are: the
            network knows better what is found in nature than what was computed alone.
        intercept, slope, behind: log-odds that such a crystal is the phase: a constant, what they grow with
            the log-odds that cell and coordinates are right, and with its score, counted from the best one.
    """

    likely: float
    intercept: float
    slope: float
    behind: float

    @staticmethod
    def of(data: Mapping[str, Any]) -> Weights:
        """From plain data."""
        return Weights(**{one.name: float(data[one.name]) for one in fields(Weights)})

    def natural(self, score: Score | None) -> float:
        """Log-odds by which a phase gains if this is its crystal."""
        return 0.0 if score is None else self.likely * math.log(max(score.p_given_letters, 1e-30))

    def is_phase(self, score: Score | None, behind: float) -> float:
        """Chance that a crystal with the letters of a known phase is that phase."""
        if score is None:
            return 1.0
        odds = self.intercept + self.slope * score.likely + self.behind * behind
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, odds))))


@lru_cache(maxsize=1)
def shipped_weights() -> Weights:
    """The weights that ship."""
    file = resources.files("crystalsmith.generation").joinpath("asked_for.json")
    return Weights.of(json.loads(file.read_text(encoding="utf-8")))


def chances(
    order: Order, entries: Sequence[Entry], figures: Sequence[float | None], known: KnownPhases
) -> np.ndarray | None:
    """(n,) chances of the crystals of an order for a formula to be the one asked for.

    Args:
        order: that asked for it.
        entries: its crystals.
        figures: their scores, log-odds; None without judges.
        known: the known phases.

    Returns:
        None where none of the crystals is a known phase whose distance to the hull is told: nothing is
        compared then.
    """
    if not isinstance(order.content, FormulaKind):
        return None
    phases, absent = known.asked_for(order.content.formula, order.bounds)
    twins = [known.twin(entry.crystal) for entry in entries if entry.crystal is not None]
    met = [place for place, twin in enumerate(twins) if twin in phases]
    if not met:
        return None
    weights, own = shipped_weights(), np.array([figure or 0.0 for figure in figures])
    lowest = min((e for entry in entries if (e := energy_of(entry)) is not None), default=-math.inf)
    tries: dict[int, list[tuple[float, int]]] = defaultdict(list)
    natural: dict[int, float] = {}
    for place in met:
        twin, entry = twins[place], entries[place]
        assert twin is not None and entry.crystal is not None
        right = weights.is_phase(entry.score, float(own[place] - own.max()))
        above, energy = known.above_hull(entry.crystal), energy_of(entry)
        if energy is not None and above is not None and energy > lowest + above + MISSED:
            right = _NEVER
        tries[twin].append((right, place))
        natural[twin] = max(natural.get(twin, -math.inf), weights.natural(entry.score))
    odds = {twin: figure + natural.get(twin, 0.0) for twin, figure in phases.items()}
    top = max(absent, *odds.values())
    total = math.exp(absent - top) + sum(math.exp(x - top) for x in odds.values())
    result = np.zeros(len(entries))
    for twin, found in tries.items():
        left = math.exp(odds[twin] - top) / total
        for right, place in sorted(found, reverse=True):
            result[place] = left * right
            left *= 1 - right
    others = [place for place in range(len(entries)) if place not in set(met)]
    if others:
        share = np.exp(own[others] - own[others].max())
        stated = entries[others[int(share.argmax())]].p_right
        best = min(1.0 if stated is None else stated, 1 / share.sum())
        result[others] = math.exp(absent - top) / total * best * share
    return result


def energy_of(entry: Entry) -> float | None:
    """eV per atom by the potential that judged."""
    return entry.score.best_energy if entry.score else None
