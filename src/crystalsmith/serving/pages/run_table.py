"""The rows of a run as a table: sorted, filtered, paged, opened and ticked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from markupsafe import Markup, escape
from nicegui.element import Element

from crystalsmith.errors import ConfigError
from crystalsmith.reports.words import NOTHING, chance, formula_html, group_html
from crystalsmith.reports.words import number as numeral
from crystalsmith.serving.opened import Column, Opened
from crystalsmith.serving.opened.sorting import chosen
from crystalsmith.serving.pages.run_parts import ago

PAGE = 50
"""Rows that are shown at a time."""

LONGEST = 90
"""Letters of a cell."""

NUMERIC = ("number", "percent", "chance", "yes")


class RunTable(Element, component="cs_table.js"):
    """The table.

    Args:
        opened: the run.
        caption: what a screen reader says of it.
        on_open: called with the name of a row whose crystal is asked for.
        ticks: rows with crystals can be ticked; ``ticked`` has their names.
        on_tick: called when that changed.
        example: of a filter.
        able: names of rows that can be opened and ticked; those with crystals if None.
    """

    def __init__(
        self,
        opened: Opened,
        caption: str,
        *,
        on_open: Callable[[str], Awaitable[object] | object],
        ticks: bool = False,
        on_tick: Callable[[], object] | None = None,
        able: Collection[str] | None = None,
        example: str = "such as TiO2 or atoms<20",
    ) -> None:
        super().__init__()
        self._opened, self._own = opened, able
        self._filter, self._sort, self._down, self._page = "", "", False, 0
        self.ticked: dict[str, None] = {}
        self._on_tick = on_tick or (lambda: None)
        self._listed: list[Mapping[str, Any]] = []
        self._props |= {"name": f"table-{self.id}", "caption": caption, "ticks": ticks, "open": ""}
        self._props |= {"example": example, "none": "No row is like that."}
        self.on(
            "filter",
            lambda event: self._set(filter=str(event.args)[:200]),
            throttle=0.25,
            leading_events=False,
        )
        self.on("sort", lambda event: self._sort_by(str(event.args)))
        self.on("page", lambda event: self._set(page=int(event.args)))
        self.on("tick", lambda event: self._tick(*event.args))
        self.on("all", lambda event: self._tick_all(bool(event.args)))
        self.on("open", lambda event: self._open(str(event.args), on_open))
        self.show(opened)

    def show(self, opened: Opened) -> None:
        """The same run as it is now."""
        self._opened = opened
        self._set(page=self._page)

    @property
    def _able(self) -> Collection[str]:
        return self._opened.crystals if self._own is None else self._own

    def sort(self, key: str) -> None:
        """The smallest of a column first."""
        self._sort, self._down = key, False
        self._set()

    def mark_open(self, name: str) -> None:
        """Mark the row that is open."""
        self._props["open"] = name

    def choose(self, names: list[str]) -> None:
        """Tick these rows and no others."""
        self.ticked = dict.fromkeys(name for name in names if name in self._able)
        self._set(page=self._page)

    def _open(self, name: str, on_open: Callable[[str], Awaitable[object] | object]) -> Any:
        if name not in self._able:
            return None
        self.mark_open(name)
        return on_open(name)

    def _sort_by(self, key: str) -> None:
        """Up, down, and as the run has them."""
        if key != self._sort:
            self._sort, self._down = key, False
        elif not self._down:
            self._down = True
        else:
            self._sort, self._down = "", False
        self._set(page=0)

    def _tick(self, name: str, ticked: bool) -> None:
        if ticked and name in self._able:
            self.ticked[str(name)] = None
        else:
            self.ticked.pop(str(name), None)
        self._set(page=self._page)
        self._on_tick()

    def _tick_all(self, ticked: bool) -> None:
        for row in self._listed:
            if ticked and row["name"] in self._able:
                self.ticked[str(row["name"])] = None
            elif not ticked:
                self.ticked.pop(str(row["name"]), None)
        self._set(page=self._page)
        self._on_tick()

    def _set(self, *, page: int = 0, filter: str | None = None) -> None:
        """Show a page; another filter begins at the first."""
        self._filter = self._filter if filter is None else filter
        fault = ""
        try:
            self._listed = chosen(self._opened, self._filter, self._sort, self._down)
        except ConfigError as error:
            fault = str(error)
        rows, total = self._listed, len(self._opened.rows)
        pages = max(1, -(-len(rows) // PAGE))
        self._page = min(max(page, 0), pages - 1)
        columns = self._opened.columns
        shown = rows[self._page * PAGE : (self._page + 1) * PAGE]
        self._props |= {
            "columns": [
                {"key": c.key, "label": c.label, "about": c.about, "numeric": c.sort in NUMERIC}
                for c in columns
            ],
            "first": next((k for k, c in enumerate(columns) if c.key in _NAMING), 0),
            "rows": [self._row(row) for row in shown],
            "sort": self._sort,
            "down": self._down,
            "filter": self._filter,
            "fault": fault,
            "said": f"{total:,} rows" if len(rows) == total else f"{len(rows):,} of {total:,} rows",
            "page": self._page,
            "pages": pages,
            "all": bool(rows) and all(row["name"] in self.ticked for row in rows),
        }

    def _row(self, row: Mapping[str, Any]) -> dict[str, Any]:
        name = str(row["name"])
        return {
            "name": name,
            "able": name in self._able,
            "ticked": name in self.ticked,
            "cells": [str(cell_html(column, row.get(column.key))) for column in self._opened.columns],
        }


_NAMING = ("formula", "name", "target", "run")
"""Columns that may hold the button that opens a row."""


def cell_html(column: Column, value: Any) -> Markup:
    """A value as its column shows it."""
    if value is None or value == "":
        return Markup(NOTHING)
    if column.sort == "yes":
        return Markup('<span class="{}">{}</span>').format(
            "good" if value else "quiet", "yes" if value else "no"
        )
    if column.sort == "chance" and isinstance(value, int | float):
        return Markup("{}").format(chance(float(value)))
    if column.sort in ("number", "percent") and isinstance(value, int | float):
        if column.sort == "percent":
            return Markup("{}&nbsp;%").format(numeral(100 * value, column.digits))
        return Markup(numeral(float(value), column.digits))
    if column.sort == "time":
        return Markup("{}").format(ago(float(value)))
    if column.sort == "group" and isinstance(value, int) and 1 <= value <= 230:
        return group_html(value)
    words = str(value) if len(str(value)) <= LONGEST else f"{str(value)[: LONGEST - 1]}…"
    shown = formula_html(words) if column.sort == "formula" else escape(words)
    return (
        shown if words == str(value) else Markup('<span title="{}">{}</span>').format(str(value)[:600], shown)
    )
