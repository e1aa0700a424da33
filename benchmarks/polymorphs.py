"""Which known phase of a formula is the observed one? Fits and tries ``prior/polymorphs.json``.

    python benchmarks/polymorphs.py mp_train.safetensors mp_large.safetensors mp20_val.safetensors \\
        --json src/crystalsmith/prior/polymorphs.json

Files are of ``crystalsmith data build``, with the flag that says what experiment has seen. The weights are
those of a conditional logit: of the formulas that have observed phases and others that were computed alone,
each observed phase against the latter. Tried on a fifth of these formulas, which are kept from the fit: how
often an observed phase stands first, beside the order of distances to the hull.

The list of observed crystals is taken to be wrong for one crystal in ``WRONG`` either way; that is what the
flag of a phase says beside its weights. That the index lacks the phase asked for is fitted to what would be
said if one phase asked for in ``LACKING``, an observed one, were taken away; where nothing is, any observed
phase is right.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp

from crystalsmith.data import Dataset, concatenate
from crystalsmith.data.wyckoff import occupations
from crystalsmith.prior import KnownCrystals, Prototypes
from crystalsmith.prior.phases import distinct_phases
from crystalsmith.prior.polymorphs import NAMES, Polymorphs, observed_of, polymorph_columns

WRONG = 20
LACKING = 10
PULL = 1e-3
"""Pull of the weights to zero, beside the mean log-likelihood."""


@dataclass(frozen=True, eq=False)
class OfFormula:
    """The phases of one formula: columns (n, len(NAMES)), whether each was observed (1, 0, -1), and for how
    many formulas it stands."""

    columns: np.ndarray
    observed: np.ndarray
    weight: float
    same: tuple[float, float] | None = None
    """Share of pairs of its phases that agree in the space group, and in the number of atoms."""

    @property
    def mixed(self) -> bool:
        """Whether some of its phases were computed alone."""
        return bool((self.observed == 0).any())


def formulas_of(known: KnownCrystals) -> list[list[int]]:
    """The crystals of each formula."""
    result: dict[tuple[Any, Any], list[int]] = defaultdict(list)
    for i in range(len(known)):
        rows = slice(int(known.start[i]), int(known.start[i + 1]))
        atoms = known.atoms[rows]
        ratio = atoms // np.gcd.reduce(atoms)
        result[tuple(known.element[rows].tolist()), tuple(ratio.tolist())].append(i)
    return list(result.values())


def read_formulas(prototypes: Prototypes, most: int, seed: int) -> list[OfFormula]:
    """Those that have observed phases: at most so many with others beside, and as many without."""
    known = prototypes.known
    by_formula = formulas_of(known)
    result = []
    for mixed in (True, False):
        keys = [rows for rows in by_formula if _kind(known.observed[rows]) == mixed]
        chosen = np.random.default_rng(seed).permutation(len(keys))[:most].tolist()
        for place in chosen:
            rows = distinct_phases(prototypes, keys[place])
            seen = observed_of(prototypes, rows)
            weight = len(keys) / len(chosen)
            same = _same(known.space_group[rows]), _same(np.array([sum(known[i].counts) for i in rows]))
            pairs = None if len(rows) < 2 else same
            result.append(OfFormula(polymorph_columns(prototypes, rows), seen, weight, pairs))
    return result


def _kind(observed: np.ndarray) -> bool | None:
    """Whether observed phases have others beside; None without observed ones."""
    return bool((observed == 0).any()) if (observed == 1).any() else None


def _same(values: np.ndarray) -> float:
    """Share of pairs that are equal."""
    pairs = len(values) * (len(values) - 1) / 2
    return float((np.triu(values[:, None] == values, 1)).sum() / max(pairs, 1))


def fit_weights(formulas: list[OfFormula]) -> np.ndarray:
    """(len(NAMES),) by maximum likelihood of each observed phase against those that were computed alone."""
    scale = np.concatenate([f.columns for f in formulas]).std(0)
    pairs = [
        np.vstack([one, f.columns[f.observed == 0]]) / scale
        for f in formulas
        for one in f.columns[f.observed == 1]
    ]
    share = [1 / (f.observed == 1).sum() for f in formulas for _ in range((f.observed == 1).sum())]

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = PULL * float(w @ w), 2 * PULL * w
        for x, part in zip(pairs, np.array(share) / len(formulas), strict=True):
            s = x @ w
            total = logsumexp(s)
            value -= part * (s[0] - total)
            slope -= part * (x[0] - np.exp(s - total) @ x)
        return value, slope

    return np.asarray(minimize(loss, np.zeros(len(NAMES)), jac=True, method="BFGS").x / scale)


def absent_loss(formulas: list[OfFormula], p: Polymorphs) -> float:
    """Mean negative log-likelihood of what is asked for, the index complete or not."""
    total, weight = 0.0, 0.0
    for f in formulas:
        s = np.append(p.figures(f.columns, f.observed), p.absent)
        seen = np.append(f.observed == 1, False)
        complete = f.weight * (1 - 1 / LACKING)
        total -= complete * (logsumexp(s[seen]) - logsumexp(s))
        weight += complete
        for gone in np.flatnonzero(seen):
            lacking = f.weight / LACKING / seen.sum()
            total -= lacking * (p.absent - logsumexp(np.delete(s, gone)))
            weight += lacking
    return total / weight


def share_first(formulas: list[OfFormula], figures: list[np.ndarray]) -> tuple[float, float]:
    """Share of formulas with an observed phase first, and its standard error."""
    right = np.mean([f.observed[int(np.argmax(s))] == 1 for f, s in zip(formulas, figures, strict=True)])
    return float(right), math.sqrt(right * (1 - right) / len(formulas))


def main() -> None:
    """Fit, try, write."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", nargs="+")
    p.add_argument("-n", type=int, default=2500, help="most formulas of each kind")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--json", metavar="FILE")
    a = p.parse_args()
    index = Prototypes(KnownCrystals.read(occupations(concatenate([Dataset.open(f) for f in a.data]))))
    formulas = read_formulas(index, a.n, a.seed)
    mixed = [f for f in formulas if f.mixed and (f.observed == 1).any()]
    fifth = len(mixed) // 5
    tried, used = mixed[:fifth], mixed[fifth:]
    fitted = Polymorphs(fit_weights(used), math.log(WRONG - 1), 0.0)
    best = minimize_scalar(
        lambda o: absent_loss(formulas, replace(fitted, absent=float(o))), bounds=(-20, 20), method="bounded"
    )
    same = np.log(np.mean([f.same for f in formulas if f.same is not None], axis=0))
    fitted = replace(fitted, absent=float(best.x), same_group=float(same[0]), same_size=float(same[1]))
    hull = share_first(tried, [-f.columns[:, 0] for f in tried])
    ours = share_first(tried, [f.columns @ fitted.weights for f in tried])
    data = {
        "made_by": "benchmarks/polymorphs.py",
        "data": [Path(f).name for f in a.data],
        "formulas": {"all": len(formulas), "fitted": len(used), "tried": len(tried)},
        "first_of_tried": {"hull": [round(x, 4) for x in hull], "weights": [round(x, 4) for x in ours]},
        **fitted.to_dict(),
    }
    print(json.dumps(data, indent=1), flush=True)
    if a.json:
        Path(a.json).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
