"""Fields of settings that people set: default, check and help stand once, in the dataclass.

A command's settings are a frozen dataclass whose fields are made by ``option``. The command line makes its
options of them (``cli.options.add_settings``), and ``check_settings`` refuses in a script what the command
line refuses, in the same words.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from crystalsmith.errors import ConfigError

T = TypeVar("T")

KEY = "option"
"""Of a field's metadata, where its ``Option`` is."""


FORMATS = ("cif", "parquet")
"""What a run's crystals are written as: a file each, or shards of many."""


class BadValue(ConfigError, argparse.ArgumentTypeError):
    """A value that an option does not take; argparse names the option before the message."""


@dataclasses.dataclass(frozen=True)
class Option:
    """What the command line must know of a field beside its default.

    Attributes:
        help: a phrase; the default is added to it, if there is one and the phrase does not speak of it.
        metavar: stands for the value in the help.
        choices: the values that it can have.
        check: makes the value of text, or raises ``BadValue``.
        flag: the long option, if it is not the field's name with hyphens.
        short: one letter.
        many: takes one or more values, as a tuple.
    """

    help: str
    metavar: str | None = None
    choices: Sequence[Any] | None = None
    check: Callable[[str], Any] | None = None
    flag: str | None = None
    short: str | None = None
    many: bool = False

    def value(self, text: str) -> Any:
        """A value of text.

        Raises:
            BadValue: it is not among the choices, or the check refuses it.
        """
        value = self.check(text) if self.check else text
        if self.choices is not None and value not in self.choices:
            raise BadValue(f"{text!r} is none of {', '.join(map(str, self.choices))}")
        return value


def option(default: Any, help: str, **more: Any) -> Any:
    """A field that is an option of the command line.

    Args:
        default: of the field; what ``check`` is depends on it if that is not given: numbers, paths and text
            are read as such, True and False make a flag.
        help: a phrase for the command's help.
        more: of ``Option``: metavar, choices, check, flag, short, many.
    """
    if "check" not in more:
        more["check"] = _OF_TYPE.get(type(default))
    return dataclasses.field(default=default, metadata={KEY: Option(help, **more)})


def options_of(settings: Any) -> dict[str, tuple[dataclasses.Field[Any], Option]]:
    """The option fields of settings or of their class, by name."""
    fields = dataclasses.fields(settings)
    return {field.name: (field, field.metadata[KEY]) for field in fields if KEY in field.metadata}


def check_settings(settings: Any) -> None:
    """Refuse values that the command line would refuse; for ``__post_init__``.

    Raises:
        ConfigError: with the name of the field and what it takes.
    """
    for name, (field, spec) in options_of(settings).items():
        value = getattr(settings, name)
        if value == field.default or value is None:
            continue
        for one in value if spec.many else (value,):
            if isinstance(field.default, bool):
                if not isinstance(one, bool):
                    raise ConfigError(f"{name}: {one!r} is neither True nor False")
            elif isinstance(one, str | int | float | Path):
                try:
                    spec.value(str(one))
                except BadValue as error:
                    raise ConfigError(f"{name}: {error}") from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean --space-group?"``, or nothing; hyphens and case are not looked at."""
    by_letters = {_letters(name): name for name in known}
    near = difflib.get_close_matches(_letters(word), by_letters, n=1, cutoff=0.75)
    if not near and len(_letters(word)) > 2:
        near = [letters for letters in by_letters if letters.startswith(_letters(word))][:1]
    return f"; did you mean {by_letters[near[0]]}?" if near else ""


def settings_of(kind: type[T], given: T | None, changes: Mapping[str, Any]) -> T:
    """Settings with some of their fields changed by name.

    Args:
        kind: their class.
        given: to begin with; the usual ones if None.
        changes: values by field.

    Raises:
        ConfigError: there is no such field, or a value that it does not take.
    """
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in changes:
        if name not in names:
            hint = did_you_mean(name, names) or f"; there are {', '.join(names)}"
            raise ConfigError(f"there is no setting {name!r}{hint}")
    return kind(**changes) if given is None else dataclasses.replace(given, **changes)  # type: ignore[type-var]


def positive(text: str) -> int:
    """A whole number from 1."""
    value = _number(int, text)
    if value is None or value < 1:
        raise BadValue(f"{text!r} is not a whole number of at least 1")
    return int(value)


def whole(text: str) -> int:
    """A whole number."""
    value = _number(int, text)
    if value is None:
        raise BadValue(f"{text!r} is not a whole number")
    return int(value)


def amount(text: str) -> float:
    """A number from 0."""
    value = _number(float, text)
    if value is None or not 0 <= value < 1e6:
        raise BadValue(f"{text!r} is not a number of at least 0")
    return value


def positive_number(text: str) -> float:
    """A number above zero, not infinite."""
    value = _number(float, text)
    if value is None or not 0 < value < float("inf"):
        raise BadValue(f"{text!r} is not a positive number")
    return value


def tolerance(text: str) -> float:
    """A distance in Angstrom, above 0 and at most 1."""
    value = _number(float, text)
    if value is None or not 0 < value <= 1:
        raise BadValue(f"{text!r} is not a tolerance in Angstrom between 0 and 1")
    return value


def group_range(text: str) -> tuple[int, int]:
    """Space groups from one number to another: ``16-230``, or one alone."""
    low, _, high = text.partition("-")
    first, last = _number(int, low), _number(int, high or low)
    if first is None or last is None or not 1 <= first <= last <= 230:
        raise BadValue(f"{text!r} is not a range of space groups such as 16-230")
    return int(first), int(last)


def _number(kind: type[int] | type[float], text: str) -> float | None:
    try:
        return kind(text)
    except ValueError:
        return None


def _finite(text: str) -> float:
    value = _number(float, text)
    if value is None or not abs(value) < float("inf"):
        raise BadValue(f"{text!r} is not a number")
    return value


def _letters(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()


_OF_TYPE: dict[type, Callable[[str], Any]] = {int: whole, float: _finite}
