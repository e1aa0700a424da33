"""Training files of ``data build``: arrays of many crystals in one file, mapped into memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.crystal.crystal import Crystal, Site
from crystalsmith.crystal.elements import SYMBOLS
from crystalsmith.crystal.io.records import Record
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


def read_tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Map a file into memory, after a look whether it is as it was written.

    Returns:
        Arrays by name, and what the file says of its making.

    Raises:
        DataError: missing, damaged, not a data set or of another version.
    """
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
    return arrays, {k: v for k, v in metadata.items() if k != "crc"}


def write_tensors(path: Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> None:
    """Write a file, whole or not at all.

    Raises:
        DataError: if it cannot be written.
    """
    blocks = [np.ascontiguousarray(arrays[name]) for name in TENSORS]
    whole = {**metadata, "format": FORMAT, "version": VERSION}
    try:
        write_sealed(path, _header(arrays), whole, (b.tobytes() for b in blocks))
    except OSError as error:
        raise DataError(f"cannot write data set {path}: {error.strerror or error}") from None


def crystal_at(arrays: Mapping[str, np.ndarray], index: int) -> Crystal:
    """The crystal of a row."""
    a = arrays
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


def ids_of(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Identifier of each crystal in its source."""
    raw, start = arrays["id_bytes"].tobytes(), arrays["id_start"].tolist()
    return [raw[i:j].decode() for i, j in pairwise(start)]


def tensor_records(arrays: Mapping[str, np.ndarray]) -> Iterator[Record]:
    """A record of each crystal."""
    hull, observed = arrays["e_above_hull"].tolist(), arrays["icsd"].tolist()
    for index, name in enumerate(ids_of(arrays)):
        crystal = crystal_at(arrays, index)
        facts = {"e_above_hull": hull[index], "icsd": observed[index], "space_group": crystal.space_group}
        yield Record.of_crystal(name, crystal, **facts)


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
