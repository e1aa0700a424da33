"""Fit how sure ``solve`` is of an answer, on simulated patterns, for ``solving/calibration.json``.

    python benchmarks/powder.py simulated mp20_val.safetensors --start 1000 -n 60 --faults --wrong -o a.jsonl
    python benchmarks/powder.py simulated mp20_val.safetensors --start 1100 -n 60 --faults --wrong \\
        --give cell -o c.jsonl
    python benchmarks/calibrate_solving.py a.jsonl c.jsonl --json src/crystalsmith/solving/calibration.json

Every compound was solved twice: with a simulated pattern of its own crystal, and with one of another
compound, for which no candidate is right. Patterns are spoiled at random, as measured ones are
(``powder.as_measured``). A candidate is right if StructureMatcher(0.3, 0.5, 10) says so. A third row of every
compound is its own pattern with all right candidates taken away: a structure that is nearly right, refined
until it fits, is what most often passes for the answer.

Weights maximise the likelihood of the right candidates together, or of none where there is none
(``solving.verdict``), with signs that make sense and a pull towards what was chosen by hand after a look at
patterns of ten measured samples (``BY_HAND``): right structures came to misfits of 0.00 to 0.25 there,
whatever the noise, wrong ones to 0.75 and more. Halves of the orders judge each other's weights.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from dataclasses import fields
from pathlib import Path
from zlib import crc32

import numpy as np
from lines import whole_lines
from scipy.optimize import minimize

from crystalsmith.solving.verdict import FEATURES, NONE, ONE, Evidence, features, probabilities

EVIDENCE = [f.name for f in fields(Evidence)]
"""What lines tell of an answer."""

PULL = 2.0
"""Towards what was chosen by hand, for weights in units of the features' spreads, of all rows together: less
fits simulated patterns better and puts right structures of measured samples in doubt."""

BY_HAND = {
    **{"constant": -7.0, "misfit": -6.0, "overlap": -0.7, "foreign": -0.1, "frozen": -0.2, "figure": 0.3},
    **{"freedom": -0.2, "moved": -1.0, "run": -1.0, "stretch": -1.0, "likely": 0.6},
}
"""Weights to begin with; 0 for the others."""

KINDS, SHARES = 3, (1.0, 0.5, 0.15)
"""Rows of an order, and what each counts: that something else fits where the right one is missing is rare."""

SIGNS = {
    **{"misfit": -1, "rwp": -1, "overlap": -1, "missing": -1, "foreign": -1, "freedom": -1},
    **{"moved": -1, "run": -1, "stretch": -1},
    **{"figure": 1, "likely": 1},
}
"""Of weights: a better fit never counts less."""


Row = tuple[np.ndarray, np.ndarray]
"""(n, len(FEATURES)) features of an order's answers, and (n,) which of them are right."""


def rows_of(paths: list[Path]) -> dict[str, list[Row]]:
    """Rows of every compound: with its own pattern, with another's, and its own without what is right."""
    found: dict[str, dict[bool, Row]] = defaultdict(dict)
    for path in paths:
        for line in whole_lines(path):
            if "answers" not in line:
                continue
            table = [features(Evidence(**{name: x[name] for name in EVIDENCE})) for x in line["answers"]]
            right = [x["rms"] is not None and not line["wrong"] for x in line["answers"]]
            row = np.array(table).reshape(-1, len(FEATURES)), np.array(right, bool)
            found[f"{line['name']} {line['give']}"][line["wrong"]] = row
    whole: dict[str, list[Row]] = {}
    for name, rows in found.items():
        if len(rows) == 2:
            table, right = rows[False]
            whole[name] = [rows[False], rows[True], (table[~right], right[~right])]
    return whole


def fitted(rows: list[Row]) -> np.ndarray:
    """(len(FEATURES),) weights."""
    spread = np.concatenate([t for t, _ in rows]).std(0)
    spread[0] = 1.0
    spread[spread < 1e-9] = 1.0

    chosen = np.array([BY_HAND.get(name, 0.0) for name in FEATURES]) * spread

    def loss(w: np.ndarray) -> float:
        total = PULL * float(((w - chosen) ** 2).sum())
        for k, (table, right) in enumerate(rows):
            u = table @ (w / spread)
            top = max(0.0, u.max(initial=0.0))
            whole = math.log(np.exp(u - top).sum() + math.exp(-top))
            wanted = np.exp(u[right] - top).sum() if right.any() else math.exp(-top)
            total += SHARES[k % KINDS] * (whole - math.log(max(wanted, 1e-300)))
        return total

    bounds = []
    for name in FEATURES:
        sign = SIGNS.get(name, 0)
        bounds.append((None, 0.0) if sign < 0 else (0.0, None) if sign > 0 else (None, None))
    return np.asarray(minimize(loss, chosen, method="L-BFGS-B", bounds=bounds).x / spread)


def told(rows: list[Row], w: np.ndarray) -> dict[str, float]:
    """Figures of verdicts with these weights."""
    first = any_ = one = one_right = none_right = nones = 0
    wrong_one = others = mimic_one = mimics = 0
    entropy = 0.0
    for k, (table, right) in enumerate(rows):
        p, none = probabilities(table @ w)
        own, other = k % KINDS == 0, k % KINDS == 1
        word = NONE if none > 0.5 else ONE if p.max(initial=0.0) > 0.5 else ""
        mine = p[right].sum() if right.any() else none
        entropy -= math.log(max(mine, 1e-12))
        if own:
            hit = bool(right.any() and right[int(np.argmax(p))])
            first, any_ = first + hit, any_ + right.any()
            one, one_right = one + (word == ONE), one_right + (word == ONE and hit)
            nones, none_right = nones + (word == NONE), none_right + (word == NONE and not right.any())
        elif other:
            others, wrong_one = others + 1, wrong_one + (word == ONE)
        else:
            mimics, mimic_one = mimics + 1, mimic_one + (word == ONE)
    n = len(rows) // KINDS
    return {
        "orders": n,
        "right first": first / n,
        "right among all": any_ / n,
        "one answer": one / n,
        "one answer and right": one_right / max(one, 1),
        "none fits": nones / n,
        "none fits and none there": none_right / max(nones, 1),
        "wrong pattern: one answer": wrong_one / max(others, 1),
        "right one missing: one answer": mimic_one / max(mimics, 1),
        "log loss": entropy / len(rows),
    }


def make_weights(a: argparse.Namespace) -> None:
    """Fit, judge by halves, write."""
    found = rows_of(a.files)
    names = sorted(found, key=lambda name: crc32(name.encode()))
    halves = [[row for name in names[k::2] for row in found[name]] for k in (0, 1)]
    judged = [told(halves[1 - k], fitted(halves[k])) for k in (0, 1)]
    for key in judged[0]:
        print(f"{key:28s} {np.mean([j[key] for j in judged]):8.3f}")
    w = fitted(halves[0] + halves[1])
    for name, value in zip(FEATURES, w, strict=True):
        print(f"  {name:10s} {value:8.3f}")
    if a.json is not None:
        weights = {name: round(float(value), 4) for name, value in zip(FEATURES, w, strict=True)}
        a.json.write_text(json.dumps({"orders": len(names), "weights": weights}, indent=1) + "\n")


def main() -> None:
    """Read the arguments and do it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", type=Path, nargs="+", help="what powder.py wrote with --wrong")
    parser.add_argument("--json", type=Path, help="write the weights there")
    make_weights(parser.parse_args())


if __name__ == "__main__":
    main()
