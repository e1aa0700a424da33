"""One door for crystals of every kind: files, folders, archives, runs, and objects of Python."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from crystalsmith.crystal.convert import structure_to_arrays
from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.crystals import Crystals
from crystalsmith.crystal.elements import SYMBOLS, reduced_formula
from crystalsmith.crystal.io.limits import Limits
from crystalsmith.crystal.io.names import file_names
from crystalsmith.crystal.io.parsers import parse_within
from crystalsmith.crystal.io.records import Record
from crystalsmith.crystal.io.sources import open_source
from crystalsmith.errors import CrystalsmithError, DataError
from crystalsmith.runs.addresses import shown
from crystalsmith.runs.pool import Failed
from crystalsmith.runs.spool import Spool

_SHOWN = 3
"""Reasons that are shown where nothing can be read, and warnings of one source."""

_logger = logging.getLogger(__name__)


class NothingReadable(DataError):
    """A source whose members were all found, and of which not one is a crystal."""


def read_records(source: Any, limits: Limits | None = None) -> Iterator[Record]:
    """Crystals of a source, in its order; what cannot be read is among them with its reason.

    Args:
        source: path of a file or folder, ase.Atoms, pymatgen Structure, Crystal, a sequence of these, or a
            mapping of names to them.
        limits: how much is read at most.

    Raises:
        DataError: missing, of no known kind, damaged, or without one crystal that can be read.
    """
    reasons, warned = _First(), _First()
    any_read = False
    limits = limits or Limits()
    for record in _records(source, limits):
        any_read |= not record.failure
        if record.failure:
            reasons.add(f"{record.id}: {record.failure}")
        for warning in record.warnings:
            warned.add(f"{record.id}: {warning}")
        yield record
    warned.warn()
    if not any_read and (reasons.count or limits.within is None):
        raise NothingReadable(f"{_name(source)} holds no crystal that can be read{reasons}")


def readable_records(source: Any, limits: Limits | None = None) -> Iterator[Record]:
    """As ``read_records``, without those that could not be read; warnings tell the first reasons."""
    failed = _First()
    for record in read_records(source, limits):
        if record.failure:
            failed.add(f"{record.id} is left out: {record.failure}")
        else:
            yield record
    failed.warn()


def warn_first(lines: Iterable[str]) -> None:
    """Warn of the first few, and of how many more there are."""
    first = _First()
    for line in lines:
        first.add(line)
    first.warn()


class _First:
    """The first few of many lines, and how many there are: memory stays where it is."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def add(self, line: str) -> None:
        self.count += 1
        if len(self.lines) < _SHOWN:
            self.lines.append(line)

    def warn(self) -> None:
        for line in self.lines:
            _logger.warning("%s", line)
        if self.count > _SHOWN:
            _logger.warning("and %d more", self.count - _SHOWN)

    def __str__(self) -> str:
        if not self.lines:
            return ""
        more = f" (and {self.count - _SHOWN} more)" if self.count > _SHOWN else ""
        return "; " + "; ".join(self.lines) + more


def named_crystals(sources: Any, limits: Limits | None = None) -> dict[str, Crystal | Failed]:
    """Crystals by names that can be files' names, in the order of their sources.

    Args:
        sources: one source or several, each as ``read_records`` takes it.
        limits: how much is read at most.

    Returns:
        In place of a crystal that cannot be read stands why.

    Raises:
        DataError: a source that cannot be read, or not one crystal can.
    """
    found: list[Crystal | Failed] = []
    return dict(zip(_read_named(sources, limits, found.append), found, strict=True))


def spooled_crystals(sources: Any, limits: Limits | None = None) -> Spool[Crystal | Failed]:
    """As ``named_crystals``, however many there are: memory holds their names only."""
    spool = Spool(_packed, _unpacked)
    spool.rename(_read_named(sources, limits, lambda value: spool.put(str(len(spool)), value)))
    return spool


def _packed(value: Crystal | Failed) -> Any:
    return value.reason if isinstance(value, Failed) else value.to_dict()


def _unpacked(data: Any) -> Crystal | Failed:
    return Failed(data) if isinstance(data, str) else Crystal.from_dict(data)


def _read_named(sources: Any, limits: Limits | None, keep: Callable[[Crystal | Failed], None]) -> list[str]:
    """Hand over all crystals, or why there is none, one after the other; then their names."""
    ids: list[str] = []
    failed: list[tuple[int, str]] = []
    failures = 0
    for source in [sources] if _is_one(sources) or isinstance(sources, (Mapping, Crystals)) else sources:
        own: list[tuple[str, int]] = []
        for record in read_records(source, limits):
            try:
                keep(record.symmetrized())
            except CrystalsmithError as error:
                failure = Failed(" ".join(str(error).split()))
                keep(failure)
                failures += 1
                if failures <= _SHOWN:
                    failed.append((len(ids) + len(own), failure.reason))
            own.append((record.id, record.index))
        ids += _told_apart(own)
    names = file_names(ids)
    if failures == len(names):
        told = _First()
        for place, reason in failed:
            told.add(f"{names[place]}: {reason}")
        told.count = failures
        raise DataError(f"no crystal can be read{told}")
    return names


def _told_apart(own: Sequence[tuple[str, int]]) -> list[str]:
    """Ids of one source, with the index where several have one id."""
    several = {name for name, index in own if index > 0}
    repeated = Counter(name for name, _ in own)
    return [
        f"{name}_{index}" if index >= 0 and (name in several or repeated[name] > 1) else name
        for name, index in own
    ]


def _is_one(source: Any) -> bool:
    """Whether this is a source and not a collection of them."""
    return isinstance(source, (str, os.PathLike, Crystal, Record)) or any(
        map(partial(hasattr, source), _METHODS)
    )


_METHODS = ("get_atomic_numbers", "is_ordered")  # of Atoms, of a Structure


def _records(source: Any, limits: Limits) -> Iterator[Record]:
    if _is_one(source):
        yield from _of_one(source, "", limits)
    elif isinstance(source, (Mapping, Crystals)):
        named = source.to_dict() if isinstance(source, Crystals) else source
        for name, one in named.items():
            yield from _of_one(one, str(name), limits)
    elif isinstance(source, Iterable):
        for one in source:
            yield from _of_one(one, "", limits)
    else:
        raise DataError(
            f"{type(source).__name__} is no source of crystals; give a path, Atoms, a Structure or a Crystal"
        )


def _of_one(one: Any, name: str, limits: Limits) -> Iterator[Record]:
    if isinstance(one, (str, os.PathLike)):
        yield from _of_path(one, limits)
    elif isinstance(one, Record):
        yield one
    elif isinstance(one, Crystal):
        yield Record.of_crystal(name or one.formula, one)
    else:
        try:
            lattice, fractional, numbers = structure_to_arrays(one)
        except CrystalsmithError as error:
            yield Record.failed(name or type(one).__name__, str(error))
            return
        record = Record(name or _formula(numbers), lattice, fractional, numbers)
        fault = record.fault()
        yield Record.failed(record.id, fault) if fault else record


def _formula(numbers: np.ndarray) -> str:
    known = [SYMBOLS[z] for z in numbers.tolist() if 0 < z < len(SYMBOLS)]
    return reduced_formula(Counter(known)) if known else "crystal"


def _of_path(path: str | os.PathLike[str], limits: Limits) -> Iterator[Record]:
    for item in open_source(path, limits).items():
        yield from parse_within(item, limits)


def _name(source: Any) -> str:
    return shown(os.fspath(source)) if isinstance(source, (str, os.PathLike)) else "the sequence given"
