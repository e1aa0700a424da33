"""Lines of JSON that scripts keep, so that they go on where they were interrupted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def append(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Add lines to a file."""
    with path.open("a", encoding="utf-8") as f:
        f.writelines(json.dumps(line) + "\n" for line in lines)


def whole_lines(path: Path) -> list[dict[str, Any]]:
    """Lines of a file, none if it is missing; one that was cut off is taken away."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if len(whole) < len(text):
        path.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]
