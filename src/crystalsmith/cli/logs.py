"""What is logged and warned of, on standard error: warnings of ours, and more with ``-v``."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

_OURS = "crystalsmith"


class _Line(logging.Formatter):
    """One line, and no more than the first of a warning with its source line."""

    def format(self, record: logging.LogRecord) -> str:
        first = (record.getMessage().splitlines() or [""])[0]
        level = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        source = "" if record.name.startswith(_OURS) else f"{record.name}: "
        return f"crystalsmith: {level}{source}{first}"


@contextlib.contextmanager
def logging_to_stderr(verbose: int) -> Iterator[None]:
    """Within, logging goes to standard error, and Python's warnings into logging.

    Args:
        verbose: 0 shows warnings of this package and errors of all; 1 its messages and warnings of all;
            2 everything of it and messages of all.
    """
    ours = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    others = {0: logging.ERROR, 1: logging.WARNING}.get(verbose, logging.INFO)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line())
    handler.addFilter(lambda r: r.levelno >= (ours if r.name.startswith(_OURS) else others))
    root, package = logging.getLogger(), logging.getLogger(_OURS)
    levels = root.level, package.level
    root.addHandler(handler)
    root.setLevel(min(others, logging.WARNING))
    package.setLevel(min(ours, logging.INFO))
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)
        root.setLevel(levels[0])
        package.setLevel(levels[1])
