"""Names of files for crystals of any id."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

LONGEST = 200
"""Bytes of a name: file systems take 255, and run folders add endings to it."""

_ORDER_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}", re.ASCII)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # of Windows


def file_name(text: str, suffix: str = "") -> str:
    """A name of letters, digits and ``_.+-``, of at most ``LONGEST`` bytes with its suffix."""
    stem = re.sub(r"[^\w.+-]+", "_", unicodedata.normalize("NFC", text)).strip("._")
    if _RESERVED.fullmatch(stem):
        stem += "_"
    return _cut(stem, LONGEST - len(suffix.encode())) + suffix if stem else "crystal" + suffix


def file_names(ids: Iterable[str]) -> list[str]:
    """A name for each id; they are told apart by more than case, by ``-2``, ``-3`` and so on."""
    names: list[str] = []
    taken: set[str] = set()
    repeats: dict[str, int] = {}
    for text in ids:
        name = stem = file_name(text)
        while name.casefold() in taken:
            repeats[stem] = count = repeats.get(stem, 1) + 1
            name = file_name(text, f"-{count}")
        taken.add(name.casefold())
        names.append(name)
    return names


def order_id(text: str) -> str:
    """``text`` where an order may have it for an id, else one with a hash that tells it apart."""
    if _ORDER_ID.fullmatch(text):
        return text
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    stem = re.sub(r"[^A-Za-z0-9._+-]+", "_", plain).strip("._+-")[:80]
    mended = "_".join(text.split())
    if stem == mended and _ORDER_ID.fullmatch(stem):
        return stem
    return f"{stem or 'crystal'}-{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:6]}"


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore").rstrip(".")
