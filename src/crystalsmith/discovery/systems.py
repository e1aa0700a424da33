"""A list of chemical systems: one a line, checked before anything is made of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from crystalsmith.discovery.settings import FEWEST_ELEMENTS, MOST_ELEMENTS
from crystalsmith.errors import DiscoveryError, HullError
from crystalsmith.hull import Hull
from crystalsmith.hull.system import parse_system

System = tuple[str, ...]
"""Elements, in the order given."""


def is_list(text: str) -> bool:
    """Whether an argument means a file of systems, and not a system."""
    return "." in text or "/" in text or os.sep in text or Path(text).is_file()


def read_systems(path: str | Path) -> list[tuple[str, System]]:
    """The systems of a file, one a line; what follows ``#`` is a comment.

    Returns:
        Where each stands, as ``FILE:LINE``, and its elements.

    Raises:
        DiscoveryError: no such file, a line that is no system, or no line at all.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise DiscoveryError(
            f"there is no file {path}; give a system such as Cu-K-Si, or a file with one a line"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise DiscoveryError(f"{path} cannot be read: {reason}") from None
    found = []
    for number, line in enumerate(lines, start=1):
        if text := line.partition("#")[0].strip():
            found.append((f"{path}:{number}", _parsed(f"{path}:{number}", text)))
    if not found:
        raise DiscoveryError(f"{path} names no chemical system; give one a line, such as Cu-K-Si")
    return found


def named_systems(texts: Iterable[str | Iterable[str]]) -> list[tuple[str, System]]:
    """Systems given as text or as elements, each with its place among them for messages.

    Raises:
        DiscoveryError: one that is none, or none at all.
    """
    given = [text if isinstance(text, str) else "-".join(text) for text in texts]
    if not given:
        raise DiscoveryError("no chemical system is given")
    return [(f"system {k}", _parsed(f"system {k}", text)) for k, text in enumerate(given, start=1)]


def _parsed(where: str, text: str) -> System:
    try:
        return parse_system(text, MOST_ELEMENTS, FEWEST_ELEMENTS)
    except HullError as error:
        raise DiscoveryError(f"{where}: {error}") from None


def check_systems(listed: Iterable[tuple[str, System]], hull: Hull) -> None:
    """Refuse systems that are given twice, in whatever order of their elements, or that have no hull.

    Raises:
        DiscoveryError: names the places.
        HullError: elements without a reference phase.
    """
    places: dict[frozenset[str], str] = {}
    lacking: dict[str, bool] = {}
    for where, system in listed:
        first = places.setdefault(frozenset(system), where)
        if first is not where:
            raise DiscoveryError(f"{where}: {'-'.join(system)} stands at {first} already; take one out")
        for element in system:
            if element not in lacking:
                lacking[element] = bool(hull.missing([element]))
            if lacking[element]:
                raise HullError(f"{where}: no reference phase of {element} alone; add one with --entries")
