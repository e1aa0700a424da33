"""Journals outlive killed processes: what was cut off is gone, the rest is as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crystalsmith.errors import OutputError
from crystalsmith.runs.journal import append_journal, read_journal

ROWS = [{"a": 1}, {"a": [0.1, None]}, {"a": "Å\n"}]


def read(path: Path, **options: Any) -> list[tuple[Any, int]]:
    found: list[tuple[Any, int]] = []
    read_journal(path, lambda row, place: found.append((row, place)), **options)
    return found


def test_rows_come_back_in_their_places(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    assert read(path) == []
    places = append_journal(path, ROWS[:2]) + append_journal(path, ROWS[2:])
    assert read(path) == list(zip(ROWS, places, strict=True))
    with path.open("rb") as f:
        f.seek(places[2])
        assert f.readline().startswith(b'{"a":')


@pytest.mark.parametrize("mend", [True, False])
def test_a_journal_cut_anywhere_keeps_its_whole_lines(tmp_path: Path, mend: bool):
    path = tmp_path / "x.jsonl"
    places = [*append_journal(path, ROWS), path.stat().st_size]
    data = path.read_bytes()
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        whole = sum(end <= cut for end in places[1:])
        assert [row for row, _ in read(path, mend=mend)] == ROWS[:whole]
        assert path.stat().st_size == (places[whole] if mend else cut)
        if mend:
            append_journal(path, ROWS[whole:])
            assert path.read_bytes() == data


def test_a_damaged_line_is_named(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    append_journal(path, ROWS)
    path.write_bytes(path.read_bytes().replace(b"null", b"nul}"))
    with pytest.raises(OutputError, match=r"x\.jsonl: line 2 is damaged; run away"):
        read(path, advice="run away")

    def refuse(row: Any, place: int) -> None:
        raise KeyError("a")

    with pytest.raises(OutputError, match="line 1 is damaged; begin anew"):
        read_journal(path, refuse)
