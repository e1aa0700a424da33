"""Reference phases: known crystals with the energy that one potential gives them."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from crystalsmith.crystal import NUMBERS, SYMBOLS, reduced_formula
from crystalsmith.errors import HullError
from crystalsmith.runs.atomic import replacing, writing

FORMAT = "crystalsmith.hull"
VERSION = "1"

# What numpy raises for a file that is no archive of arrays, a truncated one, and one with bytes changed.
_DAMAGES = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    SyntaxError,
    OverflowError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
_ARRAYS = ("start", "element", "atoms", "energy", "space_group", "calls", "ids")


@dataclass(frozen=True)
class Phase:
    """One phase that others may fall into.

    Attributes:
        id: where it comes from, such as ``mp-1234``.
        counts: atoms of each element, by symbol, in its primitive cell or formula unit.
        energy: eV per atom, of the potential.
        space_group: number, 0 where unknown.
        calls: evaluations of the potential that its energy took: 1 for a single point, more for a relaxation;
            0 where unknown.
    """

    id: str
    counts: Mapping[str, int]
    energy: float
    space_group: int = 0
    calls: int = 0

    @property
    def formula(self) -> str:
        """Reduced formula."""
        return reduced_formula(self.counts)

    @property
    def elements(self) -> frozenset[str]:
        """Symbols."""
        return frozenset(self.counts)

    @property
    def n_atoms(self) -> int:
        """Atoms in ``counts``."""
        return sum(self.counts.values())

    @property
    def name(self) -> str:
        """For people: ``K2Si (mp-1234)``."""
        return f"{self.formula} ({self.id})"


class References:
    """Phases with the energies of one potential.

    Attributes:
        arrays: n phases, m elements in all: ``start`` (n + 1,) elements of phase i are rows
            start[i]:start[i + 1]; ``element`` (m,) atomic numbers; ``atoms`` (m,) atoms of each; ``energy``
            (n,) eV per atom; ``space_group`` (n,); ``calls`` (n,); ``ids`` bytes, one id a line.
        metadata: ``potential`` and how the energies were computed; all of it plain JSON.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> None:
        self.arrays = dict(arrays)
        self.metadata = dict(metadata)

    @staticmethod
    def of(phases: Sequence[Phase], metadata: Mapping[str, Any]) -> References:
        """Those of a list."""
        counts = [sorted((NUMBERS[e], n) for e, n in p.counts.items()) for p in phases]
        pairs = [pair for own in counts for pair in own]
        arrays: dict[str, np.ndarray] = {
            "start": np.cumsum([0, *(len(c) for c in counts)]).astype(np.int32),
            "element": np.array([z for z, _ in pairs], dtype=np.uint8),
            "atoms": np.array([n for _, n in pairs], dtype=np.uint16),
            "energy": np.array([p.energy for p in phases], dtype=np.float32),
            "space_group": np.array([p.space_group for p in phases], dtype=np.uint8),
            "calls": np.array([p.calls for p in phases], dtype=np.uint16),
            # An id with a line break in it would shift all that follow.
            "ids": np.frombuffer("\n".join(" ".join(p.id.split()) for p in phases).encode(), dtype=np.uint8),
        }
        return References(arrays, metadata)

    @staticmethod
    def open(path: str | os.PathLike[str]) -> References:
        """Read a file of ``hull build``.

        Raises:
            HullError: missing, damaged, not such a file or of another version.
        """
        path = Path(path)
        damaged = HullError(
            f"{path} is damaged or holds no reference phases; make it with `crystalsmith hull build`"
        )
        try:
            with np.load(path, allow_pickle=False) as file:
                metadata = json.loads(file["metadata"].tobytes())
                arrays = {name: file[name] for name in _ARRAYS}
        except FileNotFoundError:
            raise HullError(f"there is no file {path}; make it with `crystalsmith hull build`") from None
        except PermissionError:
            raise HullError(f"{path} cannot be read; change its permissions or name another file") from None
        except _DAMAGES:
            raise damaged from None
        if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
            raise damaged
        if metadata.get("version") != VERSION:
            raise HullError(
                f"{path} holds references of version {metadata.get('version')}, this program reads {VERSION};"
                " build them again"
            )
        if not _fits(arrays):
            raise damaged
        return References(arrays, metadata)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file, whole or not at all.

        Raises:
            OutputError: it cannot be written.
        """
        path = Path(path)
        metadata = {**self.metadata, "format": FORMAT, "version": VERSION}
        buffer = io.BytesIO()
        text = np.frombuffer(json.dumps(metadata).encode(), dtype=np.uint8)
        np.savez_compressed(buffer, allow_pickle=False, metadata=text, **self.arrays)
        with writing(path), replacing(path, durable=True) as partial:
            partial.write_bytes(buffer.getvalue())

    @property
    def potential(self) -> str:
        """Whose energies these are."""
        return str(self.metadata.get("potential", ""))

    @cached_property
    def ids(self) -> list[str]:
        """Of all phases."""
        return self.arrays["ids"].tobytes().decode().split("\n") if len(self) else []

    def __len__(self) -> int:
        return len(self.arrays["energy"])

    def __getitem__(self, i: int) -> Phase:
        a = self.arrays
        rows = slice(int(a["start"][i]), int(a["start"][i + 1]))
        counts = zip(a["element"][rows].tolist(), a["atoms"][rows].tolist(), strict=True)
        return Phase(
            self.ids[i],
            {SYMBOLS[z]: n for z, n in counts},
            float(a["energy"][i]),
            int(a["space_group"][i]),
            int(a["calls"][i]),
        )

    def __iter__(self) -> Iterator[Phase]:
        return (self[i] for i in range(len(self)))

    def of_system(self, elements: Collection[str]) -> list[Phase]:
        """All phases that hold nothing but these elements."""
        if not len(self):
            return []
        inside = np.isin(self.arrays["element"], [NUMBERS[e] for e in elements])
        whole = np.logical_and.reduceat(inside, self.arrays["start"][:-1])
        return [self[int(i)] for i in np.flatnonzero(whole)]

    def without(self, ids: Collection[str]) -> References:
        """All but the phases of these ids."""
        return References.of([phase for phase in self if phase.id not in ids], self.metadata)

    @property
    def note(self) -> str:
        """What the energies are, in one line."""
        relaxed = int((self.arrays["calls"] > 1).sum())
        how = f"{relaxed:,} of them relaxed under their symmetry" if relaxed else "single points"
        phases = "1 reference phase" if len(self) == 1 else f"{len(self):,} reference phases"
        return f"{phases} by {self.potential}, {how}"


def _fits(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether lengths, kinds and numbers go together."""
    if any(
        a.ndim != 1 or a.dtype.kind not in ("f" if name == "energy" else "iu") for name, a in arrays.items()
    ):
        return False
    start, element, atoms, energy = (arrays[name] for name in ("start", "element", "atoms", "energy"))
    n = len(energy)
    if len(start) != n + 1 or len(arrays["space_group"]) != n or len(arrays["calls"]) != n:
        return False
    if len(atoms) != len(element) or (int(start[0]), int(start[-1])) != (0, len(element)):
        return False
    lines = int((arrays["ids"] == ord("\n")).sum()) + 1
    return bool(
        (np.diff(start.astype(np.int64)) > 0).all()
        and np.isfinite(energy).all()
        and (atoms > 0).all()
        and ((element > 0) & (element < len(SYMBOLS))).all()
        and (arrays["space_group"] <= 230).all()
        and lines == max(n, 1)
    )


def shipped(potential: str) -> References | None:
    """The references that come with the package for a potential; None where there are none."""
    from importlib.resources import as_file, files

    resource = files("crystalsmith.hull").joinpath(f"{potential}.npz")
    if not potential.replace("-", "").isalnum() or not resource.is_file():
        return None
    with as_file(resource) as path:
        return References.open(path)
