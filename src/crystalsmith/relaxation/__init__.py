"""Relaxation of crystals with an interatomic potential, in the variables that their symmetry leaves free."""

from crystalsmith.relaxation.calculators import check_potential, load_calculator
from crystalsmith.relaxation.energies import Energy, single_points
from crystalsmith.relaxation.free import relax_free
from crystalsmith.relaxation.symmetric import Relaxation, relax_symmetric

__all__ = [
    "Energy",
    "Relaxation",
    "check_potential",
    "load_calculator",
    "relax_free",
    "relax_symmetric",
    "single_points",
]
