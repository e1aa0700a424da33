"""What crystals are to satisfy while they are sampled: conditions of one signature that compose freely."""

from crystalsmith.conditions.cell import FixedCell, FixedDensity, FixedVolume
from crystalsmith.conditions.condition import Condition, Held
from crystalsmith.conditions.settings import GivenCell
from crystalsmith.conditions.steering import Spread, Steering, conditions_of, finished, unmet

__all__ = [
    "Condition",
    "FixedCell",
    "FixedDensity",
    "FixedVolume",
    "GivenCell",
    "Held",
    "Spread",
    "Steering",
    "conditions_of",
    "finished",
    "unmet",
]
