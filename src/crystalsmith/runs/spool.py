"""Many values by name, of which memory holds the names only."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, TypeVar, overload

T = TypeVar("T")

IN_MEMORY = 1 << 24
"""Bytes up to which no file is made."""


class Spool(Mapping[str, T]):
    """A mapping whose values lie as JSON in a file without a name, which is gone with this process.

    They come back as equal values, not as the same objects. A value that is given again takes the place of
    the earlier one.

    Args:
        pack: gives a value as plain JSON.
        unpack: its inverse.
    """

    def __init__(self, pack: Callable[[T], Any], unpack: Callable[[Any], T]) -> None:
        self._pack, self._unpack = pack, unpack
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, prefix="crystalsmith-")
        self._places: dict[str, int] = {}
        self._end = 0
        self._lock = Lock()  # an engine may take items in a thread of its own

    def put(self, name: str, value: T) -> None:
        """Keep a value."""
        line = json.dumps(self._pack(value), separators=(",", ":")).encode() + b"\n"
        with self._lock:
            self._file.seek(self._end)
            self._file.write(line)
            self._places[name] = self._end
            self._end += len(line)

    def rename(self, names: Iterable[str]) -> None:
        """Give the values other names, in their order."""
        self._places = dict(zip(names, self._places.values(), strict=True))

    def __getitem__(self, name: str) -> T:
        with self._lock:
            self._file.seek(self._places[name])
            line = self._file.readline()
        return self._unpack(json.loads(line))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Part(Mapping[str, T]):
    """Some of the values of a mapping, which stay where they are.

    Args:
        whole: the mapping.
        names: in their order.
    """

    def __init__(self, whole: Mapping[str, T], names: Iterable[str]) -> None:
        self._whole, self._names = whole, dict.fromkeys(names)

    def __getitem__(self, name: str) -> T:
        if name not in self._names:
            raise KeyError(name)
        return self._whole[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class InOrder(Sequence[T]):
    """The values of a mapping by their places; they stay where they are.

    Args:
        whole: the mapping.
        names: in their order.
    """

    def __init__(self, whole: Mapping[str, T], names: Iterable[str]) -> None:
        self._whole, self._names = whole, list(names)

    @overload
    def __getitem__(self, place: int) -> T: ...
    @overload
    def __getitem__(self, place: slice) -> InOrder[T]: ...
    def __getitem__(self, place: int | slice) -> T | InOrder[T]:
        if isinstance(place, slice):
            return InOrder(self._whole, self._names[place])
        return self._whole[self._names[place]]

    def __len__(self) -> int:
        return len(self._names)
