"""Crystals of several sources by names that can be files' names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crystalsmith.crystal import Crystal


def read_named(sources: Sequence[str]) -> dict[str, Crystal | str]:
    """Crystals by name; in place of one that cannot be read stands why. See ``crystal.io.named_crystals``."""
    from crystalsmith.crystal.io import named_crystals
    from crystalsmith.runs.pool import Failed

    found = named_crystals(sources)
    return {name: c.reason if isinstance(c, Failed) else c for name, c in found.items()}
