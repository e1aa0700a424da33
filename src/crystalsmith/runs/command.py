"""Which command line is at work, for manifests: light, for it is asked before anything else is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_SECRET = re.compile(r"://[^/\s]*@")
MASKED = "://***@"
"""Stands in place of the user and password of an address."""

_COMMAND: ContextVar[dict[str, Any] | None] = ContextVar("command", default=None)


@contextmanager
def begun_by(words: Sequence[str]) -> Iterator[None]:
    """Within, manifests say that this command line began the run, less what would remove it if repeated."""
    kept = [_SECRET.sub(MASKED, word) for word in words if word not in ("--overwrite", "--json")]
    token = _COMMAND.set({"words": kept, "folder": os.getcwd()})
    try:
        yield
    finally:
        _COMMAND.reset(token)


def command_at_work() -> dict[str, Any] | None:
    """Words of the command line and the folder where it was given; None for the call of a script."""
    return _COMMAND.get()
