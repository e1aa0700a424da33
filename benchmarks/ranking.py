"""Match rate of the draft ranked first of K, by each judge of the ladder in turn, with Wyckoff letters given.

    python benchmarks/ranking.py mp20_test.safetensors -n 500 --samples 8 --potential chgnet --cache ranked

Matching as in ``match_rate.py``. Drafts, their displacements from the truth and their scores stay in the
cache folder, one line of JSON a row, so that the same command goes on where it was interrupted.

Where all drafts of a row are right, or none is, no judge can change the match rate; energies are asked for
the other rows only, unless ``--all-energies`` is given. Seconds per crystal are those of K drafts
together, over the rows that a judge has seen.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from checkpoints import add_checkpoint
from lines import append, whole_lines

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.validity import fault
from crystalsmith.data import Dataset
from crystalsmith.diffusion import Model, Request, load_model
from crystalsmith.evaluation.measures.arrays import crystal_arrays
from crystalsmith.evaluation.measures.matching import FREEDOM_BINS, bin_label, rms_displacement, root_mean
from crystalsmith.ranking import JUDGES, Candidate, Ladder, Score, resolve_judges, verdicts
from crystalsmith.runs.pool import Failed, parallel_map

BINS = ((0, None), *FREEDOM_BINS)
BATCH_ATOMS = 512
CHEAP = ("denoising", "agreement")


def known(path: Path) -> dict[int, dict[str, Any]]:
    """Lines of a file of the cache by row."""
    return {line["row"]: line for line in whole_lines(path)}


def make_drafts(a: argparse.Namespace, cache: Path) -> dict[int, dict[str, Any]]:
    """Drafts of every row and their displacements from the truth (None where they do not match)."""
    file = cache / "drafts.jsonl"
    data = Dataset.open(a.data)
    rows = [int(r) for r in np.random.default_rng(a.seed).permutation(len(data))[: a.n]]
    done = known(file)
    left = [r for r in rows if r not in done]
    model = load_model(a.checkpoint) if left else None
    for start in range(0, len(left), 40):
        part = {r: data[r] for r in left[start : start + 40]}
        requests = {
            r: Request(c.space_group, tuple((s.element, s.letter) for s in c.sites)) for r, c in part.items()
        }
        jobs = sorted(
            ((r, k) for r in part for k in range(a.samples)), key=lambda j: (requests[j[0]].n_atoms, j)
        )
        made: dict[tuple[int, int], Crystal] = {}
        began = time.perf_counter()
        while jobs:
            batch = [jobs.pop(0)]
            size = requests[batch[0][0]].n_atoms
            while jobs and size + requests[jobs[0][0]].n_atoms <= BATCH_ATOMS:
                size += requests[jobs[0][0]].n_atoms
                batch.append(jobs.pop(0))
            assert isinstance(model, Model)
            seeds = [r * 1000 + k for r, k in batch]
            made.update(zip(batch, model.sample([requests[r] for r, _ in batch], seeds), strict=True))
        seconds = (time.perf_counter() - began) / len(made)
        order = sorted(made)
        pairs = [(crystal_arrays(made[r, k]), crystal_arrays(part[r])) for r, k in order]
        found = parallel_map(rms_displacement, pairs, workers=a.workers, chunk=16, seconds=120)
        rms = {
            key: None if isinstance(x, Failed) or not np.isfinite(x[0]) else float(x[0])
            for key, x in zip(order, found, strict=True)
        }
        append(
            file,
            [
                {
                    "row": r,
                    "drafts": [made[r, k].to_dict() for k in range(a.samples)],
                    "rms": [rms[r, k] for k in range(a.samples)],
                    "gen_seconds": seconds,
                }
                for r in part
            ],
        )
    done = known(file)
    return {r: done[r] for r in rows}


@lru_cache(maxsize=1)
def _ladder(checkpoint: str | None, potential: str | None, samples: int) -> Ladder:
    keep_freed_memory()
    torch.set_num_threads(1)
    model = load_model(checkpoint)
    names = None if potential is None else JUDGES
    return Ladder(model, resolve_judges(model, names, potential, samples), potential)


def judge_row(job: tuple[dict[str, Any], str | None, str | None]) -> dict[str, Any]:
    """Scores of the sound drafts of one row, and what each judge took."""
    line, checkpoint, potential = job
    ladder = _ladder(checkpoint, potential, len(line["drafts"]))
    ladder.seconds, ladder.judged = {}, {}
    if potential is not None:
        _ = ladder.calculator  # not to be counted as time of a judge
    crystals = [Crystal.from_dict(c) for c in line["drafts"]]
    sound = [k for k, c in enumerate(crystals) if fault(c) is None]
    scores: list[Any] = [None] * len(crystals)
    for k, score in zip(sound, ladder.judge([Candidate(crystals[k]) for k in sound]), strict=True):
        scores[k] = score.to_dict()
    free = sum(p.dof for p in crystals[0].positions_of_sites)
    return {"row": line["row"], "free": free, "scores": scores, "seconds": dict(ladder.seconds)}


def make_scores(a: argparse.Namespace, drafts: dict[int, dict[str, Any]], cache: Path) -> dict[int, Any]:
    """Scores of all rows."""
    file = cache / (
        "scores.jsonl" if a.potential is None else f"scores_{a.potential.replace('/', '_')}.jsonl"
    )
    done = known(file)
    jobs = []
    for r, line in drafts.items():
        mixed = len({x is None for x in line["rms"]}) > 1
        if r not in done:
            jobs.append((line, a.checkpoint, a.potential if mixed or a.all_energies else None))
    # First those with energies: each worker changes its ladder once.
    jobs.sort(key=lambda job: job[2] is None)

    def keep(results: list[tuple[int, Any, float]]) -> None:
        append(file, [r for _, r, _ in results if not isinstance(r, Failed)])
        for place, r, _ in results:
            if isinstance(r, Failed):
                print(f"row {jobs[place][0]['row']}: {r.reason}", flush=True)

    parallel_map(judge_row, jobs, workers=a.workers, chunk=4, on_done=keep)
    done = known(file)
    return {r: done[r] for r in drafts if r in done}


def figures(drafts: dict[str, Any], line: dict[str, Any], judges: tuple[str, ...]) -> np.ndarray:
    """(K,) figures of a row's drafts by these judges alone, -inf for unsound ones."""
    result = np.full(len(line["scores"]), -np.inf)
    sound = [k for k, s in enumerate(line["scores"]) if s is not None]
    scores = [Score.from_dict(line["scores"][k]) for k in sound]
    parts = [
        s.with_(
            denoising=s.denoising if "denoising" in judges else None,
            agreement=s.agreement if "agreement" in judges else None,
            energy=s.energy if "energy" in judges else None,
            relaxed_energy=s.relaxed_energy if "relaxation" in judges else None,
        )
        for s in scores
    ]
    crystals = [Crystal.from_dict(drafts["drafts"][k]) for k in sound]
    result[sound] = [v.figure for v in verdicts(crystals, parts)]
    return result


LADDER: dict[str, tuple[str, ...]] = {
    "validity (the first sound one)": (),
    "denoising": ("denoising",),
    "agreement": ("agreement",),
    "denoising, agreement": CHEAP,
    "energy": ("energy",),
    "denoising, agreement, energy": (*CHEAP, "energy"),
    "energy, relaxation": ("energy", "relaxation"),
    "all": (*CHEAP, "energy", "relaxation"),
}


def report(a: argparse.Namespace, drafts: dict[int, Any], scored: dict[int, Any]) -> dict[str, Any]:
    """Print and return the table."""
    rows = list(scored)
    rms = np.array([[np.inf if x is None else x for x in drafts[r]["rms"]] for r in rows])
    free = np.array([scored[r]["free"] for r in rows])
    made = float(np.mean([drafts[r]["gen_seconds"] for r in rows]))
    result: dict[str, Any] = {}

    def show(name: str, best: np.ndarray) -> None:
        cells = {}
        for low, high in BINS:
            sel = best[(free >= low) & (free <= (np.inf if high is None else high))]
            label = "all" if (low, high) == (0, None) else bin_label(low, high)
            match = 100 * float(np.isfinite(sel).mean()) if len(sel) else float("nan")
            cells[label] = {"match": match, "rmse": root_mean(sel), "n": len(sel)}
        result[name] = cells
        text = "  ".join(f"{k}: {v['match']:.1f}" for k, v in cells.items() if k != "all")
        print(f"{name:32s} {cells['all']['match']:5.1f} ({cells['all']['rmse']:.3f})   {text}")

    each = range(len(rows))
    print(f"{a.data} n={len(rows)} samples={a.samples}; match rate % (RMSE), by free parameters")
    show("one sample", rms[:, 0])
    for name, judges in LADDER.items():
        if a.potential is None and set(judges) - set(CHEAP):
            continue
        picked = [int(np.argmax(figures(drafts[r], scored[r], judges))) for r in rows]
        show(name, rms[each, picked])
    show(f"any of {a.samples}", rms.min(1))
    print(f"seconds per crystal, {a.samples} drafts: generation {made * a.samples:.3f}", end="")
    result["seconds"] = {"generation": made * a.samples}
    for name in ("denoising", "agreement", "energy", "relaxation"):
        took = [scored[r]["seconds"][name] for r in rows if name in scored[r]["seconds"]]
        if took:
            result["seconds"][name] = float(np.mean(took))
            print(f", {name} {np.mean(took):.3f} ({len(took)} rows)", end="")
    print()
    return result


def arguments(text: str | None) -> argparse.ArgumentParser:
    """Options of this script and of the calibration."""
    p = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("-n", type=int, default=500)
    p.add_argument("--samples", type=int, default=8)
    p.add_argument("--seed", type=int, default=0)
    add_checkpoint(p)
    p.add_argument("--potential")
    p.add_argument("--all-energies", action="store_true")
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("--cache", default="ranked", help="folder for drafts and scores")
    p.add_argument("--json")
    return p


def measure(a: argparse.Namespace) -> tuple[dict[int, Any], dict[int, Any]]:
    """Drafts and scores by row, from the cache as far as it has them."""
    keep_freed_memory()
    torch.set_num_threads(1)
    cache = Path(a.cache)
    cache.mkdir(parents=True, exist_ok=True)
    drafts = make_drafts(a, cache)
    return drafts, make_scores(a, drafts, cache)


def main() -> None:
    """Parse arguments, generate, match, judge, print."""
    a = arguments(__doc__).parse_args()
    result = report(a, *measure(a))
    if a.json:
        model = load_model(a.checkpoint)
        head = {"arguments": vars(a), "checkpoint": model.hash, "date": time.strftime("%Y-%m-%d")}
        Path(a.json).write_text(json.dumps({**head, "result": result}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
