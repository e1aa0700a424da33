"""What a candidate of an order is weighed by, as numbers: one row for each, one column for each of ``NAMES``.

Each kind of candidate has columns of its own, so that each is weighed by itself. A part that does not exist
is zero, so that it neither helps nor harms.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from crystalsmith.assignments import KINDS
from crystalsmith.ranking.agreement import LIKE
from crystalsmith.ranking.score import Score

OWN = ("kind", "denoising", "undone", "prior", "drawn", "lent", "members", "room")
"""Columns of each kind: that it is one; denoising error; the same times log(1 + free parameters), at most 2,
as it tells little where nothing is free; log-likelihood of the assignment; how many crystals of the network
came out like it; how similar to its own the elements of known arrangements like it are; how many known
crystals its arrangement stands for; how tight its bonds are."""

ENERGY = "energy"
"""Column of each kind: how far its energy lies above the lowest."""

NAMES = tuple(f"{kind}.{name}" for kind in KINDS for name in (*OWN, ENERGY))

JUDGED = {"denoising": ("denoising", "undone"), "agreement": ("drawn", "lent")}
"""Columns that one of the model's judges has to be asked for."""

SCALE = 0.03
"""eV per atom: differences of energies count in proportion well below it, by their logarithm well above."""

BELOW, ABOVE = 0.1, 1.0
"""eV per atom by which an energy counts at most as lower and as higher than that of the best known
arrangement: what lies further below is a hole of the potential more often than a crystal."""

_LEAST_PRIOR = -12.0
_LEAST_LENT = 1e-4
_FEW = 0.5  # of the network's crystals: none among one says less than none among ten
_ROOMY = 1.3
_FREE = 2.0


def columns(scores: Sequence[Score], difference: np.ndarray) -> np.ndarray:
    """(n, len(NAMES)) the columns of n candidates of an order.

    Args:
        scores: of each.
        difference: (n, n) of their fingerprints, from ``agreement.draft_differences``.
    """
    table = {name: np.zeros(len(scores)) for name in NAMES}
    drawn, lent = votes(scores, difference)
    energies = relative_energies(scores)
    for i, s in enumerate(scores):
        own = {
            "kind": 1.0,
            "denoising": s.denoising or 0.0,
            "undone": (s.denoising or 0.0) * min(math.log1p(s.free or 0), _FREE),
            "prior": max(min(s.log_prior or 0.0, 0.0), _LEAST_PRIOR),
            "drawn": drawn[i],
            "lent": lent[i],
            "members": math.log(s.members or 1),
            "room": 0.0 if s.room is None else min(s.room, _ROOMY) - _ROOMY,
            ENERGY: energies[i],
        }
        for name, value in own.items():
            table[f"{s.kind}.{name}"][i] = value
    return np.column_stack([table[name] for name in NAMES])


def votes(scores: Sequence[Score], difference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What speaks for each of n candidates among the others of its composition, as logarithms.

    Args:
        scores: of the candidates.
        difference: (n, n) of their fingerprints; infinite between compositions.

    Returns:
        (n,) share of the network's crystals, itself left out, that are like it; (n,) weight of the known
        arrangements that are like it, its own among them.
    """
    like = 1 / (1 + (difference / LIKE) ** 2)
    network = np.array([s.kind == "network" for s in scores])
    weight = np.array([s.weight or 0.0 if s.kind == "prototype" else 0.0 for s in scores])
    others = network & ~np.eye(len(scores), dtype=bool)
    drawn = ((like * others).sum(1) + _FEW) / ((np.isfinite(difference) & others).sum(1) + 2 * _FEW)
    return np.log(drawn), np.log(like @ weight + _LEAST_LENT)


def relative_energies(scores: Sequence[Score]) -> np.ndarray:
    """(n,) how high the energy of each is for its formula: 0 for that of the best known arrangement.

    Where no known arrangement has an energy it is 0 for the lowest. It grows as log(1 + x / ``SCALE``) with
    the difference x, down to ``BELOW`` and up to ``ABOVE``; a candidate without an energy where others have
    one counts as the highest.
    """
    by_formula: dict[str, list[int]] = defaultdict(list)
    for i, s in enumerate(scores):
        by_formula[s.formula].append(i)
    result = np.zeros(len(scores))
    for rows in by_formula.values():
        energy = np.array([math.nan if (e := scores[i].best_energy) is None else e for i in rows])
        if np.isnan(energy).all():
            continue
        known = [e for e, i in zip(energy, rows, strict=True) if scores[i].kind == "prototype"]
        lowest = np.nanmin(known if np.isfinite(known).any() else energy)
        x = np.clip(np.where(np.isnan(energy), np.inf, energy - lowest), -BELOW, ABOVE)
        result[rows] = np.sign(x) * np.log1p(np.abs(x) / SCALE)
    return result


def asked(judges: Iterable[str], energies: bool) -> np.ndarray:
    """(len(NAMES),) which columns count where these judges of the model, and a potential, were asked."""
    left_out = {c for judge, own in JUDGED.items() if judge not in set(judges) for c in own}
    left_out |= set() if energies else {ENERGY}
    return np.array([name.split(".")[1] not in left_out for name in NAMES])
