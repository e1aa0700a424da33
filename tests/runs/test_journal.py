"""Journals outlive killed processes: what was cut off is gone, the rest is as it was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crystalsmith.errors import OutputError
from crystalsmith.runs.journal import append_journal, read_journal, read_rows

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
    assert list(read_rows(path, reversed(places))) == ROWS[::-1]


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
    with pytest.raises(OutputError, match=r"x\.jsonl: the line at byte \d+ is damaged; run away"):
        list(read_rows(path, [path.read_bytes().index(b"\n") + 1], "run away"))
    with pytest.raises(OutputError, match=r"x\.jsonl: line 2 is damaged; run away"):
        read(path, advice="run away")

    def refuse(row: Any, place: int) -> None:
        raise KeyError("a")

    with pytest.raises(OutputError, match="line 1 is damaged; begin anew"):
        read_journal(path, refuse)


def test_no_flipped_bit_passes_for_what_was_written(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    last = append_journal(path, ROWS)[-1]
    data = path.read_bytes()
    for place in range(len(data)):
        for bit in range(8):
            path.write_bytes(data[:place] + bytes([data[place] ^ (1 << bit)]) + data[place + 1 :])
            try:
                rows = [{k: v for k, v in row.items() if k == "a"} for row, _ in read(path, mend=False)]
            except OutputError:
                continue
            # The checksum's own name was hit, or the end of the last line, which counts as cut off.
            assert rows == ROWS or (rows == ROWS[:2] and place >= last)


def test_lines_of_earlier_versions_have_no_checksum_and_are_read(tmp_path: Path):
    path = tmp_path / "x.jsonl"
    path.write_text('{"a":1}\n{"a": 2, "crc": "mine"}\n')
    append_journal(path, [{"a": 3}, {}])
    assert [row for row, _ in read(path)] == [{"a": 1}, {"a": 2, "crc": "mine"}, {"a": 3}, {}]
