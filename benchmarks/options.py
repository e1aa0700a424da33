"""How often each way to make a crystal is right, once its assignment is: where allocation's rates come from.

    python benchmarks/options.py mp20_val.safetensors -n 500 --prototypes prototypes.safetensors

For each of some crystals, with its space group and letters given: samples of the network, the known
arrangements of its assignment with its elements as they are, and the first of them noised to some times and
denoised from there. Printed are match rates by what is known of an arrangement (matching as in
benchmarks/match_rate.py), how often one way is right where another was wrong, and logistic regressions: the
constants of ``generation/allocation.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from crystalsmith.assignments import Request
from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset
from crystalsmith.diffusion import load_model
from crystalsmith.evaluation.measures.arrays import crystal_arrays
from crystalsmith.evaluation.measures.matching import rms_displacement
from crystalsmith.generation.batching import sample
from crystalsmith.generation.library import library_of
from crystalsmith.generation.templates import Arrangements
from crystalsmith.generation.tries import crystal_seed
from crystalsmith.runs.pool import Failed, parallel_map

WEIGHTS = (0.0, 0.03, 0.1, 0.3, 0.6, 0.999, 1.01)
FREEDOM = (0, 1, 4, 9, 20, 1000)


@dataclass(frozen=True)
class Trial:
    """One way to make one crystal, and whether it was right."""

    crystal: int
    request: Request
    place: int
    right: bool

    @property
    def time(self) -> float:
        """Of its start; -1 for the network."""
        return -1.0 if self.request.start is None else self.request.start.time


def ways(crystal: Crystal, arrangements: Arrangements, a: argparse.Namespace) -> list[tuple[Request, int]]:
    """Ways to make a crystal, each with its place among those of its kind."""
    recipe = Request(crystal.space_group, tuple((s.element, s.letter) for s in crystal.sites))
    found = [(recipe, k) for k in range(a.samples)]
    for place, start in enumerate(arrangements.starts(recipe)[: a.starts]):
        times = [0.0, *(a.times if recipe.freedom and place < a.refined else ())]
        found += [(replace(recipe, start=replace(start, time=t)), place) for t in times]
    return found


def regression(trials: list[Trial]) -> tuple[np.ndarray, float]:
    """Coefficients as in ``generation/allocation.py``, and the mean log-likelihood, by Newton's method."""
    rows = []
    for t in trials:
        s = t.request.start
        assert s is not None
        rows.append([1.0, np.log(max(s.weight, 1e-6)), np.log(s.members), t.place, t.request.freedom**0.5])
    x, y = np.array(rows), np.array([t.right for t in trials], float)
    b = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-x @ b))
        # A little towards zero, so that columns without variation do no harm.
        curvature = x.T @ (x * (p * (1 - p))[:, None]) + 0.1 * np.eye(len(b))
        step = np.linalg.solve(curvature, x.T @ (y - p) - 0.1 * b)
        b = b + step
        if np.abs(step).max() < 1e-8:
            break
    p = np.clip(1 / (1 + np.exp(-x @ b)), 1e-9, 1 - 1e-9)
    return b, float(np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def share(rows: list[Trial]) -> str:
    """Match rate in percent with the number of trials."""
    return f"{100 * np.mean([t.right for t in rows]):5.1f} ({len(rows)})" if rows else "-"


def by_bins(trials: list[Trial], what: str, bins: tuple[float, ...], value) -> None:
    """A row for each kind, a column for each bin."""
    print(f"\n{what:>18} " + " ".join(f"{f'{low:g}-{high:g}':>13}" for low, high in pairwise(bins)))
    for t in sorted({x.time for x in trials}):
        own = [x for x in trials if x.time == t]
        cells = [share([x for x in own if low <= value(x) < high]) for low, high in pairwise(bins)]
        name = "network" if t < 0 else "as it is" if t == 0 else f"from {t:g}"
        print(f"{name:>18} " + " ".join(f"{c:>13}" for c in cells))


def dependence(trials: list[Trial]) -> None:
    """How often the first of one kind is right where the first of another was wrong, and right."""
    first: dict[float, dict[int, bool]] = defaultdict(dict)
    for t in trials:
        if t.place == 0:
            first[t.time][t.crystal] = t.right
    times = sorted(first)
    print("\nright, in percent, where another was wrong / right (rows: the other)")
    print(" " * 12 + " ".join(f"{t:>12g}" for t in times))
    for other in times:
        cells = []
        for t in times:
            both = first[other].keys() & first[t].keys()
            where = ([first[t][c] for c in both if first[other][c] == was] for was in (False, True))
            cells.append(" / ".join(f"{100 * np.mean(own):4.0f}" if own else "-" for own in where))
        print(f"{other:>12g}" + " ".join(f"{c:>12}" for c in cells))


def as_row(t: Trial) -> list:
    """Crystal, time, place, free parameters, whether it was right; of a start weight, members and spread."""
    s = t.request.start
    row = [t.crystal, t.time, t.place, t.request.freedom, t.right]
    return row if s is None else [*row, s.weight, s.members, s.spread]


def main() -> None:
    """Parse arguments, sample, match, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("truth", help="data file of the crystals to make")
    p.add_argument("-n", type=int, default=500)
    p.add_argument("--checkpoint")
    p.add_argument("--prototypes", help="as of generate")
    p.add_argument("--known", nargs="*", default=())
    p.add_argument("--samples", type=int, default=2, help="of the network")
    p.add_argument("--starts", type=int, default=6, help="known arrangements as they are")
    p.add_argument("--refined", type=int, default=2, help="known arrangements that are refined")
    p.add_argument("--times", type=float, nargs="*", default=(0.2, 0.3, 0.4, 0.5, 0.6))
    p.add_argument("--steps", type=int)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--batch", type=int, default=400, help="atoms")
    p.add_argument("--workers", type=int, default=1, help="that match")
    p.add_argument("--json")
    a = p.parse_args()
    began = time.time()
    model, data = load_model(a.checkpoint), Dataset.open(a.truth)
    library = library_of(model, a.prototypes, a.known)
    assert library is not None
    arrangements = Arrangements(library)
    rows = np.sort(np.random.default_rng(a.seed).permutation(len(data))[: a.n])
    asked = [(int(i), r, place) for i in rows for r, place in ways(data[int(i)], arrangements, a)]
    print(f"{len(asked)} ways to make {len(rows)} crystals, {time.time() - began:.0f} s")
    made: list[Crystal | str] = []
    begin = 0
    while begin < len(asked):
        end, atoms = begin, 0
        while end < len(asked) and (end == begin or atoms + asked[end][1].n_atoms <= a.batch):
            atoms += asked[end][1].n_atoms
            end += 1
        part = asked[begin:end]
        # Each time has a seed of its own, so that two times close by are two samples.
        times = [1 if r.start is None else 2 + round(1000 * r.start.time) for _, r, _ in part]
        seeds = [crystal_seed(a.seed, str(i), place, t) for (i, _, place), t in zip(part, times, strict=True)]
        made += sample(model, [r for _, r, _ in part], seeds, None, steps=a.steps)
        begin = end
    jobs = [
        (crystal_arrays(c), crystal_arrays(data[i]))
        for c, (i, _, _) in zip(made, asked, strict=True)
        if not isinstance(c, str)
    ]
    found = iter(parallel_map(rms_displacement, jobs, workers=a.workers, chunk=16, seconds=120))
    trials = []
    for crystal, (i, request, place) in zip(made, asked, strict=True):
        rms = np.inf
        if not isinstance(crystal, str):
            one = next(found)
            rms = np.inf if isinstance(one, Failed) else float(one[0])
        trials.append(Trial(i, request, place, bool(np.isfinite(rms))))
    print(f"sampled and matched, {time.time() - began:.0f} s")
    has = {t.crystal for t in trials if t.time >= 0}
    lone = share([t for t in trials if t.time < 0 and t.crystal not in has])
    print(f"{100 * len(has) / len(rows):.1f} % have a known arrangement; network where not: {lone}")
    starts = [t for t in trials if t.request.start is not None]
    by_bins(starts, "weight", WEIGHTS, lambda t: t.request.start.weight)
    by_bins(starts, "members", (1, 2, 4, 16, 64, 1e9), lambda t: t.request.start.members)
    by_bins(starts, "place", (0, 1, 2, 3, 99), lambda t: t.place)
    by_bins(trials, "free parameters", FREEDOM, lambda t: t.request.freedom)
    firsts = [t for t in trials if t.place == 0 and t.request.freedom and t.crystal in has]
    by_bins(firsts, "first; free", FREEDOM[1:], lambda t: t.request.freedom)
    by_bins([t for t in firsts if t.time >= 0], "first; weight", WEIGHTS, lambda t: t.request.start.weight)
    dependence(firsts)
    print("\nlogistic regressions: constant, log weight, log members, place, root of free parameters")
    for t in sorted({x.time for x in starts}):
        own = [x for x in starts if x.time == t and x.request.freedom]
        if own:
            b, fit = regression(own)
            print(f"{t:>6g} {len(own):6d} ({', '.join(f'{v:.3f}' for v in b)})  log-likelihood {fit:.4f}")
    print(f"{time.time() - began:.0f} s")
    if a.json:
        Path(a.json).write_text(json.dumps([as_row(t) for t in trials]))


if __name__ == "__main__":
    main()
