"""How judges' figures are weighed: fitted on held-out crystals, as ``calibration.json`` tells."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True)
class Calibration:
    """A logistic model of being right, and what an energy is worth beside it.

    Attributes:
        intercept: log-odds at zero of all the following.
        denoising: for each unit of the denoising error.
        agreement: for each unit of the logarithm of the agreement.
        free: for each unit of log(1 + free parameters).
        energy, relaxation: eV per atom that count as one unit of log-odds against a draft, of single points
            and of relaxed energies.
    """

    intercept: float
    denoising: float
    agreement: float
    free: float
    energy: float
    relaxation: float

    def log_odds(self, denoising: float | None, agreement: float | None, free: int) -> float:
        """Log-odds that a draft is right.

        Args:
            denoising: error from ``denoising.denoising_error``.
            agreement: share of drafts alike.
            free: free parameters of its sites.
        """
        value = self.intercept + self.free * math.log1p(free)
        if denoising is not None:
            value += self.denoising * denoising
        if agreement is not None:
            value += self.agreement * math.log(agreement)
        return value


@lru_cache(maxsize=1)
def _table() -> dict[str, Calibration]:
    file = resources.files("crystalsmith.ranking").joinpath("calibration.json")
    data = json.loads(file.read_text(encoding="utf-8"))
    return {key: Calibration(**values) for key, values in data["judges"].items()}


def calibration_of(judges: tuple[str, ...]) -> Calibration:
    """The weights for a set of judges."""
    return _table()["+".join(name for name in ("denoising", "agreement") if name in judges)]
