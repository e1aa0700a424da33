"""How judges' figures are weighed: fitted on held-out crystals, as ``calibration.json`` tells."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from crystalsmith.ranking.features import JUDGED, NAMES

FITTED = "chgnet"
"""The potential whose weights serve for others that have none of their own."""


@dataclass(frozen=True)
class Calibration:
    """A logistic model of a draft being right if its letters are, by the model's own judges.

    Attributes:
        intercept: log-odds at zero of all the following.
        denoising: for each unit of the denoising error.
        agreement: for each unit of the logarithm of the agreement.
        free: for each unit of log(1 + free parameters).
    """

    intercept: float
    denoising: float
    agreement: float
    free: float

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


@dataclass(frozen=True, eq=False)
class OrderCalibration:
    """How the candidates of an order are compared, and how sure the answer is.

    Attributes:
        weights: (len(NAMES),) of the columns of ``features.columns``: the chance of each candidate to be
            right, if one is, is in proportion to exp(columns @ weights).
        sure: of the columns of ``verdicts.CERTAINTY`` and one: log-odds that a candidate is right.
    """

    weights: np.ndarray
    sure: np.ndarray

    @staticmethod
    def of(data: Mapping[str, Any]) -> OrderCalibration:
        """From plain data."""
        weights = np.array([float(data["weights"].get(name, 0.0)) for name in NAMES])
        return OrderCalibration(weights, np.array(data["sure"], dtype=float))

    def to_dict(self) -> dict[str, Any]:
        """Plain data; weights that are zero are left out."""
        weights = {name: round(float(w), 4) for name, w in zip(NAMES, self.weights, strict=True) if w}
        return {"weights": weights, "sure": [round(float(x), 4) for x in self.sure]}


@lru_cache(maxsize=1)
def _data() -> dict[str, Any]:
    file = resources.files("crystalsmith.ranking").joinpath("calibration.json")
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data


@lru_cache(maxsize=64)
def calibration_of(judges: tuple[str, ...]) -> Calibration:
    """The weights of a set of judges for a draft by itself."""
    return Calibration(**_data()["letters"][judges_key(judges)])


@lru_cache(maxsize=64)
def order_calibration(
    judges: tuple[str, ...], potential: str | None = None, relaxed: bool = False
) -> OrderCalibration:
    """The weights for the candidates of an order.

    Args:
        judges: those of the model that were asked.
        potential: name of the one that energies are of, if there are any.
        relaxed: the energies are relaxed ones.
    """
    table = _data()["orders"]
    asked = [(potential, relaxed)]
    if potential is not None:
        # Relaxed energies are worth at least what single points are.
        asked += [(FITTED, relaxed), (FITTED, False)]
    names = (order_key(judges, *one) for one in asked)
    return OrderCalibration.of(next(table[name] for name in names if name in table))


def judges_key(judges: Iterable[str]) -> str:
    """Name of a set of the model's judges in the file."""
    return "+".join(name for name in JUDGED if name in set(judges))


def order_key(judges: Iterable[str], potential: str | None, relaxed: bool = False) -> str:
    """Name of what was asked in the file, such as "denoising+agreement, chgnet, relaxed"."""
    parts = [
        judges_key(judges),
        *([] if potential is None else [potential]),
        *(["relaxed"] if relaxed else []),
    ]
    return ", ".join(parts)
