"""Space groups and their Wyckoff positions as small objects over the flat tables."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from crystalsmith.errors import SymmetryError
from crystalsmith.symmetry.settings import near_names, settings_named
from crystalsmith.symmetry.tables import names, tables


@dataclass(frozen=True, eq=False)
class WyckoffPosition:
    """One Wyckoff position: ``x = basis @ u + origin`` of its parameters, and what the group makes of it.

    Attributes:
        index: row in ``Tables``, unique over all groups.
        space_group: number.
        letter: a ... z, or A for the 27th position of group 47.
        multiplicity: points in the conventional cell.
        multiplicity_primitive: points in the primitive cell.
        site_symmetry: oriented ITA symbol.
        basis: (3, d) integer.
        origin: (3,) fractional.
        period: (d, d) ``u = period @ w``, w on the unit torus.
        image_rotations: (m, 3, 3) W of the operations that make the m distinct points of the primitive cell,
            the identity first.
        image_translations: (m, 3) their w.
    """

    index: int
    space_group: int
    letter: str
    multiplicity: int
    multiplicity_primitive: int
    site_symmetry: str
    basis: np.ndarray = field(repr=False)
    origin: np.ndarray = field(repr=False)
    period: np.ndarray = field(repr=False)
    image_rotations: np.ndarray = field(repr=False)
    image_translations: np.ndarray = field(repr=False)

    @property
    def dof(self) -> int:
        """Number of free parameters, 0 to 3."""
        return self.basis.shape[1]

    def position(self, free: np.ndarray) -> np.ndarray:
        """Fractional coordinates (..., 3) of the representative for free parameters (..., d)."""
        return np.asarray(free, dtype=float) @ self.basis.T + self.origin

    def images(self, free: np.ndarray) -> np.ndarray:
        """Distinct points (m, 3) of the primitive cell, fractional, unwrapped, for free parameters (d,)."""
        return self.image_rotations @ self.position(free) + self.image_translations


@dataclass(frozen=True, eq=False)
class SpaceGroup:
    """One space group in the standard setting.

    Attributes:
        number: 1 to 230.
        symbol: short Hermann-Mauguin symbol, such as ``Fm-3m`` or ``P2_1/c``.
        point_group: its symbol, such as ``m-3m``.
        rotations: (n, 3, 3) integer W, one for each coset of the lattice translations; the identity first.
        translations: (n, 3) fractional w.
        centring: (k, 3) lattice translations in the conventional cell.
        primitive: (3, 3) rows are the primitive vectors in conventional fractional coordinates.
        polar: (3,) boolean, True where the origin is free along that axis.
        wyckoff: letter -> position, a first.
    """

    number: int
    symbol: str
    point_group: str
    rotations: np.ndarray = field(repr=False)
    translations: np.ndarray = field(repr=False)
    centring: np.ndarray = field(repr=False)
    primitive: np.ndarray = field(repr=False)
    polar: np.ndarray = field(repr=False)
    wyckoff: dict[str, WyckoffPosition] = field(repr=False)

    def position(self, letter: str) -> WyckoffPosition:
        """The Wyckoff position of that letter.

        Raises:
            SymmetryError: if the group has no such letter.
        """
        try:
            return self.wyckoff[letter]
        except (KeyError, TypeError):
            raise SymmetryError(
                f"space group {self.number} ({self.symbol}) has no Wyckoff letter {_shown(letter)}; "
                f"it has {', '.join(self.wyckoff)}"
            ) from None


def letter_name(code: int) -> str:
    """Letter of a table code: 0 is a, 26 is A."""
    return "A" if code == 26 else chr(97 + code)


@lru_cache(maxsize=230)
def _by_number(number: int) -> SpaceGroup:
    t, n = tables(), names()
    ops = slice(t.op_start[number - 1], t.op_start[number])
    rotations, translations = t.rotations[ops], t.translations[ops]
    wyckoff = {}
    for y in range(t.wyckoff_start[number - 1], t.wyckoff_start[number]):
        d = int(t.dof[y])
        image = t.image_op[t.image_start[y] : t.image_start[y + 1]]
        letter = letter_name(int(t.letter[y]))
        wyckoff[letter] = WyckoffPosition(
            index=y,
            space_group=number,
            letter=letter,
            multiplicity=int(t.multiplicity[y]),
            multiplicity_primitive=int(t.multiplicity_primitive[y]),
            site_symmetry=n["site_symmetry"][y],
            basis=t.basis[y][:, :d],
            origin=t.origin[y],
            period=t.period[y][:d, :d],
            image_rotations=rotations[image],
            image_translations=translations[image],
        )
    return SpaceGroup(
        number=number,
        symbol=n["symbol"][number],
        point_group=n["point_group"][number],
        rotations=rotations,
        translations=translations,
        centring=t.centring[t.centring_start[number - 1] : t.centring_start[number]],
        primitive=t.primitive[number],
        polar=t.polar[number].astype(bool),
        wyckoff=wyckoff,
    )


def _shown(value: object) -> str:
    """``repr`` on one line, short enough for a message."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:  # integers beyond Python's conversion limit
        return "of that many digits"
    return text if len(text) <= 60 else f"{text[:57]}..."


def space_group(which: int | str | SpaceGroup, letters: bool = False) -> SpaceGroup:
    """Look a space group up by number or by any of its names; spaces, underscores and case do not matter.

    Args:
        which: 1 to 230, a SpaceGroup, or text as ``settings_named`` takes it: ``"P 21/c"``, ``"Cmca"``,
            ``"Fm3̅m"``, ``"-P 2ybc"``, ``"D4h^17"``, ``"227:2"``. Another setting than ours is a name of the
            group alone.
        letters: whether Wyckoff letters or coordinates come with it, which are ours only in our setting.

    Raises:
        SymmetryError: unknown, out of range, or with ``letters`` another setting than ours.
    """
    if isinstance(which, SpaceGroup):
        return which
    if isinstance(which, bool) or not isinstance(which, (int, str, np.integer)):
        raise SymmetryError(
            f"space group {_shown(which)} is neither a number from 1 to 230 nor a Hermann-Mauguin symbol"
        )
    if isinstance(which, str) and not which.strip().isdecimal():
        return _by_name(which, letters)
    try:
        number = int(which)
    except ValueError:  # digit strings beyond Python's conversion limit
        number = 0
    if not 1 <= number <= 230:
        raise SymmetryError(f"space group {_shown(which)} does not exist; numbers run from 1 to 230")
    return _by_number(number)


def _by_name(name: str, letters: bool) -> SpaceGroup:
    settings = settings_named(name) if len(name) <= 200 else ()
    numbers = sorted({s.number for s in settings})
    if not numbers:
        raise SymmetryError(f"unknown space group {_shown(name)}; {_hint(name)}")
    if len(numbers) > 1:
        meant = " or ".join(f"{names()['symbol'][n]} ({n})" for n in numbers)
        raise SymmetryError(f"space group {_shown(name)} can mean {meant}; give the number")
    if letters and not any(s.ours for s in settings):
        number, symbol = numbers[0], names()["symbol"][numbers[0]]
        raise SymmetryError(
            f"{_shown(name)} is a non-standard setting of space group {number}, whose Wyckoff letters may "
            f"differ; give {number} or {symbol} and the letters of that setting"
        )
    return _by_number(numbers[0])


def _hint(name: str) -> str:
    group, _, choice = name.partition(":")
    if choice and (settings := settings_named(group[:50])):
        known = ", ".join(dict.fromkeys(s.choice for s in settings if s.choice))
        return f"{group.strip()} has " + (f"the settings {known}" if known else "one setting")
    plain = "".join(name.split()).replace("_", "").lower()[:50]
    near = difflib.get_close_matches(plain, near_names(name[:50]), n=8, cutoff=0.7)
    found = [(key, settings_named(key)) for key in near]
    ours = dict.fromkeys(s.number for _, settings in found for s in settings if s.ours)
    shown = [names()["symbol"][number] for number in ours]
    if not shown:  # Bmab is nearer to what was meant than the Cmce that it is
        other = {settings[0].number: key for key, settings in reversed(found)}
        shown = [
            f"{key.capitalize()} ({names()['symbol'][number]})" for number, key in reversed(other.items())
        ]
    if not shown:
        return "give a number from 1 to 230 or a Hermann-Mauguin symbol"
    return f"did you mean {', '.join(shown[:3])}?"
