"""Guides of a data set: for each crystal the most similar others of the same layout, in its own description.

A file holds them as they were found once; training draws one for each crystal.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crystalsmith.data import Dataset
from crystalsmith.errors import DataError
from crystalsmith.graph import Guide
from crystalsmith.graph.ragged import expand
from crystalsmith.runs.sealed import check_seal, read_header, write_sealed
from crystalsmith.symmetry import tables

FORMAT, VERSION = "crystalsmith.guides", "1"

NEAREST = 0.6
"""How often the most similar crystal is drawn; any of the others the rest of the time, so that the network
learns how far to trust which."""

_TENSORS: dict[str, tuple[str, tuple[int, ...]]] = {
    "start": ("int64", ()),
    "site_start": ("int64", ()),
    "id_start": ("int64", ()),
    "w": ("float32", (3,)),
    "shape": ("float32", (6,)),
    "volume": ("float32", ()),
    "weight": ("float32", ()),
    "source": ("int32", ()),
    "wyckoff": ("int16", ()),
    "element": ("uint8", ()),
    "id_bytes": ("uint8", ()),
}
_NAMES = {"int64": "I64", "float32": "F32", "int32": "I32", "int16": "I16", "uint8": "U8"}


@dataclass(frozen=True)
class Guides:
    """Guides of n crystals with s sites; g guides with t sites.

    Attributes:
        arrays: name -> array.

            ======================== ===========================================================
            ``start`` (n + 1,)       guides of crystal i are rows start[i]:start[i + 1], the best first
            ``site_start`` (n + 1,)  sites of crystal i are site_start[i]:site_start[i + 1] of ``wyckoff``
            ``wyckoff`` (s,)         row in ``symmetry.Tables`` of each site of a crystal
            ``w`` (t, 3)             torus coordinates of the guides' sites, each guide in its crystal's order
            ``element`` (t,)         atomic numbers of the guides' sites
            ``shape`` (g, 6)         log-strain of the guide's lattice around the cell of its own volume
            ``volume`` (g,)          of the guide's primitive cell, Angstrom^3
            ``weight`` (g,)          similarity of the elements, in (0, 1]
            ``source`` (g,)          row of the guide in the data set that it comes from
            ``id_bytes``, ``id_start`` identifiers of the crystals in UTF-8 and where each begins
            ======================== ===========================================================
    """

    arrays: dict[str, np.ndarray]

    @property
    def guided(self) -> int:
        """How many crystals have a guide."""
        return int((np.diff(self.arrays["start"]) > 0).sum())

    def save(self, path: str | Path) -> None:
        """Write the file, whole or not at all.

        Raises:
            DataError: if it cannot be written.
        """
        header: dict[str, Any] = {}
        end, blocks = 0, []
        for name, (dtype, _) in _TENSORS.items():
            block = np.ascontiguousarray(self.arrays[name], dtype=dtype)
            begin, end = end, end + block.nbytes
            header[name] = {"dtype": _NAMES[dtype], "shape": block.shape, "data_offsets": [begin, end]}
            blocks.append(block.tobytes())
        try:
            write_sealed(Path(path), header, {"format": FORMAT, "version": VERSION}, blocks)
        except OSError as error:
            raise DataError(f"cannot write guides {path}: {error.strerror or error}") from None

    @staticmethod
    def open(path: str | Path) -> Guides:
        """Read a file.

        Raises:
            DataError: missing, damaged, no guides or of another version.
        """
        path = Path(path)
        remedy = "make it with `crystalsmith data guides`"
        try:
            header, begin = read_header(path)
        except OSError as error:
            raise DataError(f"cannot read guides {path}: {error.strerror or error}") from None
        except (ValueError, RecursionError):
            raise DataError(f"{path} is truncated or holds no guides; {remedy}") from None
        about = header["__metadata__"]
        if about.get("format") != FORMAT:
            raise DataError(f"{path} holds no guides; {remedy}")
        if about.get("version") != VERSION:
            raise DataError(
                f"{path} holds guides of version {about.get('version')}, this program reads {VERSION};"
                " make it again"
            )
        try:
            check_seal(path)
            raw = path.read_bytes()
            arrays = {}
            for name, (dtype, tail) in _TENSORS.items():
                entry = header[name]
                first, last = (begin + int(x) for x in entry["data_offsets"])
                shape = tuple(int(x) for x in entry["shape"])
                if (
                    entry["dtype"] != _NAMES[dtype]
                    or shape[1:] != tail
                    or not begin <= first <= last <= len(raw)
                ):
                    raise ValueError(name)
                arrays[name] = np.frombuffer(raw[first:last], dtype=dtype).reshape(shape)
            _check(arrays)
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            raise DataError(f"{path} is damaged or truncated; {remedy} again") from None
        return Guides(arrays)


def _check(a: dict[str, np.ndarray]) -> None:
    n = len(a["start"]) - 1
    text = a["id_bytes"].tobytes()
    text.decode()
    sites = np.diff(a["site_start"])
    good = (
        n >= 0
        and len(a["site_start"]) == len(a["id_start"]) == n + 1
        and all(int(a[k][0]) == 0 and (np.diff(a[k]) >= 0).all() for k in ("start", "site_start", "id_start"))
        and int(a["id_start"][-1]) == len(text)
        and int(a["site_start"][-1]) == len(a["wyckoff"])
        and all(len(a[k]) == int(a["start"][-1]) for k in ("shape", "volume", "weight", "source"))
        and len(a["w"]) == len(a["element"]) == int((sites * np.diff(a["start"])).sum())
        and all(np.isfinite(a[k]).all() for k in ("w", "shape", "volume", "weight"))
        and (a["volume"] > 0).all()
        and ((a["weight"] > 0) & (a["weight"] <= 1)).all()
        and ((a["element"] > 0) & (a["element"] <= 118)).all()
        and ((a["wyckoff"] >= 0) & (a["wyckoff"] < len(tables().dof))).all()
    )
    if not good:
        raise ValueError("impossible values")


class GuideExamples:
    """The guides of a data set's crystals as tensors on one device.

    Args:
        guides: of these crystals, and maybe of others.
        dataset: n crystals. One that has no guides goes without.
        atomic_volume: (119,) Angstrom^3 by atomic number; makes the guides' reference cells.
        device: where the tensors go.

    Raises:
        DataError: no crystal of the data set has a guide, so that the files do not belong together.
    """

    def __init__(
        self, guides: Guides, dataset: Dataset, atomic_volume: np.ndarray, device: str | torch.device = "cpu"
    ) -> None:
        a, t = guides.arrays, tables()
        text, ends = a["id_bytes"].tobytes(), a["id_start"].tolist()
        place = {text[i:j].decode(): k for k, (i, j) in enumerate(pairwise(ends))}
        start, wyckoff = dataset.arrays["start"], np.asarray(dataset.arrays["wyckoff"])
        rows = np.full(len(dataset), -1)
        for i, name in enumerate(dataset.ids):
            k = place.get(name, -1)
            if k >= 0 and np.array_equal(
                wyckoff[start[i] : start[i + 1]], a["wyckoff"][a["site_start"][k] : a["site_start"][k + 1]]
            ):
                rows[i] = k
        counts = np.where(rows < 0, 0, np.diff(a["start"])[rows])
        if not counts.any():
            raise DataError("the guides are of none of the data set's crystals; make them from this data set")
        sites = np.diff(a["site_start"])
        of = np.repeat(np.arange(len(sites)), np.diff(a["start"]))  # crystal of each guide
        first = np.cumsum(sites[of]) - sites[of]
        owner = np.repeat(np.arange(len(of)), sites[of])
        rank = np.arange(len(owner)) - first[owner]
        size = t.multiplicity_primitive[a["wyckoff"][a["site_start"][of[owner]] + rank]]
        reference = np.bincount(owner, atomic_volume[a["element"]] * size, len(of))
        strain = a["shape"].astype(float)
        strain[:, 0] += np.log(a["volume"] / reference) / np.sqrt(3)

        def put(x: np.ndarray, dtype: torch.dtype) -> Tensor:
            return torch.tensor(np.asarray(x), dtype=dtype, device=device)

        self.counts = put(counts, torch.long)
        self.first_guide = put(np.where(rows < 0, 0, a["start"][:-1][rows]), torch.long)
        self.first_site = put(first, torch.long)
        self.w = put(a["w"], torch.float32)
        self.strain = put(strain, torch.float32)
        self.weight = put(a["weight"], torch.float32)
        self.sites = put(np.diff(start), torch.long)

    def nearest(self, index: Tensor) -> Guide:
        """The most similar guide of each crystal of rows (B,), where there is one."""
        return self.at(index, torch.zeros_like(index))

    def at(self, index: Tensor, which: Tensor) -> Guide:
        """The guide of number ``which`` (B,), from 0, of each crystal of rows (B,), where there is one."""
        return self._take(index, which, (which < self.counts[index]).to(torch.float32))

    def draw(self, index: Tensor, generator: torch.Generator, left_out: float) -> Guide:
        """A guide of each crystal of rows (B,).

        Args:
            index: (B,) rows.
            generator: on the CPU.
            left_out: share of the crystals that go without.
        """
        u = torch.rand(3, len(index), generator=generator).to(index.device)
        other = 1 + (u[1] * (self.counts[index] - 1)).long()
        which = torch.where((u[0] < NEAREST) | (self.counts[index] < 2), 0, other)
        return self._take(index, which, (u[2] >= left_out).to(torch.float32))

    def _take(self, index: Tensor, which: Tensor, wanted: Tensor) -> Guide:
        there = which < self.counts[index]
        guide = torch.where(there, self.first_guide[index] + which, 0)
        owner, rank = expand(self.sites[index])
        known = there[owner]
        site = torch.where(known, self.first_site[guide][owner] + rank, 0)
        return Guide(
            w=self.w[site] * known[:, None],
            strain=self.strain[guide] * there[:, None],
            present=wanted * there,
            weight=torch.where(there, self.weight[guide], 1.0),
        )
