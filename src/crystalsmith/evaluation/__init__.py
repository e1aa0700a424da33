"""Evaluation: sets of crystals, anybody's, measured against real ones.

Pure functions of arrays, one concept a file: ``validity``, ``crystal_nn``, ``magpie``, ``cgcnn``,
``coverage``, ``frechet``, ``distributions``, ``matching``, ``uniqueness``, ``bootstrap``. ``samples`` reads
sets, ``features`` computes what is costly on all cores and keeps it, ``resemblance``, ``accuracy`` and
``originality`` measure one prepared set, ``evaluator`` makes the table of all, and ``controls`` the sets that
every table should hold beside a model's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crystalsmith.runs.lazy import lazily

if TYPE_CHECKING:
    from crystalsmith.evaluation.cache import Cache
    from crystalsmith.evaluation.evaluator import evaluate
    from crystalsmith.evaluation.features import Workshop
    from crystalsmith.evaluation.figures import Column, Evaluation, Figure
    from crystalsmith.evaluation.samples import Sample, SampleSet, read_samples
    from crystalsmith.evaluation.settings import Settings

__all__ = [
    "Cache",
    "Column",
    "Evaluation",
    "Figure",
    "Sample",
    "SampleSet",
    "Settings",
    "Workshop",
    "evaluate",
    "read_samples",
]

# Loaded on first use: worker processes that compute fingerprints need not load torch.
_HOMES = {
    "cache": ("Cache",),
    "figures": ("Column", "Evaluation", "Figure"),
    "samples": ("Sample", "SampleSet", "read_samples"),
    "settings": ("Settings",),
    "features": ("Workshop",),
    "evaluator": ("evaluate",),
}

__getattr__ = lazily(__name__, _HOMES)
