"""Calls of the potential: relax_symmetric against ASE's FIRE with FrechetCellFilter and FixSymmetry.

    python benchmarks/relaxation.py mp20_val.safetensors -n 12 --potential chgnet

Each crystal of the data file starts with every allowed strain off by up to 5 % and every atom that may move
displaced by 0.15 Angstrom within its orbit's freedom. Both methods stop at the same largest force on an atom
and largest component of the stress. FIRE starts with ASE's own settings.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset
from crystalsmith.relaxation import load_calculator, relax_symmetric
from crystalsmith.relaxation.variables import SymmetricVariables


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


def fire(crystal: Crystal, calculator, max_calls: int, fmax: float, smax: float) -> tuple[int, float, bool]:
    """Calls, final energy (eV/atom), and whether ASE's FIRE converged."""
    from ase.constraints import FixSymmetry
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    atoms = crystal.to_atoms()
    atoms.set_constraint(FixSymmetry(atoms))
    calls = 0
    original = calculator.calculate

    def counted(*args, **kwargs):
        nonlocal calls
        calls += 1
        return original(*args, **kwargs)

    calculator.calculate = counted
    try:
        atoms.calc = calculator
        done = False
        for _ in FIRE(FrechetCellFilter(atoms), logfile=None).irun(fmax=0.0, steps=max_calls):
            force = np.linalg.norm(atoms.get_forces(), axis=1).max()
            done = bool(force < fmax and abs(atoms.get_stress(voigt=False)).max() < smax)
            if done or calls >= max_calls:
                break
        return calls, float(atoms.get_potential_energy()) / len(atoms), done
    finally:
        del calculator.calculate


def main() -> None:
    """Parse arguments, relax, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("-n", type=int, default=12)
    p.add_argument("--potential", default="chgnet")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--strain", type=float, default=0.05)
    p.add_argument("--shift", type=float, default=0.15, help="Angstrom")
    p.add_argument("--fmax", type=float, default=0.05, help="eV/Angstrom")
    p.add_argument("--smax", type=float, default=0.005, help="eV/Angstrom^3")
    p.add_argument("--max-calls", type=int, default=500)
    a = p.parse_args()
    warnings.filterwarnings("ignore")
    calculator = load_calculator(a.potential)
    data = Dataset.open(a.data)
    rng = np.random.default_rng(a.seed)
    print("   row  group  atoms  free      ours                          FIRE")
    print("                            calls  eV/atom       s      calls  eV/atom       s")
    total = np.zeros(4)
    for row in rng.permutation(len(data))[: a.n]:
        crystal = disturbed(data[int(row)], rng, a.strain, a.shift)
        variables = SymmetricVariables(crystal)
        begin = time.time()
        ours = relax_symmetric(crystal, calculator, max_calls=a.max_calls, fmax=a.fmax, smax=a.smax)
        middle = time.time()
        calls, energy, done = fire(crystal, calculator, a.max_calls, a.fmax, a.smax)
        end = time.time()
        total += [ours.calls, middle - begin, calls, end - middle]
        print(
            f"{row:6d} {crystal.space_group:6d} {crystal.n_atoms:6d} {len(variables.start):5d}"
            f"{ours.calls:9d} {ours.energy:8.3f} {middle - begin:7.1f}"
            f"{calls:11d} {energy:8.3f} {end - middle:7.1f}"
            f"{'' if ours.converged else f'  ours: {ours.reason}'}{'' if done else '  FIRE: out of calls'}",
            flush=True,
        )
    print(
        f"{a.potential}: {total[0]:.0f} calls in {total[1]:.0f} s, FIRE {total[2]:.0f} in {total[3]:.0f} s"
        f" ({total[2] / total[0]:.1f} times as many calls)"
    )


if __name__ == "__main__":
    main()
