"""Which command line is at work, for manifests: light, for it is asked before anything else is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from crystalsmith.runs.addresses import shown

MASKED = "***"
"""Stands in words in place of a password."""

_COMMAND: ContextVar[dict[str, Any] | None] = ContextVar("command", default=None)


@contextmanager
def begun_by(words: Sequence[str]) -> Iterator[None]:
    """Within, manifests say that this command line began the run, less what would remove it if repeated."""
    kept = [_masked(word) for word in words if word not in ("--overwrite", "--json")]
    token = _COMMAND.set({"words": kept, "folder": os.getcwd()})
    try:
        yield
    finally:
        _COMMAND.reset(token)


def _masked(word: str) -> str:
    """A word without the password in it, so marked that the command is not given again without it."""
    less = shown(word)
    return less if less == word or MASKED in less else re.sub(r"://[^@\s]*@", f"://{MASKED}@", less, count=1)


def command_at_work() -> dict[str, Any] | None:
    """Words of the command line and the folder where it was given; None for the call of a script."""
    return _COMMAND.get()
