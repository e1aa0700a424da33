"""Fit how sure ``solve`` is of an answer, on simulated patterns, for ``solving/calibration.json``.

    crystalsmith data orders mp20_val.safetensors -n 300 --give atoms -k 20 -o atoms.jsonl
    crystalsmith generate atoms.jsonl --new-only --checkpoint MODEL -o atoms
    python benchmarks/calibrate_solving.py fits atoms mp20_val.safetensors -o evidence.jsonl
    python benchmarks/calibrate_solving.py weights evidence.jsonl \\
        --json src/crystalsmith/solving/calibration.json

Every order of the run is solved twice by the road of ``solve``: with a simulated pattern of its own crystal,
and with one of another compound, for which no candidate is right. Patterns are spoiled at random, as measured
ones are: lines 0.05 to 0.25 degrees wide, one or both lines of the tube, a zero shift of up to 0.1 degree,
1,000 to 100,000 counts in the highest point, a background, in half of them a few foreign lines of up to 5 %
and a preferred orientation. A candidate is right if StructureMatcher(0.3, 0.5, 10) says so.

Weights maximise the likelihood of the right candidates together, or of none where there is none
(``solving.verdict``), with signs that make sense and a pull towards what was chosen by hand after a look at
patterns of ten measured samples (``BY_HAND``): right structures came to misfits of 0.00 to 0.25 there,
whatever the noise, wrong ones to 0.75 and more. Halves of the orders judge each other's weights.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from lines import append, whole_lines
from pools import candidates_of, row_of
from scipy.optimize import minimize

from crystalsmith.crystal import Crystal
from crystalsmith.diffraction import Pattern, radiation
from crystalsmith.diffraction.simulation import Optics, Spoiling, measured, simulate
from crystalsmith.errors import CrystalsmithError
from crystalsmith.evaluation import read_samples
from crystalsmith.generation.journal import Entry
from crystalsmith.ranking import verdicts
from crystalsmith.runs.progress import silent
from crystalsmith.solving import SolveSettings
from crystalsmith.solving.answers import answers_of, leading
from crystalsmith.solving.fitting import Observation, fit_all, refine_all
from crystalsmith.solving.trials import fits_in, trials_of
from crystalsmith.solving.verdict import FEATURES, NONE, ONE, Evidence, features, probabilities

REFINED = 6
"""Of an order's candidates, refined with free coordinates."""

PULL = 6.0
"""Towards what was chosen by hand, for weights in units of the features' spreads, of all rows together: less
fits simulated patterns better and puts right structures of measured samples in doubt."""

BY_HAND = {
    **{"constant": -7.0, "misfit": -6.0, "overlap": -0.7, "foreign": -0.1, "frozen": -0.2, "figure": 0.3},
    **{"freedom": -0.2, "moved": -1.0, "stretch": -1.0, "likely": 0.6},
}
"""Weights to begin with; 0 for the others."""

SIGNS = {
    **{"misfit": -1, "rwp": -1, "overlap": -1, "missing": -1, "foreign": -1, "freedom": -1},
    **{"figure": 1, "likely": 1},
}
"""Of weights: a better fit never counts less."""


def spoiled(crystal: Crystal, seed: int) -> Pattern:
    """A pattern of a crystal as it might have been measured."""
    rng = np.random.default_rng(seed)
    lines = radiation(("CuKa", "CuKa1")[int(rng.integers(2))])
    width = float(np.exp(rng.uniform(math.log(0.05), math.log(0.25))))
    impure, textured = rng.random(2) < 0.5
    optics = Optics(
        width=width,
        broadening=float(rng.uniform(0, 0.1)),
        mixing=float(rng.uniform(0.2, 0.8)),
        zero=float(rng.uniform(-0.1, 0.1)),
        displacement=float(rng.uniform(-0.05, 0.05)),
        thermal=float(rng.uniform(0.2, 1.5)),
        texture=float(rng.uniform(0.7, 1.0)) if textured else 1.0,
    )
    more = Spoiling(
        counts=float(10 ** rng.uniform(3, 5)),
        background=float(rng.uniform(0.005, 0.1)),
        impurity=float(rng.uniform(0.01, 0.05)) if impure else 0.0,
        seed=seed,
    )
    high = float(rng.choice([70.0, 80.0, 90.0]))
    return measured(simulate(crystal, lines, (8.0, high), 0.02, optics), more, width)


def evidence_of(own: list[Entry], pattern: Pattern, folder: Path) -> list[tuple[Evidence, Crystal]]:
    """What the road of ``solve`` finds for a pattern among candidates."""
    observation = Observation.read(pattern, SolveSettings(formula=own[0].crystal.formula))
    found = verdicts([e.crystal for e in own], [e.score for e in own])
    trials = trials_of([(e, v.figure) for e, v in zip(own, found, strict=True)], [], False)
    for name in ("fits", "refined"):
        (folder / name).unlink(missing_ok=True)
    fits, refined = fits_in(folder / "fits"), fits_in(folder / "refined")
    fit_all(observation, trials, fits, silent)
    order = leading(trials, fits.found)
    refine_all(observation, order[:REFINED], fits.found, refined, silent)
    return [(a.evidence, a.crystal) for a in answers_of(order, fits.found, refined.found)]


def make_fits(a: argparse.Namespace) -> None:
    """Evidence of all orders that are not there yet."""
    import tempfile

    from pymatgen.analysis.structure_matcher import StructureMatcher

    torch.set_num_threads(1)
    matcher = StructureMatcher(0.3, 0.5, 10)
    reference = read_samples(a.data)
    truth = {
        name: s.standard for name, s in zip(reference.order_ids, reference.samples, strict=True) if s.standard
    }
    done = {line["order"] for line in whole_lines(a.output)}
    pools = [(name, own) for name, own in candidates_of(a.run).items() if name in truth]
    names = [name for name, _ in pools]
    with tempfile.TemporaryDirectory() as temporary:
        for k, (name, pool) in enumerate(pools[: a.n]):
            if name in done:
                continue
            began = time.perf_counter()
            own = pool[: a.most]
            other = truth[names[(k + 1) % len(names)]]
            lines: dict[str, Any] = {"order": name}
            for what, crystal in (("own", truth[name]), ("other", other)):
                structure = truth[name].to_structure(primitive=True)
                try:
                    found = evidence_of(own, spoiled(crystal, row_of(name + what)), Path(temporary))
                except CrystalsmithError as error:
                    print(f"{name} {what}: {error}", flush=True)
                    found = []
                lines[what] = [
                    {
                        "evidence": asdict(e),
                        "right": what == "own"
                        and bool(matcher.fit(structure, c.to_structure(primitive=True))),
                    }
                    for e, c in found
                ]
            append(a.output, [lines])
            right = [x["right"] for x in lines["own"]]
            print(
                f"{k + 1} {name}: {right[:3]} {any(right)}, {time.perf_counter() - began:.0f} s", flush=True
            )


Row = tuple[np.ndarray, np.ndarray]
"""(n, len(FEATURES)) features of an order's answers, and (n,) which of them are right."""


def rows_of(path: Path) -> dict[str, list[Row]]:
    """Rows of every order: with its own pattern, and with another's."""
    found: dict[str, list[Row]] = defaultdict(list)
    for line in whole_lines(path):
        for what in ("own", "other"):
            answers = line[what]
            table = np.array([features(Evidence(**x["evidence"])) for x in answers]).reshape(
                -1, len(FEATURES)
            )
            found[line["order"]].append((table, np.array([x["right"] for x in answers], bool)))
    return found


def fitted(rows: list[Row]) -> np.ndarray:
    """(len(FEATURES),) weights."""
    spread = np.concatenate([t for t, _ in rows]).std(0)
    spread[0] = 1.0
    spread[spread < 1e-9] = 1.0

    chosen = np.array([BY_HAND.get(name, 0.0) for name in FEATURES]) * spread

    def loss(w: np.ndarray) -> float:
        total = PULL * float(((w - chosen) ** 2).sum())
        for table, right in rows:
            u = table @ (w / spread)
            top = max(0.0, u.max(initial=0.0))
            whole = math.log(np.exp(u - top).sum() + math.exp(-top))
            wanted = np.exp(u[right] - top).sum() if right.any() else math.exp(-top)
            total += whole - math.log(max(wanted, 1e-300))
        return total

    bounds = []
    for name in FEATURES:
        sign = SIGNS.get(name, 0)
        bounds.append((None, 0.0) if sign < 0 else (0.0, None) if sign > 0 else (None, None))
    return np.asarray(minimize(loss, chosen, method="L-BFGS-B", bounds=bounds).x / spread)


def told(rows: list[Row], w: np.ndarray) -> dict[str, float]:
    """Figures of verdicts with these weights."""
    first = any_ = one = one_right = none_right = nones = 0
    wrong_one = others = 0
    entropy = 0.0
    for k, (table, right) in enumerate(rows):
        p, none = probabilities(table @ w)
        own = k % 2 == 0
        word = NONE if none > 0.5 else ONE if p.max(initial=0.0) > 0.5 else ""
        mine = p[right].sum() if right.any() else none
        entropy -= math.log(max(mine, 1e-12))
        if own:
            hit = bool(right.any() and right[int(np.argmax(p))])
            first, any_ = first + hit, any_ + right.any()
            one, one_right = one + (word == ONE), one_right + (word == ONE and hit)
            nones, none_right = nones + (word == NONE), none_right + (word == NONE and not right.any())
        else:
            others, wrong_one = others + 1, wrong_one + (word == ONE)
    n = (len(rows) + 1) // 2
    return {
        "orders": n,
        "right first": first / n,
        "right among all": any_ / n,
        "one answer": one / n,
        "one answer and right": one_right / max(one, 1),
        "none fits": nones / n,
        "none fits and none there": none_right / max(nones, 1),
        "wrong pattern: one answer": wrong_one / max(others, 1),
        "log loss": entropy / len(rows),
    }


def make_weights(a: argparse.Namespace) -> None:
    """Fit, judge by halves, write."""
    found = rows_of(a.evidence)
    names = sorted(found, key=row_of)
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
    parts = parser.add_subparsers(required=True)
    fits = parts.add_parser("fits")
    fits.add_argument("run", type=Path, help="folder of generate")
    fits.add_argument("data", type=Path, help="the crystals that its orders are of")
    fits.add_argument("-o", "--output", type=Path, required=True)
    fits.add_argument("-n", type=int, default=None, help="orders")
    fits.add_argument("--most", type=int, default=20, help="candidates of an order")
    fits.set_defaults(run_=make_fits)
    weights = parts.add_parser("weights")
    weights.add_argument("evidence", type=Path)
    weights.add_argument("--json", type=Path)
    weights.set_defaults(run_=make_weights)
    a = parser.parse_args()
    a.run_(a)


if __name__ == "__main__":
    main()
