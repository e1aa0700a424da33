"""Relaxation of all atoms and the whole cell, and the symmetry that a crystal has after it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal import Crystal, Site, crystal_from_arrays
from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.errors import StructureError
from crystalsmith.potentials.result import Limits, Relaxation
from crystalsmith.potentials.search import COLLAPSE, Search
from crystalsmith.potentials.symmetric import relax_symmetric
from crystalsmith.symmetry import lattice_to_cell

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

KICK_SHIFT = 0.02
"""Length (Angstrom) of the random displacement of each atom that a free relaxation begins with."""
KICK_STRAIN = 0.01
"""Standard deviation of the random strains beside it."""
TOLERANCES = (0.3, 0.1, 0.03, 0.01)
"""Angstrom within which the symmetry of the result is looked for, in turn."""
SYMMETRIC_CALLS = 15
"""Calls at most that it takes to see what a symmetry costs."""
SAME_ENERGY = 1e-3
"""A symmetry is believed if the crystal made exactly symmetric is at most this much (eV per atom) higher."""


def relax_free(
    crystal: Crystal,
    calculator: Calculator,
    *,
    max_calls: int = 200,
    fmax: float = 0.05,
    smax: float = 0.005,
    max_strain: float = 0.4,
    max_shift: float = 2.0,
    max_volume_change: float | None = None,
    max_seconds: float | None = None,
    seed: int = 0,
) -> Relaxation:
    """Relax all atoms and the whole cell of a crystal, whatever becomes of its symmetry.

    The crystal is kicked a little first, since no force of a symmetric crystal breaks its symmetry. What it
    has become is described in the highest space group that costs no energy: made exactly symmetric and
    relaxed so, it must not lie more than ``SAME_ENERGY`` above the free result. A crystal that falls back to
    where it began is returned as it was.

    Never raises for what the potential does, as ``relax_symmetric``.

    Args:
        crystal: where to start.
        calculator: ASE calculator with energy, forces and stress.
        max_calls, fmax, smax, max_strain, max_shift, max_volume_change, max_seconds: as in ``Limits``. Near
            the start the criteria are five times as strict, so that a saddle is not taken for a minimum.
        seed: of the kick.

    Raises:
        RelaxationError: a limit that is not positive.
    """
    limits = Limits(max_calls, fmax, smax, max_strain, max_shift, max_volume_change, max_seconds)
    n = crystal.n_atoms
    # One call is left for the crystal made symmetric.
    search = Search(without_symmetry(crystal), calculator, replace(limits, max_calls=max(1, max_calls - 1)))
    reason = search.run(_kick(search, np.random.default_rng(seed)))
    first, best = search.first, search.best
    if reason in ("stalled", "out of calls", "out of time") and search.meets(best):
        reason = "converged"  # not as strictly as beside a saddle, but as asked for
    if search.meets(first):
        # Nothing is won unless the energy fell: the start is a stationary point too.
        back = not best.energy < first.energy - SAME_ENERGY * n
    else:
        back = reason != "converged" and not best.energy < first.energy
    if back:
        best = first
    result = Relaxation(
        crystal=crystal if best is first else search.variables.to_crystal(best.x),
        energy=best.energy / n,
        calls=search.calls,
        converged=reason == "converged",
        reason=reason,
        energy_start=first.energy / n,
        fmax=best.fmax,
        stress=best.stress,
    )
    return result if best is first else _with_symmetry(result, calculator, limits, search.seconds)


def without_symmetry(crystal: Crystal) -> Crystal:
    """The primitive cell as a crystal of space group 1, atoms orbit by orbit."""
    symbols, fractional = crystal.positions(primitive=True)
    lattice = crystal.primitive_lattice
    if np.linalg.det(lattice) < 0:  # cell parameters know no handedness: the same points, inverted twice
        lattice, fractional = -lattice, -fractional
    cell = lattice_to_cell(lattice)
    sites = tuple(Site(s, "a", tuple(x)) for s, x in zip(symbols, fractional.tolist(), strict=True))
    return Crystal(1, tuple(cell.tolist()), sites)


def _kick(search: Search, rng: np.random.Generator) -> np.ndarray:
    """(3 n + 6,) a random direction for each atom, all of the same length, and random strains."""
    variables = search.variables
    moves = rng.normal(size=(variables.n_free // 3, 3))
    moves *= KICK_SHIFT / np.linalg.norm(moves, axis=1, keepdims=True)
    strains = rng.normal(scale=KICK_STRAIN, size=len(variables.strains))
    return np.concatenate([(moves @ np.linalg.inv(variables.crystal.lattice)).ravel(), strains])


def _with_symmetry(free: Relaxation, calculator: Calculator, limits: Limits, spent: float) -> Relaxation:
    """The result in the highest group that costs no energy.

    Args:
        free: result in space group 1.
        calculator, limits: of the relaxation.
        spent: seconds so far.

    Returns:
        The same, or the symmetric crystal with the calls of both.
    """
    began, calls, seen = time.perf_counter() - spent, free.calls, {1}
    # One that is not converged is not led any further, only looked at.
    tolerances, most = (TOLERANCES, SYMMETRIC_CALLS) if free.converged else (TOLERANCES[-1:], 1)
    for tolerance in tolerances:
        found = _symmetric(free.crystal, tolerance)
        if found is None or found.space_group in seen:
            continue
        seen.add(found.space_group)
        left = None if limits.max_seconds is None else began + limits.max_seconds - time.perf_counter()
        if calls >= limits.max_calls or (left is not None and left <= 0):
            break
        most = min(most, limits.max_calls - calls)
        exact = relax_symmetric(found, calculator, **vars(replace(limits, max_calls=most, max_seconds=left)))
        calls += exact.calls
        same = free.energy - COLLAPSE < exact.energy <= free.energy + SAME_ENERGY
        if same and (exact.converged or not free.converged):
            reason = "converged" if exact.converged else free.reason
            return replace(exact, calls=calls, reason=reason, energy_start=free.energy_start)
    return replace(free, calls=calls)


def _symmetric(crystal: Crystal, tolerance: float) -> Crystal | None:
    """The crystal in the group that is found at a tolerance (Angstrom), None where it cannot be described."""
    symbols, fractional = crystal.positions(primitive=True)
    numbers = np.array([NUMBERS[s] for s in symbols])
    try:
        return crystal_from_arrays(crystal.primitive_lattice, fractional, numbers, tolerance)
    except StructureError:
        return None
