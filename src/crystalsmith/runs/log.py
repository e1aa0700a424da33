"""The log of a run, in its folder: what it told, warned of and was slowed by, with the time."""

from __future__ import annotations

import logging
from pathlib import Path

LOG = "run.log"

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_SOURCES = ("crystalsmith", "py.warnings")
"""Loggers that are written down: the package's own, and Python's warnings where those are captured."""


class _Quiet(logging.FileHandler):
    """A log that cannot be written (the disk is full) must not hide the error of what it tells of."""

    def handleError(self, record: logging.LogRecord) -> None:
        return

    def close(self) -> None:
        for name in _SOURCES:
            logging.getLogger(name).removeHandler(self)
        super().close()


def log_to(path: Path) -> logging.Handler:
    """Append what is logged to a file until the handler is closed.

    Raises:
        OSError: the file cannot be opened.
    """
    handler = _Quiet(path, encoding="utf-8", errors="backslashreplace")
    handler.setFormatter(logging.Formatter(_FORMAT))
    for name in _SOURCES:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        if logger.getEffectiveLevel() > logging.INFO:
            logger.setLevel(logging.INFO)
    return handler
