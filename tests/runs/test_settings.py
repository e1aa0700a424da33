"""Settings whose fields are options of the command line."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crystalsmith.cli.options import add_settings, settings_from
from crystalsmith.errors import ConfigError
from crystalsmith.runs.settings import check_settings, group_range, option, positive, positive_number, whole


@dataclass(frozen=True)
class Oven:
    """Settings of every kind."""

    name: str
    heat: float = option(1.5, "of the oven", check=positive_number, metavar="K")
    rounds: int = option(3, "how often", short="n", check=positive)
    shift: int = option(0, "either way")
    stage: str | None = option(None, "one alone", choices=("first", "last"))
    groups: tuple[int, int] = option((16, 230), "only these", check=group_range, flag="space-groups")
    formulas: tuple[str, ...] = option((), "to try as well", many=True)
    seeds: tuple[int, ...] = option((1, 2), "of the runs", many=True, check=whole)
    out: Path = option(Path("oven"), "where to", check=Path)
    fast: bool = option(False, "be quick")
    safe: bool = option(True, "be sure")

    def __post_init__(self) -> None:
        check_settings(self)


def oven(*arguments: str, **choice: Any) -> Oven:
    parser = argparse.ArgumentParser()
    add_settings(parser, Oven, **choice)
    return settings_from(parser.parse_args(arguments), Oven, name="x")


def test_defaults_stand_once_in_the_dataclass():
    assert oven() == Oven("x")


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        ("--heat 2", "heat", 2.0),
        ("-n 7", "rounds", 7),
        ("--rounds 7", "rounds", 7),
        ("--shift -2", "shift", -2),
        ("--stage last", "stage", "last"),
        ("--space-groups 225", "groups", (225, 225)),
        ("--formulas NaCl CaO", "formulas", ("NaCl", "CaO")),
        ("--seeds 4 5", "seeds", (4, 5)),
        ("--out there", "out", Path("there")),
        ("--fast", "fast", True),
        ("--no-safe", "safe", False),
    ],
)
def test_each_kind_of_field_is_an_option(arguments, name, value):
    assert oven(*arguments.split()) == Oven("x", **{name: value})


def test_only_and_skip_choose_the_fields(capsys):
    assert oven("--fast", only=["fast"]) == Oven("x", fast=True)
    for choice in ({"only": ["fast"]}, {"skip": ["heat"]}):
        with pytest.raises(SystemExit):
            oven("--heat", "2", **choice)
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--heat 0", "--heat: '0' is not a positive number"),
        ("--heat nan", "--heat: 'nan' is not a positive number"),
        ("--rounds 1.5", "'1.5' is not a whole number of at least 1"),
        ("--stage middle", "--stage: invalid choice: 'middle'"),
        ("--space-groups 0-9", "'0-9' is not a range of space groups such as 16-230"),
        ("--seeds 1 x", "'x' is not a whole number"),
    ],
)
def test_the_command_line_names_the_option_and_what_it_takes(arguments, message, capsys):
    with pytest.raises(SystemExit):
        oven(*arguments.split())
    assert message in capsys.readouterr().err


def test_help_states_the_defaults(capsys):
    with pytest.raises(SystemExit):
        oven("--help")
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "--heat K of the oven (default: 1.5)",
        "(default: 16-230)",
        "(default: 1 2)",
        "{first,last} one alone --",
    ):
        assert words in text


@pytest.mark.parametrize(
    "values",
    [
        {"heat": -1},
        {"heat": float("inf")},
        {"rounds": 0},
        {"rounds": 2.5},
        {"stage": "middle"},
        {"seeds": (1, "x")},
        {"fast": "no"},
    ],
)
def test_a_script_is_refused_what_the_command_line_is(values):
    with pytest.raises(ConfigError, match=f"^{next(iter(values))}: "):
        Oven("x", **values)
