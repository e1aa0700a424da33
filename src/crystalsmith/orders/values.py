"""The values in an order: elements, letters, whole numbers, space groups."""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from crystalsmith.crystal import NUMBERS, SYMBOLS
from crystalsmith.errors import OrderError, SymmetryError
from crystalsmith.symmetry import SpaceGroup, space_group

MAX_SITES = 200
"""More inequivalent sites than this in one order are taken for a mistake."""

ELEMENT: dict[str, Any] = {"enum": list(SYMBOLS[1:])}
SITES: dict[str, Any] = {"type": "integer", "minimum": 1, "maximum": MAX_SITES}
"""JSON schemas of an element and of a number of sites."""


def short(value: object) -> str:
    """``repr`` on one line of bounded length, whatever the value."""
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = 40
    brief.maxlong = 24
    brief.maxlevel = 2
    try:
        return brief.repr(value)
    except ValueError:  # integers beyond Python's conversion limit
        return "a huge number"


def parse_element(value: object) -> str:
    """An element symbol.

    Raises:
        OrderError: unknown, with near ones.
    """
    if isinstance(value, str) and value in NUMBERS:
        return value
    near = _near_elements(value) if isinstance(value, str) else []
    hint = f"did you mean {', '.join(near)}?" if near else "give a symbol such as Na"
    raise OrderError(f"unknown element {short(value)}; {hint}")


def _near_elements(text: str) -> list[str]:
    from ase.data import atomic_names

    letters = re.sub(r"[^A-Za-z]", "", text[:40]).capitalize()
    if letters in NUMBERS:
        return [letters]
    if letters in ("D", "T"):
        return ["H"]
    by_name = difflib.get_close_matches(letters, atomic_names[1:119], n=1, cutoff=0.8)
    if by_name:
        return [SYMBOLS[atomic_names.index(by_name[0])]]
    return difflib.get_close_matches(letters, SYMBOLS[1:], n=3, cutoff=0.5)


def parse_count(value: object, what: str, limit: int) -> int:
    """A whole number from 1 to ``limit``.

    Raises:
        OrderError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise OrderError(f"{what} must be a whole number, not {short(value)}")
    if value < 1:
        raise OrderError(f"{what} must be at least 1, not {short(int(value))}")
    if value > limit:
        raise OrderError(f"{what} must be at most {limit}, not {short(int(value))}")
    return int(value)


def parse_letter(value: object, group: SpaceGroup) -> str:
    """A Wyckoff letter of the group, such as ``"c"``; its multiplicity may stand before it (``"3c"``).

    Raises:
        OrderError: no letter of this group, or a multiplicity that is not its own.
    """
    match = re.fullmatch(r"([0-9]{0,3})([A-Za-z])", value) if isinstance(value, str) else None
    if match is None:
        raise OrderError(f"a Wyckoff letter is one letter such as 'a', not {short(value)}")
    multiplicity, letter = match.groups()
    try:
        position = group.position(letter)
    except SymmetryError as error:
        raise OrderError(str(error)) from None
    if multiplicity and int(multiplicity) != position.multiplicity:
        raise OrderError(
            f"letter {letter} of {group.symbol} ({group.number}) is {position.multiplicity}{letter}, not"
            f" {value}; write {letter}"
        )
    return letter


def parse_group(value: object, letters: bool = False) -> SpaceGroup:
    """A space group by number or symbol; with ``letters`` in the standard setting alone.

    Raises:
        OrderError: unknown, or another setting beside letters.
    """
    if isinstance(value, str) and len(value) > 40:
        raise OrderError(
            f"unknown space group {short(value)}; give a number from 1 to 230 or a symbol such as Fm-3m"
        )
    try:
        return space_group(value, letters)  # type: ignore[arg-type]
    except SymmetryError as error:
        raise OrderError(str(error)) from None


def parse_groups(value: object, letters: bool = False) -> tuple[int, ...]:
    """Numbers of one space group, or of a list of them, ascending.

    Raises:
        OrderError: an unknown one, an empty list, or a list of lists.
    """
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        if not value:
            raise OrderError("space_group is an empty list; name at least one, or leave the key out")
        if len(value) > 230:
            raise OrderError(f"space_group lists {len(value)} groups; there are 230")
        return tuple(sorted({parse_group(one, letters).number for one in value}))
    return (parse_group(value, letters).number,)


def name_groups(numbers: Sequence[int]) -> str:
    """``Fm-3m (225)``, or several of them, or how many there are."""
    if len(numbers) > 3:
        return f"{len(numbers)} space groups"
    return ", ".join(f"{space_group(g).symbol} ({g})" for g in numbers)
