"""One memory-mapped file of crystals: what training reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

import numpy as np

from crystalsmith.crystal import NUMBERS, Crystal
from crystalsmith.crystal.io.tensors import TENSORS, VERSION, crystal_at, ids_of, read_tensors, write_tensors
from crystalsmith.errors import DataError

__all__ = ["TENSORS", "VERSION", "Dataset", "concatenate", "pack"]


class Dataset:
    """Crystals in flat arrays.

    Attributes:
        arrays: name -> array; n crystals, s sites.

            =========================== ========================================================
            ``space_group`` (n,)        number
            ``cell`` (n, 6)             conventional, Angstrom and degrees
            ``start`` (n + 1,)          sites of crystal i are rows start[i]:start[i + 1]
            ``wyckoff`` (s,)            row in ``symmetry.Tables``
            ``element`` (s,)            atomic number
            ``free`` (s, 3)             free parameters u, zero beyond the position's freedom
            ``atoms`` (n,)              atoms in the primitive cell
            ``e_above_hull`` (n,)       eV/atom, NaN if unknown
            ``icsd`` (n,)               1 observed in experiment, 0 not, -1 unknown
            ``id_bytes``, ``id_start``  identifiers in UTF-8 and where each begins
            =========================== ========================================================
        metadata: what the file says of its making; all values are strings, some of them JSON.
    """

    def __init__(self, arrays: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
        self.arrays = MappingProxyType(arrays)
        self.metadata = dict(metadata or {})

    @staticmethod
    def open(path: str | os.PathLike[str]) -> Dataset:
        """Map a file into memory, after a look whether it is as it was written.

        Raises:
            DataError: missing, damaged, not a data set or of another version.
        """
        return Dataset(*read_tensors(Path(path)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the data set, whole or not at all.

        Raises:
            DataError: if the file cannot be written.
        """
        write_tensors(Path(path), self.arrays, self.metadata)

    def __len__(self) -> int:
        return len(self.arrays["space_group"])

    def __getitem__(self, index: int) -> Crystal:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"crystal {index} of {n}")
        return crystal_at(self.arrays, index % n)

    def __iter__(self) -> Iterator[Crystal]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def ids(self) -> list[str]:
        """Identifier of each crystal in its source."""
        return ids_of(self.arrays)

    def subset(
        self,
        max_atoms: int | None = None,
        max_sites: int | None = None,
        min_space_group: int | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
    ) -> Dataset:
        """The crystals that fulfil all conditions, copied.

        Args:
            max_atoms: at most so many atoms in the primitive cell.
            max_sites: at most so many inequivalent sites.
            min_space_group: at least this number.
            indices: these rows, in this order, repeats allowed.

        Raises:
            DataError: if an index is out of range.
        """
        a = self.arrays
        rows = np.arange(len(self)) if indices is None else np.asarray(indices, dtype=np.int64).reshape(-1)
        if len(rows) and (rows.min() < -len(self) or rows.max() >= len(self)):
            raise DataError(f"index {int(np.abs(rows).max())} is outside the data set's {len(self)} crystals")
        rows = rows % max(len(self), 1)
        if max_atoms is not None:
            rows = rows[a["atoms"][rows] <= max_atoms]
        if max_sites is not None:
            rows = rows[(a["start"][rows + 1] - a["start"][rows]) <= max_sites]
        if min_space_group is not None:
            rows = rows[a["space_group"][rows] >= min_space_group]
        arrays = {k: a[k][rows] for k in ("space_group", "cell", "atoms", "e_above_hull", "icsd")}
        site, arrays["start"] = _gather(a["start"], rows)
        byte, arrays["id_start"] = _gather(a["id_start"], rows)
        arrays |= {k: a[k][site] for k in ("wyckoff", "element", "free")}
        arrays["id_bytes"] = a["id_bytes"][byte]
        return Dataset(arrays, {**self.metadata, "kept": str(len(rows))})


def _gather(start: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entries of the ragged rows in turn, and the new offsets."""
    length = start[rows + 1] - start[rows]
    new = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    return np.arange(new[-1]) + np.repeat(start[rows] - new[:-1], length), new


def pack(
    crystals: Sequence[Crystal],
    ids: Sequence[str] | None = None,
    e_above_hull: Sequence[float] | None = None,
    icsd: Sequence[int] | None = None,
    metadata: dict[str, str] | None = None,
) -> Dataset:
    """Put crystals into a data set in memory.

    Args:
        crystals: any number of them.
        ids: identifiers; their row numbers if not given.
        e_above_hull: eV/atom, NaN where unknown.
        icsd: 1 observed, 0 not, -1 unknown.
        metadata: strings to keep in the file's header.
    """
    n = len(crystals)
    positions = [p for c in crystals for p in c.positions_of_sites]
    free = np.zeros((len(positions), 3), dtype=np.float32)
    for row, site in zip(free, (s for c in crystals for s in c.sites), strict=True):
        row[: len(site.free)] = site.free
    names = [x.encode() for x in (ids if ids is not None else map(str, range(n)))]
    arrays: dict[str, np.ndarray] = {
        "space_group": np.array([c.space_group for c in crystals], dtype=np.int16),
        "cell": np.array([c.cell for c in crystals], dtype=np.float32).reshape(-1, 6),
        "start": np.cumsum([0, *(len(c.sites) for c in crystals)], dtype=np.int64),
        "wyckoff": np.array([p.index for p in positions], dtype=np.int16),
        "element": np.array([NUMBERS[s.element] for c in crystals for s in c.sites], dtype=np.uint8),
        "free": free,
        "atoms": np.array([c.n_atoms for c in crystals], dtype=np.int16),
        "e_above_hull": np.full(n, np.nan, np.float32)
        if e_above_hull is None
        else np.array(e_above_hull, np.float32),
        "icsd": np.full(n, -1, np.int8) if icsd is None else np.array(icsd, np.int8),
        "id_bytes": np.frombuffer(b"".join(names), dtype=np.uint8),
        "id_start": np.cumsum([0, *map(len, names)], dtype=np.int64),
    }
    return Dataset(arrays, {"kept": str(n), **(metadata or {})})


def concatenate(parts: Sequence[Dataset], metadata: dict[str, str] | None = None) -> Dataset:
    """Join data sets in order."""
    empty = pack([])
    parts = [empty, *parts]
    arrays = {}
    for name in TENSORS:
        if name.endswith("start"):
            last = np.cumsum([0, *(p.arrays[name][-1] for p in parts)])
            blocks = [
                np.zeros(1, np.int64),
                *(p.arrays[name][1:] + x for p, x in zip(parts, last, strict=False)),
            ]
        else:
            blocks = [p.arrays[name] for p in parts]
        arrays[name] = np.concatenate(blocks)
    return Dataset(arrays, {"kept": str(len(arrays["space_group"])), **(metadata or {})})
