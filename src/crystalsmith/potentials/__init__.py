"""Interatomic potentials: energies, relaxations under symmetry and free of it, of one crystal or many."""

from crystalsmith.potentials.calculators import check_potential, load_calculator
from crystalsmith.potentials.disagreement import disagreement
from crystalsmith.potentials.energies import Energy, single_points
from crystalsmith.potentials.many import energies_of_many, relax_many
from crystalsmith.potentials.outcome import Outcome, relax_crystal
from crystalsmith.potentials.relaxation import Relaxation, relax_free, relax_symmetric
from crystalsmith.potentials.settings import RelaxSettings, Resources

__all__ = [
    "Energy",
    "Outcome",
    "RelaxSettings",
    "Relaxation",
    "Resources",
    "check_potential",
    "disagreement",
    "energies_of_many",
    "load_calculator",
    "relax_crystal",
    "relax_free",
    "relax_many",
    "relax_symmetric",
    "single_points",
]
