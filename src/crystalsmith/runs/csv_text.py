"""The one writer of CSV: cells that a spreadsheet would run are made harmless."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@")
"""What a cell begins with that spreadsheets take for a formula or a command."""


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> str:
    """A whole table, its heading first; see ``csv_lines``."""
    return "".join(csv_lines(rows, columns))


def csv_lines(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, heading: bool = True
) -> Iterator[str]:
    """A table line by line.

    Missing values, None and NaN are empty; booleans are ``yes`` and ``no``; text that a spreadsheet would
    take for a formula gets an apostrophe in front, as spreadsheets themselves write it.

    Args:
        rows: values by column.
        columns: which of them, in order.
        heading: begin with the names of the columns.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if heading:
        writer.writerow([harmless(name) for name in columns])
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _cell(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return harmless(value) if isinstance(value, str) else value


def harmless(text: str) -> str:
    """Text with an apostrophe in front where a spreadsheet would run it; numbers stay."""
    text = text.replace("\r", "\n")  # which the csv module leaves unquoted
    if not text.lstrip().startswith(_FORMULA):
        return text
    try:
        float(text)
    except ValueError:
        return "'" + text
    return text
