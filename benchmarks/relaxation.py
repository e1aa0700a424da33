"""Calls of the potential: relax_symmetric against ASE's optimisers with FrechetCellFilter and FixSymmetry.

    crystalsmith data orders mp20_val.safetensors -n 40 --max-atoms 12 --seed 1 \\
        --space-groups 1-230 -o o.jsonl
    crystalsmith generate o.jsonl -o generated
    python benchmarks/relaxation.py generated --against FIRE,LBFGS,BFGS
    python benchmarks/relaxation.py mp20_val.safetensors -n 12 --strain 0.05 --shift 0.15

All stop by the same criteria: the largest force on an atom, and the largest component of the stress. ASE's
own ``fmax`` cannot say that: FrechetCellFilter makes stress x volume a force on three more atoms, so that one
number bounds both, and the stress the more tightly the larger the cell. So ASE's steps are taken one by one,
and forces and stress are looked at after each. Its optimisers have their own settings otherwise, as everybody
uses them. Energies are compared with ours: a difference of more than 5 meV an atom is another minimum.

With ``--strain`` or ``--shift`` each crystal starts with every allowed strain off by up to so much, and every
atom that may move displaced by so many Angstrom within its orbit's freedom.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from crystalsmith.allocator import keep_freed_memory
from crystalsmith.crystal import Crystal, crystal_from_arrays
from crystalsmith.evaluation import read_samples
from crystalsmith.potentials import RelaxSettings, load_calculator, relax_free, relax_symmetric
from crystalsmith.potentials.variables import SymmetricVariables

SAME = 0.005  # eV per atom


def disturbed(crystal: Crystal, rng: np.random.Generator, strain: float, shift: float) -> Crystal:
    """Random strains up to ``strain``, and ``shift`` Angstrom for each orbit, as far as symmetry allows."""
    variables = SymmetricVariables(crystal)
    x = variables.start.copy()
    x[variables.n_free :] += rng.uniform(-strain, strain, len(variables.strains))
    for site, position in enumerate(crystal.positions_of_sites):
        if position.dof:
            step = np.zeros_like(x)
            step[variables.parameters(site)] = rng.normal(size=position.dof)
            x += step * shift / variables.shifts(step)[site]
    return variables.to_crystal(x)


def by_ase(
    method: str, crystal: Crystal, calculator, max_calls: int, fmax: float, smax: float
) -> tuple[int, float, bool]:
    """Calls, final energy (eV/atom), and whether an optimiser of ASE converged."""
    import ase.optimize
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter

    atoms = crystal.to_atoms()
    atoms.set_constraint(FixSymmetry(atoms))
    calls = 0
    original = calculator.calculate

    def counted(*args, **kwargs):
        nonlocal calls
        calls += 1
        return original(*args, **kwargs)

    calculator.reset()
    calculator.calculate = counted
    done = False
    try:
        atoms.calc = calculator
        optimiser = getattr(ase.optimize, method)(FrechetCellFilter(atoms), logfile=None)
        for _ in optimiser.irun(fmax=0.0, steps=max_calls):
            force = np.linalg.norm(atoms.get_forces(), axis=1).max()
            done = bool(force < fmax and abs(atoms.get_stress(voigt=False)).max() < smax)
            if done or calls >= max_calls:
                break
        return calls, float(atoms.get_potential_energy()) / len(atoms), done
    except Exception:  # a step into a hole, from which the filter's matrix logarithm does not come back
        return calls, float("nan"), False
    finally:
        del calculator.calculate


def main() -> None:
    """Parse arguments, relax, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("source", help="anything crystalsmith relax reads, or a data file")
    p.add_argument("-n", type=int, help="random ones of them; all in order if not given")
    p.add_argument("--potential", default="chgnet")
    p.add_argument("--against", default="FIRE", help="optimisers of ASE, with commas between")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--strain", type=float, default=0.0)
    p.add_argument("--shift", type=float, default=0.0, help="Angstrom")
    p.add_argument("--fmax", type=float, default=0.05, help="eV/Angstrom")
    p.add_argument("--smax", type=float, default=0.005, help="eV/Angstrom^3")
    p.add_argument("--max-calls", type=int, default=300)
    a = p.parse_args()
    warnings.filterwarnings("ignore")
    keep_freed_memory()
    calculator = load_calculator(a.potential)
    samples = [s.arrays for s in read_samples(a.source) if s.arrays is not None]
    rng = np.random.default_rng(a.seed)
    rows = rng.permutation(len(samples))[: a.n] if a.n else range(len(samples))
    limits = RelaxSettings(
        max_calls=a.max_calls, fmax=a.fmax, smax=a.smax, max_volume_change=None, seconds=None
    )
    methods = a.against.split(",")
    print(f"{'row':>6} {'formula':14} group atoms free " + "".join(f"{m:>18}" for m in ["ours", *methods]))
    calls: dict[str, list[tuple[int, int]]] = {m: [] for m in methods}
    same, lower, higher = ({m: 0 for m in methods} for _ in range(3))
    failed = {m: 0 for m in ["ours", *methods]}
    seconds = {m: 0.0 for m in ["symmetric", "free", *methods]}
    free_calls = []
    counted = 0
    for row in rows:
        x = samples[int(row)]
        crystal = crystal_from_arrays(x.lattice, x.fractional, x.numbers)
        if a.strain or a.shift:
            crystal = disturbed(crystal, rng, a.strain, a.shift)
        began = time.process_time()
        ours = relax_symmetric(crystal, calculator, limits)
        seconds["symmetric"] += time.process_time() - began
        line = f"{row:6d} {crystal.formula:14.14} {crystal.space_group:5d} {crystal.n_atoms:5d}"
        line += f" {len(SymmetricVariables(crystal).start):4d} {ours.calls:8d} {ours.energy:9.3f}"
        failed["ours"] += not ours.converged
        counted += 1
        if ours.sound:
            began = time.process_time()
            free = relax_free(ours.crystal, calculator, limits)
            seconds["free"] += time.process_time() - began
            free_calls.append(free.calls)
        for method in methods:
            began = time.process_time()
            n, energy, done = by_ase(method, crystal, calculator, a.max_calls, a.fmax, a.smax)
            seconds[method] += time.process_time() - began
            line += f" {n:7d} {energy:9.3f}" + (" " if done else "!")
            failed[method] += not done
            if done and ours.converged:
                calls[method].append((ours.calls, n))
                same[method] += abs(energy - ours.energy) < SAME
                lower[method] += ours.energy <= energy - SAME
                higher[method] += ours.energy >= energy + SAME
        print(line + ("" if ours.converged else f"  ours: {ours.reason}"), flush=True)
    print(f"\n{counted} crystals, {a.potential}, forces below {a.fmax} eV/A, stress below {a.smax} eV/A^3")
    print(f"not converged in {a.max_calls} calls: " + ", ".join(f"{m} {k}" for m, k in failed.items()))
    for method in methods:
        pairs = np.array(calls[method]).reshape(-1, 2)
        total, per_crystal = pairs.sum(0), np.median(pairs[:, 1] / pairs[:, 0])
        print(
            f"{method}: {total[1]} calls where ours are {total[0]} ({total[1] / total[0]:.2f} times;"
            f" median of a crystal {per_crystal:.2f}), both converged for {len(pairs)};"
            f" same energy {same[method]}, ours lower {lower[method]}, ours higher {higher[method]}"
        )
    for method, total in seconds.items():
        n = len(free_calls) if method == "free" else counted
        print(f"{method}: {60 * n / total:.1f} crystals a minute of processor time, one thread")
    print(f"free stage: {np.mean(free_calls):.1f} calls on average")


if __name__ == "__main__":
    main()
