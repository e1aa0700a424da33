"""Tables of structures: which character parts the columns, and which column holds the structures."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from crystalsmith.crystal.io.json_kinds import TEXTS
from crystalsmith.errors import DataError

_DELIMITERS = ",;\t|"
_TELLING = ("_cell_length_a", "_atom_site", '"lattice"')


@dataclass(frozen=True)
class Table:
    """How a table is written.

    Attributes:
        delimiter: between columns.
        columns: their names, as they stand.
        column: place of the one that holds structures.
        skip: lines before the one with the names.
    """

    delimiter: str
    columns: tuple[str, ...]
    column: int
    skip: int = 0

    def rows(self, lines: Iterable[str], longest: int) -> Iterator[tuple[str, dict[str, str]]]:
        """Structure and all other values of each row.

        Raises:
            csv.Error: a row that is none.
        """
        csv.field_size_limit(longest)
        names = [name.strip().lower() for name in self.columns]
        rows = filter(any, csv.reader(lines, delimiter=self.delimiter))
        for number, row in enumerate(rows):
            if number > self.skip:
                text = row[self.column] if self.column < len(row) else ""
                others = {n: v for i, (n, v) in enumerate(zip(names, row, strict=False)) if i != self.column}
                yield text, others


def find_table(head: str) -> Table | None:
    """The table that a file begins with; None if none of its columns holds structures."""
    for delimiter, skip, first, rest in _readings(head):
        lower = [name.strip().lower() for name in first]
        column = next((lower.index(name) for name in TEXTS if name in lower), None)
        if column is None and len(first) > 1 and rest:
            column = next((i for i, cell in enumerate(rest[0]) if any(t in cell for t in _TELLING)), None)
        if column is not None and column < len(first):
            return Table(delimiter, tuple(first), column, skip)
    return None


def refuse_table(head: str) -> None:
    """Say which columns a table has, where none of them holds structures.

    Raises:
        DataError: it is one.
    """
    for _, _, first, rest in _readings(head):
        if len(first) > 1 and rest and all(len(row) == len(first) for row in rest):
            named = ", ".join(name.strip()[:30] for name in first[:12])
            raise DataError(
                f"the table has the columns {named}; none holds structures: name it cif, structure,"
                " cif_string or poscar"
            )


def _readings(head: str) -> Iterator[tuple[str, int, list[str], list[list[str]]]]:
    """Delimiter, lines to skip, first row and up to two more, by each delimiter."""
    lines = head.lstrip("\ufeff").splitlines(keepends=True)
    told = bool(lines) and lines[0].lower().startswith("sep=") and len(lines[0].strip()) == 5  # Excel's
    for delimiter in lines[0].strip()[4] if told else _DELIMITERS:
        rows = list(islice(_rows(lines[told:], delimiter), 3))
        if rows:
            yield delimiter, int(told), rows[0], rows[1:]


def _rows(lines: list[str], delimiter: str) -> Iterator[list[str]]:
    try:
        yield from filter(any, csv.reader(lines, delimiter=delimiter))
    except csv.Error:
        return
