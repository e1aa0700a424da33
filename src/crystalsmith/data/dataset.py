"""One memory-mapped file of crystals: what training reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from crystalsmith.crystal import NUMBERS, SYMBOLS, Crystal, Site
from crystalsmith.errors import DataError
from crystalsmith.runs.sealed import check_seal, read_header, write_sealed
from crystalsmith.symmetry import tables
from crystalsmith.symmetry.spacegroup import letter_name

FORMAT = "crystalsmith.dataset"
VERSION = "1"

# Tensor: dtype and trailing shape. The first axis is crystals (n), offsets (n + 1), sites (s) or bytes of
# ids.
# The widest numbers come first, so that each tensor begins at a multiple of its item's size.
TENSORS: dict[str, tuple[str, tuple[int, ...]]] = {
    "start": ("int64", ()),
    "id_start": ("int64", ()),
    "cell": ("float32", (6,)),
    "free": ("float32", (3,)),
    "e_above_hull": ("float32", ()),
    "space_group": ("int16", ()),
    "wyckoff": ("int16", ()),
    "atoms": ("int16", ()),
    "element": ("uint8", ()),
    "icsd": ("int8", ()),
    "id_bytes": ("uint8", ()),
}
_DTYPES = {"int8": "I8", "uint8": "U8", "int16": "I16", "int64": "I64", "float32": "F32"}


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
        path = Path(path)
        try:
            header, begin = read_header(path)
        except OSError as error:
            raise DataError(f"cannot read data set {path}: {error.strerror or error}") from None
        except (ValueError, RecursionError):
            raise DataError(
                f"{path} is truncated or not a data set; make it with `crystalsmith data build`"
            ) from None
        metadata = header["__metadata__"]
        if metadata.get("format") != FORMAT:
            raise DataError(f"{path} is not a data set; make it with `crystalsmith data build`")
        if metadata.get("version") != VERSION:
            raise DataError(
                f"{path} is a data set of version {metadata.get('version')}, this program reads {VERSION}; "
                "build it again"
            )
        try:
            check_seal(path)
            arrays = _map_tensors(path, header, begin)
            _check(arrays)
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            raise DataError(
                f"{path} is damaged or truncated; build it again with `crystalsmith data build`"
            ) from None
        return Dataset(arrays, {k: v for k, v in metadata.items() if k != "crc"})

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the data set, whole or not at all.

        Raises:
            DataError: if the file cannot be written.
        """
        blocks = [np.ascontiguousarray(self.arrays[name]) for name in TENSORS]
        metadata = {**self.metadata, "format": FORMAT, "version": VERSION}
        try:
            write_sealed(Path(path), _header(self.arrays), metadata, (b.tobytes() for b in blocks))
        except OSError as error:
            raise DataError(f"cannot write data set {path}: {error.strerror or error}") from None

    def __len__(self) -> int:
        return len(self.arrays["space_group"])

    def __getitem__(self, index: int) -> Crystal:
        n = len(self)
        if not -n <= index < n:
            raise IndexError(f"crystal {index} of {n}")
        index %= n
        a = self.arrays
        rows = slice(int(a["start"][index]), int(a["start"][index + 1]))
        dof, letter = tables().dof, tables().letter
        sites = tuple(
            Site(SYMBOLS[z], letter_name(int(letter[y])), tuple(u[: dof[y]]))
            for z, y, u in zip(
                a["element"][rows].tolist(),
                a["wyckoff"][rows].tolist(),
                a["free"][rows].tolist(),
                strict=True,
            )
        )
        return Crystal(int(a["space_group"][index]), tuple(a["cell"][index].tolist()), sites)

    def __iter__(self) -> Iterator[Crystal]:
        return (self[i] for i in range(len(self)))

    @cached_property
    def ids(self) -> list[str]:
        """Identifier of each crystal in its source."""
        raw, start = self.arrays["id_bytes"].tobytes(), self.arrays["id_start"].tolist()
        return [raw[i:j].decode() for i, j in pairwise(start)]

    def subset(
        self,
        max_atoms: int | None = None,
        min_space_group: int | None = None,
        indices: Sequence[int] | np.ndarray | None = None,
    ) -> Dataset:
        """The crystals that fulfil all conditions, copied.

        Args:
            max_atoms: at most so many atoms in the primitive cell.
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
        if min_space_group is not None:
            rows = rows[a["space_group"][rows] >= min_space_group]
        arrays = {k: a[k][rows] for k in ("space_group", "cell", "atoms", "e_above_hull", "icsd")}
        site, arrays["start"] = _gather(a["start"], rows)
        byte, arrays["id_start"] = _gather(a["id_start"], rows)
        arrays |= {k: a[k][site] for k in ("wyckoff", "element", "free")}
        arrays["id_bytes"] = a["id_bytes"][byte]
        return Dataset(arrays, {**self.metadata, "kept": str(len(rows))})


def _header(arrays: Mapping[str, np.ndarray]) -> dict[str, object]:
    """What the header of a safetensors file says of the arrays."""
    header: dict[str, object] = {}
    end = 0
    for name, (dtype, tail) in TENSORS.items():
        array = arrays[name]
        if array.dtype != dtype or array.shape[1:] != tail:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, not {dtype} (n, {tail})")
        begin, end = end, end + array.nbytes
        header[name] = {"dtype": _DTYPES[dtype], "shape": array.shape, "data_offsets": [begin, end]}
    return header


def _gather(start: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Entries of the ragged rows in turn, and the new offsets."""
    length = start[rows + 1] - start[rows]
    new = np.concatenate([[0], np.cumsum(length)]).astype(np.int64)
    return np.arange(new[-1]) + np.repeat(start[rows] - new[:-1], length), new


def _map_tensors(path: Path, header: dict[str, Any], begin: int) -> dict[str, np.ndarray]:
    """The arrays of a file.

    Raises:
        ValueError, KeyError, TypeError: the header is not of a data set.
    """
    raw = np.memmap(path, dtype=np.uint8, mode="r")
    arrays = {}
    for name, (dtype, tail) in TENSORS.items():
        entry = header[name]
        first, last = (begin + int(x) for x in entry["data_offsets"])
        shape = tuple(int(x) for x in entry["shape"])
        if entry["dtype"] != _DTYPES[dtype] or shape[1:] != tail or not begin <= first <= last <= len(raw):
            raise ValueError(name)
        arrays[name] = raw[first:last].view(dtype).reshape(shape)
    return arrays


def _check(a: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays that describe no crystals: files of earlier versions have no checksum.

    Raises:
        ValueError, IndexError: they do not fit together, or hold impossible values.
    """
    n, sites, t = len(a["space_group"]), len(a["wyckoff"]), tables()
    length = np.diff(a["start"])
    text = a["id_bytes"].tobytes()
    text.decode()
    inside = a["id_start"][a["id_start"] < len(text)]
    wyckoff = np.asarray(a["wyckoff"])
    good = (
        all(len(a[k]) == n for k in ("cell", "atoms", "e_above_hull", "icsd"))
        and all(len(a[k]) == sites for k in ("element", "free"))
        and (len(a["start"]), len(a["id_start"])) == (n + 1, n + 1)
        and (int(a["start"][0]), int(a["start"][-1])) == (0, sites)
        and (int(a["id_start"][0]), int(a["id_start"][-1])) == (0, len(text))
        and (length > 0).all()
        and (np.diff(a["id_start"]) >= 0).all()
        and (wyckoff >= 0).all()
        and np.array_equal(t.wyckoff_group[wyckoff], np.repeat(a["space_group"], length))
        and ((a["element"] > 0) & (a["element"] <= 118)).all()
        and np.isfinite(a["free"]).all()
        and np.isfinite(a["cell"]).all()
        and (a["cell"] > 0).all()
        and (a["cell"][:, 3:] < 180).all()
        and not np.isinf(a["e_above_hull"]).any()
        and (np.abs(a["icsd"]) <= 1).all()
        and (a["id_bytes"][inside] & 0xC0 != 0x80).all()  # an id begins where a letter does
    )
    owner = np.repeat(np.arange(n), length) if good else np.zeros(0, int)
    weights = t.multiplicity_primitive[wyckoff]
    if not good or not np.array_equal(np.bincount(owner, weights, n).astype(int), a["atoms"]):
        raise ValueError("impossible values")


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
