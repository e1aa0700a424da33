"""The parser: quick to build, common options for every command, and hints for what was misspelt."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from crystalsmith.errors import ConfigError
from crystalsmith.runs.settings import did_you_mean

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212"


class UsageError(ConfigError):
    """A command line that cannot be understood."""


class Parser(argparse.ArgumentParser):
    """Adds a command's options when that command is chosen; raises ``UsageError`` in place of exiting.

    Args:
        fill: called with the parser before it is used; for options whose defaults are costly to import.
        more: of ``ArgumentParser``.
    """

    def __init__(self, *, fill: Callable[[Parser], None] | None = None, **more: Any) -> None:
        super().__init__(**more)
        self._fill = fill
        self._filled = False
        self._words: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse; but what is left over is refused here, where the options are known.

        Raises:
            UsageError: with the nearest option where one is near.
        """
        self._prepare()
        self._words = list(args or ())
        for word in self._words:
            if word[:1] in tuple(_DASHES):
                self.error(f"{word!r} begins with a long dash; type it anew with - or --")
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest

    def format_help(self) -> str:
        """The help, of all options."""
        self._prepare()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Complain in one line."""
        raise UsageError(f"{message}{self._hint()}; see {self.prog} --help")

    def _prepare(self) -> None:
        if self._filled:
            return
        self._filled = True
        if self._fill is not None:
            self._fill(self)
        if self._subparsers is None:
            common = self.add_argument_group("what is shown")
            if "--json" not in self._option_string_actions:
                common.add_argument(
                    "--json", action="store_true", help="the result as JSON; all else goes to standard error"
                )
            common.add_argument(
                "-v", "--verbose", action="count", default=0, help="what is being done; -vv: all of it"
            )

    def _hint(self) -> str:
        """About the first long option that is none; it is often why another is missing."""
        known = [o for o in self._option_string_actions if o.startswith("--")]
        for word in self._words if self._subparsers is None else ():
            name = word.partition("=")[0]
            if word.startswith("--") and not any(o.startswith(name) for o in known):
                return did_you_mean(name, known).replace("; did", f"; {name}: did")
        return ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action.choices, dict) and value not in action.choices:  # commands
            hint = did_you_mean(str(value), action.choices) or f"; there are {', '.join(action.choices)}"
            raise argparse.ArgumentError(None, f"invalid choice: there is no {value!r}{hint}")
        super()._check_value(action, value)
