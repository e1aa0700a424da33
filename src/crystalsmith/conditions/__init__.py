"""What crystals are to satisfy while they are sampled: conditions of one signature that compose freely."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crystalsmith.runs.lazy import lazily

if TYPE_CHECKING:
    from crystalsmith.conditions.cell import FixedCell, FixedDensity, FixedVolume
    from crystalsmith.conditions.condition import Condition, Held
    from crystalsmith.conditions.distances import Coordination, MinDistance
    from crystalsmith.conditions.energy import Energy
    from crystalsmith.conditions.misfits import GradientMisfit, Misfit
    from crystalsmith.conditions.settings import GivenCell, reduced_cell
    from crystalsmith.conditions.sites import FixedSites
    from crystalsmith.conditions.steering import Spread, Steering, conditions_of, finished, unmet

__all__ = [
    "Condition",
    "Coordination",
    "Energy",
    "FixedCell",
    "FixedDensity",
    "FixedSites",
    "FixedVolume",
    "GivenCell",
    "GradientMisfit",
    "Held",
    "MinDistance",
    "Misfit",
    "Spread",
    "Steering",
    "conditions_of",
    "finished",
    "reduced_cell",
    "unmet",
]

_HOMES = {
    "cell": ("FixedCell", "FixedDensity", "FixedVolume"),
    "condition": ("Condition", "Held"),
    "distances": ("Coordination", "MinDistance"),
    "energy": ("Energy",),
    "misfits": ("GradientMisfit", "Misfit"),
    "settings": ("GivenCell", "reduced_cell"),
    "sites": ("FixedSites",),
    "steering": ("Spread", "Steering", "conditions_of", "finished", "unmet"),
}

__getattr__ = lazily(__name__, _HOMES)
