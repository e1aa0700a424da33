"""The kinds of order: what, besides the space group, pins down the crystals asked for.

Each kind is one class. ``parse`` reads its value in an order (the value under ``key``), ``draw`` makes the
list of occupied Wyckoff positions of one crystal. A new kind is a new class in ``KINDS`` and a field of its
name in ``Order``.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from crystalsmith.crystal import NUMBERS, SYMBOLS
from crystalsmith.errors import OrderError, SymmetryError
from crystalsmith.generation.wyckoff_prior import WyckoffPrior, count_choices, fewest_atoms
from crystalsmith.symmetry import SpaceGroup

MAX_SITES = 200
"""More inequivalent sites than this in one order are taken for a mistake."""

_COUNTABLE = 200_000  # table entries up to which counting choices takes well under a second


class Kind(Protocol):
    """What every kind of order can do."""

    key: ClassVar[str]

    @classmethod
    def parse(cls, value: object, group: SpaceGroup) -> Kind:
        """Read and check the value of ``key``; raises OrderError."""

    @property
    def elements(self) -> tuple[str, ...]:
        """Distinct element symbols, in the order given."""

    @property
    def site_elements(self) -> tuple[str, ...]:
        """The element of every inequivalent site."""

    @property
    def value(self) -> object:
        """The value that ``parse`` turns into this, of plain JSON types."""

    @property
    def tag(self) -> str:
        """A short description that may stand in a file name."""

    def fewest_atoms(self, group: SpaceGroup) -> int:
        """Atoms in the smallest primitive cell that satisfies the order."""

    def choices(self, group: SpaceGroup, max_atoms: int) -> int | None:
        """Number of distinct lists that ``draw`` can return, or None where counting them would take long."""

    def draw(
        self, group: SpaceGroup, prior: WyckoffPrior, rng: np.random.Generator, max_atoms: int
    ) -> tuple[tuple[str, str], ...]:
        """(element, letter) of every site of one crystal."""


@dataclass(frozen=True)
class Sites:
    """Numbers of inequivalent sites by element; the Wyckoff letters are drawn from the prior."""

    key: ClassVar[str] = "sites"
    counts: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, value: object, group: SpaceGroup) -> Sites:
        if not isinstance(value, Mapping):
            raise OrderError(
                f"sites must map elements to numbers, such as {{Na: 1, Cl: 1}}, not {short(value)}"
            )
        if not value:
            raise OrderError("sites is empty; name at least one element, such as {Na: 1, Cl: 1}")
        counts = tuple(
            (parse_element(k), parse_count(n, f"sites of {short(k)}", MAX_SITES)) for k, n in value.items()
        )
        if (total := sum(n for _, n in counts)) > MAX_SITES:
            raise OrderError(f"{total} sites in one crystal are too many; ask for at most {MAX_SITES}")
        return cls(counts)

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(element for element, _ in self.counts)

    @property
    def site_elements(self) -> tuple[str, ...]:
        return tuple(element for element, n in self.counts for _ in range(n))

    @property
    def value(self) -> dict[str, int]:
        return dict(self.counts)

    @property
    def tag(self) -> str:
        return "-".join(element + (str(n) if n > 1 else "") for element, n in self.counts)

    def fewest_atoms(self, group: SpaceGroup) -> int:
        return fewest_atoms(group, sum(n for _, n in self.counts))

    def choices(self, group: SpaceGroup, max_atoms: int) -> int | None:
        size = (max_atoms + 1) * float(np.prod([n + 1.0 for _, n in self.counts]))
        return count_choices(group, self.value, max_atoms) if size <= _COUNTABLE else None

    def draw(
        self, group: SpaceGroup, prior: WyckoffPrior, rng: np.random.Generator, max_atoms: int
    ) -> tuple[tuple[str, str], ...]:
        return prior.draw(group, self.value, rng, max_atoms)


@dataclass(frozen=True)
class Letters:
    """The Wyckoff letter of every site."""

    key: ClassVar[str] = "wyckoff"
    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, value: object, group: SpaceGroup) -> Letters:
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            raise OrderError(
                f"wyckoff must be a list of [element, letter], such as [[Na, a], [Cl, b]], not {short(value)}"
            )
        if not value:
            raise OrderError("wyckoff is empty; name at least one [element, letter]")
        if len(value) > MAX_SITES:
            raise OrderError(f"{len(value)} sites in one crystal are too many; ask for at most {MAX_SITES}")
        pairs = []
        owner: dict[str, str] = {}
        for pair in value:
            if isinstance(pair, (str, bytes)) or not isinstance(pair, Sequence) or len(pair) != 2:
                raise OrderError(
                    f"wyckoff must be a list of [element, letter], such as [Na, a]; {short(pair)} is none"
                )
            element = parse_element(pair[0])
            letter = parse_letter(pair[1], group)
            if group.wyckoff[letter].dof == 0:
                if letter in owner:
                    whose = "twice" if owner[letter] == element else f"to both {owner[letter]} and {element}"
                    free = ", ".join(name for name, p in group.wyckoff.items() if p.dof)
                    raise OrderError(
                        f"letter {letter} of {group.symbol} ({group.number}) has no free parameter and"
                        f" cannot be given {whose}; letters that can repeat: {free}"
                    )
                owner[letter] = element
            pairs.append((element, letter))
        return cls(tuple(pairs))

    @property
    def elements(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(element for element, _ in self.pairs))

    @property
    def site_elements(self) -> tuple[str, ...]:
        return tuple(element for element, _ in self.pairs)

    @property
    def value(self) -> list[list[str]]:
        return [list(pair) for pair in self.pairs]

    @property
    def tag(self) -> str:
        return "-".join(f"{element}.{letter}" for element, letter in self.pairs)

    def fewest_atoms(self, group: SpaceGroup) -> int:
        return sum(group.wyckoff[letter].multiplicity_primitive for _, letter in self.pairs)

    def choices(self, group: SpaceGroup, max_atoms: int) -> int | None:
        return 1

    def draw(
        self, group: SpaceGroup, prior: WyckoffPrior, rng: np.random.Generator, max_atoms: int
    ) -> tuple[tuple[str, str], ...]:
        return self.pairs


KINDS: dict[str, type[Sites] | type[Letters]] = {kind.key: kind for kind in (Sites, Letters)}
"""Kinds of order by the key that marks them."""


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
