"""Relaxation of all atoms and the whole cell, and the symmetry that comes out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal import NUMBERS, Crystal, Site, crystal_from_arrays
from crystalsmith.errors import StructureError
from crystalsmith.relaxation.result import Relaxation
from crystalsmith.relaxation.symmetric import relax_symmetric
from crystalsmith.symmetry import lattice_to_cell

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

KICK = 0.02
"""Angstrom: root mean square by which atoms are pushed off a possible saddle, in each direction."""

STRAIN_KICK = 0.002
"""Root mean square of the components of the strain that goes with it."""

TOLERANCES = (0.01, 0.05, 0.1)
"""Angstrom at which the symmetry of the result is looked for; a larger one is believed only where it finds
the group of the start again, or one as high."""


def relax_free(
    crystal: Crystal,
    calculator: Calculator,
    *,
    max_calls: int = 120,
    seed: int = 0,
    kick: float = KICK,
    **limits: Any,
) -> Relaxation:
    """Relax without symmetry: the crystal may fall into any other of the same composition.

    It is pushed a little off where it stands, because symmetry holds a crystal on a saddle. The search is
    that of ``relax_symmetric``, in space group 1.

    Args:
        crystal: where to start.
        calculator: ASE calculator with energy, forces and stress.
        max_calls: evaluations of the potential at most.
        seed: of the push.
        kick: its size in Angstrom; 0 for none.
        **limits: as for ``relax_symmetric``.

    Returns:
        The relaxation; its crystal is in the space group that was found, with at most the atoms of the start
        in its primitive cell. The energies are of the crystals before their symmetry was made exact.
    """
    start = pushed(without_symmetry(crystal), seed, kick) if kick else without_symmetry(crystal)
    done = relax_symmetric(start, calculator, max_calls=max_calls, **limits)
    return replace(done, crystal=_symmetrised(done.crystal, crystal))


def without_symmetry(crystal: Crystal) -> Crystal:
    """The primitive cell in space group 1, every atom a site of its own."""
    symbols, fractional = crystal.positions(primitive=True)
    return _in_p1(symbols, fractional, crystal.primitive_lattice)


def pushed(crystal: Crystal, seed: int, kick: float) -> Crystal:
    """A crystal of space group 1 with its atoms and its cell shaken."""
    rng = np.random.default_rng(seed)
    symbols, fractional = crystal.positions(primitive=True)
    moves = rng.normal(scale=kick, size=fractional.shape) @ np.linalg.inv(crystal.lattice)
    strain = rng.normal(scale=STRAIN_KICK * kick / KICK, size=(3, 3))
    return _in_p1(symbols, fractional + moves, crystal.lattice @ (np.eye(3) + (strain + strain.T) / 2))


def _in_p1(symbols: list[str], fractional: np.ndarray, lattice: np.ndarray) -> Crystal:
    if (
        np.linalg.det(lattice) < 0
    ):  # cell parameters know nothing of handedness; the same points, inverted twice
        lattice, fractional = -lattice, -fractional
    sites = tuple(Site(s, "a", tuple(x)) for s, x in zip(symbols, fractional.tolist(), strict=True))
    return Crystal(1, tuple(lattice_to_cell(lattice).tolist()), sites)


def _symmetrised(relaxed: Crystal, start: Crystal) -> Crystal:
    """The relaxed crystal in its own space group."""
    symbols, fractional = relaxed.positions(primitive=True)
    numbers = np.array([NUMBERS[s] for s in symbols])
    own = len(start.group.rotations)
    found: Crystal | None = None
    for tolerance in TOLERANCES:
        try:
            crystal = crystal_from_arrays(relaxed.primitive_lattice, fractional, numbers, tolerance)
        except StructureError:
            continue
        # A search that was ended early leaves noise; more symmetry than before is no noise of that kind.
        if found is None or (
            crystal.space_group == start.space_group and found.space_group != start.space_group
        ):
            found = crystal
        if len(found.group.rotations) >= own:
            break
    return relaxed if found is None else found
