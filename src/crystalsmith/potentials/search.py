"""L-BFGS in free parameters and strains with few calls of the potential, for both relaxations."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.distance import shortest_distance
from crystalsmith.potentials.calculators import one_line, unknown_to
from crystalsmith.potentials.settings import RelaxSettings
from crystalsmith.potentials.variables import SymmetricVariables

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

# Typical curvatures, in which L-BFGS starts: of an atom in its cage (eV/Angstrom^2) and of a unit of strain
# (eV/Angstrom^3). They only cost calls where a crystal is softer or harder.
ATOM_STIFFNESS = 10.0
STRAIN_STIFFNESS = 2.0
# A step of more than twice these is not tried but shortened to them: Angstrom of an atom, norm of the strain.
LONG_SHIFT = 0.25
LONG_STRAIN = 0.08
# Atoms closer than this (Angstrom) are a hole of the potential, and so is an energy that falls by this much
# (eV per atom) more than its slopes promised: on the repulsive wall, which is convex, it falls by less.
TOO_CLOSE = 0.5
COLLAPSE = 5.0
# A kicked crystal cannot have left its saddle before its energy has fallen by so much (eV per atom); until
# then it is converged below this part of the criteria.
ESCAPED = 1e-3
BESIDE_SADDLE = 0.2


class Stopped(Exception):
    """Carries the reason out of the minimiser."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Point:
    """One evaluated crystal: variables (p + s,), energy (eV), dE/dx, and how far from convergence."""

    x: np.ndarray
    energy: float
    gradient: np.ndarray
    fmax: float
    stress: float


class Search:
    """One relaxation under way.

    Attributes:
        first: the start; its numbers are NaN until it has been evaluated.
        best: the point of lowest energy, or the converged one.
        here: where the line search under way begins. A search may end at a point that is good enough, and a
            little above the best one.
        calls: evaluations so far.
    """

    def __init__(self, crystal: Crystal, calculator: Calculator, limits: RelaxSettings) -> None:
        self.variables = SymmetricVariables(crystal)
        self.calculator = calculator
        self.limits = limits
        self.calls = 0
        self._began = time.perf_counter()
        self._kicked = False
        self._trough, self._peak = math.inf, 0.0  # of forces or stress over their criteria, the larger
        self._promised = 0.0  # eV by which the slopes of the points that were best so far let the energy fall
        start = self.variables.start
        unknown = np.full(len(start), math.nan)
        self.first = self.best = Point(start, math.nan, unknown, math.nan, math.nan)
        self.here = self._latest = self.first

    def run(self, kick: np.ndarray | None = None) -> str:
        """Minimise until there is a reason to stop.

        Args:
            kick: (p + s,) from the start, which is evaluated all the same, to where to begin.

        Returns:
            The reason, as in ``Relaxation``.
        """
        try:
            self._minimise(kick)
        except Stopped as stop:
            return stop.reason

    @property
    def seconds(self) -> float:
        """Since the search was made."""
        return time.perf_counter() - self._began

    def meets(self, point: Point, factor: float = 1.0) -> bool:
        """Whether a point is converged, or would be if the criteria were so many times what they are."""
        return point.fmax < factor * self.limits.fmax and point.stress < factor * self.limits.smax

    def _minimise(self, kick: np.ndarray | None) -> NoReturn:
        from scipy.optimize import minimize

        if unknown := unknown_to(self.calculator, self.variables.crystal.counts):
            raise Stopped(unknown)
        if self._too_close(self.variables.start):
            raise Stopped("too close")
        if kick is None:
            self.evaluate(self.variables.start)
        else:
            self._kicked = True
            self.evaluate(self.variables.start)
            if self._too_close(self.variables.start + kick):
                raise Stopped("too close")
            self.best = self.evaluate(self.variables.start + kick)
        scale = self._scale()
        # Without bounds L-BFGS-B would make its first step of length one, whatever the gradient; with them it
        # trusts the scale. These are never reached: ``_look`` ends the relaxation long before.
        bounds = [(-1e6, 1e6)] * len(scale)
        while True:
            begin = self.here = self.best
            known: Point | None = begin

            def energy(z: np.ndarray, begin: Point = begin) -> tuple[float, np.ndarray]:
                nonlocal known
                point, known = known, None  # the minimiser begins with the point we have
                value, gradient = (
                    (point.energy, point.gradient) if point is not None else self._look(begin.x + scale @ z)
                )
                return value, scale.T @ gradient

            def accepted(z: np.ndarray) -> None:
                self.here = self._latest

            minimize(
                energy,
                np.zeros(len(scale)),
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                callback=accepted,
                options={"ftol": 0.0, "gtol": 0.0, "maxcor": 20, "maxiter": 10**6, "maxfun": 10**6},
            )
            # It gave up a line search; a fresh start along the gradient may still get on.
            if not self.best.energy < begin.energy:
                raise Stopped("stalled")

    def evaluate(self, x: np.ndarray) -> Point:
        """Ask the potential.

        Raises:
            Stopped: if it fails, no call or time is left, or x meets the criteria.
        """
        variables = self.variables
        if self.calls >= self.limits.max_calls:
            raise Stopped("out of calls")
        if self.limits.seconds is not None and self.seconds > self.limits.seconds:
            raise Stopped("out of time")
        self.calls += 1
        atoms = variables.to_atoms(x)
        try:
            atoms.calc = self.calculator
            energy = float(atoms.get_potential_energy())
            forces = np.array(atoms.get_forces(), dtype=float).reshape(len(atoms), 3)
            stress = np.array(atoms.get_stress(voigt=False), dtype=float).reshape(3, 3)
        except Exception as error:
            raise Stopped(f"the potential failed: {one_line(error)}") from error
        if not (math.isfinite(energy) and np.isfinite(forces).all() and np.isfinite(stress).all()):
            raise Stopped("not finite")
        promised = self._promised
        if self.calls > 1:
            promised += max(0.0, -float(self.best.gradient @ (x - self.best.x)))
        lowest = self.first.energy - promised - COLLAPSE * len(atoms)
        if self.limits.max_drop is not None:
            lowest = max(lowest, self.first.energy - self.limits.max_drop * len(atoms))
        if energy < lowest:  # never of the first call, whose bounds are NaN
            raise Stopped("collapsed")
        gradient = variables.gradient(x, forces, stress)
        largest = float(variables.forces(x, gradient).max())
        point = Point(x, energy, gradient, largest, float(abs(variables.stress(stress)).max()))
        self._latest = point
        if self.calls == 1:
            self.first = self.best = point
        if self._converged(point):
            self.best = point
            raise Stopped("converged")
        if point.energy < self.best.energy:
            self.best, self._promised = point, promised
        return point

    def _look(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        """Energy and gradient at x for the minimiser, made up where x is a long way off.

        For a trial too far from where its line search begins, or with atoms too close, a parabola along the
        line is returned whose minimum lies at the part of the step that is wanted, so that the search comes
        back to it; the trial lies above the beginning, so it is never taken. That saves calls where they are
        worth least and most dear: squeezed cells have many neighbours.

        Raises:
            Stopped: as ``evaluate``, or if even a short step brings atoms too close or leaves the bounds.
        """
        step = x - self.here.x
        slope = float(self.here.gradient @ step)
        length = max(self._shift(step) / LONG_SHIFT, self._strain(step) / LONG_STRAIN)
        wanted = 1.0
        if length > 2 and slope < 0:
            wanted = 1 / length
        elif self._too_close(x):
            if length < 0.2 or slope >= 0:
                raise Stopped("too close")
            wanted = 0.3
        if wanted < 1:
            return self.here.energy + slope * (1 - 0.5 / wanted), self.here.gradient * (1 - 1 / wanted)
        away = x - self.variables.start
        stretch = float(abs(np.linalg.eigvalsh(self.variables.deformation(x)) - 1).max())
        if self._shift(away) >= self.limits.max_shift or stretch >= self.limits.max_strain:
            raise Stopped("left the bounds")
        if self.limits.max_volume_change is not None:
            growth = abs(math.log(abs(np.linalg.det(self.variables.deformation(x)))))
            if growth > math.log1p(self.limits.max_volume_change):
                raise Stopped("left the bounds")
        point = self.evaluate(x)
        return point.energy, point.gradient

    def _converged(self, point: Point) -> bool:
        """Whether to end here.

        Beside a saddle the way down begins with forces that are small. So after a kick the usual criteria
        hold only for a crystal whose energy has fallen and whose forces have been large since they were
        smallest; any other has to meet stricter ones.
        """
        if not self._kicked:
            return self.meets(point)
        if self.calls == 1:
            return False
        far = max(point.fmax / self.limits.fmax, point.stress / self.limits.smax)
        if far < self._trough:
            self._trough = self._peak = far
        self._peak = max(self._peak, far)
        fallen = self.first.energy - point.energy > ESCAPED * self.variables.crystal.n_atoms
        return self.meets(point, 1.0 if fallen and self._peak > 1 else BESIDE_SADDLE)

    def _too_close(self, x: np.ndarray) -> bool:
        cell = self.variables.cell(x)
        return shortest_distance(cell, self.variables.positions(x) @ np.linalg.inv(cell)) < TOO_CLOSE

    def _shift(self, step: np.ndarray) -> float:
        return float(self.variables.shifts(step).max())

    def _strain(self, step: np.ndarray) -> float:
        return float(np.linalg.norm(step[self.variables.n_free :]))

    def _scale(self) -> np.ndarray:
        """(p + s, p + s) dx/dz: in z, typical curvatures are one.

        Orthonormal in the Cartesian metric of each orbit, so a skew basis or a long axis costs nothing.
        """
        variables = self.variables
        crystal = variables.crystal
        scale = np.zeros((len(variables.start),) * 2)
        for i, position in enumerate(crystal.positions_of_sites):
            moves = position.basis.T @ crystal.lattice
            value, vector = np.linalg.eigh(ATOM_STIFFNESS * position.multiplicity_primitive * moves @ moves.T)
            scale[variables.parameters(i), variables.parameters(i)] = vector / np.sqrt(value)
        volume = abs(np.linalg.det(crystal.primitive_lattice))
        n, s = variables.n_free, len(variables.strains)
        scale[n:, n:] = np.eye(s) / np.sqrt(STRAIN_STIFFNESS * volume)
        return scale
