"""Fit how the candidates of an order are ranked, on pools of ``pools.py``, for ``ranking/calibration.json``.

    python benchmarks/calibrate_ranking.py pools/val_group pools/val_atoms pools/val_letters \\
        pools/large_group --json src/crystalsmith/ranking/calibration.json

After training a new network, make the pools anew from runs with it, as ``pools.py`` tells.

For every set of judges, and for every potential that the pools have energies of, two models are fitted:

* which candidate: the chance of each is in proportion to exp(columns @ weights); the likelihood is that of
  the right ones together, over rows that have right and wrong ones (a conditional logit). A weight of a kind
  is that of all kinds and its own deviation, which is pulled towards zero more strongly.
* how sure: log-odds that a candidate is right, from its share in these chances and absolute figures, over all
  rows, those of the first candidates of rows counting as much as all others of the row together.

A row counts twice, by half: with all its candidates, and with the first few of each kind, as in a small
order. Halves of the rows judge each other's weights: shares of first candidates that are right, with each
judge, and how often candidates were right that were said to be so with a certain chance. Rows where all
candidates are right, or none is, need no energies. What is written is fitted to all.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from pools import known_lines, scores_of
from scipy.optimize import minimize

from crystalsmith.crystal import Crystal
from crystalsmith.ranking import Score
from crystalsmith.ranking.agreement import agreements, draft_differences
from crystalsmith.ranking.calibration import OrderCalibration, _data, judges_key, order_key
from crystalsmith.ranking.features import ENERGY, KINDS, NAMES, OWN, asked, columns
from crystalsmith.ranking.verdicts import (
    CERTAINTY,
    certainties,
    certainty_columns,
    compared,
    front_runners_alone,
)

JUDGES: tuple[tuple[str, ...], ...] = ((), ("denoising",), ("agreement",), ("denoising", "agreement"))
SHARED_PULL, OWN_PULL, SURE_PULL = 4.0, 1000.0, 1.0
"""Towards zero, for weights in units of the columns' spreads: between the best of a coarse grid (five-fold
cross-validation, 220 rows of mp20_val), which is flat there."""

FEW = {"network": 3, "prototype": 3, "refined": 1}
BINS = (0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 1.0)


@dataclass(frozen=True, eq=False)
class Row:
    """The candidates of one order.

    Attributes:
        scores: of each, energies of all potentials left out.
        difference: (n, n) of fingerprints.
        right: (n,) boolean.
        energies, relaxed: by potential, (n,) with NaN; relaxed ones of front-runners or of all.
        folder, row: where from.
    """

    scores: tuple[Score, ...]
    difference: np.ndarray
    right: np.ndarray
    energies: dict[str, np.ndarray]
    relaxed: dict[str, np.ndarray]
    folder: str
    row: int

    def part(self, rows: Sequence[int]) -> Row:
        """Some of the candidates."""
        k = np.array(rows)
        return replace(
            self,
            scores=tuple(self.scores[i] for i in rows),
            difference=self.difference[np.ix_(k, k)],
            right=self.right[k],
            energies={p: e[k] for p, e in self.energies.items()},
            relaxed={p: e[k] for p, e in self.relaxed.items()},
        )

    @property
    def mixed(self) -> bool:
        """Whether some candidates are right and others are not, so that a ranking matters."""
        return bool(self.right.any() and not self.right.all())

    @property
    def few(self) -> Row:
        """As of a small order: the first few of each kind."""
        kinds = [s.kind for s in self.scores]
        return self.part([i for i, k in enumerate(kinds) if kinds[:i].count(k) < FEW[k]])

    def told(self, potential: str | None) -> list[Score]:
        """Scores with the single points of one potential."""
        if potential is None:
            return list(self.scores)
        return [
            s.with_(potential=potential, energy=float(e) if math.isfinite(e) else None)
            for s, e in zip(self.scores, self.energies[potential], strict=True)
        ]


def read_pool(folder: Path) -> Iterator[Row]:
    """The rows of a pool that have candidates."""
    energies = _by_potential(folder, "energies")
    relaxed = _by_potential(folder, "relaxed")
    for row, line in known_lines(folder / "candidates.jsonl").items():
        crystals = [Crystal.from_dict(c["crystal"]) for c in line["candidates"]]
        if not crystals:
            continue
        yield Row(
            tuple(scores_of(line)),
            draft_differences(crystals),
            np.array([c["rms"] is not None for c in line["candidates"]]),
            {p: _figures(found[row]) for p, found in energies.items() if row in found},
            {p: _figures(found[row]) for p, found in relaxed.items() if row in found},
            folder.name,
            row,
        )


def _by_potential(folder: Path, what: str) -> dict[str, dict[int, dict[str, Any]]]:
    files = sorted(folder.glob(f"{what}_*.jsonl"))
    return {file.stem.removeprefix(f"{what}_"): known_lines(file) for file in files}


def _figures(line: dict[str, Any]) -> np.ndarray:
    return np.array([math.nan if e is None else e for e in line["energies"]])


def choice_weights(
    tables: Sequence[tuple[np.ndarray, np.ndarray, float]], counts: np.ndarray, centre: np.ndarray
) -> np.ndarray:
    """(len(NAMES),) weights of the conditional logit.

    Args:
        tables: for each row its columns (n, len(NAMES)), who is right (n,), and how much it counts.
        counts: (len(NAMES),) columns that may have a weight.
        centre: (len(NAMES),) weights that they are pulled to.
    """
    tables = [t for t in tables if t[1].any() and not t[1].all()]
    if not tables:
        return centre
    x = np.concatenate([t[0] for t in tables])
    start = np.cumsum([0, *(len(t[0]) for t in tables)])[:-1]
    row = np.repeat(np.arange(len(tables)), [len(t[0]) for t in tables])
    right = np.concatenate([t[1] for t in tables])
    much = np.array([t[2] for t in tables])
    offset = x @ centre
    # Shared columns: the sum over kinds; the network's own "kind" is what others are measured against.
    names = (*OWN, ENERGY)
    by_kind = x.reshape(len(x), len(KINDS), len(names))
    may = counts.reshape(len(KINDS), len(names))
    spread = np.array([s if (s := by_kind[:, :, j].sum(1).std()) > 1e-6 else 1.0 for j in range(len(names))])
    spread[0] = 1.0
    design = np.concatenate([by_kind.sum(1)[:, None], by_kind], axis=1) / spread
    design = design.reshape(len(x), -1)
    free = np.concatenate([may.any(0)[None], may]).ravel()
    pull = np.concatenate([np.full(len(names), SHARED_PULL), np.full(len(KINDS) * len(names), OWN_PULL)])

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        f = offset + design @ w
        top = np.maximum.reduceat(f, start)[row]
        e = np.exp(f - top)
        whole, good = np.add.reduceat(e, start), np.add.reduceat(e * right, start)
        value = (much * (np.log(whole) - np.log(np.maximum(good, 1e-300)))).sum()
        slope = much[row] * (e / whole[row] - e * right / np.maximum(good, 1e-300)[row])
        return float(value + 0.5 * (pull * w**2).sum()), design.T @ slope + pull * w

    bounds = [(None, None) if ok else (0.0, 0.0) for ok in free]
    found = minimize(loss, np.zeros(design.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds).x
    parts = found.reshape(1 + len(KINDS), len(names)) / spread
    return np.asarray(np.where(may, parts[0] + parts[1:], 0.0).ravel() + centre)


def sure_weights(tables: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> np.ndarray:
    """(1 + len(CERTAINTY),) weights of the logistic model of being right.

    Args:
        tables: for each row its columns (n, len(CERTAINTY)), who is right, and how much each counts.
    """
    x = np.concatenate([t[0] for t in tables])
    sign = np.where(np.concatenate([t[1] for t in tables]), 1.0, -1.0)
    much = np.concatenate([t[2] for t in tables])
    spread = np.maximum(x.std(0), 1e-6)
    design = np.column_stack([np.ones(len(x)), x / spread])
    pull = np.array([0.0, *([SURE_PULL] * x.shape[1])])

    def loss(w: np.ndarray) -> float:
        return float((much * np.logaddexp(0, -sign * (design @ w))).sum() + 0.5 * (pull * w**2).sum())

    found = minimize(loss, np.zeros(design.shape[1])).x
    return np.asarray(found / np.array([1.0, *spread]))


@dataclass(frozen=True)
class Fitter:
    """One set of judges: how rows are seen by it, and its fit.

    A fit with energies begins with that without, and one with relaxed energies with that of single points: it
    is their weights that its own are pulled to. Few rows with energies then change little.
    """

    judges: tuple[str, ...]
    potential: str | None = None
    relaxed: bool = False

    @property
    def plainer(self) -> Fitter | None:
        """The judges that it begins with."""
        if self.relaxed:
            return replace(self, relaxed=False)
        return None if self.potential is None else replace(self, potential=None)

    def sees(self, row: Row) -> bool:
        """Whether a row has what it takes."""
        if not self.relaxed:
            return self.potential is None or self.potential in row.energies
        return bool(np.isfinite(row.relaxed.get(str(self.potential), np.array([np.nan]))).any())

    def told(self, row: Row) -> list[Score]:
        """Scores of a row with its energies; without where it has none."""
        potential = self.potential if self.sees(row) else None
        scores = row.told(potential)
        if self.relaxed and potential is not None:
            energies = row.relaxed[potential]
            scores = [
                s.with_(relaxed_energy=float(e)) if math.isfinite(e) else s
                for s, e in zip(scores, energies, strict=True)
            ]
        return scores

    def table(self, row: Row) -> tuple[np.ndarray, np.ndarray]:
        """Columns of the candidates that are compared, all or the front-runners, and who is right."""
        scores = self.told(row)
        if not self.relaxed:
            return columns(scores, row.difference), row.right
        front = np.array([s.relaxed_energy is not None for s in scores])
        return columns(front_runners_alone(scores), row.difference)[front], row.right[front]

    def fit(self, rows: Sequence[Row]) -> Fitted:
        """Weights by these rows."""
        before = None if self.plainer is None else self.plainer.fit(rows)
        counts = asked(self.judges, self.potential is not None)
        centre = np.zeros(len(NAMES)) if before is None else before.last.weights
        seen = [row for row in rows if self.sees(row)]
        tables = [(*self.table(v), much) for row in seen for v, much in self.views(row)]
        weights = choice_weights(tables, counts, centre)
        found = OrderCalibration(weights, np.zeros(1 + len(CERTAINTY)))
        fitted = Fitted(self, found if before is None or not self.relaxed else before.last, found)
        # Rows that need no energies stand for as many as there are among those that have them.
        undecided = [row for row in rows if row.mixed]
        share = sum(self.sees(row) for row in undecided) / max(len(undecided), 1)
        certainty = []
        for row in rows:
            if not self.sees(row) and row.mixed:
                continue
            for view, much in self.views(row):
                figure = fitted.figure(view)
                each = np.full(len(figure), 0.5 / len(figure))
                each[int(np.argmax(figure))] += 0.5
                each *= much * (1.0 if self.sees(row) else share)
                certainty.append(
                    (certainty_columns(self.told(view), view.difference, figure), view.right, each)
                )
        return replace(fitted, last=replace(found, sure=sure_weights(certainty)))

    def views(self, row: Row) -> list[tuple[Row, float]]:
        """A row as it is fitted to."""
        return [(row, 1.0)] if self.relaxed else [(row, 0.5), (row.few, 0.5)]


@dataclass(frozen=True, eq=False)
class Fitted:
    """Weights of a set of judges: those by single points, and the last ones."""

    fitter: Fitter
    single: OrderCalibration
    last: OrderCalibration

    def figure(self, row: Row) -> np.ndarray:
        """(n,) figures of the candidates of a row."""
        return compared(self.fitter.told(row), row.difference, self.fitter.judges, self.single, self.last)

    def first(self, row: Row) -> tuple[bool, float]:
        """Whether the first candidate is right, and with which chance it was said to be."""
        figure = self.figure(row)
        k = int(np.argmax(figure))
        chances = certainties(certainty_columns(self.fitter.told(row), row.difference, figure), self.last)
        return bool(row.right[k]), float(chances[k])


def halves(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Two halves, a row of a data file on one side whatever the pool."""
    even = [r for r in rows if np.random.default_rng(r.row).random() < 0.5]
    return even, [r for r in rows if np.random.default_rng(r.row).random() >= 0.5]


def of_weight(row: Row) -> bool:
    """Whether the most similar known arrangement is right; a crystal of the network where there is none."""
    weight = [(s.weight or 0.0) if s.kind == "prototype" else -1.0 for s in row.scores]
    return bool(row.right[int(np.argmax(weight))])


def of_network(row: Row) -> bool:
    """Whether the first crystal of the network is right."""
    kinds = [s.kind for s in row.scores]
    return "network" in kinds and bool(row.right[kinds.index("network")])


def report(rows: Sequence[Row], fitters: Sequence[Fitter]) -> dict[str, OrderCalibration]:
    """Print what each judge buys on halves that it was not fitted to; weights fitted to all by name."""
    pools = sorted({r.folder for r in rows})
    print(f"{'first right, %':44s} " + "  ".join(f"{p:>16s}" for p in pools))

    def show(name: str, hits: dict[tuple[str, int], bool]) -> None:
        cells = []
        for pool in pools:
            own = [ok for (folder, _), ok in hits.items() if folder == pool]
            cells.append(f"{100 * np.mean(own):9.1f} ({len(own):4d})" if own else " " * 16)
        print(f"{name:44s} " + "  ".join(cells), flush=True)

    show("first of the network", {(r.folder, r.row): of_network(r) for r in rows})
    show("by similarity", {(r.folder, r.row): of_weight(r) for r in rows})
    result: dict[str, OrderCalibration] = {}
    without: dict[tuple[str, ...], dict[tuple[str, int], bool]] = {}
    for fitter in fitters:
        name = order_key(fitter.judges, fitter.potential, fitter.relaxed)
        hits: dict[tuple[str, int], bool] = {}
        stated: list[tuple[bool, float]] = []
        a, b = halves(rows)
        for part, others in ((a, b), (b, a)):
            fitted = fitter.fit(part)
            for r in others:
                if fitter.sees(r) or not r.mixed:
                    hits[r.folder, r.row], chance = fitted.first(r)
                    stated.append((hits[r.folder, r.row], chance))
        if fitter.potential is not None:
            cheap = {key: ok for key, ok in without[fitter.judges].items() if key in hits}
            show(f"({order_key(fitter.judges, None) or 'no judge'}, the same rows)", cheap)
        else:
            without[fitter.judges] = hits
        show(name or "no judge", hits)
        result[name] = fitter.fit(rows).last
        if fitter.judges == JUDGES[-1]:
            print(reliability(stated))
    show("any", {(r.folder, r.row): bool(r.right.any()) for r in rows})
    return result


def reliability(stated: Sequence[tuple[bool, float]]) -> str:
    """How often first candidates were right, by the chance that was stated."""
    right, chance = np.array([s[0] for s in stated]), np.array([s[1] for s in stated])
    cells = []
    for low, high in pairwise(BINS):
        own = (chance >= low) & (chance < high + (high == 1))
        if own.any():
            cells.append(f"{100 * chance[own].mean():.0f}: {100 * right[own].mean():.0f} ({own.sum()})")
    brier = float(((chance - right) ** 2).mean())
    return f"    stated %: right % (rows)  {'  '.join(cells)}   Brier {brier:.3f}"


def letters_weights(rows: Sequence[Row]) -> dict[str, Any]:
    """Logistic weights of a draft by itself, by judges, from rows whose letters were given."""
    features: dict[str, list[float]] = defaultdict(list)
    right: list[bool] = []
    for row in rows:
        own = [i for i, s in enumerate(row.scores) if s.kind == "network"]
        shares = agreements(row.difference[np.ix_(own, own)])
        for i, share in zip(own, shares, strict=True):
            features["denoising"].append(row.scores[i].denoising or 0.0)
            features["agreement"].append(math.log(share))
            features["free"].append(math.log1p(row.scores[i].free or 0))
            right.append(bool(row.right[i]))
    sign = np.where(right, 1.0, -1.0)
    result = {}
    for judges in JUDGES:
        names = [*judges, "free"]
        x = np.column_stack([np.ones(len(sign)), *(features[n] for n in names)])
        found = minimize(
            lambda w, x=x: np.logaddexp(0, -sign * (x @ w)).mean() + 1e-3 * (w[1:] ** 2).sum(),  # type: ignore[misc]
            np.zeros(x.shape[1]),
        ).x
        weights = dict(zip(("intercept", *names), found.tolist(), strict=True))
        result[judges_key(judges)] = {
            k: round(weights.get(k, 0.0), 4) for k in ("intercept", "denoising", "agreement", "free")
        }
    return result


def main() -> None:
    """Parse arguments, read, fit, print, write."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("pools", nargs="+", help="folders of pools.py")
    p.add_argument("--json")
    a = p.parse_args()
    folders = [Path(f) for f in a.pools]
    rows = [row for folder in folders for row in read_pool(folder)]
    settings = [json.loads((folder / "pool.json").read_text(encoding="utf-8")) for folder in folders]
    given = {f.name for f, s in zip(folders, settings, strict=True) if s["mode"] == "letters"}
    potentials = sorted({p for row in rows for p in row.energies})
    fitters = [Fitter(j) for j in JUDGES]
    for potential in potentials:
        fitters += [Fitter(j, potential) for j in JUDGES]
        fitters += [Fitter(j, potential, True) for j in JUDGES if any(potential in r.relaxed for r in rows)]
    found = report(rows, fitters)
    with_letters = [row for row in rows if row.folder in given]
    letters = letters_weights(with_letters) if with_letters else _data()["letters"]
    made = {
        "script": "benchmarks/calibrate_ranking.py",
        "pools": [
            {**s, "rows": sum(r.folder == f.name for r in rows)}
            for f, s in zip(folders, settings, strict=True)
        ],
        "date": time.strftime("%Y-%m-%d"),
    }
    data = {"made": made, "letters": letters, "orders": {k: v.to_dict() for k, v in found.items()}}
    if a.json:
        Path(a.json).write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
