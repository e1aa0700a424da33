"""The softest way out of a crystal, looked for with few calls of the potential."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.relaxation.search import Limits, Search, Stopped

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

    from crystalsmith.relaxation.variables import SymmetricVariables

# Size of the differences: Angstrom of the atom that goes farthest, or norm of the strain.
_SHIFT, _STRAIN = 0.02, 0.004
# What is new in a difference must be more than this part of it; the rest comes of its finite size and of
# rounding, and would lead the search on differently from run to run.
_NOISE = 1e-2
# So far below zero (typical curvatures are one) there is no need to look on.
_SADDLE = -0.1


@dataclass(frozen=True, eq=False)
class Mode:
    """A direction in the variables of a crystal.

    Attributes:
        curvature: along it; one is that of a typical crystal, and below zero the crystal stands on a saddle.
            NaN where the search was cut short: the potential failed, or time ran out.
        step: (p + s,) of unit size, as ``size`` measures it.
        calls: evaluations of the potential that it took.
        energy: of the crystal itself, eV per atom; NaN if not even that could be had.
        fmax: largest force on an atom of it, eV/Angstrom; likewise.
        stress: largest component of its stress, eV/Angstrom^3; likewise.
    """

    curvature: float
    step: np.ndarray
    calls: int
    energy: float
    fmax: float
    stress: float


def size(variables: SymmetricVariables, step: np.ndarray) -> float:
    """How far a step goes, in units of the differences taken here: 0.02 Angstrom, 0.004 of strain."""
    strain = float(np.linalg.norm(step[variables.n_free :]))
    return max(float(variables.shifts(step).max()) / _SHIFT, strain / _STRAIN)


def softest_mode(
    crystal: Crystal, calculator: Calculator, *, probes: int, seed: int, max_seconds: float | None = None
) -> Mode:
    """Lanczos from a random direction, on differences of forces and stress.

    Args:
        crystal: in space group 1; translations of all atoms are left out.
        calculator: ASE calculator with energy, forces and stress.
        probes: differences at most; one call more is made at the crystal itself.
        seed: of the first direction.
        max_seconds: time.

    Returns:
        The softest direction found; its curvature is an upper bound of the softest there is.
    """
    never = math.inf
    limits = Limits(probes + 1, 0.0, 0.0, never, never, never, max_seconds)
    search = Search(crystal, calculator, limits)
    variables, scale = search.variables, search.scale()
    shift = np.linalg.inv(crystal.lattice)  # rows: fractional steps of all atoms by an Angstrom
    rigid = np.zeros((len(scale), 3))
    rigid[: variables.n_free] = np.tile(shift, crystal.n_atoms).T
    rigid = np.linalg.qr(np.linalg.solve(scale, rigid))[0]

    def inside(z: np.ndarray, basis: list[np.ndarray]) -> np.ndarray:
        for _ in range(2):  # twice is enough to make rounding harmless
            z = z - rigid @ (rigid.T @ z)
            for other in basis:
                z = z - other * (other @ z)
        return z

    basis: list[np.ndarray] = []
    images: list[np.ndarray] = []
    z = inside(np.random.default_rng(seed).normal(size=len(scale)), basis)
    curvature, mode, largest = math.inf, z, 1.0
    try:
        middle = scale.T @ search.evaluate(variables.start).gradient
        while len(basis) < probes and np.linalg.norm(z) > _NOISE * largest:
            z = z / np.linalg.norm(z)
            step = scale @ z
            length = size(variables, step)
            slope = scale.T @ search.evaluate(variables.start + step / length).gradient
            basis.append(z)
            images.append((slope - middle) * length)
            largest = max(largest, float(np.linalg.norm(images[-1])))
            z = inside(images[-1], basis)
            projected = np.array(basis) @ np.array(images).T
            values, vectors = np.linalg.eigh((projected + projected.T) / 2)
            curvature, mode = float(values[0]), vectors[:, 0] @ np.array(basis)
            if curvature < _SADDLE:
                break
    except Stopped:
        curvature, mode = math.nan, np.zeros(len(scale))
    step = scale @ mode
    length = size(variables, step) or 1.0
    first = search.first
    energy = first.energy / crystal.n_atoms
    return Mode(curvature, step / length, search.calls, energy, first.fmax, first.stress)
