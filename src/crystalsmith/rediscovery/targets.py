"""Known crystals to be found again, and what is told of each of them."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.errors import EvaluationError
from crystalsmith.evaluation.measures.geometry import LOOSE
from crystalsmith.evaluation.samples import read_samples

SETTINGS = {
    "sites": "space group and number of inequivalent sites of each element",
    "wyckoff": "space group and Wyckoff letters",
    "formula": "formula alone",
    "formula+group": "formula and space group",
}
"""What an order can tell of its target; ``sites`` is the setting of Sultanov et al. 2023, section 5.3."""


@dataclass(frozen=True)
class Target:
    """A crystal to be found again.

    Attributes:
        id: the source's; it names the order.
        crystal: in the standard setting of the space group found at 0.1 Angstrom.
    """

    id: str
    crystal: Crystal

    def order(self, setting: str, count: int, max_atoms: int | None = None) -> dict[str, Any]:
        """A mapping as ``generation.parse_order`` takes it.

        Args:
            setting: one of ``SETTINGS``.
            count: crystals.
            max_atoms: largest primitive cell; what the model was trained on if None.

        Raises:
            EvaluationError: another setting.
        """
        crystal = self.crystal
        group = {"space_group": crystal.space_group}
        size = {} if max_atoms is None else {"max_atoms": max_atoms}
        if setting == "sites":
            told = {**group, **size, "sites": dict(Counter(site.element for site in crystal.sites))}
        elif setting == "wyckoff":
            told = {**group, "wyckoff": [[site.element, site.letter] for site in crystal.sites]}
        elif setting == "formula":
            told = {**size, "formula": crystal.formula}
        elif setting == "formula+group":
            told = {**group, **size, "formula": crystal.formula}
        else:
            raise EvaluationError(f"unknown setting {setting!r}; known are {', '.join(SETTINGS)}")
        return {"id": self.id, **told, "count": count}


def read_targets(path: str | os.PathLike[str]) -> list[Target]:
    """Targets from any source of crystals that ``evaluation.read_samples`` takes.

    Raises:
        DataError: missing, empty, or none of the known kinds.
        EvaluationError: a crystal that cannot be read, has no symmetry that can be described, or an id twice.
    """
    targets: list[Target] = []
    taken: set[str] = set()
    for sample in read_samples(path):
        if sample.arrays is None:
            raise EvaluationError(f"{path}: {sample.id}: {sample.failure}; mend it or leave it out")
        crystal = sample.standard
        if crystal is None:
            raise EvaluationError(
                f"{path}: the symmetry of {sample.id} cannot be described at {LOOSE} A; leave it out"
            )
        if sample.id.lower() in taken:
            raise EvaluationError(f"{path}: two targets have the id {sample.id}; give each its own")
        taken.add(sample.id.lower())
        targets.append(Target(sample.id, crystal))
    return targets
