"""The table of prototypes: statistics over at least two crystals each, in one small file."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.assignments import Assignment, positions_of
from crystalsmith.crystal.elements import SYMBOLS, reduced_formula
from crystalsmith.data import Dataset
from crystalsmith.data.volumes import fit_atomic_volumes
from crystalsmith.errors import DataError
from crystalsmith.prior import KnownCrystals, Prototypes
from crystalsmith.prototypes.arrangements import arrangements_of
from crystalsmith.prototypes.clustering import RADII, Cluster, clusters_of
from crystalsmith.prototypes.records import Record
from crystalsmith.runs.progress import Progress, silent
from crystalsmith.runs.sealed import check_seal, read_header, write_sealed
from crystalsmith.symmetry import space_group, tables

FORMAT, VERSION = "crystalsmith.prototypes", "1"

TENSORS: dict[str, str] = {
    "atomic_volume": "float32",  # (119,) Angstrom^3
    "tuple_start": "int32",  # (C + 1,) element tuples of cluster c are tuple_start[c]:tuple_start[c + 1]
    "count": "int32",  # (C,) crystals
    "coordinate": "int16",  # torus coordinates of all freedoms in turn, in periods / 65536
    "strain": "int16",  # (C, 5) log-strains but the isotropic one, in 1 / 10000
    "ratio": "int16",  # (C,) logarithm of volume over that of the atoms, in 1 / 10000
    "spread": "int16",  # (C, 3) of positions, strains and ratios, in 1 / 10000
    "wyckoff": "int16",  # (s,) rows in symmetry.Tables, slot by slot
    "space_group": "uint8",  # (C,)
    "slots": "uint8",  # (C,) slots of each cluster
    "sites": "uint8",  # sites of each slot
    "element": "uint8",  # atomic numbers of the tuples, slot by slot
    "above": "uint8",  # (T,) meV/atom above the hull of each tuple's most stable crystal, 255 unknown
}
"""Name -> type; C clusters."""

_CODES = {"float32": "F32", "int32": "I32", "int16": "I16", "uint8": "U8"}
_UNIT, _TURN = 1e-4, 65536
_MAKE = "make it with `crystalsmith data prototypes`"


@dataclass(frozen=True, eq=False)
class PrototypeTable:
    """Clusters of known crystals.

    Attributes:
        arrays: as ``TENSORS`` says.
        metadata: what the file says of its making, strings.

    Raises:
        ValueError: the arrays do not fit together.
    """

    arrays: Mapping[str, np.ndarray]
    metadata: dict[str, str] = field(default_factory=dict)
    kind = "prototype"

    def __post_init__(self) -> None:
        _check(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays["count"])

    def __getstate__(self) -> dict[str, Any]:
        # What was worked out from the arrays stays behind: another process works it out where it needs it.
        return {"arrays": dict(self.arrays), "metadata": self.metadata}

    @staticmethod
    def build(
        dataset: Dataset,
        *,
        radii: Sequence[tuple[float, float]] = RADII,
        progress: Progress = silent,
        metadata: Mapping[str, str] | None = None,
    ) -> PrototypeTable:
        """The table of a data set.

        Args:
            dataset: the crystals.
            radii: of clusters, see ``clustering``.
            progress: told how many crystals are done.
            metadata: strings to keep in the file's header.

        Raises:
            DataError: the data set is empty.
        """
        if not len(dataset):
            raise DataError("the data set holds no crystal, so there is no table of prototypes")
        volume = fit_atomic_volumes(dataset)
        done, clusters = 0, []
        progress("crystals", 0, len(dataset))
        for members in arrangements_of(dataset, volume):
            if len(members.rows) > 1:
                clusters += clusters_of(members, radii)
            done += len(members.rows)
            progress("crystals", done, len(dataset))
        return PrototypeTable.of(clusters, volume, {**(metadata or {}), "crystals": str(len(dataset))})

    @staticmethod
    def of(
        clusters: list[Cluster], atomic_volume: np.ndarray, metadata: Mapping[str, str] | None = None
    ) -> PrototypeTable:
        """The table of some clusters; those of a single crystal are left out."""
        clusters = [c for c in clusters if len(c) >= 2]
        rows = [np.array([positions_of(c.number).first + p for s in c.slots for p in s]) for c in clusters]
        dof = tables().dof
        w = [c.w[np.arange(3) < dof[y][:, None]] for c, y in zip(clusters, rows, strict=True)]
        tuples, above = [], []
        for c in clusters:
            distinct, place = np.unique(c.elements, axis=0, return_inverse=True)
            lowest = np.full(len(distinct), np.inf)
            np.minimum.at(lowest, place.ravel(), np.where(np.isnan(c.e_above_hull), np.inf, c.e_above_hull))
            tuples.append(distinct)
            above.append(np.where(np.isfinite(lowest), np.clip(np.rint(lowest * 1000), 0, 254), 255))

        def joined(parts: list[Any], kind: str) -> np.ndarray:
            return np.concatenate([np.zeros(0), *map(np.ravel, parts)]).astype(kind)

        def small(values: list[Any], width: tuple[int, ...]) -> np.ndarray:
            whole = np.rint(np.array(values, dtype=float).reshape(len(clusters), *width) / _UNIT)
            return np.clip(whole, -32767, 32767).astype(np.int16)

        turns = np.rint(np.concatenate([np.zeros(0), *w]) * _TURN).astype(np.int64) % _TURN
        arrays = {
            "atomic_volume": np.asarray(atomic_volume, np.float32),
            "tuple_start": np.cumsum([0, *map(len, tuples)], dtype=np.int32),
            "count": np.array([len(c) for c in clusters], np.int32),
            "coordinate": turns.astype(np.uint16).view(np.int16),
            "strain": small([c.strain[1:] for c in clusters], (5,)),
            "ratio": small([c.ratio for c in clusters], ()),
            "spread": small([(c.spread, c.strain_spread, c.ratio_spread) for c in clusters], (3,)),
            "wyckoff": joined(rows, "int16"),
            "space_group": np.array([c.number for c in clusters], np.uint8),
            "slots": np.array([len(c.slots) for c in clusters], np.uint8),
            "sites": joined([[len(s) for s in c.slots] for c in clusters], "uint8"),
            "element": joined(tuples, "uint8"),
            "above": joined(above, "uint8"),
        }
        return PrototypeTable(arrays, dict(metadata or {}))

    @staticmethod
    def open(path: str | Path) -> PrototypeTable:
        """Read a file.

        Raises:
            DataError: missing, damaged, of another kind or of another version.
        """
        path = Path(path)
        try:
            header, begin = read_header(path)
        except OSError as error:
            raise DataError(f"cannot read table of prototypes {path}: {error.strerror or error}") from None
        except (ValueError, RecursionError):
            raise DataError(f"{path} is truncated or no table of prototypes; {_MAKE}") from None
        metadata = header.pop("__metadata__")
        if metadata.get("format") != FORMAT:
            raise DataError(f"{path} is no table of prototypes; {_MAKE}")
        if metadata.get("version") != VERSION:
            raise DataError(
                f"{path} is a table of prototypes of version {metadata.get('version')}, this program reads "
                f"{VERSION}; make it again with `crystalsmith data prototypes`"
            )
        try:
            check_seal(path)
            raw = path.read_bytes()
            arrays = {}
            for name, kind in TENSORS.items():
                first, last = (begin + int(x) for x in header[name]["data_offsets"])
                if header[name]["dtype"] != _CODES[kind] or not begin <= first <= last <= len(raw):
                    raise ValueError(name)
                arrays[name] = np.frombuffer(raw[first:last], kind).reshape(header[name]["shape"])
            return PrototypeTable(
                arrays, {k: str(v) for k, v in metadata.items() if k not in ("crc", "format", "version")}
            )
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            raise DataError(
                f"table of prototypes {path} is damaged or truncated; copy or make it again"
            ) from None

    def save(self, path: str | Path) -> Path:
        """Write the table, whole or not at all.

        Raises:
            DataError: it cannot be written.
        """
        path = Path(path)
        header, end, blocks = {}, 0, []
        for name, kind in TENSORS.items():
            array = np.ascontiguousarray(self.arrays[name])
            begin, end = end, end + array.nbytes
            header[name] = {"dtype": _CODES[kind], "shape": array.shape, "data_offsets": [begin, end]}
            blocks.append(array.tobytes())
        try:
            write_sealed(path, header, {**self.metadata, "format": FORMAT, "version": VERSION}, blocks)
        except OSError as error:
            raise DataError(f"cannot write table of prototypes {path}: {error.strerror or error}") from None
        return path

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the content."""
        digest = hashlib.sha256()
        for name in TENSORS:
            digest.update(name.encode() + np.ascontiguousarray(self.arrays[name]).tobytes())
        return digest.hexdigest()

    @cached_property
    def atomic_volume(self) -> np.ndarray:
        """(119,) Angstrom^3."""
        return self.arrays["atomic_volume"].astype(float)

    @cached_property
    def _starts(self) -> dict[str, np.ndarray]:
        """Where the slots, sites, coordinates and element tuples of each cluster begin."""
        a, t = self.arrays, tables()
        slot = np.cumsum([0, *a["slots"].tolist()])
        site = np.cumsum([0, *a["sites"].tolist()])[slot]
        freedom = np.concatenate([[0], np.cumsum(t.dof[a["wyckoff"].astype(int)])])[site]
        tuples = np.diff(a["tuple_start"])
        element = np.cumsum([0, *(tuples * a["slots"]).tolist()])
        return {"slot": slot, "site": site, "freedom": freedom, "element": element}

    @cached_property
    def cluster_of_tuple(self) -> np.ndarray:
        """(T,) cluster of each element tuple."""
        return np.repeat(np.arange(len(self)), np.diff(self.arrays["tuple_start"]))

    def slots(self, cluster: int) -> Assignment:
        """Occupied positions of a cluster, counted within the group from 0."""
        a, s = self.arrays, self._starts
        first = positions_of(int(a["space_group"][cluster])).first
        sizes = a["sites"][s["slot"][cluster] : s["slot"][cluster + 1]].tolist()
        rows = (a["wyckoff"][s["site"][cluster] : s["site"][cluster + 1]].astype(int) - first).tolist()
        ends = np.cumsum([0, *sizes]).tolist()
        return tuple(tuple(rows[i:j]) for i, j in pairwise(ends))

    @cached_property
    def prototypes(self) -> Prototypes:
        """The element tuples, each as a known crystal with its elements slot by slot."""
        a, s = self.arrays, self._starts
        owner = self.cluster_of_tuple
        slots = a["slots"].astype(int)
        size = tables().multiplicity_primitive[a["wyckoff"].astype(int)]
        slot_end = np.cumsum([0, *a["sites"].tolist()])
        atoms = np.add.reduceat(size, slot_end[:-1]) if len(size) else np.zeros(0, int)
        start = np.concatenate([[0], np.cumsum(slots[owner])])
        # Row of each entry of each tuple among the slots of all clusters.
        entry = np.arange(start[-1]) - np.repeat(start[:-1] - s["slot"][owner], slots[owner])
        known = KnownCrystals(
            space_group=a["space_group"][owner].astype(int),
            start=start,
            element=a["element"].astype(int),
            atoms=atoms[entry].astype(int),
            sites=a["sites"][entry].astype(int),
            assignment=lambda row: self.slots(int(owner[row])),
        )
        return Prototypes(known)

    def of_ratio(self, ratio: tuple[int, ...]) -> Prototypes:
        """All of them."""
        return self.prototypes

    def record(self, prototypes: Prototypes, row: int) -> Record:
        """The cluster of an element tuple, named by these elements."""
        cluster = int(self.cluster_of_tuple[row])
        a, s = self.arrays, self._starts
        number = int(a["space_group"][cluster])
        rows = a["wyckoff"][s["site"][cluster] : s["site"][cluster + 1]].astype(int)
        free = np.arange(3) < tables().dof[rows][:, None]
        w = np.zeros((len(rows), 3))
        turns = a["coordinate"][s["freedom"][cluster] : s["freedom"][cluster + 1]]
        w[free] = (turns.astype(int) % _TURN) / _TURN
        known = prototypes.known
        own = slice(int(known.start[row]), int(known.start[row + 1]))
        counts = {
            SYMBOLS[z]: n for z, n in zip(known.element[own].tolist(), known.atoms[own].tolist(), strict=True)
        }
        count = int(a["count"][cluster])
        return Record(
            space_group=number,
            slots=self.slots(cluster),
            w=w,
            strain=np.concatenate([[0.0], a["strain"][cluster] * _UNIT]),
            ratio=float(a["ratio"][cluster] * _UNIT),
            name=f"{reduced_formula(counts)} ({space_group(number).symbol}), {count} crystals",
            members=count,
            spread=float(a["spread"][cluster, 0] * _UNIT),
            e_above_hull=math.nan if a["above"][row] == 255 else float(a["above"][row]) / 1000,
        )

    def summary(self) -> dict[str, int]:
        """Numbers of clusters, of arrangements, of element tuples and of crystals."""
        arrangements = {(int(self.arrays["space_group"][c]), self.slots(c)) for c in range(len(self))}
        return {
            "clusters": len(self),
            "arrangements": len(arrangements),
            "tuples": len(self.cluster_of_tuple),
            "crystals": int(self.arrays["count"].sum()),
        }


def _check(a: Mapping[str, np.ndarray]) -> None:
    """Refuse arrays that do not fit together.

    Raises:
        ValueError, KeyError, IndexError: so they are.
    """
    t, c = tables(), len(a["count"])
    if any(a[name].dtype != kind for name, kind in TENSORS.items()):
        raise ValueError("types")
    tuples = np.diff(a["tuple_start"])
    wyckoff, sites, slots = (a[k].astype(int) for k in ("wyckoff", "sites", "slots"))
    fits = (
        all(len(a[k]) == c for k in ("strain", "ratio", "spread", "space_group", "slots"))
        and a["strain"].shape == (c, 5)
        and a["spread"].shape == (c, 3)
        and a["atomic_volume"].shape == (119,)
        and bool(np.isfinite(a["atomic_volume"]).all() and (a["atomic_volume"][1:] > 0).all())
        and len(a["tuple_start"]) == c + 1
        and int(a["tuple_start"][0]) == 0
        and bool((tuples >= 1).all() and (a["count"] >= 2).all() and (slots >= 1).all())
        and bool((sites >= 1).all() and (wyckoff >= 0).all() and (wyckoff < len(t.dof)).all())
        and len(sites) == slots.sum()
        and len(wyckoff) == sites.sum()
        and len(a["coordinate"]) == t.dof[wyckoff].sum()
        and len(a["element"]) == (tuples * slots).sum()
        and len(a["above"]) == tuples.sum()
        and bool(((a["element"] > 0) & (a["element"] <= 118)).all())
    )
    if not fits:
        raise ValueError("its arrays do not fit together")
    of_slot = np.repeat(np.arange(c), slots)
    owner = np.repeat(of_slot, sites)
    if not np.array_equal(t.wyckoff_group[wyckoff], a["space_group"][owner]):
        raise ValueError("its positions are of other space groups")
