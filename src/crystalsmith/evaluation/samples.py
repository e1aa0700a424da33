"""Sets of crystals to judge, from whatever a program wrote; nothing that was asked for is lost on the way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from crystalsmith.crystal.io.parsers import parse
from crystalsmith.crystal.io.records import Item
from crystalsmith.crystal.io.sources import open_source
from crystalsmith.data.dataset import Dataset
from crystalsmith.errors import CrystalsmithError, DataError
from crystalsmith.evaluation.arrays import Arrays, crystal_arrays, fault_of
from crystalsmith.generation import read_entries
from crystalsmith.generation.manifest import read_manifest
from crystalsmith.generation.output import is_run


@dataclass(frozen=True, eq=False)
class Sample:
    """One crystal that was asked for.

    Attributes:
        id: of its order, or the name that its source gives it.
        index: place among the crystals of that id, from 0.
        arrays: its atoms; None where there is no crystal.
        failure: why there is none.
        asked_group: space group asked for, 0 where unknown.
    """

    id: str
    index: int
    arrays: Arrays | None
    failure: str = ""
    asked_group: int = 0

    @property
    def name(self) -> str:
        """Id and index."""
        return f"{self.id}_{self.index}"


@dataclass(frozen=True, eq=False)
class SampleSet:
    """Crystals under one name, in the order of their source.

    Attributes:
        name: heading of its column.
        samples: the crystals, failures among them.
        note: what the set is, for controls; they need not have targets.
    """

    name: str
    samples: tuple[Sample, ...]
    note: str = ""

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.samples)

    @cached_property
    def failures(self) -> list[Sample]:
        """Those without a crystal."""
        return [s for s in self.samples if s.arrays is None]

    def subset(self, rows: Sequence[int] | np.ndarray) -> SampleSet:
        """The samples of these rows, in this order."""
        return replace(self, samples=tuple(self.samples[int(i)] for i in rows))


def read_samples(path: str | os.PathLike[str], name: str | None = None) -> SampleSet:
    """Read a set of crystals.

    Args:
        path: an output folder of ``crystalsmith generate``, a training file of ``crystalsmith data build``,
            or any source of ``crystalsmith.crystal.io``: JSON lines, pymatgen JSON, CSV with a cif column,
            extended XYZ, a CIF, a folder or zip of CIFs.
        name: heading of its column; the file's name if not given.

    Returns:
        The set. What cannot be read, and what a run was asked for but did not make, is in it as a failure.

    Raises:
        DataError: missing, empty, or none of the known kinds.
        OutputError: a damaged output folder.
    """
    path = Path(path)
    if name is None:
        name = path.resolve().name.removesuffix(".gz").rsplit(".", 1)[0] or str(path)
    if path.is_dir() and is_run(path):
        samples = list(_from_run(path))
    elif path.suffix == ".safetensors":
        samples = list(_from_dataset(Dataset.open(path)))
    else:
        source = open_source(path)
        samples = _numbered(_from_item(source.parser, item) for item in source.items())
    if not samples:
        raise DataError(f"{path} holds no crystals; name a file or folder that does")
    return SampleSet(name, tuple(samples))


def _from_run(path: Path) -> Iterator[Sample]:
    entries = {(e.order_id, e.index): e for e in read_entries(path)}
    manifest = read_manifest(path)
    assert manifest is not None
    for order in manifest["run"]["orders"]:
        for index in range(order["count"]):
            entry = entries.get((order["id"], index))
            arrays, failure = None, "not made: the run was interrupted"
            if entry is not None and entry.crystal is not None:
                arrays, failure = crystal_arrays(entry.crystal), ""
            elif entry is not None:
                failure = f"not made: {entry.failure}"
            yield Sample(order["id"], index, arrays, failure, int(order["space_group"]))


def _from_dataset(dataset: Dataset) -> Iterator[Sample]:
    for name, crystal in zip(dataset.ids, dataset, strict=True):
        yield Sample(name, 0, crystal_arrays(crystal), "", crystal.space_group)


def _from_item(kind: str, item: Item) -> Sample:
    try:
        record = parse(kind, item)
    except CrystalsmithError as error:
        return Sample(item.id, -1, None, " ".join(str(error).split()))
    assert record.lattice is not None
    arrays = Arrays(record.lattice, record.fractional, np.asarray(record.numbers))
    fault = fault_of(arrays)
    return Sample(record.id, record.index, None if fault else arrays, fault, record.space_group)


def _numbered(samples: Iterator[Sample]) -> list[Sample]:
    """Give an index to samples whose source names none: how often their id came before."""
    seen: dict[str, int] = {}
    result = []
    for sample in samples:
        count = seen.get(sample.id, 0)
        seen[sample.id] = count + 1
        result.append(sample if sample.index >= 0 else replace(sample, index=count))
    return result
