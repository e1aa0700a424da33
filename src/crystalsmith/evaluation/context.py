"""What all measurements of one evaluation share, and how they write down what they find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crystalsmith.evaluation.features import Workshop
from crystalsmith.evaluation.figures import MEASURES, Column, Figure
from crystalsmith.evaluation.measures.bootstrap import mean_interval
from crystalsmith.evaluation.prepared import Prepared
from crystalsmith.evaluation.samples import SampleSet
from crystalsmith.evaluation.settings import Settings


@dataclass(eq=False)
class Context:
    """One evaluation under way.

    Attributes:
        settings: which figures, and how.
        workshop: computes and keeps the costly vectors.
        targets: the whole reference: what crystals may have been made for.
        reference: what of it the settings keep: what crystals should resemble.
        train: training set, for novelty.
        missing: metrics whose package is not installed.
        notes: what could not be measured, and why.
    """

    settings: Settings
    workshop: Workshop
    targets: Prepared
    reference: Prepared
    train: SampleSet | None = None
    missing: frozenset[str] = frozenset()
    notes: list[str] = field(default_factory=list)

    def wants(self, metric: str) -> bool:
        """Whether a metric is to be measured."""
        return self.settings.wants(metric) and metric not in self.missing

    def add(self, column: Column, key: str, values: np.ndarray, groups: Sequence[str] | None = None) -> None:
        """Write down a figure that is a mean over crystals."""
        values = np.asarray(values, dtype=float)
        low, high = mean_interval(values, groups, seed=self.settings.seed)
        value = float(values.mean()) if len(values) else float("nan")
        column.figures[key] = Figure(MEASURES[key], value, low, high, len(values))


def add_detail(column: Column, key: str, values: Sequence[Any] | np.ndarray) -> None:
    """Write down something about every crystal of the column."""
    plain = values.tolist() if isinstance(values, np.ndarray) else values
    for row, value in zip(column.details, plain, strict=True):
        row[key] = value
