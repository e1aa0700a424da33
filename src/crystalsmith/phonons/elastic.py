"""Elastic constants from the stress of small strains, and the Born criteria of mechanical stability."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.errors import PhononError
from crystalsmith.phonons.budget import Budget
from crystalsmith.potentials.calculators import one_line
from crystalsmith.runs.warned import logged_warnings

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

GPA = 160.21766208
"""GPa in one eV/Angstrom^3."""
STRAIN = 0.01
"""Component of the strain tensors, of both signs; Voigt's notation doubles that of a shear."""


@dataclass(frozen=True, eq=False)
class Elasticity:
    """Elastic constants with the atoms relaxed in every strain.

    Attributes:
        tensor: (6, 6) GPa, Voigt order xx, yy, zz, yz, xz, xy, Cartesian axes of ``crystal.lattice``,
            symmetrised by the point group.
        lowest: smallest eigenvalue of ``tensor``, GPa.
        stable: it is positive: the Born criteria of every crystal class in one (F. Mouhat and F.-X. Coudert,
            Phys. Rev. B 90, 224104 (2014)).
        bulk: Voigt-Reuss-Hill bulk modulus, GPa; NaN for a crystal that is not stable.
        shear: Voigt-Reuss-Hill shear modulus, GPa; likewise.
        asymmetry: largest part of a component that the symmetrisation took away, GPa: noise of the stress.
        calls: evaluations of the potential.
        seconds: that it took.
    """

    tensor: np.ndarray
    lowest: float
    stable: bool
    bulk: float
    shear: float
    asymmetry: float
    calls: int
    seconds: float


def compute_elasticity(
    crystal: Crystal,
    calculator: Calculator,
    *,
    strain: float = STRAIN,
    fmax: float = 0.002,
    max_steps: int = 100,
    budget: Budget | None = None,
) -> Elasticity:
    """Elastic constants by six strains of the primitive cell, each in both senses.

    In every strain the atoms are relaxed within the symmetry that the strain leaves, so that a crystal with
    an unstable mode stays on its saddle.

    Args:
        crystal: relaxed, as ``relax_tightly`` leaves it.
        calculator: ASE calculator with forces and stress (its sign: positive under tension).
        strain: largest component of the strain tensors.
        fmax: eV/Angstrom at which the atoms count as relaxed.
        max_steps: of each relaxation.
        budget: time limit and counter of calls; no limit if None.

    Raises:
        PhononError: the potential fails or has no stress, atoms do not come to rest, or the time is over.
    """
    from pymatgen.analysis.elasticity import ElasticTensor, Strain, Stress

    budget = budget or Budget()
    began, calls = budget.spent, budget.calls
    strains: list[Strain] = []
    stresses: list[Stress] = []
    for k in range(6):
        for size in (-strain, strain):
            # In Voigt's notation a shear is twice the tensor's component.
            voigt = np.zeros(6)
            voigt[k] = size if k < 3 else 2 * size
            change = Strain.from_voigt(voigt)
            atoms = crystal.to_atoms()
            # The strain is symmetric, so it may act on rows as well as on columns.
            atoms.set_cell(np.array(atoms.cell) @ (np.eye(3) + np.array(change)), scale_atoms=True)
            doing = f"strain {len(strains) + 1} of 12"
            stress = _stress(atoms, calculator, fmax, max_steps, budget, doing)
            strains.append(change)
            stresses.append(Stress(stress * GPA))
    with logged_warnings():  # about stresses of another sign convention, and fits of few points
        raw = ElasticTensor.from_independent_strains(strains, stresses, vasp=False)
        fitted = raw.fit_to_structure(crystal.to_structure(primitive=True), symprec=1e-3)
        whole = ElasticTensor.from_voigt(_symmetric(fitted.voigt))
        tensor = np.array(whole.voigt)
        lowest = float(np.linalg.eigvalsh(tensor)[0])
        stable = lowest > 0
        bulk, shear = (float(whole.k_vrh), float(whole.g_vrh)) if stable else (math.nan, math.nan)
    return Elasticity(
        tensor=tensor.round(6),
        lowest=lowest,
        stable=stable,
        bulk=bulk,
        shear=shear,
        asymmetry=float(abs(np.array(raw.voigt) - tensor).max()),
        calls=budget.calls - calls,
        seconds=budget.spent - began,
    )


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (np.array(matrix) + np.array(matrix).T) / 2


def _stress(
    atoms: Atoms, calculator: Calculator, fmax: float, max_steps: int, budget: Budget, doing: str
) -> np.ndarray:
    """(3, 3) eV/Angstrom^3 of a strained cell whose atoms are at rest; the atoms are moved there.

    Raises:
        PhononError: as ``compute_elasticity``.
    """
    from ase.constraints import FixSymmetry
    from ase.optimize import BFGS

    budget.forces(atoms, calculator, doing)
    if len(atoms) > 1:
        # Tighter than the strain, or the unstrained crystal's symmetry would be found.
        atoms.set_constraint(FixSymmetry(atoms, symprec=1e-5))
        try:
            # Potentials that do not know the constraint warn of it.
            with logged_warnings(), BFGS(atoms, logfile=None, maxstep=0.05) as search:
                for _ in search.irun(fmax=fmax, steps=max_steps):
                    budget.calls += search.nsteps > 0  # the first forces are known
                    budget.check(doing)
                rested = bool(np.linalg.norm(atoms.get_forces(), axis=1).max() < 2 * fmax)
        except PhononError:
            raise
        except Exception as error:  # whatever a potential makes of it
            raise PhononError(f"the potential failed at {doing}: {one_line(error)}") from error
        if not rested:
            raise PhononError(
                f"the atoms did not come to rest in {max_steps} steps at {doing}; leave elastic constants out"
            )
        atoms.set_constraint()
    try:
        stress = np.array(atoms.get_stress(voigt=False), dtype=float).reshape(3, 3)
    except Exception as error:
        raise PhononError(f"the potential gives no stress at {doing}: {one_line(error)}") from error
    if not np.isfinite(stress).all():
        raise PhononError(f"the potential gave a stress that is not finite at {doing}")
    return stress
