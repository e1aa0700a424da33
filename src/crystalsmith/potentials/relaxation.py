"""Relaxation of one crystal: in the variables that its symmetry leaves free, or of all atoms and the cell."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal import Crystal, Site, crystal_from_arrays
from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.crystal.validity import SOUND, fault
from crystalsmith.errors import StructureError
from crystalsmith.potentials.search import COLLAPSE, Point, Search
from crystalsmith.potentials.settings import RelaxSettings
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


@dataclass(frozen=True)
class Relaxation:
    """What came of a relaxation.

    Attributes:
        crystal: the converged crystal, or else the one of lowest energy that was met. A symmetric relaxation
            keeps space group, elements and letters of the start; a free one gives the crystal in the
            standard setting of the group that it has in the end.
        energy: its energy, eV per atom; NaN if not even the start has one.
        calls: evaluations of the potential.
        converged: the criteria hold for ``crystal``.
        reason: why it ended: ``converged``, ``out of calls``, ``too close``, ``not finite``, ``collapsed``,
            ``left the bounds``, ``out of time``, ``stalled`` (the energy does not follow the forces),
            ``the potential failed: ...`` or ``the potential does not know ...``; or what made wreckage of a
            crystal that was none (``crystal.validity``).
        energy_start: of the crystal given, eV per atom.
        fmax: largest force on an atom of ``crystal`` that symmetry allows, eV/Angstrom.
        stress: largest component of the stress of ``crystal`` that symmetry allows, eV/Angstrom^3.
    """

    crystal: Crystal
    energy: float
    calls: int
    converged: bool
    reason: str
    energy_start: float
    fmax: float
    stress: float

    @property
    def sound(self) -> bool:
        """Whether it counts: the crystal has an energy and did not fly apart or fall into a hole.

        This is the one definition; nothing that uses a relaxed crystal or energy may have another.
        """
        return self.reason in SOUND and math.isfinite(self.energy)


def relax_symmetric(
    crystal: Crystal, calculator: Calculator, settings: RelaxSettings | None = None
) -> Relaxation:
    """Relax free parameters and cell of a crystal; its space group and Wyckoff letters are kept exactly.

    Never raises for what the potential does: errors, numbers that are not finite and holes of the potential
    end the relaxation with a reason, and the best crystal before that is returned.

    Args:
        crystal: where to start.
        calculator: ASE calculator with energy, forces and stress.
        settings: limits; of forces and stress only what symmetry allows counts.
    """
    search = Search(crystal, calculator, settings or RelaxSettings())
    reason = search.run()
    return _result(crystal, search, search.best, reason)


def relax_free(
    crystal: Crystal, calculator: Calculator, settings: RelaxSettings | None = None, *, seed: int = 0
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
        settings: limits. Near the start the criteria are five times as strict, so that a saddle is not taken
            for a minimum.
        seed: of the kick.
    """
    settings = settings or RelaxSettings()
    # One call is left for the crystal made symmetric.
    limits = replace(settings, max_calls=max(1, settings.max_calls - 1))
    search = Search(without_symmetry(crystal), calculator, limits)
    reason = search.run(_kick(search, np.random.default_rng(seed)))
    first, best, n = search.first, search.best, crystal.n_atoms
    if reason in ("stalled", "out of calls", "out of time") and search.meets(best):
        reason = "converged"  # not as strictly as beside a saddle, but as asked for
    if search.meets(first):
        # Nothing is won unless the energy fell: the start is a stationary point too.
        back = not best.energy < first.energy - SAME_ENERGY * n
    else:
        back = reason != "converged" and not best.energy < first.energy
    result = _result(crystal, search, first if back else best, reason)
    return result if back or best is first else _with_symmetry(result, calculator, settings, search.seconds)


def _result(crystal: Crystal, search: Search, best: Point, reason: str) -> Relaxation:
    """What a search came to; one that made wreckage of a crystal says so."""
    n = crystal.n_atoms
    ended = crystal if best is search.first else search.variables.to_crystal(best.x)
    wreck = fault(ended) if reason in SOUND and ended is not crystal else None
    if wreck is not None and wreck != fault(crystal):
        reason = wreck
    return Relaxation(
        crystal=ended,
        energy=best.energy / n,
        calls=search.calls,
        converged=reason == "converged",
        reason=reason,
        energy_start=search.first.energy / n,
        fmax=best.fmax,
        stress=best.stress,
    )


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


def _with_symmetry(
    free: Relaxation, calculator: Calculator, settings: RelaxSettings, spent: float
) -> Relaxation:
    """The result in the highest group that costs no energy.

    Args:
        free: result in space group 1.
        calculator, settings: of the relaxation.
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
        left = None if settings.seconds is None else began + settings.seconds - time.perf_counter()
        if calls >= settings.max_calls or (left is not None and left <= 0):
            break
        most = min(most, settings.max_calls - calls)
        exact = relax_symmetric(found, calculator, replace(settings, max_calls=most, seconds=left))
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
