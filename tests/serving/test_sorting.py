"""Rows of a run by words, comparisons and columns; cells that show what they hold and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from crystalsmith.errors import ConfigError
from crystalsmith.serving.opened import Column, Opened
from crystalsmith.serving.opened.sorting import chosen

COLUMNS = (
    Column("formula", "formula", "formula"),
    Column("space_group", "space group", "group"),
    Column("above_hull", "above hull (eV/atom)", "number"),
    Column("p", "right", "percent"),
    Column("converged", "converged", "yes"),
)
ROWS = (
    {"name": "a", "formula": "TiO2", "space_group": 136, "above_hull": 0.0, "p": 0.9, "converged": True},
    {"name": "b", "formula": "TiO2", "space_group": 141, "above_hull": 0.02, "p": 0.1, "converged": False},
    {"name": "c", "formula": "Ti2O3", "space_group": 167, "above_hull": None, "p": None, "converged": True},
    {"name": "d", "formula": "TiO", "space_group": 225, "above_hull": -0.1, "p": 0.5, "converged": None},
)
RUN = Opened(Path("run"), "relaxation", columns=COLUMNS, rows=ROWS)


def names(words: str = "", sort: str = "", down: bool = False) -> str:
    return "".join(str(row["name"]) for row in chosen(RUN, words, sort, down))


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("", "abcd"),
        ("tio2", "ab"),
        ("TiO2 I4_1", "b"),
        ("above hull < 0.01", "ad"),
        ("above_hull<=0", "ad"),
        ("above<0.05 TiO2", "ab"),
        ("TiO2 above hull > 0.01", "b"),
        ("right>40%", "ad"),
        ("right>=10% right<60", "bd"),
        ("space group=167", "c"),
        ("space!=136", "bcd"),
        ("converged=yes", "ac"),
        ("formula=tio", "d"),
        ("nothing like this", ""),
    ],
)
def test_words_and_comparisons_choose_rows(words, left):
    assert names(words) == left


@pytest.mark.parametrize(
    ("sort", "down", "order"),
    [
        ("above_hull", False, "dabc"),
        ("above_hull", True, "badc"),
        ("formula", False, "cdab"),
        ("p", True, "adbc"),
        ("converged", True, "acbd"),
        ("no such column", False, "abcd"),
    ],
)
def test_a_column_sorts_rows_and_those_without_a_value_come_last(sort, down, order):
    assert names("", sort, down) == order


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("mass<3", "no column 'mass' to compare"),
        ("above hull < low", "compared with a number, not with 'low'"),
    ],
)
def test_a_comparison_that_makes_no_sense_is_told(words, told):
    with pytest.raises(ConfigError, match=told):
        chosen(RUN, words)


@pytest.mark.parametrize(
    ("column", "value", "shown"),
    [
        (Column("x", "x", "formula"), "Ti2O3", "Ti<sub>2</sub>O<sub>3</sub>"),
        (Column("x", "x", "formula"), "<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        (Column("x", "x"), '"><img src=x onerror=1>', "&#34;&gt;&lt;img src=x onerror=1&gt;"),
        (Column("x", "x", "number", 2), -1.5, "−1.50"),
        (Column("x", "x", "percent", 1), 0.123, "12.3&nbsp;%"),
        (Column("x", "x", "chance"), 0.9999, "&gt; 99 %"),
        (Column("x", "x", "chance"), 0.0, "&lt; 1 %"),
        (Column("x", "x", "group"), 136, "<i>P4<sub>2</sub>/mnm</i> (136)"),
        (Column("x", "x", "group"), 500, "500"),
        (Column("x", "x", "number"), None, "–"),
        (Column("x", "x", "number"), "<b>", "&lt;b&gt;"),
    ],
)
def test_cells_show_values_and_take_none_for_tags(column, value, shown):
    pytest.importorskip("nicegui")
    from crystalsmith.serving.pages.run_table import cell_html

    assert str(cell_html(column, value)) == shown


def test_long_cells_are_cut_and_whole_in_their_title():
    pytest.importorskip("nicegui")
    from crystalsmith.serving.pages.run_table import cell_html

    cell = str(cell_html(Column("x", "x"), "<" * 200))
    assert cell.count("&lt;") == 289 and "…</span>" in cell and "<<" not in cell


def test_words_with_formulas_and_groups_are_set_as_such():
    pytest.importorskip("nicegui")
    from crystalsmith.serving.pages.run_parts import typeset

    words = "One answer: TiO2 in P4_2/mnm (136), right with 100 % <b>"
    assert str(typeset(words)) == (
        "One answer: TiO<sub>2</sub> in <i>P4<sub>2</sub>/mnm</i> (136), right with 100 % &lt;b&gt;"
    )
    assert str(typeset("Fe (3) and P6 (168)")) == "Fe (3) and <i>P6</i> (168)"
