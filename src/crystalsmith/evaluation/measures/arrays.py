"""The atoms of one cell, as measures take them."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from crystalsmith.crystal import NUMBERS, SYMBOLS, Crystal, reduced_formula

if TYPE_CHECKING:
    from pymatgen.core import Structure


@dataclass(frozen=True, eq=False)
class Arrays:
    """The atoms of one cell.

    Attributes:
        lattice: (3, 3) rows in Angstrom.
        fractional: (n, 3).
        numbers: (n,) atomic numbers.
    """

    lattice: np.ndarray
    fractional: np.ndarray
    numbers: np.ndarray

    @cached_property
    def digest(self) -> bytes:
        """(20 bytes) hash of the content, to 1e-8 of an Angstrom or of a cell's edge."""
        h = hashlib.sha256()
        for values, scale in ((self.lattice, 1e8), (self.fractional, 1e8)):
            h.update(np.rint(np.asarray(values, dtype=np.float64) * scale).astype(np.int64).tobytes())
        h.update(np.asarray(self.numbers, dtype=np.int64).tobytes())
        return h.digest()[:20]

    @cached_property
    def counts(self) -> dict[int, int]:
        """Atoms of each element in the reduced formula, by atomic number."""
        z, n = np.unique(self.numbers, return_counts=True)
        divisor = math.gcd(*n.tolist())
        return dict(zip(z.tolist(), (n // divisor).tolist(), strict=True))

    @property
    def volume(self) -> float:
        """Volume of the cell, Angstrom^3."""
        return float(abs(np.linalg.det(self.lattice)))

    @cached_property
    def formula(self) -> str:
        """Reduced formula."""
        return reduced_formula({SYMBOLS[z]: n for z, n in self.counts.items()})

    def to_structure(self) -> Structure:
        """The same cell as a pymatgen Structure."""
        from pymatgen.core import Lattice, Structure

        return Structure(Lattice(self.lattice), self.numbers.tolist(), self.fractional)


def crystal_arrays(crystal: Crystal) -> Arrays:
    """The primitive cell of a crystal."""
    symbols, fractional = crystal.positions(primitive=True)
    return Arrays(crystal.primitive_lattice, fractional, np.array([NUMBERS[s] for s in symbols]))
