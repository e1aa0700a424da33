"""Is a crystal with the letters of a known phase that phase, and one of nature? Fits ``asked_for.json``.

    crystalsmith generate formulas.jsonl -o formulas
    python benchmarks/known_right.py formulas --data everything.safetensors --without mp20_test.safetensors \\
        --folder known_right --json src/crystalsmith/generation/asked_for.json

``formulas`` is a run of the released model with orders for formulas alone, such as those of observed crystals
of mp20_val. Crystals with the letters of a known phase are compared with it by pymatgen's StructureMatcher; a
logistic model of the outcome has the log-odds of the judges and the score below the best one of the order.

Crystals of ``--data`` themselves are judged for formulas that have observed phases and others that were
computed alone, no formula with a crystal of ``--without`` among them: a conditional logit with the figures of
``prior/polymorphs.json`` tells what the judges' chance is worth there. What was compared and judged stays in
``--folder``, and the same command goes on from it.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from lines import append, whole_lines
from polymorphs import formulas_of
from scipy.optimize import minimize
from scipy.special import log_expit, logsumexp

from crystalsmith.data import Dataset
from crystalsmith.data.wyckoff import occupations
from crystalsmith.diffusion import load_model
from crystalsmith.generation.known import KnownPhases
from crystalsmith.generation.made import Made
from crystalsmith.orders import parse_order
from crystalsmith.prior import KnownCrystals, Prototypes
from crystalsmith.prior.phases import distinct_phases
from crystalsmith.prior.polymorphs import observed_of, polymorph_columns, shipped_polymorphs
from crystalsmith.ranking import Candidate, Ladder

MOST_ATOMS = 60
OBSERVED, COMPUTED = 3, 4
"""Most phases of a formula of either kind that are judged, the most stable first."""

PULL = 0.02
"""Pull of the slopes to zero, in units of the spread of their columns, beside the mean log-likelihood."""


def compare(run: Path, data: Dataset, index: Prototypes, file: Path) -> None:
    """Compare the crystals of a run that have the letters of known phases with these."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    done = {line["order"] for line in whole_lines(file)}
    place, known = {str(name): row for row, name in enumerate(data.ids)}, KnownPhases(index)
    orders = json.loads((run / "manifest.json").read_text(encoding="utf-8"))["run"]["orders"]
    made = Made(run, [(o["id"], o["count"]) for o in orders], judged=True, mend=False)
    for order in (parse_order(o) for o in orders):
        found = [] if order.id in done else made.sound(order.id)
        best = max((figure or 0.0 for _, figure in found), default=0.0)
        for entry, figure in found:
            crystal, score = entry.crystal, entry.score
            twin = None if crystal is None else known.twin(crystal)
            if twin is None or crystal is None or score is None or figure is None:
                continue
            truth = data[place[str(index.known.ids[twin])]]
            pair = (x.to_structure(primitive=True) for x in (crystal, truth))
            right = bool(StructureMatcher().fit(*pair))
            line = {"order": order.id, "likely": score.likely, "behind": figure - best, "right": right}
            append(file, [line])


def judge(data: Dataset, index: Prototypes, left_out: set[str], most: int, file: Path) -> None:
    """Judge the crystals of formulas that have observed phases and others."""
    done = {line["formula"] for line in whole_lines(file)}
    place, known = {str(name): row for row, name in enumerate(data.ids)}, index.known
    ladder = Ladder(load_model(), ("denoising", "agreement"))
    keys = [rows for rows in formulas_of(known) if {0, 1} <= set(known.observed[rows].tolist())]
    keys = [rows for rows in keys if not left_out & {str(known.ids[i]) for i in rows}]
    count = len(done)
    for k in np.random.default_rng(0).permutation(len(keys)).tolist():
        rows = distinct_phases(index, keys[k])
        seen = observed_of(index, rows)
        small = [j for j, i in enumerate(rows) if sum(known[i].counts) <= MOST_ATOMS]
        own = [
            j for flag, n in ((1, OBSERVED), (0, COMPUTED)) for j in [j for j in small if seen[j] == flag][:n]
        ]
        formula = known.name(rows[0]).split(" ")[0]
        if set(seen[own].tolist()) != {0, 1} or formula in done:
            continue
        if count >= most:
            return
        crystals = [data[place[str(known.ids[rows[j]])]] for j in own]
        scores = ladder.alone([Candidate(c) for c in crystals])
        figures = polymorph_columns(index, rows)[own] @ shipped_polymorphs().weights
        line = {
            "formula": formula,
            "observed": seen[own].tolist(),
            "figures": figures.tolist(),
            "likely": [s.likely for s in scores],
        }
        append(file, [line])
        count += 1


def fit_right(lines: Sequence[dict[str, Any]]) -> np.ndarray:
    """(3,) intercept, and slopes of the log-odds and of the score behind the best."""
    x = np.array([[line["likely"], line["behind"]] for line in lines])
    sign = np.where([line["right"] for line in lines], 1.0, -1.0)
    mean, spread = x.mean(0), x.std(0)
    z = (x - mean) / spread

    def loss(w: np.ndarray) -> float:
        return float(-log_expit(sign * (w[0] + z @ w[1:])).mean() + PULL * w[1:] @ w[1:])

    w = minimize(loss, np.zeros(3)).x
    slopes = w[1:] / spread
    return np.array([w[0] - slopes @ mean, *slopes])


def fit_natural(lines: Sequence[dict[str, Any]]) -> np.ndarray:
    """(2,) weights of the figures of the index and of the logarithm of the judges' chance."""
    tables = []
    for line in lines:
        x = np.column_stack([line["figures"], log_expit(np.array(line["likely"]))])
        seen = np.array(line["observed"])
        tables += [(np.vstack([one, x[seen == 0]]), 1 / (seen == 1).sum()) for one in x[seen == 1]]

    def loss(w: np.ndarray) -> float:
        return sum(part * (logsumexp(x @ w) - x[0] @ w) for x, part in tables) / len(lines)

    return np.asarray(minimize(loss, np.zeros(2)).x)


def main() -> None:
    """Compare, judge, fit, write."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("run")
    p.add_argument("--data", required=True)
    p.add_argument("--without", nargs="*", default=[])
    p.add_argument("-n", type=int, default=200, help="formulas that are judged")
    p.add_argument("--folder", required=True)
    p.add_argument("--json", metavar="FILE")
    a = p.parse_args()
    folder = Path(a.folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = Dataset.open(a.data)
    index = Prototypes(KnownCrystals.read(occupations(data)))
    left_out = {str(name) for file in a.without for name in Dataset.open(file).ids}
    compare(Path(a.run), data, index, folder / "right.jsonl")
    judge(data, index, left_out, a.n, folder / "natural.jsonl")
    right, natural = (whole_lines(folder / f"{name}.jsonl") for name in ("right", "natural"))
    intercept, slope, behind = fit_right(right)
    figures, likely = fit_natural(natural)
    result = {
        "made_by": "benchmarks/known_right.py",
        "crystals": len(right),
        "right": sum(line["right"] for line in right),
        "formulas": len(natural),
        "weight_of_figures": round(float(figures), 4),
        "likely": round(float(likely), 4),
        "intercept": round(float(intercept), 4),
        "slope": round(float(slope), 4),
        "behind": round(float(behind), 4),
    }
    print(json.dumps(result, indent=1))
    if a.json:
        Path(a.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
