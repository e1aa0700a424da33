"""What crystals do with a composition: a learned prior over cells, space groups and Wyckoff assignments."""

from crystalsmith.prior.compositions import Compositions
from crystalsmith.prior.known import Known, KnownCrystals, known_assignments
from crystalsmith.prior.likely import (
    ask_likely_choices,
    ask_likely_letters,
    draw_choice,
    draw_letters,
    likely_choices,
    likely_letters,
)
from crystalsmith.prior.phases import known_recipes, phases_of_formula, phases_of_system, recipe_of, twin_of
from crystalsmith.prior.prior import AssignmentPrior
from crystalsmith.prior.prototypes import Prototypes
from crystalsmith.prior.questions import Talk, each
from crystalsmith.prior.sizes import worth_a_look

__all__ = [
    "AssignmentPrior",
    "Compositions",
    "Known",
    "KnownCrystals",
    "Prototypes",
    "Talk",
    "ask_likely_choices",
    "ask_likely_letters",
    "draw_choice",
    "draw_letters",
    "each",
    "known_assignments",
    "known_recipes",
    "likely_choices",
    "likely_letters",
    "phases_of_formula",
    "phases_of_system",
    "recipe_of",
    "twin_of",
    "worth_a_look",
]
