"""FOX, the classical way from a powder pattern to a structure, as a control for ``solve``.

    python benchmarks/fox.py rows simulated mp20_test.safetensors -n 20 -o fox
    python3 benchmarks/fox.py run fox --steps 400000 --runs 10
    python benchmarks/fox.py score fox

FOX is told more than ``powder.py simulated ... --give cell``: cell, space group, what is in the cell, and how
many independent atoms each element has. The middle command runs where pyobjcryst is, FOX's library (Debian's
``python3-pyobjcryst``, no display needed), and imports nothing of this package. The profile is fitted by
Le Bail's method; then atoms are moved by parallel tempering from places drawn by chance, with occupancies
corrected where images of an atom meet. Images that have met are made one, and so are atoms of one element. Of
all runs the one of smallest Rw counts whose cell then holds the formula, right by StructureMatcher(0.3, 0.5,
10). "Any": one of the runs. Seconds are of the processor, of all runs.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

MOST_WAVE = 0.35
"""sin(theta)/lambda (1/Angstrom) up to which FOX compares, as its manual advises for the search."""

MET = 0.9
"""Angstrom up to which images of an atom count as one."""


def make_rows(a: argparse.Namespace) -> None:
    """Patterns and what is told of them."""
    import numpy as np
    from powder import measured_rows, simulated

    a.output.mkdir(parents=True, exist_ok=True)
    if a.set == "simulated":
        rows = simulated(a.source, 0, a.n, False, False)
    else:
        rows = measured_rows(a.source, 1, a.most)
    for row in list(rows)[: a.n]:
        pattern, crystal = row.pattern, row.truth
        np.savetxt(a.output / f"{row.name}.xy", np.column_stack([pattern.two_theta, pattern.intensity]))
        told = {
            "group": crystal.space_group,
            "cell": list(crystal.cell),
            "independent": {e: sum(s.element == e for s in crystal.sites) for e in crystal.counts},
            "wavelength": pattern.radiation.wavelength,
            "doublet": len(pattern.radiation.wavelengths) > 1,
            "truth": crystal.to_dict(),
        }
        (a.output / f"{row.name}.json").write_text(json.dumps(told))


def run_all(a: argparse.Namespace) -> None:
    """Solve the rows that are not solved yet."""
    for path in sorted(a.folder.glob("*.json")):
        target = path.with_suffix(".found")
        if not target.exists():
            found = run_one(json.loads(path.read_text()), path.with_suffix(".xy"), a.steps, a.runs)
            target.write_text(json.dumps(found))
            best = min(run["rw"] for run in found["runs"])
            print(f"{path.stem}: Rw {best:.3f}, {found['processor']:.0f} s", flush=True)


def run_one(told: dict[str, Any], pattern: Path, steps: int, runs: int) -> dict[str, Any]:
    """What FOX makes of one pattern."""
    import numpy as np
    from pyobjcryst.atom import Atom
    from pyobjcryst.crystal import Crystal
    from pyobjcryst.globaloptim import MonteCarlo
    from pyobjcryst.powderpattern import PowderPattern
    from pyobjcryst.scatteringpower import ScatteringPowerAtom

    began = time.process_time()
    x, y = np.loadtxt(pattern).T
    powder = PowderPattern()
    powder.SetPowderPatternX(np.deg2rad(x))
    powder.SetPowderPatternObs(y)
    powder.SetWavelength("Cu" if told["doublet"] else told["wavelength"])
    cell = [*told["cell"][:3], *np.deg2rad(told["cell"][3:])]
    crystal = Crystal(*cell, str(told["group"]))
    part = powder.AddPowderPatternDiffraction(crystal)
    powder.SetMaxSinThetaOvLambda(MOST_WAVE)
    powder.quick_fit_profile(auto_background=True, plot=False, verbose=False)
    part.SetExtractionMode(False)
    atoms = []
    for element, count in told["independent"].items():
        power = ScatteringPowerAtom(element, element, 1.0)
        crystal.AddScatteringPower(power)
        for k in range(count):
            atoms.append((element, Atom(0.1, 0.2, 0.3 + 0.1 * k, f"{element}{k}", power, 1.0)))
            crystal.AddScatterer(atoms[-1][1])
    crystal.SetUseDynPopCorr(1)
    search = MonteCarlo()
    search.AddRefinableObj(crystal)
    search.AddRefinableObj(powder)
    images = crystal.GetSpaceGroup().GetAllSymmetrics
    found = []
    for _ in range(runs):
        search.MultiRunOptimize(1, steps)
        placed = [[element, np.asarray(images(atom.X, atom.Y, atom.Z)).tolist()] for element, atom in atoms]
        found.append({"rw": float(powder.GetRw()), "images": placed})
    return {"runs": found, "processor": time.process_time() - began}


def structure_of(cell: Any, placed: list[list[Any]]) -> Any:
    """FOX's atoms in the conventional cell, each on the special position that it lies next to."""
    import numpy as np
    from pymatgen.core import Lattice, Structure

    lattice = Lattice.from_parameters(*cell)
    names, places = [], np.zeros((0, 3))
    for element, images in placed:
        for image in np.asarray(images):
            apart = np.asarray(images) - image
            apart -= np.round(apart)
            near = np.linalg.norm(lattice.get_cartesian_coords(apart), axis=1) < MET
            centre = (image + apart[near].mean(axis=0)) % 1.0
            others = places[[name == element for name in names]]
            if not len(others) or lattice.get_all_distances([centre], others).min() > MET:
                names, places = [*names, element], np.vstack([places, centre])
    return Structure(lattice, names, places)


def score(a: argparse.Namespace) -> None:
    """Which of them are right."""
    import numpy as np
    from pymatgen.analysis.structure_matcher import StructureMatcher

    from crystalsmith.crystal import Crystal

    matcher, first, ever, seconds = StructureMatcher(0.3, 0.5, 10), [], [], []
    for path in sorted(a.folder.glob("*.found")):
        found = json.loads(path.read_text())
        truth = Crystal.from_dict(json.loads(path.with_suffix(".json").read_text())["truth"])
        right = truth.to_structure(primitive=True)
        runs = []
        for run in found["runs"]:
            made = structure_of(truth.cell, run["images"])
            fits = made.composition.reduced_composition == right.composition.reduced_composition
            runs.append((not fits, run["rw"], bool(fits and matcher.fit(right, made))))
        runs.sort()
        first.append(runs[0][2])
        ever.append(any(hit for *_, hit in runs))
        seconds.append(found["processor"])
        words = f"Rw {runs[0][1]:.3f}" + (", holds another formula" if runs[0][0] else "")
        print(f"{path.stem}: {'right' if runs[0][2] else 'wrong'}, any {ever[-1]}, {words}")
    parts = []
    for name, hits in (("first", first), ("any", ever)):
        p = float(np.mean(hits))
        parts.append(f"{name} {100 * p:.0f} ± {100 * math.sqrt(p * (1 - p) / len(hits)):.0f} %")
    print(f"{len(first)} rows, {', '.join(parts)}, {np.median(seconds):.0f} s")


def main() -> None:
    """Read the arguments and do it."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = p.add_subparsers(required=True)
    rows = parts.add_parser("rows")
    rows.add_argument("set", choices=("simulated", "measured"))
    rows.add_argument("source", help="data file, or archive of measured patterns")
    rows.add_argument("-n", type=int, default=20)
    rows.add_argument("--most", type=int, default=20, help="atoms in the primitive cell (measured)")
    rows.add_argument("-o", "--output", type=Path, required=True)
    rows.set_defaults(run=make_rows)
    run = parts.add_parser("run")
    run.add_argument("folder", type=Path)
    run.add_argument("--steps", type=int, default=400_000)
    run.add_argument("--runs", type=int, default=10)
    run.set_defaults(run=run_all)
    scores = parts.add_parser("score")
    scores.add_argument("folder", type=Path)
    scores.set_defaults(run=score)
    a = p.parse_args()
    a.run(a)


if __name__ == "__main__":
    main()
