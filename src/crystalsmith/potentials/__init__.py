"""Relaxation of crystals with an interatomic potential, in the variables that their symmetry leaves free."""

from crystalsmith.potentials.calculators import check_potential, load_calculator
from crystalsmith.potentials.energies import Energy, single_points
from crystalsmith.potentials.free import relax_free
from crystalsmith.potentials.result import Relaxation
from crystalsmith.potentials.stages import Outcome, Settings, relax_crystal
from crystalsmith.potentials.symmetric import relax_symmetric

__all__ = [
    "Energy",
    "Outcome",
    "Relaxation",
    "Settings",
    "check_potential",
    "load_calculator",
    "relax_crystal",
    "relax_free",
    "relax_symmetric",
    "single_points",
]
