"""Chemical elements: symbols, numbers and the order in which a formula names them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from ase.data import covalent_radii

from crystalsmith.errors import StructureError

SYMBOLS = (
    "",
    *(
        "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br "
        "Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er "
        "Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md "
        "No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og "
    ).split(),
)
"""Symbol by atomic number; entry 0 is empty."""

NUMBERS = {symbol: z for z, symbol in enumerate(SYMBOLS) if z}
"""Atomic number by symbol."""

# Pauling electronegativities of H ... No and Lr; 9 where none is known, so that those elements come last.
_PAULING = (
    "2.2 9 .98 1.57 2.04 2.55 3.04 3.44 3.98 9 .93 1.31 1.61 1.9 2.19 2.58 3.16 9 .82 1 1.36 1.54 1.63 "
    "1.66 1.55 1.83 1.88 1.91 1.9 1.65 1.81 2.01 2.18 2.55 2.96 3 .82 .95 1.22 1.33 1.6 2.16 1.9 2.2 "
    "2.28 2.2 1.93 1.69 1.78 1.96 2.05 2.1 2.66 2.6 .79 .89 1.1 1.12 1.13 1.14 1.13 1.17 1.2 1.2 1.1 "
    "1.22 1.23 1.24 1.25 1.1 1.27 1.3 1.5 2.36 1.9 2.2 2.2 2.28 2.54 2 1.62 2.33 2.02 2 2.2 2.2 .7 .9 "
    "1.1 1.3 1.5 1.38 1.36 1.28 1.3 1.3 1.3 1.3 1.3 1.3 1.3 1.3 1.3 "
)
ELECTRONEGATIVITY = (9.0, *map(float, _PAULING.split()), *(9.0,) * 15)
"""Pauling scale by atomic number, 9 where unknown."""


def atomic_number(symbol: str) -> int:
    """Atomic number of an element symbol.

    Raises:
        StructureError: if there is no such element.
    """
    try:
        return NUMBERS[symbol]
    except (KeyError, TypeError):
        raise StructureError(f"{symbol!r} is no chemical element; write symbols such as Na or Cl") from None


def formula_order(symbol: str) -> tuple[float, str]:
    """Sort key of a formula: by electronegativity, then by symbol."""
    return ELECTRONEGATIVITY[NUMBERS[symbol]], symbol


def reduced_formula(counts: Mapping[str, int]) -> str:
    """Formula such as ``SrTiO3`` from atoms per element, divided by their greatest common divisor."""
    divisor = math.gcd(*counts.values()) or 1
    parts = ((symbol, counts[symbol] // divisor) for symbol in sorted(counts, key=formula_order))
    return "".join(symbol + (str(count) if count > 1 else "") for symbol, count in parts)


COVALENT_RADII: tuple[float, ...] = tuple(1.6 if np.isnan(r) else float(r) for r in covalent_radii)
"""(119,) Angstrom by atomic number (Cordero et al. 2008), 1.6 where none is known."""

_NOBLE = (0, 2, 10, 18, 36, 54, 86, 118)


def period_and_group(z: int) -> tuple[int, int]:
    """Period 1 to 7 and group 1 to 18 of an atomic number; f-block elements have group 0."""
    period = next(i for i in range(1, 8) if z <= _NOBLE[i])
    place = z - _NOBLE[period - 1]
    length = _NOBLE[period] - _NOBLE[period - 1]
    if z == 2:
        return 1, 18
    if length == 8:
        return period, place if place <= 2 else place + 10
    if length in (2, 18):
        return period, place
    return period, place if place <= 2 else (0 if place <= 16 else place - 14)
