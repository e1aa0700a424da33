"""One crystal as tables and exports write it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crystalsmith.crystal.crystal import Crystal
from crystalsmith.crystal.io.records import Record
from crystalsmith.errors import CrystalsmithError


@dataclass(frozen=True)
class Row:
    """One crystal as it is written.

    Attributes:
        id: its name.
        crystal: None where there is none, ...
        failure: ... for this reason.
        energy: eV/atom.
        above_hull: eV/atom.
        index: place among several of one id, -1 where there is one.
        more: values of further columns.
    """

    id: str
    crystal: Crystal | None
    failure: str = ""
    energy: float | None = None
    above_hull: float | None = None
    index: int = -1
    more: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_record(cls, record: Record) -> Row:
        """What a source gave, its symmetry searched where it states none."""
        known = (record.energy, record.e_above_hull)
        energy, above = (None if math.isnan(x) else x for x in known)
        try:
            return cls(record.id, record.symmetrized(), "", energy, above, record.index)
        except CrystalsmithError as error:
            reason = record.failure or " ".join(str(error).split())
            return cls(record.id, None, reason, index=record.index)
