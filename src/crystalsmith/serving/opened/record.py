"""A run folder as a page shows it: what it is, how it stands, its funnel and its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from crystalsmith.crystal import Crystal
from crystalsmith.errors import CrystalsmithError

Sort = Literal["text", "formula", "group", "number", "percent", "chance", "yes", "time"]
"""How values of a column are shown: ``group`` holds numbers of space groups, ``chance`` probabilities,
``yes`` true or false, ``time`` seconds since 1970."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: in the rows.
        label: heading, with its unit.
        sort: of the values.
        digits: behind the point, of numbers.
        about: what it means, in a sentence; may be empty.
    """

    key: str
    label: str
    sort: Sort = "text"
    digits: int = 3
    about: str = ""


@dataclass(frozen=True)
class Step:
    """One step of a funnel.

    Attributes:
        name: of the step.
        came: how many came to it.
        went: how many went on.
        reasons: why the others did not, and how many for each.
        seconds: that it took; None where nobody said.
    """

    name: str
    came: int
    went: int
    reasons: Mapping[str, int] = field(default_factory=dict)
    seconds: float | None = None


@dataclass(frozen=True)
class Series:
    """Points of one line of a plot.

    Attributes:
        name: of the line.
        x, y: of the same length.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Opened:
    """A folder that was opened; nothing in it was changed.

    Attributes:
        folder: where.
        kind: of the run, as its manifest has it; ``evaluation``, ``hull`` or ``unknown`` without one.
        status: ``running``, ``interrupted``, ``finished`` or ``unknown``.
        summary: what came of it, in a sentence.
        facts: names and values, the most telling first.
        notes: what the reader should know, such as lines that are damaged.
        columns: of the rows, those that hold anything.
        rows: plain values by column; ``name`` is unique among them.
        steps: of the funnel, from the top.
        crystals: plain data of crystals by the rows' names; rows without a crystal are missing.
        others: of a second crystal of a row, such as the one before its relaxation.
        series: lines of a plot, such as losses.
        series_axes: names of their x and y.
        files: names of files in the folder that people may want, all of them there.
        potential: whose energies the rows have; empty if there are none.
    """

    folder: Path
    kind: str
    status: str = "unknown"
    summary: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    rows: tuple[Mapping[str, Any], ...] = ()
    steps: tuple[Step, ...] = ()
    crystals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    others: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    series: tuple[Series, ...] = ()
    series_axes: tuple[str, str] = ("", "")
    files: tuple[str, ...] = ()
    potential: str = ""

    def crystal(self, name: str) -> Crystal | None:
        """The crystal of a row; None where it has none that can be understood."""
        return _crystal(self.crystals.get(name))

    def other(self, name: str) -> Crystal | None:
        """The second crystal of a row; None where it has none that can be understood."""
        return _crystal(self.others.get(name))

    def row(self, name: str) -> Mapping[str, Any] | None:
        """The row of this name."""
        return next((row for row in self.rows if row["name"] == name), None)

    def told(self, *notes: str) -> Opened:
        """The same with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def _crystal(data: Mapping[str, Any] | None) -> Crystal | None:
    with suppress(CrystalsmithError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        return None if data is None else Crystal.from_dict(data)
    return None


def filled(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> tuple[Column, ...]:
    """Columns that hold anything."""
    return tuple(c for c in columns if any(row.get(c.key) not in (None, "") for row in rows))
