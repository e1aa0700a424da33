"""Costly vectors of many crystals: computed on all cores, kept on disk, never computed twice."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from crystalsmith.evaluation.cache import Cache
from crystalsmith.evaluation.measures.arrays import Arrays
from crystalsmith.evaluation.measures.cgcnn import cgcnn
from crystalsmith.evaluation.measures.crystal_nn import crystal_nn
from crystalsmith.evaluation.measures.geometry import geometry
from crystalsmith.evaluation.measures.matching import rms_displacement
from crystalsmith.evaluation.measures.validity import composition_is_valid
from crystalsmith.runs.engines import Engine, Local
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.progress import Progress, silent

T = TypeVar("T")

SECONDS = 120.0
"""Time limit for one vector of one crystal."""

_STORE_EVERY = 64  # results between two writes to the cache


def smact(counts: Mapping[int, int]) -> np.ndarray:
    """(1,) 1 for a valid composition."""
    return np.array([float(composition_is_valid(counts))])


@dataclass(frozen=True)
class Feature:
    """A vector that can be computed from one item alone.

    Attributes:
        name: of it, in progress bars.
        version: raised when its values change, so that old ones in caches are not used.
        function: makes it, in another process.
        key: of it in caches, which outlives a move of the function; its name if empty.
    """

    name: str
    version: int
    function: Callable[[Any], np.ndarray]
    key: str = ""


GEOMETRY = Feature("symmetry and distances", 1, geometry, "geometry.geometry")
CRYSTAL_NN = Feature("CrystalNN fingerprints", 1, crystal_nn, "crystal_nn.crystal_nn")
CGCNN = Feature("CGCNN activations", 1, cgcnn, "cgcnn.cgcnn")
SMACT = Feature("SMACT", 1, smact, "features.smact")
RMS = Feature("matching", 1, rms_displacement, "matching.rms_displacement")


class Workshop:
    """Computes features: with how many processes, which cache, and who is told of it.

    Args:
        cache: where vectors are kept.
        engine: where it is done; processes of this machine, one a core, if not given.
        progress: told how it goes.
        seconds: time limit for one vector.

    Attributes:
        timings: by step: "seconds" spent, and how many were "computed" and "cached".
    """

    def __init__(
        self,
        cache: Cache,
        *,
        engine: Engine | None = None,
        progress: Progress = silent,
        seconds: float = SECONDS,
    ) -> None:
        self.cache = cache
        self.engine = engine or Local()
        self.progress = progress
        self.seconds = seconds
        self.timings: dict[str, dict[str, float]] = {}

    def vectors(self, feature: Feature, items: Sequence[Any], label: str = "") -> list[np.ndarray | Failed]:
        """The feature of every item; equal items are computed once.

        Args:
            feature: which.
            items: ``Arrays``, pairs of them, or compositions.
            label: whose they are, for ``progress``.
        """
        began = time.perf_counter()
        keys = [_key(feature, item) for item in items]
        found: dict[bytes, np.ndarray | Failed] = {}
        found.update(self.cache.get(list(dict.fromkeys(keys))))
        cached = len(found)
        todo = {key: item for key, item in zip(keys, items, strict=True) if key not in found}
        unsaved: list[tuple[bytes, np.ndarray]] = []

        def store() -> None:
            self.cache.put(unsaved)
            unsaved.clear()

        names, stage = list(todo), f"{feature.name}{f' of {label}' if label else ''}"
        done = self.engine.each(feature.function, todo.values(), seconds=self.seconds)
        try:
            for some in done if todo else ():
                for place, result, _ in some:
                    found[names[place]] = result
                    if not isinstance(result, Failed):
                        unsaved.append((names[place], result))
                if len(unsaved) >= _STORE_EVERY:
                    store()
                self.progress(stage, len(found) - cached, len(todo))
        finally:  # also when interrupted: finished work is kept
            done.close()
            store()
        self.spent(feature.name, time.perf_counter() - began, len(todo), cached)
        return [found[key] for key in keys]

    def spent(self, step: str, seconds: float, computed: int, cached: int) -> None:
        """Add to the timings of a step."""
        entry = self.timings.setdefault(step, {"seconds": 0.0, "computed": 0, "cached": 0})
        for name, value in (("seconds", seconds), ("computed", computed), ("cached", cached)):
            entry[name] += value


def _key(feature: Feature, item: Any) -> bytes:
    name = feature.key or f"{feature.function.__module__}.{feature.function.__qualname__}"
    h = hashlib.sha256(f"crystalsmith.evaluation.{name}\0{feature.version}\0".encode())
    if isinstance(item, Arrays):
        h.update(item.digest)
    elif isinstance(item, tuple):
        for part in item:
            h.update(part.digest)
    else:
        h.update(repr(sorted(item.items())).encode())
    return h.digest()[:20]


def matrix(vectors: Sequence[np.ndarray | Failed | None], length: int) -> np.ndarray:
    """(n, length) the vectors as rows, NaN for what failed or is not there."""
    rows = np.full((len(vectors), length), np.nan)
    for row, vector in zip(rows, vectors, strict=True):
        if isinstance(vector, np.ndarray):
            row[:] = vector
    return rows
