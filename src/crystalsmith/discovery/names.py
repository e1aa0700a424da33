"""Names of the files and folders of short-listed crystals: rank and name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from crystalsmith.discovery.candidate import Candidate

_RANKED = re.compile(r"\d{2,}-(.+)")


def ranked_names(candidates: Sequence[Candidate]) -> list[str]:
    """``01-NAME``, ``02-NAME`` ... as many digits as the last one needs, at least two."""
    digits = max(2, len(str(len(candidates))))
    return [f"{rank:0{digits}d}-{c.name}" for rank, c in enumerate(candidates, start=1)]


def without_rank(folder: str) -> str:
    """The candidate's name in one that ``ranked_names`` made; ranks change, names do not."""
    match = _RANKED.fullmatch(folder)
    return match[1] if match else folder
