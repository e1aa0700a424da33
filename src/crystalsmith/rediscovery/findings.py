"""What was found of each target in each setting, and how many were recovered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from crystalsmith.rediscovery.match import TOLERANCES, Cell, cell_like
from crystalsmith.rediscovery.targets import Target
from crystalsmith.rediscovery.trials import Outcome, State
from crystalsmith.runs.csv_text import csv_text

MOMENTS = ("before", "after")
"""Before and after relaxation."""


@dataclass(frozen=True)
class Attempt:
    """A crystal of the target's composition.

    Attributes:
        rank: among all crystals of the order, by score, from 1.
        index: within the order.
        outcome: of its trial.
    """

    rank: int
    index: int
    outcome: Outcome

    def state(self, moment: str) -> State | None:
        """The crystal at one of ``MOMENTS``."""
        return self.outcome.before if moment == "before" else self.outcome.after

    def rms(self, moment: str, level: int = 0) -> float | None:
        """Displacement at tolerances ``TOLERANCES[level]``; None where it does not match."""
        state = self.state(moment)
        return None if state is None else state.rms[level]


@dataclass(frozen=True)
class Finding:
    """What was found of one target in one setting.

    Attributes:
        target: the known crystal.
        setting: one of ``SETTINGS``.
        made: sound crystals of the order.
        attempts: those of the target's composition, by rank.
        failures: trials that came to nothing, one line each.
        refused: why no order could be carried out; empty if it was.
    """

    target: Target
    setting: str
    made: int
    attempts: tuple[Attempt, ...]
    failures: tuple[str, ...] = ()
    refused: str = ""

    def matches(self, moment: str, level: int = 0) -> list[Attempt]:
        """Attempts that match, by rank."""
        return [a for a in self.attempts if a.rms(moment, level) is not None]

    def recovered(self, moment: str, level: int = 0) -> bool:
        """Whether any crystal matches."""
        return bool(self.matches(moment, level))

    def first_rank(self, moment: str, level: int = 0) -> int | None:
        """Rank of the first that matches."""
        return next((a.rank for a in self.matches(moment, level)), None)

    def lowest(self) -> Attempt | None:
        """The attempt with the lowest relaxed energy; None where none was relaxed."""
        relaxed = [a for a in self.attempts if a.outcome.energy is not None and a.outcome.after is not None]
        return min(relaxed, key=lambda a: a.outcome.energy or 0.0, default=None)

    def lowest_matches(self, level: int = 0) -> bool:
        """Whether that one matches, relaxed."""
        attempt = self.lowest()
        return attempt is not None and attempt.rms("after", level) is not None

    @cached_property
    def shown(self) -> Attempt | None:
        """The match to show: a strict one before a loose one, one that still matches relaxed before one that
        does not, then the nearest to the target."""

        def place(a: Attempt) -> tuple[bool, bool, float]:
            before, after = a.rms("before"), a.rms("after")
            nearest = min(x for x in (before, after) if x is not None)
            return a.rms("before", 1) is None, after is None, nearest if before is None else before

        return min(self.matches("before") or self.matches("after"), key=place, default=None)

    @cached_property
    def cells(self) -> tuple[Cell | None, Cell | None]:
        """Cells of the shown one before and after, in the target's axes; None where it does not match."""
        states = [None if self.shown is None else self.shown.state(moment) for moment in MOMENTS]
        before, after = (
            None if s is None or s.rms[0] is None else cell_like(s.crystal, self.target.crystal)
            for s in states
        )
        return before, after

    def to_dict(self) -> dict[str, Any]:
        """Of plain JSON types: figures at every level, and every matching crystal."""
        crystal = self.target.crystal
        levels = {}
        for level, tolerances in enumerate(TOLERANCES):
            levels[tolerances.name] = {
                moment: {
                    "matches": len(self.matches(moment, level)),
                    "first_rank": self.first_rank(moment, level),
                }
                for moment in MOMENTS
            } | {"lowest_energy_matches": self.lowest_matches(level)}
        return {
            "setting": self.setting,
            "id": self.target.id,
            "formula": crystal.formula,
            "space_group": crystal.space_group,
            "reference_cell": crystal.cell,
            "refused": self.refused,
            "made": self.made,
            "same_composition": len(self.attempts) + len(self.failures),
            "relaxed": sum(a.outcome.after is not None for a in self.attempts),
            "failures": self.failures,
            **levels,
            "shown": None if self.shown is None else self.shown.index,
            "shown_cell": dict(zip(MOMENTS, self.cells, strict=True)),
            "matching": [
                {"rank": a.rank, "index": a.index, **a.outcome.to_dict()}
                for a in self.attempts
                if any(a.rms(moment) is not None for moment in MOMENTS)
            ],
        }


@dataclass(frozen=True)
class Count:
    """Targets recovered in one setting.

    Attributes:
        setting: one of ``SETTINGS``.
        tolerances: name of the set.
        targets: in all.
        before, after: any crystal matches, as generated and relaxed.
        top_before, top_after: the crystal ranked first does.
        lowest: the crystal of the target's composition with the lowest relaxed energy does.
    """

    setting: str
    tolerances: str
    targets: int
    before: int
    after: int
    top_before: int
    top_after: int
    lowest: int


def count(findings: Sequence[Finding]) -> list[Count]:
    """Counts by setting and tolerances, settings in the findings' order."""
    result = []
    for setting in dict.fromkeys(f.setting for f in findings):
        own = [f for f in findings if f.setting == setting]
        for level, tolerances in enumerate(TOLERANCES):
            result.append(
                Count(
                    setting,
                    tolerances.name,
                    targets=len(own),
                    before=sum(f.recovered("before", level) for f in own),
                    after=sum(f.recovered("after", level) for f in own),
                    top_before=sum(f.first_rank("before", level) == 1 for f in own),
                    top_after=sum(f.first_rank("after", level) == 1 for f in own),
                    lowest=sum(f.lowest_matches(level) for f in own),
                )
            )
    return result


_AXES = ("a", "b", "c", "alpha", "beta", "gamma")
_FIGURES = [(f"{m}_{t.name}", m, k) for k, t in enumerate(TOLERANCES) for m in MOMENTS]
_CELLS = ("generated", "relaxed", "reference")
_COLUMNS = (
    *("setting", "id", "formula", "space_group", "made", "same_composition", "relaxed"),
    *(f"{what}_{name}" for name, _, _ in _FIGURES for what in ("matches", "first_rank")),
    *("lowest_energy_matches", "shown_rank", "rms_before", "rms_after"),
    *(f"{axis}_{which}" for which in _CELLS for axis in _AXES),
)


def to_csv(findings: Sequence[Finding]) -> str:
    """One row for each target and setting."""
    return csv_text(map(to_row, findings), _COLUMNS)


def to_row(f: Finding) -> dict[str, Any]:
    """What ``results.csv`` says of a finding."""
    crystal = f.target.crystal
    row: dict[str, Any] = {
        "setting": f.setting,
        "id": f.target.id,
        "formula": crystal.formula,
        "space_group": crystal.space_group,
        "made": f.made,
        "same_composition": len(f.attempts) + len(f.failures),
        "relaxed": sum(a.outcome.after is not None for a in f.attempts),
        "lowest_energy_matches": int(f.lowest_matches()),
        "shown_rank": None if f.shown is None else f.shown.rank,
    }
    for name, moment, level in _FIGURES:
        row[f"matches_{name}"] = len(f.matches(moment, level))
        row[f"first_rank_{name}"] = f.first_rank(moment, level)
    for moment in MOMENTS:
        rms = None if f.shown is None else f.shown.rms(moment)
        row[f"rms_{moment}"] = None if rms is None else round(rms, 5)
    for which, cell in zip(_CELLS, (*f.cells, crystal.cell), strict=True):
        row |= {f"{axis}_{which}": round(x, 4) for axis, x in zip(_AXES, cell or (), strict=cell is not None)}
    return row
