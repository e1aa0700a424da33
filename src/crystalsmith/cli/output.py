"""What a command says: text for people on standard output, or one JSON document with ``--json``."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import io
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

from crystalsmith.runs.addresses import shown

_emitted: list[Any] = []
_quiet = False  # people's text is left out: a machine reads


def emit(result: Any, text: Any = None) -> None:
    """Hand over the result of a command.

    Args:
        result: a dataclass, mapping, sequence, or anything with ``to_dict()``; what ``--json`` prints.
        text: what a person reads instead; text, or anything that rich can print.
    """
    if _quiet:
        _emitted.append(result)
    elif isinstance(text, str):
        print(text)
    elif text is not None:
        from rich.console import Console

        # A pipe has no width; lines as long as the widest tables of ours are not broken there.
        Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(text)


@contextlib.contextmanager
def machine_readable() -> Iterator[TextIO]:
    """Send to standard error all that is printed, by other processes too; yields the true standard output."""
    global _quiet
    real = sys.stdout
    saved = None
    with contextlib.suppress(OSError, io.UnsupportedOperation, AttributeError):
        if real.fileno() == 1 and sys.stderr.fileno() == 2:
            saved = os.dup(1)
            os.dup2(2, 1)
            real = open(os.dup(saved), "w", encoding="utf-8")
    _emitted.clear()
    _quiet = True
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield real
        real.flush()
    finally:
        _quiet = False
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)
            with contextlib.suppress(OSError):
                real.close()


def document(command: str | None, status: int, error: BaseException | None = None) -> str:
    """The JSON document of a command that has ended, in ASCII.

    ``result`` is that of ``emit``, or a list of them where a command emitted several.
    """
    result = _emitted[0] if len(_emitted) == 1 else list(_emitted) or None
    about = error and {"kind": type(error).__name__, "message": shown(" ".join(str(error).split()))}
    content = {"command": command, "status": status, "result": plain(result), "error": about}
    return json.dumps(content, indent=1, allow_nan=False)


def plain(value: Any) -> Any:
    """A value in the types of JSON; NaN and infinity, which JSON does not have, become null."""
    if value is None or isinstance(value, str | bool | int):
        return value.value if isinstance(value, enum.Enum) else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    for method in ("to_dict", "as_dict", "tolist"):  # ours, pymatgen's, numpy's
        if hasattr(value, method) and not isinstance(value, type):
            return plain(getattr(value, method)())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, set | frozenset):
        return sorted(map(plain, value), key=repr)
    if isinstance(value, Path) or not hasattr(value, "__iter__"):
        return str(value)
    return [plain(item) for item in value]
