"""A process that ends in the middle of its writes."""

from typing import Any

import pytest

from crystalsmith.discovery.database import CrystalDatabase


class Killed(BaseException):
    """The process is gone."""


def killed_at(write_number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lose one write of a database, counted from 1, with the process, as kill -9 would have it."""
    left = write_number
    for name in ("update", "add_generated"):
        original = getattr(CrystalDatabase, name)

        def write(self: Any, what: Any, original: Any = original) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Killed
            original(self, what)

        monkeypatch.setattr(CrystalDatabase, name, write)
