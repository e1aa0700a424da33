"""What crystals do with a composition: a learned prior over cells, space groups and Wyckoff assignments."""

from crystalsmith.prior.compositions import Compositions
from crystalsmith.prior.known import Known, KnownCrystals, known_assignments
from crystalsmith.prior.likely import (
    draw_choice,
    draw_letters,
    likely_choices,
    likely_letters,
)
from crystalsmith.prior.prior import AssignmentPrior
from crystalsmith.prior.prototypes import Prototypes

__all__ = [
    "AssignmentPrior",
    "Compositions",
    "Known",
    "KnownCrystals",
    "Prototypes",
    "draw_choice",
    "draw_letters",
    "known_assignments",
    "likely_choices",
    "likely_letters",
]
