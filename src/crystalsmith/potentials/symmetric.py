"""Relaxation in the variables that symmetry leaves free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crystalsmith.crystal import Crystal
from crystalsmith.potentials.result import Limits, Relaxation
from crystalsmith.potentials.search import Search

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


def relax_symmetric(
    crystal: Crystal,
    calculator: Calculator,
    *,
    max_calls: int = 60,
    fmax: float = 0.05,
    smax: float = 0.005,
    max_strain: float = 0.4,
    max_shift: float = 2.0,
    max_volume_change: float | None = None,
    max_seconds: float | None = None,
) -> Relaxation:
    """Relax free parameters and cell of a crystal; its space group and Wyckoff letters are kept exactly.

    Never raises for what the potential does: errors, numbers that are not finite and holes of the potential
    end the relaxation with a reason, and the best crystal before that is returned.

    Args:
        crystal: where to start.
        calculator: ASE calculator with energy, forces and stress.
        max_calls, fmax, smax, max_strain, max_shift, max_volume_change, max_seconds: as in ``Limits``; of
            forces and stress only what symmetry allows counts.

    Raises:
        RelaxationError: a limit that is not positive.
    """
    limits = Limits(max_calls, fmax, smax, max_strain, max_shift, max_volume_change, max_seconds)
    search = Search(crystal, calculator, limits)
    reason = search.run()
    best = search.best
    return Relaxation(
        crystal=crystal if best is search.first else search.variables.to_crystal(best.x),
        energy=best.energy / crystal.n_atoms,
        calls=search.calls,
        converged=reason == "converged",
        reason=reason,
        energy_start=search.first.energy / crystal.n_atoms,
        fmax=best.fmax,
        stress=best.stress,
    )
