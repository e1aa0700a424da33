"""What people type in one line, as orders have it: options of the command line, fields of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from crystalsmith.errors import OrderError

TERMS = ("cell", "primitive_cell", "volume", "density", "cell_tolerance", "min_distance", "coordination")
"""Keys of an order that ``parse_terms`` reads."""


def parse_terms(given: Mapping[str, str], prefix: str = "") -> dict[str, Any]:
    """What is known of the crystals: numbers, lists and mappings.

    What is no number is left for the order to refuse.

    Args:
        given: texts by key, of ``TERMS``; others are passed over.
        prefix: of names in messages, such as ``--``, with which underscores become dashes.

    Raises:
        OrderError: another form.
    """
    terms: dict[str, Any] = {}
    for key in TERMS:
        if key not in given:
            continue
        text = given[key]
        if key in ("cell", "primitive_cell"):
            terms[key] = [_number(part) for part in _split(text)]
        elif "=" in text:
            pairs = [part.partition("=") for part in _split(text)]
            terms[key] = {pair.strip(): _number(number) for pair, _, number in pairs}
            if len(terms[key]) < len(pairs):
                name = f"{prefix}{key.replace('_', '-')}" if prefix else key
                raise OrderError(f"{name}: a pair is named twice")
        else:
            terms[key] = _number(text)
    return terms


def parse_space_groups(text: str) -> str | list[str | int]:
    """``"Fm-3m"`` as it is; ``"221,195-200"`` as a list. A hyphen between numbers makes a range."""
    groups: list[str | int] = []
    for part in _split(text):
        low, hyphen, high = part.partition("-")
        if hyphen and low.isdecimal() and high.isdecimal() and max(len(low), len(high)) < 6:
            groups += range(int(low), int(high) + 1)
        else:
            groups.append(part)
    return text if groups in ([], [text.strip()]) else groups


def parse_sites(text: str, name: str = "sites") -> dict[str, int | str]:
    """``"Na=1,Cl=2"`` as a mapping; what is no number is left for the order to refuse.

    Raises:
        OrderError: another form, or an element twice.
    """
    sites: dict[str, int | str] = {}
    for part in _split(text):
        element, equals, number = (piece.strip() for piece in part.partition("="))
        if not (element and equals and number):
            raise OrderError(f"{name}: {part!r} is not of the form Element=number; write it like Na=1,Cl=1")
        if element in sites:
            raise OrderError(f"{name}: {element} is named twice; add the numbers up")
        sites[element] = int(number) if number.isascii() and number.isdigit() and len(number) < 20 else number
    return sites


def parse_wyckoff(text: str, name: str = "wyckoff") -> list[list[str]]:
    """``"Na:a,Cl:b"`` as a list of [element, letter].

    Raises:
        OrderError: another form.
    """
    pairs = []
    for part in _split(text):
        element, colon, letter = (piece.strip() for piece in part.partition(":"))
        if not (element and colon and letter):
            raise OrderError(f"{name}: {part!r} is not of the form Element:letter; write it like Na:a,Cl:b")
        pairs.append([element, letter])
    return pairs


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _split(text: str) -> list[str]:
    """Parts between commas or blanks; blanks around ``=`` and ``:`` belong to a part."""
    text = re.sub(r"\s*([=:])\s*", r"\1", text)
    return [part for part in re.split(r"[,;\s]+", text) if part]
