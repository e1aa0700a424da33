"""One structure as a source gives it, before its symmetry is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.elements import NUMBERS
from crystalsmith.crystal.standardize import crystal_from_arrays
from crystalsmith.errors import StructureError


class Item(NamedTuple):
    """The text of one structure: cheap to find in a source and to send to another process.

    Attributes:
        id: the source's identifier, or the place in the source.
        text: what a parser turns into a ``Record``.
        e_above_hull: eV/atom where the source keeps it outside the text, else NaN.
        icsd: 1 observed in experiment, 0 not, -1 unknown or in the text.
        fault: why there is no text, where the source's member cannot be unpacked.
    """

    id: str
    text: str
    e_above_hull: float = math.nan
    icsd: int = -1
    fault: str = ""


@dataclass(frozen=True, eq=False)
class Record:
    """A structure and what its source says of it; one that could not be read holds its reason instead.

    Attributes:
        id: the source's identifier.
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
