"""Relaxation of crystals with an interatomic potential, in the variables that their symmetry leaves free."""

from crystalsmith.relaxation.calculators import check_potential, load_calculator
from crystalsmith.relaxation.energies import Energy, single_points
from crystalsmith.relaxation.free import relax_free
from crystalsmith.relaxation.result import Relaxation
from crystalsmith.relaxation.stages import Outcome, Settings, relax_crystal
from crystalsmith.relaxation.symmetric import relax_symmetric

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
