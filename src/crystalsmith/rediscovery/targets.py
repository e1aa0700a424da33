"""Known crystals to be found again, and what is told of each of them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import warn_first
from crystalsmith.errors import DataError, EvaluationError
from crystalsmith.evaluation.measures.geometry import LOOSE
from crystalsmith.evaluation.samples import read_samples
from crystalsmith.rediscovery.settings import SETTINGS


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


def read_targets(source: Any) -> list[Target]:
    """Targets from any source of crystals; what cannot be read or described is left out with a warning.

    Raises:
        DataError: a source that cannot be read, or not one target in it.
        EvaluationError: two ids that differ in case alone.
    """
    targets: list[Target] = []
    taken: set[str] = set()
    left_out: list[str] = []
    samples = read_samples(source)
    for name, sample in zip(samples.order_ids, samples, strict=True):
        crystal = sample.standard
        if crystal is None:
            why = sample.failure or f"its symmetry cannot be described at {LOOSE} A"
            left_out.append(f"{sample.id} is left out: {why}")
            continue
        if name.lower() in taken:
            raise EvaluationError(f"{source}: two targets have the id {name} but for case; give each its own")
        taken.add(name.lower())
        targets.append(Target(name, crystal))
    warn_first(left_out)
    if not targets:
        raise DataError(f"{source} holds no target whose symmetry can be described at {LOOSE} A")
    return targets
