"""One structure as a source gives it, before its symmetry is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.elements import NUMBERS, SYMBOLS
from crystalsmith.crystal.standardize import crystal_from_arrays
from crystalsmith.errors import StructureError


class Item(NamedTuple):
    """The text or object of one structure: cheap to find in a source and to send to another process.

    Attributes:
        id: the source's identifier, or the place in the source.
        kind: which parser turns it into records.
        data: what that parser takes.
        facts: fields of the record that stand outside of the data.
        source: file and member that it comes from.
        fault: why there are no data, where the source's member cannot be unpacked.
    """

    id: str
    kind: str
    data: Any
    facts: Mapping[str, Any] = {}
    source: str = ""
    fault: str = ""


_UNKNOWN = {"e_above_hull": math.nan, "energy": math.nan, "icsd": -1, "space_group": 0, "index": -1}


@dataclass(frozen=True, eq=False)
class Record:
    """A structure and what its source says of it; one that could not be read holds its reason instead.

    Attributes:
        id: the source's identifier; characters that no text may hold are replaced.
        lattice: (3, 3) rows in Angstrom; None where ``failure`` says why.
        fractional: (n, 3).
        numbers: (n,) atomic numbers.
        e_above_hull: eV/atom, NaN if unknown.
        icsd: 1 observed in experiment, 0 not, -1 unknown.
        space_group: number that the source names, 0 where it names none; nothing has verified it.
        index: place among several crystals of one id, -1 where the source does not say.
        energy: eV/atom, NaN if unknown.
        crystal: only where the source states space group and Wyckoff letters without loss.
        failure: why it could not be read; what stands before the first colon names the kind. Else empty.
        warnings: what a reader found odd but could settle.
        source: file and member that it came from.
    """

    id: str
    lattice: np.ndarray | None
    fractional: np.ndarray
    numbers: np.ndarray
    e_above_hull: float = math.nan
    icsd: int = -1
    space_group: int = 0
    index: int = -1
    energy: float = math.nan
    crystal: Crystal | None = None
    failure: str = ""
    warnings: tuple[str, ...] = ()
    source: str = ""

    def __post_init__(self) -> None:
        if not self.id.isprintable() or not self.id.isascii():
            text = self.id.encode(errors="replace").decode()  # lone surrogates
            text = "".join(c if c.isprintable() else " " for c in text)
            object.__setattr__(self, "id", " ".join(text.split()))

    @classmethod
    def failed(cls, id: str, failure: str, **facts: Any) -> Record:
        """A record of something that could not be read."""
        return cls(id, None, np.empty((0, 3)), np.empty(0, dtype=np.int64), failure=failure, **facts)

    @classmethod
    def of_crystal(cls, id: str, crystal: Crystal, **facts: Any) -> Record:
        """A record that states its crystal, with the atoms of the primitive cell."""
        symbols, fractional = crystal.positions(primitive=True)
        numbers = np.array([NUMBERS[s] for s in symbols])
        return cls(id, crystal.primitive_lattice, fractional, numbers, crystal=crystal, **facts)

    def filled(self, facts: Mapping[str, Any]) -> Record:
        """With those of the facts that it lacks."""
        lacking = {}
        for key, unknown in _UNKNOWN.items():
            own = getattr(self, key)
            if key in facts and (own != own or own == unknown):
                lacking[key] = facts[key]
        return replace(self, **lacking) if lacking else self

    def fault(self) -> str:
        """What makes its arrays no crystal at all, whatever its quality; empty if nothing does."""
        return "" if self.lattice is None else array_fault(self.lattice, self.fractional, self.numbers)

    def symmetrized(self, symprec: float = 0.01) -> Crystal:
        """The crystal as the source states it, else as a symmetry search finds it.

        Args:
            symprec: tolerance of the search in Angstrom.

        Raises:
            StructureError: unreadable, or no description could be verified.
        """
        if self.crystal is not None:
            return self.crystal
        if self.lattice is None:
            raise StructureError(self.failure)
        return crystal_from_arrays(self.lattice, self.fractional, self.numbers, symprec)


def array_fault(lattice: np.ndarray, fractional: np.ndarray, numbers: np.ndarray) -> str:
    """What makes arrays no crystal at all; what stands before the colon is the kind."""
    if not len(numbers):
        return "empty: no atoms"
    if lattice.shape != (3, 3) or fractional.shape != (len(numbers), 3):
        return "unreadable: cell, coordinates and elements do not fit together"
    if not (np.isfinite(lattice).all() and np.isfinite(fractional).all()):
        return "not finite: a cell or coordinate is no number"
    if max(np.abs(lattice).max(), np.abs(fractional).max()) > 1e6:
        return "absurd: a cell or coordinate beyond a million"
    if not abs(np.linalg.det(lattice)) > 1e-6:
        return "flat cell: the cell has no volume"
    if numbers.min() < 1 or numbers.max() >= len(SYMBOLS):
        return "unreadable: not an element"
    return ""
