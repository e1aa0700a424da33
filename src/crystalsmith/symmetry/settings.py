"""What people and programs call a space group: every setting of all 230 by every name in use.

``settings.json`` is made by ``tools/make_setting_names.py``: the 530 settings of ITA's tables in the order in
which spglib and moyopy count them, then cells that are in no table (C and F cells of tetragonal groups, ...).
"""

from __future__ import annotations

import json
import re
import unicodedata
from functools import lru_cache
from importlib import resources
from typing import NamedTuple

_MARKS = {"1": ("s", ":s"), "2": ("z", ":z"), "H": ("h",), "R": ("r",)}
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")

# In turn: what is written otherwise than in a table, and how the table has it.
_REWRITES = [
    (re.compile(pattern, re.IGNORECASE), by)
    for pattern, by in (
        (r"(\d)[\u0304\u0305]", r"-\1"),  # a bar above the digit
        (r"\s?[\u0304\u0305\u203e](\d)", r"-\1"),
        (r"[\u2010-\u2015\u2212]", "-"),
        (r"\\(?:bar|overline)\s*\{?\s*(\d)\s*\}?", r"-\1"),
        (r"</?su[bp]>|[$_{}\\]", ""),
        (r"(?<=\w)\((\d)\)", r"\1"),  # P2(1)/n of SHELX
        (r"[\[(,;:]?\s*(?:at )?origin\s*(?:choice|setting|no\.?)?\s*([12])\s*[\])]?", r":\1"),
        (r"[\[(,;:]?\s*hexagonal\s*(?:axes|setting|cell)?\s*[\])]?", ":H"),
        (r"[\[(,;:]?\s*rhombohedral\s*(?:axes|setting|cell)?\s*[\])]?", ":R"),
    )
]
_NUMBER = re.compile(
    r"(?:(?:space\s*group|sg|it|no\.?|nr\.?|number)\s*)*#?\s*(\d{1,3})\s*(?::\s*([\w-]+))?", re.IGNORECASE
)
_NUMBER_BEHIND = re.compile(
    r"(.+?)\s*(?:\s[\[(]\s*(?:#|no\.?)?|\(\s*(?=\d\d)|\s*[\[(]?(?:#|\bno\.?))\s*(\d{1,3})\s*[\])]?",
    re.IGNORECASE,
)


class Setting(NamedTuple):
    """One setting of a space group.

    Attributes:
        number: 1 to 230.
        hall: Hall symbol, empty where the name tells the group alone and not the axes.
        choice: unique axis and cell (``b1``), axes (``cab``, ``H``, ``R``) or origin (``1``, ``2``).
        ours: whether it is the one that the project's tables hold.
        symbols: Hermann-Mauguin symbols, spaced.
    """

    number: int
    hall: str
    choice: str
    ours: bool
    symbols: tuple[str, ...]


class _Names(NamedTuple):
    settings: tuple[Setting, ...]
    symbol: dict[str, list[Setting]]  # by plain Hermann-Mauguin symbol, marks of choice included
    hall: dict[str, Setting]  # by spaced Hall symbol in lower case
    other: dict[str, list[Setting]]  # by Schoenflies symbol and by Hall symbol without spaces
    number: dict[int, list[Setting]]


@lru_cache(maxsize=1)
def _names() -> _Names:
    text = resources.files("crystalsmith.symmetry").joinpath("settings.json").read_text(encoding="utf-8")
    data = json.loads(text)
    settings = tuple(Setting(n, hall, c, ours, tuple(of)) for n, hall, c, ours, of in data["settings"])
    names = _Names(settings, {}, {}, {}, {})
    for s in names.settings:
        names.number.setdefault(s.number, []).append(s)
        if s.hall:
            names.hall.setdefault(_lower(s.hall), s)
        ends = ["", *(f":{s.choice}".lower() for _ in s.choice[:1]), *_MARKS.get(s.choice, ())]
        if s.choice[:1] in ("1", "2") and s.choice[1:]:
            ends.append(f":{s.choice[0]}")
        for symbol in s.symbols:
            for end in ends:
                names.symbol.setdefault(_plain(symbol) + end, []).append(s)
    for spaced, s in names.hall.items():
        names.other.setdefault(_plain(spaced), [s])
    for number, name in enumerate(data["schoenflies"], start=1):
        # C4^2 is no C42 of Hermann and Mauguin; Oh5 and C2h5 are clear without the hat.
        keys = (
            [name.lower()]
            if re.match(r"C\d\^|D\d\^", name)
            else [name.lower(), _plain(name).replace("^", "")]
        )
        for key in keys:
            names.other[key] = [s for s in names.number[number] if s.ours]
    return names


def all_settings() -> tuple[Setting, ...]:
    """The 530 settings in the order of Hall numbers, then those that have none."""
    return _names().settings


def standard_setting(number: int) -> Setting:
    """The setting that the project's tables hold."""
    return next(s for s in _names().number[number] if s.ours)


def setting_of_hall(symbol: str) -> Setting | None:
    """The setting of a Hall symbol, None if it is in no table."""
    names, text = _names(), _lower(_spell(symbol))
    return names.hall.get(text) or next(iter(names.other.get(_plain(text), ())), None)


def settings_named(name: str, choice: str = "") -> tuple[Setting, ...]:
    """All settings that a name can mean; empty if nothing is called so.

    Args:
        name: Hermann-Mauguin symbol (short, full, of old tables, of SHELX, with marks such as ``:1`` and
            ``:R``, with bars and small digits of Unicode or LaTeX), Hall or Schoenflies symbol, number with
            or without its setting (``#225``, ``227:2``, ``14:b2``).
        choice: mark of the setting that is stated elsewhere.
    """
    names, text = _names(), _spell(name)
    if match := _NUMBER.fullmatch(text):
        found = names.number.get(int(match[1]), [])
        return _chosen(found, match[2] or choice)
    stated = None
    if (match := _NUMBER_BEHIND.fullmatch(text)) and 1 <= int(match[2]) <= 230:
        text, stated = match[1], int(match[2])
    by_symbol = names.symbol.get(_plain(text), [])
    by_hall = names.hall.get(_lower(text))
    if by_symbol and by_hall and by_hall.number not in {s.number for s in by_symbol}:
        # "P 4 2" is P422 to Hall and P4_2 to those who leave no underscore; spaces tell them apart.
        spaced = _lower(text) in {_lower(x) for s in by_symbol for x in s.symbols}
        found = by_symbol if spaced else [*by_symbol, by_hall]
    else:
        found = by_symbol or ([by_hall] if by_hall else names.other.get(_plain(text), []))
    return _chosen([s for s in found if stated in (None, s.number)], choice)


def near_names(name: str) -> list[str]:
    """Plain symbols to look for a misspelt one among: those of the same lattice, or all."""
    symbols = _names().symbol
    return [key for key in symbols if key[:1] == _plain(_spell(name))[:1]] or list(symbols)


def _chosen(settings: list[Setting], choice: str) -> tuple[Setting, ...]:
    if not choice or (choice == "1" and len(settings) == 1):
        return tuple(settings)
    wanted = {"s": "1", "z": "2"}.get(choice.lower(), choice.lower())
    return tuple(s for s in settings if s.choice.lower() == wanted) or tuple(
        s for s in settings if s.choice[:1].lower() == wanted
    )


def _spell(text: str) -> str:
    """A name as tables write it."""
    text = re.sub("[⁰¹²³⁴⁵⁶⁷⁸⁹]+", lambda m: "^" + m[0].translate(_SUPERSCRIPTS), text)
    text = unicodedata.normalize("NFKD", text).strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1]
    for pattern, by in _REWRITES:
        text = pattern.sub(by, text)
    return text.strip()


def _plain(text: str) -> str:
    return "".join(text.split()).replace("_", "").lower()


def _lower(text: str) -> str:
    return " ".join(text.replace("_", "").replace("=", '"').lower().split())
