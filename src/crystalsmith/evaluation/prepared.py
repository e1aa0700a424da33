"""A set of crystals with the vectors that were computed of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from crystalsmith.evaluation.features import CGCNN, CRYSTAL_NN, GEOMETRY, Feature, Workshop, matrix
from crystalsmith.evaluation.measures.arrays import Arrays
from crystalsmith.evaluation.measures.cgcnn import LENGTH as CGCNN_LENGTH
from crystalsmith.evaluation.measures.crystal_nn import LENGTH as CRYSTAL_NN_LENGTH
from crystalsmith.evaluation.measures.distributions import QUANTITIES, densities
from crystalsmith.evaluation.measures.geometry import Geometry
from crystalsmith.evaluation.measures.magpie import scaled_magpie
from crystalsmith.evaluation.samples import SampleSet
from crystalsmith.runs.pool import Failed


class Prepared:
    """One set and its vectors, a row for each crystal, NaN for failures.

    Attributes:
        set: the crystals.
        there: (n,) which of them are crystals.
        geometry: (n, 7) see ``geometry.Geometry``.
        vectors: (n, d) by name: "crystal_nn", "magpie", "cgcnn", as far as they were needed.
    """

    def __init__(
        self, samples: SampleSet, geometry: np.ndarray, vectors: dict[str, np.ndarray] | None = None
    ) -> None:
        self.set = samples
        self.geometry = geometry
        self.there = np.array([s.arrays is not None for s in samples])
        self.vectors = vectors or {}

    @property
    def name(self) -> str:
        """Name of the set."""
        return self.set.name

    @property
    def arrays(self) -> list[Arrays | None]:
        """The atoms of each, None for failures."""
        return [s.arrays for s in self.set]

    @property
    def groups(self) -> list[str] | None:
        """(n,) ids where some repeat, so that samples of one order are drawn together; else None."""
        ids = [s.id for s in self.set]
        return ids if len(set(ids)) < len(ids) else None

    def present(self, row: int) -> Arrays:
        """The atoms of a row that is there."""
        arrays = self.set.samples[row].arrays
        assert arrays is not None
        return arrays

    def column(self, name: str) -> np.ndarray:
        """(n,) one of the numbers of ``Geometry``."""
        return np.asarray(self.geometry[:, Geometry._fields.index(name)])

    def rows(self, keep: np.ndarray) -> Prepared:
        """The crystals where ``keep`` (n,) is true."""
        vectors = {name: x[keep] for name, x in self.vectors.items()}
        return Prepared(self.set.subset(np.flatnonzero(keep)), self.geometry[keep], vectors)

    def quantities(self) -> dict[str, np.ndarray]:
        """(n,) each of ``QUANTITIES``."""
        n = len(self.set)
        result = {name: np.full(n, np.nan) for name in QUANTITIES}
        present = [a for a in self.arrays if a is not None]
        if present:
            volumes = np.array([a.volume for a in present])
            result["density"][self.there] = densities([a.numbers for a in present], volumes)
            result["elements"][self.there] = [len(a.counts) for a in present]
        known = self.column("group_loose") > 0
        for name, source in (("group", "group_loose"), ("freedom", "freedom")):
            result[name] = np.where(known, self.column(source), np.nan)
        return result

    def element_counts(self) -> np.ndarray:
        """(119,) crystals that hold each element."""
        counts = Counter(z for a in self.arrays if a is not None for z in a.counts)
        return np.array([counts[z] for z in range(119)])


def measure_geometry(samples: SampleSet, workshop: Workshop, needed: bool = True) -> Prepared:
    """A set with its geometry; NaN for all where nothing needs it."""
    width = len(Geometry._fields)
    if not needed:
        return Prepared(samples, np.full((len(samples), width), np.nan))
    present = [s.arrays for s in samples if s.arrays is not None]
    found = iter(workshop.vectors(GEOMETRY, present, samples.name))
    return Prepared(samples, matrix([next(found) if s.arrays is not None else None for s in samples], width))


def add_vectors(part: Prepared, workshop: Workshop, wants: Callable[[str], bool], notes: list[str]) -> None:
    """Compute the vectors that the metrics wanted need; what cannot be computed is noted."""
    present = [a for a in part.arrays if a is not None]

    def put(name: str, vectors: Sequence[np.ndarray | Failed], length: int) -> None:
        part.vectors[name] = np.full((len(part.set), length), np.nan)
        part.vectors[name][part.there] = matrix(vectors, length)

    def compute(name: str, feature: Feature, length: int) -> None:
        found = workshop.vectors(feature, present, part.name)
        put(name, found, length)
        failed = [f.reason for f in found if isinstance(f, Failed)]
        if failed:
            notes.append(
                f"{part.name}: {len(failed)} crystals without {feature.name}; the first: {failed[0]}"
            )

    if wants("coverage") or wants("fd-crystalnn"):
        compute("crystal_nn", CRYSTAL_NN, CRYSTAL_NN_LENGTH)
    if wants("coverage"):
        magpie = scaled_magpie([a.counts for a in present])
        put("magpie", list(magpie), magpie.shape[1])
    if wants("fd-cgcnn"):
        compute("cgcnn", CGCNN, CGCNN_LENGTH)
