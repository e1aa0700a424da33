"""Warnings of libraries: into the log, each once, in place of onto the screen or nowhere."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGER = logging.getLogger("crystalsmith.libraries")
_MOST = 1000
_seen: set[tuple[type, str]] = set()


@contextmanager
def logged_warnings() -> Iterator[list[str]]:
    """Within, Python's warnings are logged as messages (``-v`` shows them, ``run.log`` keeps them).

    Each is logged once by a process, whatever its filters say. For calls of libraries that warn of what no
    user can mend; warnings about a user's input belong into the result.

    Yields:
        What was warned of, filled at the end of the block.
    """
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield texts
        finally:
            for warning in caught:
                text = " ".join(str(warning.message).split())
                texts.append(text)
                if (key := (warning.category, text)) not in _seen and len(_seen) < _MOST:
                    _seen.add(key)
                    _LOGGER.info("%s: %s", warning.category.__name__, text)
