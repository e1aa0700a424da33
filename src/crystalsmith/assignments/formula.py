"""Chemical formulas: read, reduced, multiplied to what a cell holds."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import gcd

from crystalsmith.crystal.elements import NUMBERS, formula_order, reduced_formula
from crystalsmith.errors import OrderError

MAX_ATOMS = 1000
"""Atoms in one formula unit; more are taken for a mistake."""

_CHARGE = re.compile("[-+\u2212\u2013\u207a\u207b^]")
_DOTS = re.compile("[\u00b7\u2022\u22c5\u2219\u2027\u30fb*]|\\.(?=[A-Z(\\[])")
_WATER = re.compile(r"(\d{0,3}[A-Z(\[].*)\.(\d{1,3}H2O)")
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
    """Read a formula such as ``BaTiO3``, ``Ca(OH)2`` or ``CuSO4·5H2O``.

    Raises:
        OrderError: empty, not a formula, with fractions or a charge, with unknown elements or none of some;
            with what was probably meant.
    """
    if not isinstance(text, str):
        raise OrderError(f"a formula is text such as BaTiO3, not {_short(text)}")
    plain = "".join(text.split()).translate(_SUBSCRIPTS)
    if not plain:
        raise OrderError("the formula is empty; write one such as BaTiO3")
    if len(plain) > 200:
        raise OrderError(f"formula {_short(plain)} is too long; write one such as BaTiO3")
    _refuse_charge(plain)
    parts = _parts(plain)
    if any(re.search(r"\d\.|\.\d|[¼½¾]", part) for part in parts):
        raise OrderError(
            f"formula {_short(plain)} has fractional numbers; all sites are fully occupied here: multiply it"
            " out to whole numbers, such as La2CuO4 (parts are joined by ·, such as CuSO4·5H2O)"
        )
    counts: dict[str, int] = {}
    for part in parts:
        for element, n in _count_part(part, plain).items():
            counts[element] = counts.get(element, 0) + n
    for element, n in counts.items():
        if n == 0:
            raise OrderError(
                f"formula {_short(plain)} has no atom of {element}; leave it out or give a number (oxygen is"
                " the letter O, not the number 0)"
            )
    if sum(counts.values()) > MAX_ATOMS:
        raise OrderError(f"formula {_short(plain)} has more than {MAX_ATOMS} atoms; write its smallest unit")
    return Formula(tuple((e, counts[e]) for e in sorted(counts, key=formula_order)))


def _refuse_charge(plain: str) -> None:
    """Raise OrderError for ions, and for the elements of a system."""
    if re.fullmatch(r"[A-Z][a-z]?(-[A-Z][a-z]?)+", plain):
        raise OrderError(f"{plain} names elements and no composition; write it as system: {plain}")
    if _CHARGE.search(plain):
        raise OrderError(
            f"formula {_short(plain)} has a charge, and a crystal has none: write all that is in it, such as"
            " NH4Cl or CaCO3"
        )


def _parts(plain: str) -> list[str]:
    """What dots join, such as a salt and its water; a full stop is one only before water."""
    parts = _DOTS.split(plain)
    found: list[str] = []
    for part in parts:
        water = _WATER.fullmatch(part)
        found += [water[1], water[2]] if water else [part]
    return found


def _count_part(part: str, plain: str) -> dict[str, int]:
    found = re.fullmatch(r"(\d{0,3})([A-Za-z0-9()\[\]]+)", part)
    if found is None:
        raise _not_understood(plain)
    number, unit = int(found[1] or 1), found[2]
    for symbol in re.findall(r"[A-Z][a-z]?", unit):
        if symbol not in NUMBERS:
            isotope = "; write H, isotopes are not told apart" if symbol in ("D", "T") else ""
            hint = isotope or _meant(plain)
            raise OrderError(f"formula {_short(plain)}: {symbol} is no chemical element{hint}")
    if re.search(r"(?<!\d)0\d|(?<![A-Za-z0-9)\]])0", unit):
        mended = re.sub(r"(?<!\d)0", "O", plain)
        raise OrderError(
            f"formula {_short(plain)} has a number that begins with a zero; did you mean {mended}, with"
            " oxygen?"
        )
    counts = _count(unit.replace("[", "(").replace("]", ")"), plain)
    if not counts:
        raise _not_understood(plain)
    return {element: number * n for element, n in counts.items()}


def _meant(plain: str) -> str:
    """What somebody who writes all letters alike may have meant: as few elements as possible."""
    if not re.fullmatch(r"[A-Za-z0-9]{1,20}", plain):
        return ""
    ways: list[list[tuple[int, str]]] = [[(0, "")], *([] for _ in plain)]
    for end in range(1, len(plain) + 1):
        if plain[end - 1].isdigit():
            ways[end] = [(n, text + plain[end - 1]) for n, text in ways[end - 1] if text]
            continue
        for length in (1, 2):
            symbol = plain[max(0, end - length) : end].capitalize()
            if len(symbol) == length and symbol in NUMBERS:
                rare = 1 if NUMBERS[symbol] <= 83 else 4
                ways[end] += [(n + rare, text + symbol) for n, text in ways[end - length]]
        ways[end] = sorted(ways[end])[:4]
    found = [text for _, text in ways[-1][:2]]
    return f"; did you mean {' or '.join(found)}?" if found else ""


def _count(text: str, plain: str) -> dict[str, int]:
    from ase.formula import Formula as Parsed

    try:
        return {str(e): int(n) for e, n in Parsed(text).count().items()}
    except (ValueError, KeyError, IndexError, AssertionError, RecursionError, OverflowError):
        raise _not_understood(plain) from None


def _not_understood(plain: str) -> OrderError:
    hint = _meant(plain) or "; write one such as BaTiO3 or Ca(OH)2"
    return OrderError(f"formula {_short(plain)} is not understood{hint}")


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # integers beyond Python's conversion limit
        text = "a huge number"
    return text if len(text) <= 60 else f"{text[:57]}..."
