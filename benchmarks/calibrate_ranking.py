"""Fit how the judges of the ladder are weighed, on held-out crystals, and write ``ranking/calibration.json``.

    python benchmarks/calibrate_ranking.py mp20_val.safetensors -n 400 --potential chgnet \\
        --cache ranked_val --json src/crystalsmith/ranking/calibration.json

A logistic model gives the log-odds that a draft is right (it matches the crystal whose space group and
letters it was given), from its denoising error, the logarithm of its agreement and log(1 + free parameters):
maximum likelihood with a weak pull towards zero. The temperatures of energies are then those that give the
right drafts of a row the largest share in exp(figure), in the mean over rows that have right and wrong ones:
a smooth stand-in for the chance that a right one comes first. (Their likelihood would be ruled by a few rows
where the potential prefers a wrong draft.)
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from crystalsmith.diffusion import load_model
from crystalsmith.ranking import Score, totals
from crystalsmith.ranking.calibration import Calibration
from ranking import CHEAP, arguments, measure

TEMPERATURES = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
PULL = 1e-3


def logistic(features: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(f + 1,) intercept and weights for features (n, f) and outcomes (n,)."""
    x = np.column_stack([np.ones(len(features)), features])
    sign = np.where(right, 1.0, -1.0)

    def loss(w: np.ndarray) -> float:
        return float(np.logaddexp(0, -sign * (x @ w)).mean() + PULL * (w[1:] ** 2).sum())

    return np.asarray(minimize(loss, np.zeros(x.shape[1])).x)


def share_of_right(
    rows: list[tuple[list[Score], np.ndarray, int]], weights: Calibration, temperature: float, relaxed: bool
) -> float:
    """Mean share of the right drafts in exp(figure)."""
    shares = []
    for scores, right, free in rows:
        parts = [
            s.with_(
                likely=weights.log_odds(s.denoising, s.agreement, free),
                relaxed_energy=s.relaxed_energy if relaxed else None,
                temperature=temperature,
            )
            for s in scores
        ]
        figure = np.array(totals(parts))
        shares.append(np.exp(np.logaddexp.reduce(figure[right]) - np.logaddexp.reduce(figure)))
    return float(np.mean(shares))


def main() -> None:
    """Parse arguments, measure, fit, write."""
    a = arguments(__doc__).parse_args()
    drafts, scored = measure(a)
    rows: list[tuple[list[Score], np.ndarray, int]] = []
    for r, line in scored.items():
        sound = [k for k, s in enumerate(line["scores"]) if s is not None]
        right = np.array([drafts[r]["rms"][k] is not None for k in sound])
        rows.append(([Score.from_dict(line["scores"][k]) for k in sound], right, line["free"]))
    right = np.concatenate([ok for _, ok, _ in rows])
    columns = {
        "denoising": np.array([s.denoising for scores, _, _ in rows for s in scores]),
        "agreement": np.log([s.agreement for scores, _, _ in rows for s in scores]),
    }
    free = np.log1p([free for scores, _, free in rows for _ in scores])
    with_energy = [
        (scores, ok, free)
        for scores, ok, free in rows
        if ok.any() and not ok.all() and any(s.energy is not None for s in scores)
    ]
    result: dict[str, Any] = {}
    for names in ((), ("denoising",), ("agreement",), CHEAP):
        fitted = logistic(np.column_stack([*(columns[name] for name in names), free]), right).tolist()
        weights = dict(zip(("intercept", *names, "free"), fitted, strict=True))
        values = {"denoising": 0.0, "agreement": 0.0, **weights, "energy": 0.05, "relaxation": 0.05}
        for name in ("energy", "relaxation"):
            if with_energy:
                values[name] = max(
                    TEMPERATURES,
                    key=lambda t, v=values, n=name: share_of_right(  # type: ignore[misc]
                        with_energy, Calibration(**v), t, n == "relaxation"
                    ),
                )
        result["+".join(names)] = {k: round(v, 4) for k, v in values.items()}
        print("+".join(names) or "nothing", result["+".join(names)])
    made = {
        "script": "benchmarks/calibrate_ranking.py",
        "data": Path(a.data).name,
        "crystals": len(rows),
        "drafts_of_each": a.samples,
        "right": round(float(right.mean()), 4),
        "potential": a.potential,
        "checkpoint": load_model(a.checkpoint).hash,
        "date": time.strftime("%Y-%m-%d"),
    }
    text = json.dumps({"made": made, "judges": result}, indent=1) + "\n"
    if a.json:
        Path(a.json).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
