"""Is the structure that ``solve`` puts first the right one? Simulated and measured patterns against truth.

    python benchmarks/powder.py simulated mp20_test.safetensors -n 500 -o simulated.jsonl
    python benchmarks/powder.py simulated mp20_test.safetensors -n 500 --give cell -o cell.jsonl
    python benchmarks/powder.py simulated mp20_test.safetensors -n 500 --spoiled -o spoiled.jsonl
    python benchmarks/powder.py measured measured.zip --most 20 --wrong -o measured.jsonl
    python benchmarks/powder.py measured measured.zip --least 21 --give group -o larger.jsonl
    python benchmarks/powder.py pdcif pdcif.zip --give z --wrong -o pdcif.jsonl
    python benchmarks/powder.py simulated mp20_val.safetensors -n 25 --faults --wrong -o val.jsonl
    python benchmarks/powder.py simulated mp20_val.safetensors -n 10 --faults --index -o indexed.jsonl
    python benchmarks/powder.py energies simulated.jsonl --potential 7net-0 -o with-energies.jsonl
    python benchmarks/powder.py table simulated.jsonl with-energies.jsonl measured.jsonl

With ``--wrong``, the control, every row is solved a second time with the pattern of the next row of another
composition, which no structure of its formula fits: what then is called "one answer" is wrong.

Simulated patterns are of Cu K-alpha 1, 5 to 80 degrees in steps of 0.02, lines 0.08 and 0.2 degrees wide in
turn, 10,000 counts in the highest point above a background, with counting noise. ``--spoiled`` adds a shift
of 0.1 degree, foreign lines of up to 5 % and a preferred orientation (March-Dollase 0.8 along 001).
``--faults`` draws such faults by chance, with another background, tube, width and too few grains for each
row: what to tune on. With ``--index`` the cell is looked for too; lines tell whether it was found, and whose
cell an answer has.

What is known: the formula with the number of atoms in the primitive cell (``--give atoms``, as in published
figures of MP-20), the formula alone, or the formula and the cell, the group or Z. A structure is right by
StructureMatcher(0.3, 0.5, 10). First: the structure of rank 1. Any: one of the first 20. In brackets the mean
displacement (RMSE) of the matched. Seconds are of one compound (median), wall clock and processor.

``energies`` judges finished rows again with single points of a potential, as ``solve --potential`` does at
its end: all before is the same without one.

Lines are added to the output, so the same command goes on where it was interrupted. The model is the
benchmark model; most structures of measured patterns are in its training data: say "measured data".
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from checkpoints import add_checkpoint
from lines import append, whole_lines
from scipy.ndimage import gaussian_filter1d

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io.cif import read_cif
from crystalsmith.data import Dataset
from crystalsmith.diffraction import Pattern, PeakList, radiation
from crystalsmith.diffraction.readers import read_pattern
from crystalsmith.diffraction.simulation import Optics, Spoiling, measured, simulate
from crystalsmith.errors import CrystalsmithError
from crystalsmith.evaluation.measures.arrays import crystal_arrays
from crystalsmith.evaluation.measures.matching import rms_displacement, root_mean
from crystalsmith.potentials import load_calculator
from crystalsmith.potentials.energies import single_points
from crystalsmith.solving import SolveSettings, solve_into
from crystalsmith.solving.answers import evidence_of
from crystalsmith.solving.cells import on_cell
from crystalsmith.solving.verdict import Evidence, judge

WIDTHS = (0.08, 0.2)
"""Degrees, of simulated lines in turn."""

MOST = 20
"""Structures that are looked at for "any"."""

CELL_OFF = 0.01
"""Relative difference of lengths up to which an indexed cell is the right one."""

GIVE = ("formula", "atoms", "cell", "group", "z")


@dataclass(frozen=True, eq=False)
class Row:
    """One crystal and its pattern."""

    name: str
    truth: Crystal
    pattern: Pattern | PeakList
    note: str = field(default="")


def simulated(path: str, start: int, count: int, spoiled: bool, faults: bool) -> Iterator[Row]:
    """Rows of a data set with simulated patterns, ``count`` of them."""
    data = Dataset.open(path)
    for k in range(start, min(start + count, len(data))):
        crystal = data[k]
        if faults:
            try:
                yield Row(data.ids[k], crystal, as_measured(crystal, k))
            except CrystalsmithError as error:
                print(f"{data.ids[k]}: {error}", flush=True)
            continue
        optics = Optics(width=WIDTHS[k % 2], broadening=0.05)
        more = Spoiling(seed=k)
        if spoiled:
            optics = Optics(width=WIDTHS[k % 2], broadening=0.05, zero=0.1, texture=0.8, axis=(0, 0, 1))
            more = Spoiling(impurity=0.05, seed=k)
        try:
            clean = simulate(crystal, radiation("CuKa1"), (5.0, 80.0), 0.02, optics)
        except CrystalsmithError as error:
            print(f"{data.ids[k]}: {error}", flush=True)
            continue
        yield Row(data.ids[k], crystal, measured(clean, more, WIDTHS[k % 2]))


def as_measured(crystal: Crystal, seed: int) -> Pattern:
    """A pattern of a crystal as it might have been measured, with faults by chance."""
    rng = np.random.default_rng(seed)
    lines = radiation(("CuKa", "CuKa1")[int(rng.integers(2))])
    width = float(np.exp(rng.uniform(np.log(0.05), np.log(0.25))))
    impure, textured, hump = rng.random(3) < 0.5
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
    clean = simulate(crystal, lines, (8.0, float(rng.choice([70.0, 80.0, 90.0]))), 0.02, optics)
    x, y = clean.two_theta, clean.intensity
    # A background that is none of the two: glass, and what fluorescence adds.
    glass = np.exp(-0.5 * ((x - rng.uniform(18, 30)) / rng.uniform(3, 7)) ** 2)
    # Few grains: lines are stronger and weaker than they should be, by chance.
    grains = gaussian_filter1d(rng.normal(size=len(x)), 20)
    y = y * np.exp(float(rng.uniform(0, 0.25)) * grains / grains.std())
    y = y * (1 + 0.1 * rng.normal() * (x - x.mean()) / (x[-1] - x[0]))
    if hump:
        y = y + float(rng.uniform(0.02, 0.1)) * y.max() * glass
    return measured(replace(clean, intensity=y), more, width)


def measured_rows(path: str, least: int, most: int) -> Iterator[Row]:
    """Patterns (.xy, Cu K-alpha) of an archive with the structures (.cif) of the same names."""
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        table = csv.DictReader(io.StringIO(archive.read("index.csv").decode()))
        sizes = {row["name"]: int(row["atoms_primitive"]) for row in table}
        for name in sorted(sizes):
            if not least <= sizes[name] <= most:
                continue
            try:
                truth = read_cif(archive.read(f"{name}.cif"))[0].symmetrized(0.01)
                file = Path(archive.extract(f"{name}.xy", folder))
                yield Row(name, truth, read_pattern(file, radiation("CuKa")))
            except CrystalsmithError as error:
                print(f"{name}: {error}", flush=True)


def pdcif_rows(path: str) -> Iterator[Row]:
    """pdCIFs of published refinements: pattern and structure in one file; the reader sees the pattern."""
    with zipfile.ZipFile(path) as archive, tempfile.TemporaryDirectory() as folder:
        for name in sorted(n for n in archive.namelist() if n.endswith(".cif")):
            try:
                truth = read_cif(archive.read(name))[0].symmetrized(0.01)
                yield Row(Path(name).stem, truth, read_pattern(Path(archive.extract(name, folder))))
            except CrystalsmithError as error:
                print(f"{name}: {error}", flush=True)


def known(crystal: Crystal, give: str) -> dict[str, Any]:
    """What is told of a crystal, as settings of ``solve``."""
    told: dict[str, Any] = {"formula": crystal.formula}
    if give == "atoms":
        told["atoms"] = crystal.n_atoms
    elif give == "cell":
        told["cell"] = crystal.cell
    elif give == "group":
        told["space_group"] = crystal.space_group
    elif give == "z":
        told["z"] = round(crystal.n_atoms_conventional / sum(formula_unit(crystal)))
    return told


def formula_unit(crystal: Crystal) -> list[int]:
    """Atoms of the elements in the reduced formula."""
    counts = list(crystal.counts.values())
    return [n // int(np.gcd.reduce(counts)) for n in counts]


def solve_row(row: Row, pattern: Pattern | PeakList, a: argparse.Namespace, model: Any) -> dict[str, Any]:
    """What comes of a pattern with the formula of a row, and whether it is right."""
    began, used = time.perf_counter(), time.process_time()
    with ExitStack() as stack:
        folder = Path(a.keep or stack.enter_context(tempfile.TemporaryDirectory())).resolve()
        run = folder / (f"{row.name}-wrong" if pattern is not row.pattern else row.name)
        try:
            settings = SolveSettings(
                **known(row.truth, a.give),
                candidates=a.candidates,
                rietveld=a.rietveld,
                workers=a.workers,
                index=a.index,
            )
            solution = solve_into(pattern, run, settings, model=model)
        except CrystalsmithError as error:
            return {"error": str(error)}
        seconds, processor = time.perf_counter() - began, time.process_time() - used
        spent = [(seconds, processor), *((x["seconds"], x["processor"]) for x in whole_lines(spent_in(run)))]
        append(spent_in(run), [{"seconds": seconds, "processor": processor}])
        seconds, processor = (sum(x) for x in zip(*spent, strict=True))
        truth = crystal_arrays(row.truth)
        rms = [
            float(rms_displacement((crystal_arrays(x.crystal), truth))[0]) for x in solution.answers[:MOST]
        ]
        evidence = [
            {
                **{k: round(float(v), 5) for k, v in vars(own).items()},
                "p": round(x.p, 5),
                "group": x.crystal.space_group,
                "cell": x.trial.cell,
                "rms": round(r, 5) if np.isfinite(r) else None,
                "candidate": x.trial.key,
                "refined": x.refined is not None,
                "crystal": x.crystal.to_dict(),
            }
            for x, own, r in zip(solution.answers, evidence_of(solution.answers), rms, strict=False)
        ]
        return {
            "verdict": solution.verdict.words,
            "none": round(solution.verdict.none, 5),
            "tried": solution.tried,
            "seconds": round(seconds, 1),
            "processor": round(processor, 1),
            "cells": len(solution.cells),
            "cell_found": any(on_cell(row.truth, c, CELL_OFF) is not None for c in solution.cells),
            "answers": evidence,
        }


def make(a: argparse.Namespace) -> None:
    """Solve the rows that are not there yet."""
    import torch

    from crystalsmith.diffusion import load_model

    torch.set_num_threads(1)
    if a.set == "simulated":
        rows = list(simulated(a.source, a.start, a.n, a.spoiled, a.faults))
    elif a.set == "measured":
        rows = list(measured_rows(a.source, a.least, a.most))
    else:
        rows = list(pdcif_rows(a.source))
    others = rows  # that --wrong takes patterns from
    rows = [row for row in rows if not a.only or row.name in a.only]
    model = load_model(a.checkpoint)
    done = {(line["name"], line["wrong"]) for line in whole_lines(a.output)}
    head = {"set": a.set, "give": a.give, "spoiled": a.spoiled, "candidates": a.candidates}
    for row in rows[: a.n]:
        tries: list[tuple[bool, Pattern | PeakList]] = [(False, row.pattern)]
        if a.wrong:
            place = others.index(row)
            after = (others[(place + j) % len(others)] for j in range(1, len(others)))
            other = next((r for r in after if r.truth.formula != row.truth.formula), None)
            tries += [] if other is None else [(True, other.pattern)]
        for wrong, pattern in tries:
            if (row.name, wrong) in done:
                continue
            found = solve_row(row, pattern, a, model)
            line = {"name": row.name, "wrong": wrong, "atoms": row.truth.n_atoms, **head, **found}
            append(a.output, [line])
            print(words(line), flush=True)


def spent_in(run: Path) -> Path:
    """File beside a run with the seconds of all calls that worked in its folder."""
    return run.with_name(f"{run.name}.spent.jsonl")


def judge_again(a: argparse.Namespace) -> None:
    """Verdicts with energies of the refined answers; those that have none count as the mean of the others."""
    calculator = load_calculator(a.potential)
    names = {f.name for f in fields(Evidence)}
    done = {(line["name"], line["wrong"]) for line in whole_lines(a.output)}
    for line in whole_lines(a.source):
        if (line["name"], line["wrong"]) in done:
            continue
        if "error" not in line:
            answers = line["answers"]
            asked = [x for x in answers if x["refined"]]
            found = single_points([Crystal.from_dict(x["crystal"]) for x in asked], calculator)
            known = [e.value for e in found if np.isfinite(e.value)] or [0.0]
            for answer in answers:
                answer["energy"] = float(np.mean(known) - min(known))
            for answer, energy in zip(asked, found, strict=True):
                if np.isfinite(energy.value):
                    answer["energy"] = energy.value - min(known)
            verdict = judge([Evidence(**{k: v for k, v in x.items() if k in names}) for x in answers])
            for answer, p in zip(answers, verdict.p, strict=True):
                answer["p"] = round(p, 5)
            answers.sort(key=lambda x: -x["p"])
            line |= {"verdict": verdict.words, "none": round(verdict.none, 5)}
        append(a.output, [line])


def words(line: dict[str, Any]) -> str:
    """A line for the terminal."""
    what = "wrong pattern" if line["wrong"] else "own pattern"
    if "error" in line:
        return f"{line['name']}, {what}: {line['error']}"
    right = [x["rms"] is not None for x in line["answers"]]
    first = line["answers"][0]["misfit"] if right else float("nan")
    return (
        f"{line['name']}, {what}: {line['verdict']}, first {right[:1] == [True]}, any {any(right)},"
        f" misfit {first:.3f}, {line['tried']} tried, {line['seconds']:.0f} s ({line['processor']:.0f} s)"
    )


def share(hits: list[bool], rms: list[float] | None = None) -> str:
    """Percent with its standard error, and the RMSE of what was hit."""
    n = len(hits)
    if not n:
        return "-"
    p = sum(hits) / n
    error = np.sqrt(max(p * (1 - p), 1 / n - 1 / n**2 if n > 1 else 0.25) / n)
    text = f"{100 * p:.1f} ± {100 * error:.1f}"
    return text if rms is None else f"{text} ({root_mean(np.array(rms)):.3f})"


def table(paths: list[Path]) -> None:
    """A row for each file."""
    columns = (
        *("rows", "first", f"any of {MOST}", "one answer", "of these right", "none fits"),
        *("wrong pattern: one answer", "none fits", "seconds", "of processor"),
    )
    print("| | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 1) + "|")
    for path in paths:
        lines = whole_lines(path)
        failed = sum("error" in x for x in lines if not x["wrong"])
        own = [x for x in lines if not x["wrong"]]
        wrong = [x for x in lines if x["wrong"] and "error" not in x]
        rms = [[np.inf if y["rms"] is None else y["rms"] for y in x.get("answers", [])] for x in own]
        first = [min(r[:1], default=np.inf) for r in rms]
        best = [min(r, default=np.inf) for r in rms]
        one = [x.get("verdict") == "one answer" for x in own]
        cells = [
            str(len(own)) + (f", {failed} failed" if failed else ""),
            share([np.isfinite(x) for x in first], first),
            share([np.isfinite(x) for x in best], best),
            share(one),
            share([bool(np.isfinite(x)) for x, sure in zip(first, one, strict=True) if sure]),
            share([x.get("verdict") == "none fits" for x in own]),
            share([x["verdict"] == "one answer" for x in wrong]),
            share([x["verdict"] == "none fits" for x in wrong]),
            *(
                f"{np.median([x[k] for x in own if k in x] or [np.nan]):.0f}"
                for k in ("seconds", "processor")
            ),
        ]
        print(f"| {path.stem} | " + " | ".join(cells) + " |")


def main() -> None:
    """Read the arguments and do it."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = p.add_subparsers(required=True)
    for name, what, give in (
        ("simulated", "data file", "atoms"),
        ("measured", "archive of NAME.xy, NAME.cif and index.csv", "formula"),
        ("pdcif", "archive of pdCIFs", "z"),
    ):
        part = parts.add_parser(name)
        part.add_argument("source", help=what)
        part.add_argument("-o", "--output", type=Path, required=True)
        part.add_argument("-n", type=int, default=500, help="rows (default: 500)")
        part.add_argument("--give", choices=GIVE, default=give, help=f"what is known (default: {give})")
        part.add_argument("--only", nargs="+", metavar="NAME", help="these rows alone")
        part.add_argument("--wrong", action="store_true", help="solve with another row's pattern too")
        part.add_argument("--candidates", type=int, default=SolveSettings.candidates, help="at most")
        part.add_argument("--rietveld", type=int, default=0, help="structures refined by rietx (default: 0)")
        part.add_argument("--index", action="store_true", help="look for the cell by indexing too")
        part.add_argument("--workers", type=int, default=1)
        part.add_argument("--keep", type=Path, help="keep the runs here; what stands there is gone on with")
        part.set_defaults(run=make, set=name, spoiled=False, least=1, most=10**6)
        if name == "simulated":
            part.add_argument("--spoiled", action="store_true", help="shifted, impure and textured")
            part.add_argument("--faults", action="store_true", help="faults by chance, as measured patterns")
            part.add_argument("--start", type=int, default=0, help="first row (default: 0)")
        if name == "measured":
            part.add_argument("--least", type=int, default=1, help="atoms in the primitive cell")
            part.add_argument("--most", type=int, default=10**6)
        add_checkpoint(part)
    part = parts.add_parser("energies")
    part.add_argument("source", type=Path, help="lines of finished rows")
    part.add_argument("--potential", default="7net-0")
    part.add_argument("-o", "--output", type=Path, required=True)
    part.set_defaults(run=judge_again)
    part = parts.add_parser("table")
    part.add_argument("files", type=Path, nargs="+")
    part.set_defaults(run=lambda a: table(a.files))
    a = p.parse_args()
    a.run(a)


if __name__ == "__main__":
    main()
