"""Vibrations and elasticity of single crystals with an interatomic potential: is it a minimum, how stiff?"""

from crystalsmith.phonons.budget import Budget, check_installed
from crystalsmith.phonons.elastic import Elasticity, compute_elasticity
from crystalsmith.phonons.pictures import draw_phonons
from crystalsmith.phonons.result import Phonons
from crystalsmith.phonons.study import Settings, Study, study_crystal
from crystalsmith.phonons.supercell import Supercell, choose_supercell
from crystalsmith.phonons.vibrations import compute_phonons, relax_tightly

__all__ = [
    "Budget",
    "Elasticity",
    "Phonons",
    "Settings",
    "Study",
    "Supercell",
    "check_installed",
    "choose_supercell",
    "compute_elasticity",
    "compute_phonons",
    "draw_phonons",
    "relax_tightly",
    "study_crystal",
]
