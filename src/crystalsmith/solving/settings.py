"""What a structure is solved from and how; light, so that the command line can read it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from typing import Any

from crystalsmith.errors import ConfigError
from crystalsmith.runs.engines import ENGINE_HELP, Engine
from crystalsmith.runs.settings import (
    BadValue,
    check_settings,
    option,
    positive,
    positive_number,
    whole,
)

AXES = ("2theta", "q", "d")
"""What the first column of a pattern can be."""

_ONE_ELEMENT = re.compile(r"([A-Z][a-z]?)(?:=(\d+)(?:-(\d+))?)?")

_MOST_OF_ONE = 60  # atoms of an element in a formula unit that a range may reach


def space_groups(text: str) -> tuple[int, ...]:
    """Space groups with commas, by number or symbol, with ranges of numbers.

    Raises:
        OrderError: an unknown one.
    """
    from crystalsmith.orders.values import parse_groups

    groups: list[str | int] = []
    for part in (part.strip() for part in str(text).split(",") if part.strip()):
        low, _, high = part.partition("-")
        is_range = low.isdecimal() and high.isdecimal() and max(len(low), len(high)) < 6
        groups += range(int(low), int(high) + 1) if is_range else [part]
    if not groups:
        raise BadValue("no space group is named; give one such as 167 or R-3c")
    return parse_groups(groups)


def cell(text: str) -> tuple[float, ...]:
    """Six numbers with commas: lengths in Angstrom, angles in degrees.

    Raises:
        BadValue: other than six, or a cell that no crystal can have.
    """
    parts = [part for part in re.split(r"[,\s]+", str(text).strip("()[] ")) if part]
    try:
        values = tuple(float(part) for part in parts)
    except ValueError:
        values = ()
    if len(values) != 6 or not all(map(math.isfinite, values)):
        raise BadValue(f"{text!r} is not a cell: six numbers a,b,c,alpha,beta,gamma with commas")
    return checked_cell(values)


def checked_cell(values: tuple[float, ...]) -> tuple[float, ...]:
    """The same cell.

    Raises:
        BadValue: no crystal can have it.
    """
    lengths, angles = values[:3], values[3:]
    cos = [math.cos(math.radians(x)) for x in angles]
    flat = 1 - sum(x * x for x in cos) + 2 * cos[0] * cos[1] * cos[2] <= 1e-6
    if not 1 < min(lengths) <= max(lengths) < 200 or not 20 < min(angles) <= max(angles) < 160 or flat:
        shown = ", ".join(f"{x:.5g}" for x in values)
        raise BadValue(f"({shown}) is no cell of a crystal; lengths are in Angstrom, angles in degrees")
    return values


def elements(text: str) -> tuple[tuple[str, int, int], ...]:
    """Elements with commas, each with a number or a range in the formula: ``Ca=1,C=1,O=2-4`` or ``Ca,C,O``.

    Returns:
        Symbols, fewest and most atoms in a formula unit; (symbol, 0, 0) where nothing is said.

    Raises:
        OrderError: an unknown element.
        BadValue: what cannot be understood.
    """
    from crystalsmith.orders.values import parse_element

    found = []
    for part in (part.strip() for part in str(text).split(",") if part.strip()):
        match = _ONE_ELEMENT.fullmatch(part)
        if match is None:
            symbol = parse_element(part.partition("=")[0])
            raise BadValue(
                f"{part!r} is no element with a number: write {symbol}, {symbol}=1 or {symbol}=1-3"
            )
        least = int(match[2]) if match[2] else 0
        most = int(match[3]) if match[3] else least
        if match[2] and not 1 <= least <= most <= _MOST_OF_ONE:
            raise BadValue(f"{part!r}: a range goes from at least 1 to at most {_MOST_OF_ONE}, such as O=2-4")
        found.append((parse_element(match[1]), least, most))
    symbols = [symbol for symbol, _, _ in found]
    if not found or len(set(symbols)) < len(symbols):
        raise BadValue(f"{text!r} names no elements, or one of them twice; write Ca,C,O or Ca=1,C=1,O=2-4")
    if len({bool(most) for _, _, most in found}) > 1:
        raise BadValue(f"{text!r}: give a number for each element, such as Ca=1,C=1,O=2-4, or for none")
    return tuple(found)


def two_theta(text: str) -> tuple[float, float]:
    """A range of angles in degrees: ``5-80``.

    Raises:
        BadValue: something else.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*-\s*(\d+(?:\.\d*)?)\s*", str(text))
    low, high = (float(match[1]), float(match[2])) if match else (0.0, 0.0)
    if not 0 <= low < high <= 180:
        raise BadValue(f"{text!r} is not a range of degrees such as 5-80")
    return low, high


@dataclass(frozen=True)
class SolveSettings:
    """What is known of a sample, and how its structure is looked for.

    Attributes:
        formula: exactly this composition; or ``elements``, which leaves it open.
        two_theta: degrees (low, high); the whole pattern if None.

    Raises:
        ConfigError: a value that the command line refuses too, or things that do not go together.
    """

    formula: str | None = option(None, "composition of the sample", check=str, metavar="CaCO3")
    elements: Any = option(
        None,
        "in place of a formula: its elements, Ca,C,O, or with numbers of each, Ca=1,C=1,O=2-4",
        check=elements,
        metavar="LIST",
    )
    space_group: Any = option(
        None,
        "number or symbol; several with commas, ranges such as 195-230",
        check=space_groups,
        metavar="NUMBER|SYMBOL",
    )
    cell: Any = option(
        None, "a,b,c,alpha,beta,gamma, from indexing for example", check=cell, metavar="SIX,NUMBERS"
    )
    z: int | None = option(None, "formula units in the conventional cell", check=positive, metavar="N")
    atoms: int | None = option(None, "atoms in the primitive cell", check=positive, metavar="N")
    max_atoms: int | None = option(
        None, "largest primitive cell that is looked at", check=positive, metavar="N"
    )
    radiation: str | None = option(
        None,
        "CuKa, CuKa1, CoKa, MoKa, AgKa, ... or a wavelength in Angstrom (default: what the file says)",
        check=str,
        metavar="NAME|A",
    )
    axis: str | None = option(
        None, "what the first column is, where the file does not say (default: 2theta)", choices=AXES
    )
    two_theta: Any = option(
        None, "part of the pattern that is looked at, degrees", check=two_theta, metavar="LOW-HIGH"
    )
    candidates: int = option(
        200,
        "most crystals to make; fewer where one of the first is the answer",
        check=positive,
        metavar="N",
        short="n",
    )
    refine: int = option(12, "of the best, refined with free coordinates", check=whole, metavar="N")
    rietveld: int = option(3, "of these, refined by rietx, if it is installed", check=whole, metavar="N")
    index: bool = option(False, "look for the cell by indexing too, with rietx; minutes")
    index_seconds: float = option(180.0, "time for indexing", check=positive_number, metavar="S")
    tolerance: float = option(
        0.003, "how far lengths of a given cell may be off, relative", check=positive_number, metavar="X"
    )
    potential: str | None = option(
        None,
        "let energies speak too: chgnet, 7net-0, 7net-l3i5, mace:PATH or module:factory",
        check=str,
        metavar="NAME",
    )
    known: tuple[str, ...] = option(
        (),
        "files of crystals whose coordinates candidates are made from beside the prototypes",
        check=str,
        many=True,
        metavar="FILE",
    )
    prototypes: str | None = option(
        None,
        "a file of data prototypes in place of the model's own, aflow for those of the AFLOW library as well,"
        " or none",
        check=str,
        metavar="FILE|aflow|none",
    )
    seed: int = option(0, "seed of the run", metavar="N")
    workers: int = option(
        1, "processes that make crystals; they are the same with any number", check=positive, metavar="N"
    )
    engine: str | Engine = option("local", ENGINE_HELP, metavar="ENGINE")

    def __post_init__(self) -> None:
        for name, read in (
            ("elements", elements),
            ("space_group", space_groups),
            ("cell", cell),
            ("two_theta", two_theta),
        ):
            object.__setattr__(self, name, _read(name, getattr(self, name), read))
        check_settings(self)
        if (self.formula is None) == (self.elements is None):
            raise ConfigError(
                "say what the sample is made of: either its formula (CaCO3) or its elements (Ca,C,O)"
            )
        if self.z is not None and self.atoms is not None:
            raise ConfigError("z and atoms both tell how large the cell is; give one of them")
        if self.z is not None and self.formula is None:
            raise ConfigError("z counts formula units, so it needs the formula; give atoms or the formula")

    def allow(self, space_group: int) -> bool:
        """Whether a crystal may have this space group, as far as groups are known."""
        return self.space_group is None or space_group in self.space_group

    def identity(self) -> dict[str, Any]:
        """What results depend on, in plain data: not where they are made.

        Nor what the first column of a file is: the pattern counts, in 2theta, wherever it came from.
        """
        left_out = ("workers", "engine", "index_seconds")
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in {**values, "axis": None}.items()
            if name not in left_out
        }


def _read(name: str, value: Any, read: Any) -> Any:
    """A value of text, number or sequence, as a script may give it."""
    if value is None:
        return None
    if name == "two_theta" and not isinstance(value, str):
        value = "-".join(map(str, value))
    elif name == "cell" and not isinstance(value, str):
        value = ",".join(map(str, value))
    elif name == "elements" and not isinstance(value, str):
        value = ",".join(_element(one) for one in value)
    elif name == "space_group" and not isinstance(value, str | int):
        value = ",".join(map(str, value))
    try:
        return read(str(value))
    except BadValue as error:
        raise ConfigError(f"{name}: {error}") from None


def _element(one: Any) -> str:
    """``O=2-4`` of a symbol, with its range or without."""
    if isinstance(one, str):
        return one
    symbol, least, most = one
    return f"{symbol}={least}-{most}" if most else str(symbol)
