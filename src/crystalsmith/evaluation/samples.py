"""Sets of crystals to judge, from whatever a program wrote; nothing that was asked for is lost on the way."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.io import NothingReadable, Record, read_records
from crystalsmith.crystal.io.names import order_id
from crystalsmith.crystal.io.sources import open_source
from crystalsmith.evaluation.measures.arrays import Arrays
from crystalsmith.evaluation.measures.geometry import standard_crystal
from crystalsmith.runs.addresses import is_server


@dataclass(frozen=True, eq=False)
class Sample:
    """One crystal that was asked for.

    Attributes:
        id: of its order, or the name that its source gives it.
        index: place among the crystals of that id, from 0.
        arrays: its atoms; None where there is no crystal.
        failure: why there is none.
        asked_group: space group asked for, 0 where unknown.
        stated: the crystal as JSON where the source states space group and letters without loss, else empty;
            as objects the crystals of a large set would fill the memory.
    """

    id: str
    index: int
    arrays: Arrays | None
    failure: str = ""
    asked_group: int = 0
    stated: str = ""

    @property
    def crystal(self) -> Crystal | None:
        """As the source states it; None where it does not."""
        return Crystal.from_dict(json.loads(self.stated)) if self.stated else None

    @property
    def name(self) -> str:
        """Id and index."""
        return f"{self.id}_{self.index}"

    @property
    def standard(self) -> Crystal | None:
        """As the source states it, else in the standard setting of the group found at 0.1 Angstrom."""
        return self.crystal or (None if self.arrays is None else standard_crystal(self.arrays))


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

    @cached_property
    def order_ids(self) -> list[str]:
        """An id for an order of each: its own, with its index where several have it."""
        counts = Counter(s.id for s in self.samples)
        return [order_id(s.name if counts[s.id] > 1 else s.id) for s in self.samples]

    def subset(self, rows: Sequence[int] | np.ndarray) -> SampleSet:
        """The samples of these rows, in this order."""
        return replace(self, samples=tuple(self.samples[int(i)] for i in rows))


def read_samples(source: Any, name: str | None = None) -> SampleSet:
    """Read a set of crystals.

    Args:
        source: any source that ``crystal.io.read_records`` reads.
        name: heading of its column; the file's name if not given.

    Returns:
        The set. What cannot be read, and what a run was asked for but did not make, is in it as a failure.

    Raises:
        DataError: missing, damaged, of no known kind, or empty.
    """
    if name is None and isinstance(source, (str, os.PathLike)):
        name = _name(source)
    samples: list[Sample] = []
    try:
        for record in read_records(source):
            samples.append(_sample(record))
    except NothingReadable:
        if not samples:
            raise
        # Members without one crystal among them are a set all the same, whose every figure is a failure's.
    return SampleSet(name or "crystals", tuple(_numbered(samples)))


def _name(source: str | os.PathLike[str]) -> str:
    """Of a file or folder without ending, or of a database on a server."""
    if is_server(source):
        return open_source(source).path.name
    return Path(source).resolve().name.removesuffix(".gz").rsplit(".", 1)[0] or str(source)


def _sample(record: Record) -> Sample:
    arrays = None
    if record.lattice is not None:
        arrays = Arrays(record.lattice, record.fractional, record.numbers)
    stated = "" if record.crystal is None else packed(record.crystal)
    return Sample(record.id, record.index, arrays, record.failure, record.space_group, stated)


def packed(crystal: Crystal) -> str:
    """A crystal as ``Sample`` keeps it."""
    return json.dumps(crystal.to_dict(), separators=(",", ":"))


def _numbered(samples: Iterable[Sample]) -> list[Sample]:
    """Give an index to samples whose source names none: how often their id came before."""
    seen: dict[str, int] = {}
    result = []
    for sample in samples:
        count = seen.get(sample.id, 0)
        seen[sample.id] = count + 1
        result.append(sample if sample.index >= 0 else replace(sample, index=count))
    return result
