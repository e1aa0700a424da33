"""Fit how sure ``solve`` is of an answer, on simulated patterns, for ``solving/calibration.json``.

    crystalsmith data orders mp20_val.safetensors -n 300 --give atoms -k 20 -o atoms.jsonl
    crystalsmith generate atoms.jsonl --new-only --checkpoint MODEL -o atoms
    python benchmarks/calibrate_solving.py fits atoms mp20_val.safetensors --checkpoint MODEL -o e.jsonl
    python benchmarks/powder.py simulated mp20_val.safetensors --start 1000 -n 40 --faults --wrong -o a.jsonl
    python benchmarks/powder.py simulated mp20_val.safetensors --start 1100 -n 40 --faults --wrong \\
        --give cell -o c.jsonl
    python benchmarks/calibrate_solving.py weights e.jsonl a.jsonl c.jsonl \\
        --json src/crystalsmith/solving/calibration.json
    python benchmarks/powder.py energies a.jsonl --potential 7net-0 -o energies.jsonl
    python benchmarks/calibrate_solving.py temperature energies.jsonl

Every order of the run is solved twice by the fits of ``solve``: with a simulated pattern of its own crystal,
and with one of another compound, for which no candidate is right. Patterns are spoiled at random, as measured
ones are (``powder.as_measured``). A candidate is right if StructureMatcher(0.3, 0.5, 10) says so. A third row
of every order is its own pattern with all right candidates taken away: a structure that is nearly right,
refined until it fits, is what most often passes for the answer. Beside these many, made of one pool each,
stand some that went the whole road, with rounds, cells that are found, less symmetry and many starts.

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
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from checkpoints import add_checkpoint
from lines import append, whole_lines
from pools import candidates_of, row_of
from powder import as_measured
from scipy.optimize import minimize

from crystalsmith.crystal import Crystal
from crystalsmith.diffraction import Pattern
from crystalsmith.diffusion import load_model
from crystalsmith.errors import CrystalsmithError
from crystalsmith.evaluation import read_samples
from crystalsmith.generation.journal import Entry
from crystalsmith.ranking import Ladder, verdicts
from crystalsmith.runs.progress import silent
from crystalsmith.solving import SolveSettings
from crystalsmith.solving.answers import answers_of, leading, more_symmetric
from crystalsmith.solving.fitting import Observation, fit_all, refine_all
from crystalsmith.solving.trials import fits_in, trials_of
from crystalsmith.solving.verdict import (
    FEATURES,
    MOST_ENERGY,
    NONE,
    ONE,
    Evidence,
    features,
    figures,
    probabilities,
)

EVIDENCE = [f.name for f in fields(Evidence)]
"""What lines of ``powder.py`` tell of an answer."""

REFINED = 6
"""Of an order's candidates, refined with free coordinates."""

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


def evidence_of(
    own: list[Entry], pattern: Pattern, folder: Path, ladder: Ladder
) -> list[tuple[Evidence, Crystal]]:
    """What the road of ``solve`` finds for a pattern among candidates."""
    observation = Observation.read(pattern, SolveSettings(formula=own[0].crystal.formula))
    found = verdicts([e.crystal for e in own], [e.score for e in own])
    trials = trials_of([(e, v.figure) for e, v in zip(own, found, strict=True)], [], False)
    for name in ("fits", "refined"):
        (folder / name).unlink(missing_ok=True)
    fits, refined = fits_in(folder / "fits"), fits_in(folder / "refined")
    fit_all(observation, trials, fits, silent)
    order = leading(trials, fits.found)
    refine_all(observation, order[:REFINED], fits.found, refined, silent, ladder)
    answers = answers_of(order, fits.found, refined.found)
    if fresh := more_symmetric(answers):
        fit_all(observation, fresh, fits, silent)
        refine_all(observation, fresh, fits.found, refined, silent, ladder)
        answers = answers_of([*order, *fresh], fits.found, refined.found)
    return [(a.evidence, a.crystal) for a in answers]


def make_fits(a: argparse.Namespace) -> None:
    """Evidence of all orders that are not there yet."""
    import tempfile

    from pymatgen.analysis.structure_matcher import StructureMatcher

    torch.set_num_threads(1)
    ladder = Ladder.of(load_model(a.checkpoint), None, None, 1, sorts=True)
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
            if name in done or k < a.start:
                continue
            began = time.perf_counter()
            own = pool[: a.most]
            other = truth[names[(k + 1) % len(names)]]
            lines: dict[str, Any] = {"order": name}
            for what, crystal in (("own", truth[name]), ("other", other)):
                structure = truth[name].to_structure(primitive=True)
                try:
                    found = evidence_of(
                        own, as_measured(crystal, row_of(name + what)), Path(temporary), ladder
                    )
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


def rows_of(paths: list[Path]) -> dict[str, list[Row]]:
    """Rows of every order: with its own pattern, with another's, and its own without what is right.

    Args:
        paths: of ``fits``, or of ``powder.py --wrong``.
    """
    pairs: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(dict)
    for path in paths:
        for line in whole_lines(path):
            if "order" in line:
                pairs[line["order"]] = {what: line[what] for what in ("own", "other")}
            elif "answers" in line:
                what = "other" if line["wrong"] else "own"
                pairs[f"{line['name']} {line['give']}"][what] = [
                    {
                        "evidence": of_line(x),
                        "right": what == "own" and x["rms"] is not None,
                    }
                    for x in line["answers"]
                ]
    found: dict[str, list[Row]] = {}
    for name, both in pairs.items():
        if len(both) == 2:
            (own, right), other = (_row(both[what]) for what in ("own", "other"))
            found[name] = [(own, right), other, (own[~right], right[~right])]
    return found


def of_line(answer: dict[str, Any]) -> dict[str, Any]:
    """The evidence of an answer in a line of ``powder.py``."""
    return {name: answer[name] for name in EVIDENCE}


def _row(answers: list[dict[str, Any]]) -> Row:
    table = [features(Evidence(**x["evidence"])) for x in answers]
    return np.array(table).reshape(-1, len(FEATURES)), np.array([x["right"] for x in answers], bool)


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
        found_weights = {name: round(float(value), 4) for name, value in zip(FEATURES, w, strict=True)}
        a.json.write_text(json.dumps({"orders": len(names), "weights": found_weights}, indent=1) + "\n")


TEMPERATURES = (0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.1, 0.2, math.inf)
"""eV per atom; the last leaves energies out."""


def say_temperatures(a: argparse.Namespace) -> None:
    """How likely the right answers are where some are there, by what an energy is worth."""
    lines = [line for path in a.evidence for line in whole_lines(path) if not line["wrong"]]
    rows = [line["answers"] for line in lines if any(x["rms"] is not None for x in line.get("answers", []))]
    print(f"{len(rows)} rows with the right answer\n  T (eV)   log loss   right first")
    for temperature in TEMPERATURES:
        loss, first = 0.0, 0
        for answers in rows:
            right = np.array([x["rms"] is not None for x in answers])
            # All but the energies, and these at the temperature that is tried.
            own = figures([replace(Evidence(**of_line(x)), energy=0.0) for x in answers])
            energies = np.array([min(x["energy"], MOST_ENERGY) for x in answers])
            p, _ = probabilities(own - energies / temperature)
            loss -= math.log(max(p[right].sum(), 1e-12)) / len(rows)
            first += bool(right[int(np.argmax(p))])
        print(f"{temperature:8.3f} {loss:10.3f} {100 * first / len(rows):12.1f} %")


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
    fits.add_argument("--start", type=int, default=0, help="first order (default: 0)")
    fits.add_argument("--most", type=int, default=20, help="candidates of an order")
    add_checkpoint(fits)
    fits.set_defaults(run_=make_fits)
    fit = parts.add_parser("weights")
    fit.add_argument("evidence", type=Path, nargs="+")
    fit.add_argument("--json", type=Path)
    fit.set_defaults(run_=make_weights)
    energies = parts.add_parser("temperature")
    energies.add_argument("evidence", type=Path, nargs="+", help="of powder.py energies")
    energies.set_defaults(run_=say_temperatures)
    a = parser.parse_args()
    a.run_(a)


if __name__ == "__main__":
    main()
