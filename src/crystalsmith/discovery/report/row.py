"""What the index says of one system of many."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from crystalsmith.discovery.summary import RunSummary
from crystalsmith.runs.csv_text import csv_text

FINISHED, FAILED, RUNNING, WAITING = "finished", "failed", "running", "waiting"

FOLDER = "systems"
"""Of a run, with a folder for each system."""


@dataclass(frozen=True)
class SystemRow:
    """How one system stands.

    Attributes:
        system: such as ``Li-Fe-O``.
        status: ``finished``, ``failed``, ``running`` or ``waiting``.
        candidates: crystals that were made.
        unique: of them as generated.
        near: relaxed crystals of all elements that are no farther above the hull than was asked.
        short: on the short list.
        new: of the short list.
        best: lowest above the hull on the short list, eV per atom; None where it is empty.
        formula, space_group: of that crystal.
        failure: why nothing came of it; empty where something did.
    """

    system: str
    status: str = WAITING
    candidates: int | None = None
    unique: int | None = None
    near: int | None = None
    short: int | None = None
    new: int | None = None
    best: float | None = None
    formula: str = ""
    space_group: int | None = None
    failure: str = ""

    @staticmethod
    def of(summary: RunSummary) -> SystemRow:
        """Of a run that has gone through all stages."""
        went = {stage.name: stage.went for stage in summary.stages}
        first = min(
            summary.shortlist,
            key=lambda c: (c.above_hull is None, c.above_hull or 0.0, c.name),
            default=None,
        )
        return SystemRow(
            "-".join(summary.system),
            FINISHED,
            went.get("generation"),
            went.get("duplicates"),
            went.get("hull"),
            len(summary.shortlist),
            sum(c.novelty is not None and c.novelty.is_new for c in summary.shortlist),
            None if first is None or first.above_hull is None else round(float(first.above_hull), 6) + 0.0,
            "" if first is None else first.crystal.formula,
            None if first is None else first.crystal.space_group,
        )

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> SystemRow:
        """The inverse of ``to_dict``; what else is there is left aside.

        Raises:
            TypeError: no system.
        """
        known = {key: value for key, value in data.items() if key in _NAMES}
        return SystemRow(**{**known, "failure": known.get("failure") or ""})

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types."""
        return asdict(self)

    @property
    def page(self) -> str:
        """Its report, relative to the run's folder; empty where there is none."""
        return f"{FOLDER}/{self.system}/report.html" if self.status == FINISHED else ""


_NAMES = tuple(SystemRow.__dataclass_fields__)

_COLUMNS = {
    "system": "system",
    "status": "status",
    "candidates": "candidates",
    "unique": "unique",
    "near": "near_hull",
    "short": "short_list",
    "new": "new",
    "best": "best_above_hull_ev_atom",
    "formula": "best_formula",
    "space_group": "best_space_group",
    "failure": "failure",
}


def rows_csv(rows: Iterable[SystemRow]) -> str:
    """``systems.csv``: a row for each system; what is not known is empty."""
    columns = (*_COLUMNS.values(), "report")
    return csv_text(
        ({**{_COLUMNS[k]: v for k, v in row.to_dict().items()}, "report": row.page} for row in rows), columns
    )
