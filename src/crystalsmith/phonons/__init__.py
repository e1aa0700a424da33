"""Vibrations and elasticity of single crystals with an interatomic potential: is it a minimum, how stiff?"""

from typing import TYPE_CHECKING

from crystalsmith.runs.lazy import lazily

if TYPE_CHECKING:
    from crystalsmith.phonons.budget import Budget, check_installed
    from crystalsmith.phonons.elastic import Elasticity, compute_elasticity
    from crystalsmith.phonons.pictures import draw_phonons
    from crystalsmith.phonons.result import Phonons
    from crystalsmith.phonons.run import PhononRun, phonons_into, study_many
    from crystalsmith.phonons.settings import PhononSettings
    from crystalsmith.phonons.study import Study, study_crystal
    from crystalsmith.phonons.supercell import Supercell, choose_supercell
    from crystalsmith.phonons.vibrations import compute_phonons, relax_tightly

__all__ = [
    "Budget",
    "Elasticity",
    "PhononRun",
    "PhononSettings",
    "Phonons",
    "Study",
    "Supercell",
    "check_installed",
    "choose_supercell",
    "compute_elasticity",
    "compute_phonons",
    "draw_phonons",
    "phonons_into",
    "relax_tightly",
    "study_crystal",
    "study_many",
]

# Loaded on first use: matplotlib takes seconds, and the command line has to answer --help at once.
_HOMES = {
    "budget": ("Budget", "check_installed"),
    "elastic": ("Elasticity", "compute_elasticity"),
    "pictures": ("draw_phonons",),
    "result": ("Phonons",),
    "run": ("PhononRun", "phonons_into", "study_many"),
    "settings": ("PhononSettings",),
    "study": ("Study", "study_crystal"),
    "supercell": ("Supercell", "choose_supercell"),
    "vibrations": ("compute_phonons", "relax_tightly"),
}

__getattr__ = lazily(__name__, _HOMES)
