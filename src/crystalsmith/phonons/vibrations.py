"""Phonons of one crystal: forces of displaced atoms, force constants, frequencies, and a verdict."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal import NUMBERS, Crystal
from crystalsmith.errors import PhononError
from crystalsmith.phonons.bandpath import band_path
from crystalsmith.phonons.budget import Budget, check_installed
from crystalsmith.phonons.result import Phonons
from crystalsmith.phonons.settings import PhononSettings
from crystalsmith.phonons.stability import judge
from crystalsmith.phonons.supercell import Supercell, choose_supercell
from crystalsmith.potentials import Relaxation, RelaxSettings, relax_symmetric

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

TIGHT = RelaxSettings(only="symmetric", fmax=0.005, smax=0.0005, max_calls=200)
"""Where ``relax_tightly`` ends: 0.0005 eV/Angstrom^3 are 0.08 GPa."""
LOOSE = 0.05
"""eV/Angstrom: larger forces that remain on the atoms are refused."""
MESH = 40.0
"""Angstrom: the interpolated mesh has this length over the length of the lattice vector as its divisions."""


def relax_tightly(crystal: Crystal, calculator: Calculator, seconds: float | None = None) -> Relaxation:
    """Relax a crystal as far as phonons need, its space group kept.

    Raises:
        PhononError: what remains of the forces is too large for phonons.
    """
    relaxed = relax_symmetric(crystal, calculator, replace(TIGHT, seconds=seconds))
    # Noise of a potential in single precision may stop the search just before its end, which does no harm.
    near = relaxed.fmax < 4 * TIGHT.fmax and relaxed.stress < 4 * TIGHT.smax
    if not relaxed.sound:
        raise PhononError(f"the relaxation did not end: {relaxed.reason}")
    if not (relaxed.converged or near):
        raise PhononError(
            f"the relaxation did not end ({relaxed.reason}, force {relaxed.fmax:.2g} eV/A, stress"
            f" {relaxed.stress:.2g} eV/A^3); relax the crystal first or try another potential"
        )
    return relaxed


def compute_phonons(
    crystal: Crystal,
    calculator: Calculator,
    settings: PhononSettings | None = None,
    *,
    budget: Budget | None = None,
) -> Phonons:
    """Harmonic phonons by symmetric displacements of a supercell (phonopy), and whether all are real.

    Args:
        crystal: relaxed, as ``relax_tightly`` leaves it.
        calculator: ASE calculator with forces.
        settings: the defaults if not given; whether to relax and the like is no matter here.
        budget: time limit and counter of calls, shared with other computations; no limit if None.

    Raises:
        PhononError: phonopy or seekpath is not installed, the potential fails, the time is over, the crystal
            is not relaxed, or its primitive cell is over the cap.
    """
    check_installed()
    settings, budget = settings or PhononSettings(), budget or Budget()
    began, calls = budget.spent, budget.calls
    chosen = choose_supercell(crystal, settings.length, settings.max_atoms)
    phonon = _phonopy(crystal, chosen)
    phonon.generate_displacements(distance=settings.displacement)
    displaced = [_atoms(cell) for cell in phonon.supercells_with_displacements]
    rest = budget.forces(_atoms(phonon.supercell), calculator, "the undisplaced supercell")
    residual = float(np.linalg.norm(rest, axis=1).max())
    if residual > LOOSE:
        raise PhononError(
            f"the crystal is not relaxed: a force of {residual:.2g} eV/A remains; leave --no-relax out"
        )
    total = len(displaced)
    # What the atoms feel undisplaced is no answer to the displacement.
    phonon.forces = [
        budget.forces(atoms, calculator, f"displacement {k} of {total}") - rest
        for k, atoms in enumerate(displaced, start=1)
    ]
    phonon.produce_force_constants(show_drift=False)
    # symfc raises the recursion limit when it is loaded, so far that nested input could fill the stack.
    recursion = sys.getrecursionlimit()
    # Onto what translations, permutations and the space group allow: the acoustic branches then vanish at
    # Gamma whatever the noise of the forces.
    phonon.symmetrize_force_constants(show_drift=False, use_symfc_projector=True)
    sys.setrecursionlimit(recursion)

    path = band_path(crystal)
    bands = _frequencies(phonon, path.q)
    phonon.run_mesh(MESH, is_gamma_center=True)
    between_q = np.concatenate([path.q, phonon.mesh.qpoints])
    between = np.concatenate([bands, phonon.mesh.frequencies])
    top, bottom = float(between.max()), float(min(between.min(), 0.0))
    margin = 0.03 * (top - bottom)
    phonon.run_total_dos(
        freq_min=bottom - margin, freq_max=top + margin, freq_pitch=(top - bottom + 2 * margin) / 300
    )
    exact = _commensurate(phonon)
    stability = judge(
        crystal, path, exact, _frequencies(phonon, exact), between_q, between, settings.tolerance
    )
    return Phonons(
        crystal=crystal,
        supercell=chosen,
        displacement=settings.displacement,
        tolerance=settings.tolerance,
        stability=stability,
        path=path,
        bands=bands.round(6),
        dos_frequency=np.array(phonon.total_dos.frequency_points, dtype=float).round(6),
        dos=np.array(phonon.total_dos.dos, dtype=float).round(6),
        residual=residual,
        calls=budget.calls - calls,
        seconds=budget.spent - began,
        phonopy=phonon,
    )


def _phonopy(crystal: Crystal, chosen: Supercell) -> Any:
    from ase.data import atomic_masses
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    symbols, fractional = crystal.positions()
    numbers = [NUMBERS[s] for s in symbols]
    # Phonopy's own table has no masses of elements without stable isotopes, and old names of the last ones.
    cell = PhonopyAtoms(
        numbers=numbers,
        masses=atomic_masses[numbers],
        cell=crystal.primitive_lattice,
        scaled_positions=fractional,
    )
    # Phonopy's matrices act on column vectors.
    return Phonopy(cell, np.array(chosen.matrix).T, primitive_matrix="P", log_level=0)


def _atoms(cell: Any) -> Atoms:
    from ase import Atoms

    return Atoms(numbers=cell.numbers, cell=cell.cell, scaled_positions=cell.scaled_positions, pbc=True)


def _frequencies(phonon: Any, q: np.ndarray) -> np.ndarray:
    """(k, 3n) THz, ascending, imaginary ones negative."""
    phonon.run_qpoints(q)
    return np.array(phonon.qpoints.frequencies, dtype=float)


def _commensurate(phonon: Any) -> np.ndarray:
    """(m, 3) q points of waves that fit into the supercell, as many as it has primitive cells."""
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    points = np.asarray(get_commensurate_points(phonon.supercell_matrix), dtype=float)
    return points - np.rint(points - 1e-9)
