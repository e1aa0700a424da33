"""Relaxation of all atoms and the whole cell, and the symmetry that comes out."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal import NUMBERS, Crystal, Site, crystal_from_arrays
from crystalsmith.errors import StructureError
from crystalsmith.relaxation.modes import Mode, softest_mode
from crystalsmith.relaxation.result import Relaxation
from crystalsmith.relaxation.symmetric import relax_symmetric
from crystalsmith.relaxation.variables import SymmetricVariables
from crystalsmith.symmetry import lattice_to_cell

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator

KICK = 0.02
"""Angstrom: root mean square by which atoms are pushed at random, in each direction."""

STRAIN_KICK = 0.002
"""Root mean square of the components of the strain that goes with it."""

PROBES = 10
"""Calls at most in the search for the softest way out; a quarter of all calls where that is less."""

SOFT = 0.15
"""A direction with less than this part of a typical curvature may be a saddle's."""

PUSH = 7.5
"""How far the crystal is pushed along such a direction, in units of ``modes.size``: 0.15 Angstrom or 3 %."""

FLAT = 0.1
"""The criteria are not tightened to less than this part for the sake of a flat saddle."""

TOLERANCES = (0.01, 0.05, 0.1)
"""Angstrom at which the symmetry of the result is looked for; a larger one is believed only where it finds
the group of the start again, or one as high."""


def relax_free(
    crystal: Crystal,
    calculator: Calculator,
    *,
    max_calls: int = 120,
    fmax: float = 0.05,
    smax: float = 0.005,
    seed: int = 0,
    kick: float = KICK,
    max_seconds: float | None = None,
    **limits: Any,
) -> Relaxation:
    """Relax without symmetry: the crystal may fall into any other of the same composition.

    Symmetry holds a crystal on a saddle, where forces vanish. So the softest way out is looked for first, and
    the crystal pushed along it if it is soft; a crystal that meets the criteria and has no soft way out is a
    minimum and stays as it is. Any other is also pushed at random by a little. The search for the minimum is
    that of ``relax_symmetric``, in space group 1.

    Args:
        crystal: where to start.
        calculator: ASE calculator with energy, forces and stress.
        max_calls: evaluations of the potential at most.
        fmax: converged below this force on an atom, eV/Angstrom, ...
        smax: ... and this component of the stress, eV/Angstrom^3.
        seed: of the directions and the push.
        kick: size of the random push in Angstrom; 0 for no push at all, and no search for a way out.
        max_seconds: time; it is looked at between evaluations.
        **limits: as for ``relax_symmetric``.

    Returns:
        The relaxation; its crystal is in the space group that was found, with at most the atoms of the start
        in its primitive cell. The energies are of the crystals before their symmetry was made exact.
    """
    began = time.monotonic()
    unpushed = start = without_symmetry(crystal)
    calls, mode = 0, None
    probes = min(PROBES, max_calls // 4)
    if kick and probes:
        mode = softest_mode(start, calculator, probes=probes, seed=seed, max_seconds=max_seconds)
        calls = mode.calls
        if mode.curvature < SOFT and max_calls > calls + 2:
            kick = 0.0
            here = _lower_side(start, mode, calculator)
            start, calls = here.crystal, calls + here.calls
            # On the slope of a flat saddle the criteria may hold. It gets steeper on the way down, so that
            # less than half of what there is here is met in a minimum only.
            force, stress = here.fmax / fmax, here.stress / smax
            if force > stress:
                fmax *= min(1.0, max(FLAT, force / 2))
            elif stress >= force:
                smax *= min(1.0, max(FLAT, stress / 2))
        elif mode.fmax < fmax and mode.stress < smax:
            kick = 0.0
    if kick:
        start = pushed(start, seed, kick)
    left = None if max_seconds is None else max_seconds - (time.monotonic() - began)
    done = relax_symmetric(
        start, calculator, max_calls=max_calls - calls, fmax=fmax, smax=smax, max_seconds=left, **limits
    )
    calls += done.calls
    if mode is not None and math.isfinite(mode.energy):
        # The push may have been all there was time for, and uphill.
        if not done.converged and not done.energy < mode.energy:
            done = replace(done, crystal=unpushed, energy=mode.energy, fmax=mode.fmax, stress=mode.stress)
        done = replace(done, energy_start=mode.energy)
    found = crystal if done.crystal is unpushed else _symmetrised(done.crystal, crystal)
    return replace(done, crystal=found, calls=calls)


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


def _lower_side(crystal: Crystal, mode: Mode, calculator: Calculator) -> Relaxation:
    """The crystal pushed along a mode, in the sense that has the lower energy; one call for each."""
    variables = SymmetricVariables(crystal)
    sides = [
        relax_symmetric(
            variables.to_crystal(variables.start + way * PUSH * mode.step),
            calculator,
            max_calls=1,
            fmax=0,
            smax=0,
        )
        for way in (1, -1)
    ]
    lower = min(sides, key=lambda side: (not math.isfinite(side.energy), side.energy))
    return replace(lower, calls=sum(side.calls for side in sides))


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
