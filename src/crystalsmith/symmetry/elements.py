"""Chemical elements by symbol and atomic number, with place in the periodic table and covalent radii."""

from __future__ import annotations

import numpy as np
from ase.data import chemical_symbols, covalent_radii

from crystalsmith.errors import StructureError

SYMBOLS: tuple[str, ...] = tuple(chemical_symbols)
"""Index 0 is 'X', no element; 1 is H."""
_NUMBER = {s: z for z, s in enumerate(SYMBOLS) if z}
NOBLE = (0, 2, 10, 18, 36, 54, 86, 118)
COVALENT_RADII = np.where(np.isnan(covalent_radii), 1.6, covalent_radii)
"""(119,) Angstrom (Cordero et al. 2008); 1.6 where none is known."""


def atomic_number(symbol: str) -> int:
    """Atomic number of a symbol.

    Raises:
        StructureError: if there is no such element.
    """
    try:
        return _NUMBER[symbol]
    except (KeyError, TypeError):
        raise StructureError(f"unknown element {symbol!r}; give a symbol such as Na or Cl") from None


def period_and_group(z: int) -> tuple[int, int]:
    """Period 1 to 7 and group 1 to 18 of an atomic number; f-block elements have group 0."""
    period = next(i for i in range(1, 8) if z <= NOBLE[i])
    place = z - NOBLE[period - 1]
    length = NOBLE[period] - NOBLE[period - 1]
    if z == 2:
        return 1, 18
    if length == 2:
        return period, place
    if length == 8:
        return period, place if place <= 2 else place + 10
    if length == 18:
        return period, place
    return period, place if place <= 2 else (0 if place <= 16 else place - 14)
