"""Rows of a run chosen by words and comparisons, and sorted by a column."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from crystalsmith.errors import ConfigError
from crystalsmith.serving.opened.record import Column, Opened
from crystalsmith.symmetry import space_group

_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
_COMPARISON = re.compile(r"([A-Za-z][\w ]*?)\s*(<=|>=|!=|<|>|=)\s*(\S+)")
_YES = {"yes": True, "true": True, "no": False, "false": False}

Row = Mapping[str, Any]


def chosen(opened: Opened, words: str = "", sort: str = "", down: bool = False) -> list[Row]:
    """Rows that have all of these words and meet all of these comparisons, sorted.

    Args:
        opened: the run.
        words: such as ``TiO2 new above hull<0.05``; the name of a column is its key or the start of its
            heading.
        sort: key of a column; as the run has them if empty or unknown.
        down: the largest first. Rows without a value come last either way.

    Raises:
        ConfigError: a comparison with a column that is not there, or with no number.
    """
    rest, tests = _tests(opened.columns, words)
    wanted = [word.casefold() for word in rest.split()]
    rows = [row for row in opened.rows if all(test(row) for test in tests)]
    if wanted:
        texts = [_said(opened.columns, row) for row in rows]
        rows = [row for row, said in zip(rows, texts, strict=True) if all(word in said for word in wanted)]
    column = next((c for c in opened.columns if c.key == sort), None)
    if column is None:
        return rows
    there = [row for row in rows if row.get(column.key) not in (None, "")]
    there.sort(key=lambda row: _order(column, row[column.key]), reverse=down)
    return there + [row for row in rows if row.get(column.key) in (None, "")]


def _order(column: Column, value: Any) -> tuple[bool, float, str]:
    """Numbers before words, whatever stands in a column."""
    if isinstance(value, bool | int | float):
        return False, float(value), ""
    return True, 0.0, str(value).casefold()


def _said(columns: Sequence[Column], row: Row) -> str:
    """All that a row says, in small letters."""
    parts = [str(row["name"])]
    for column in columns:
        value = row.get(column.key)
        if value is None:
            continue
        parts.append(str(value))
        if column.sort == "group" and isinstance(value, int) and 1 <= value <= 230:
            parts.append(space_group(value).symbol)
    return " ".join(parts).casefold()


def _tests(columns: Sequence[Column], words: str) -> tuple[str, list[Callable[[Row], bool]]]:
    """What is left of the words without the comparisons, and these."""
    tests: list[Callable[[Row], bool]] = []
    rest = words
    for found in _COMPARISON.finditer(words):
        before, sign, value = found.groups()
        column, taken = _column(columns, before)
        rest = rest.replace(before[len(before) - taken :] + found[0][len(before) :], " ", 1)
        tests.append(_test(column, _COMPARE[sign], _value(column, value)))
    return rest, tests


def _column(columns: Sequence[Column], words: str) -> tuple[Column, int]:
    """The column that the last of these words name, and how many letters of them do so."""
    parts = words.split()
    for start in range(len(parts)):
        name = " ".join(parts[start:]).casefold()
        for fits in (str.__eq__, str.startswith):
            for column in columns:
                if any(fits(said.casefold(), name) for said in (column.key, column.label)):
                    return column, len(words) - words.casefold().rfind(parts[start].casefold())
    named = ", ".join(c.label for c in columns if c.sort in ("number", "percent", "chance", "group"))
    raise ConfigError(f"there is no column {words!r} to compare; there are {named}")


def _value(column: Column, text: str) -> Any:
    if column.sort == "yes" and text.casefold() in _YES:
        return _YES[text.casefold()]
    if column.sort in ("text", "formula"):
        return text.casefold()
    try:
        number = float(text.rstrip("%"))
    except ValueError:
        raise ConfigError(f"{column.label} is compared with a number, not with {text[:40]!r}") from None
    return number / 100 if column.sort in ("percent", "chance") else number


def _test(column: Column, compare: Callable[[Any, Any], bool], value: Any) -> Callable[[Row], bool]:
    def test(row: Row) -> bool:
        found = row.get(column.key)
        if found is None or found == "":
            return False
        if isinstance(value, str):
            return compare(str(found).casefold(), value)
        return isinstance(found, int | float) and compare(found, value)

    return test
