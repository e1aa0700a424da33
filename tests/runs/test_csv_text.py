"""The one writer of CSV."""

from __future__ import annotations

import csv
import io

import pytest

from crystalsmith.runs.csv_text import csv_lines, csv_text


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text)))


@pytest.mark.parametrize(
    "text",
    [
        "=cmd|' /C calc'!A0",
        "+1+cmd|x",
        "-2+3+cmd|x",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        " =1+1",
        "=HYPERLINK(1)",
        "-",
    ],
)
def test_no_cell_is_run_by_a_spreadsheet(text):
    heading, row = read(csv_text([{text: text}], [text]))
    assert heading == row == ["'" + text.replace("\r", "\n")]


@pytest.mark.parametrize("text", ["-0.5", "+3", "-1e-7", "a=b", "Fm-3m", "", "O'Hara", "-inf"])
def test_numbers_and_words_stay(text):
    assert read(csv_text([{"a": text, "b": "x"}], ["a", "b"]))[1] == [text, "x"]


def test_values_of_every_kind():
    rows = [{"a": None, "b": float("nan"), "c": True, "d": -1.5, "e": 'q"u,o\nte', "z": "left out"}, {}]
    text = csv_text(rows, ["a", "b", "c", "d", "e"])
    assert read(text) == [list("abcde"), ["", "", "yes", "-1.5", 'q"u,o\nte'], [""] * 5]


def test_lines_come_one_by_one_and_without_heading_where_asked():
    assert list(csv_lines([{"a": 1}, {"a": 2}], ["a"], heading=False)) == ["1\n", "2\n", ""]
    assert csv_text([], ["a", "b"]) == "a,b\n"
