"""Chemical formulas: read, reduced, multiplied to what a cell holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import gcd

from crystalsmith.crystal.elements import NUMBERS, formula_order, reduced_formula
from crystalsmith.errors import OrderError

MAX_ATOMS = 1000
"""Atoms in one formula unit; more are taken for a mistake."""

_SUBSCRIPTS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")


@dataclass(frozen=True)
class Formula:
    """Atoms of each element in one formula unit, as it was written.

    Attributes:
        counts: (symbol, atoms), by electronegativity, cations first; no element twice.
    """

    counts: tuple[tuple[str, int], ...]

    @property
    def elements(self) -> tuple[str, ...]:
        """Symbols, cations first."""
        return tuple(element for element, _ in self.counts)

    @property
    def units(self) -> int:
        """How many of the smallest formula units it is: 2 for Ti2O4."""
        return gcd(*(n for _, n in self.counts))

    @property
    def ratio(self) -> tuple[int, ...]:
        """Atoms of each element in the smallest formula unit."""
        return tuple(n // self.units for _, n in self.counts)

    @property
    def n_atoms(self) -> int:
        """Atoms in one formula unit, as it was written."""
        return sum(n for _, n in self.counts)

    @property
    def name(self) -> str:
        """The smallest formula, such as ``TiO2``."""
        return reduced_formula(dict(self.counts))

    def __str__(self) -> str:
        return "".join(element + (str(n) if n > 1 else "") for element, n in self.counts)


def parse_formula(text: object) -> Formula:
    """Read a formula such as ``BaTiO3`` or ``Ca(OH)2``.

    Raises:
        OrderError: empty, not a formula, with fractions, with unknown elements or none of some.
    """
    if not isinstance(text, str):
        raise OrderError(f"a formula is text such as BaTiO3, not {_short(text)}")
    plain = "".join(text.split()).translate(_SUBSCRIPTS)
    if not plain:
        raise OrderError("the formula is empty; write one such as BaTiO3")
    if len(plain) > 200:
        raise OrderError(f"formula {_short(plain)} is too long; write one such as BaTiO3")
    if re.search(r"\d\.|\.\d", plain):
        raise OrderError(
            f"formula {_short(plain)} has fractional numbers; all sites are fully occupied here: multiply it"
            " out to whole numbers, such as La2CuO4"
        )
    for symbol in re.findall(r"[A-Z][a-z]?", plain):
        if symbol not in NUMBERS:
            hint = "; write H, isotopes are not told apart" if symbol in ("D", "T") else ""
            raise OrderError(f"formula {_short(plain)}: {symbol} is no chemical element{hint}")
    if not re.fullmatch(r"[A-Za-z0-9()\[\]]+", plain):
        raise _not_understood(plain)
    counts = _count(plain.replace("[", "(").replace("]", ")"), plain)
    if not counts:
        raise _not_understood(plain)
    for element, n in counts.items():
        if n == 0:
            raise OrderError(
                f"formula {_short(plain)} has no atom of {element}; leave it out or give a number"
            )
    if sum(counts.values()) > MAX_ATOMS:
        raise OrderError(f"formula {_short(plain)} has more than {MAX_ATOMS} atoms; write its smallest unit")
    return Formula(tuple((e, counts[e]) for e in sorted(counts, key=formula_order)))


def _count(text: str, plain: str) -> dict[str, int]:
    from ase.formula import Formula as Parsed

    try:
        return {str(e): int(n) for e, n in Parsed(text).count().items()}
    except (ValueError, KeyError, IndexError, AssertionError, RecursionError, OverflowError):
        raise _not_understood(plain) from None


def _not_understood(plain: str) -> OrderError:
    return OrderError(f"formula {_short(plain)} is not understood; write one such as BaTiO3 or Ca(OH)2")


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # integers beyond Python's conversion limit
        text = "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."
