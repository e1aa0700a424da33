"""One structure as a source gives it, before its symmetry is known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


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
    """A structure and what its source says of it.

    Attributes:
        id: the source's identifier.
        lattice: (3, 3) rows in Angstrom.
        fractional: (n, 3).
        numbers: (n,) atomic numbers.
        e_above_hull: eV/atom, NaN if unknown.
        icsd: 1 observed in experiment, 0 not, -1 unknown.
        space_group: number that the source names, 0 where it names none; nothing has verified it.
        index: place among several crystals of one id, -1 where the source does not say.
    """

    id: str
    lattice: np.ndarray
    fractional: np.ndarray
    numbers: np.ndarray
    e_above_hull: float = math.nan
    icsd: int = -1
    space_group: int = 0
    index: int = -1
