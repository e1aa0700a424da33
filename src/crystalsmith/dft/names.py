"""Names of the files and folders of ranked crystals: rank and name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

_RANKED = re.compile(r"\d{2,}-(.+)")


class Named(Protocol):
    """Anything with a name of its own."""

    @property
    def name(self) -> str:
        """Fit for a file system."""
        ...


def ranked_names(ranked: Sequence[Named]) -> list[str]:
    """``01-NAME``, ``02-NAME`` ... as many digits as the last one needs, at least two."""
    digits = max(2, len(str(len(ranked))))
    return [f"{rank:0{digits}d}-{c.name}" for rank, c in enumerate(ranked, start=1)]


def without_rank(folder: str) -> str:
    """The candidate's name in one that ``ranked_names`` made; ranks change, names do not."""
    match = _RANKED.fullmatch(folder)
    return match[1] if match else folder
