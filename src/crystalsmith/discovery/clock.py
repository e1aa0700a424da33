"""Sharing out the time of a run over its stages, also over several processes one after another."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crystalsmith.runs.atomic import write_whole, writing

CLOCK = "clock.json"

SHARES = {
    "generation": 0.25,
    "score": 0.05,
    "single points": 0.15,
    "symmetric relaxation": 0.25,
    "free relaxation": 0.15,
    "phonons": 0.15,
}
"""Of the time of a run, by stage; what one stage leaves over goes to the later ones."""


@dataclass
class Clock:
    """Seconds that stages have taken, on disk, and whether they are over.

    Attributes:
        path: file.
        minutes: of the run; None for no limit.
        seconds: by stage, of this and earlier processes.
        closed: stages that will not be taken up again.
        now: the system's clock; tests put another one in its place.
    """

    path: Path
    minutes: float | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    closed: set[str] = field(default_factory=set)
    now: Callable[[], float] = time.monotonic
    _began: float | None = None
    _stage: str = ""
    _share: float = 1.0

    @classmethod
    def open(cls, path: Path, minutes: float | None) -> Clock:
        """Read what earlier processes left; a damaged file counts as none."""
        clock = cls(path, minutes)
        try:
            data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            clock.seconds = {str(k): float(v) for k, v in data["seconds"].items()}
            clock.closed = {str(k) for k in data["closed"]}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        return clock

    @contextmanager
    def stage(self, name: str, share: float = 1.0) -> Iterator[None]:
        """Time a stage; it is closed where the block ends well.

        Args:
            name: of the stage.
            share: of the time that passes; the rest is that of other runs at work on the stage.
        """
        self._stage, self._began, self._share = name, self.now(), share
        done = False
        try:
            yield
            done = True
        finally:
            self.seconds[name] = self.spent
            self._began = None
            if done:
                self.closed.add(name)
            self.save()

    @property
    def spent(self) -> float:
        """Seconds of the stage at work."""
        running = self._share * (self.now() - self._began) if self._began is not None else 0.0
        return self.seconds.get(self._stage, 0.0) + running

    @property
    def over(self) -> bool:
        """Whether the stage at work has had its share."""
        if self.minutes is None or self._stage not in SHARES:
            return False
        names = list(SHARES)
        earlier = names[: names.index(self._stage)]
        share = sum(SHARES[n] for n in (*earlier, self._stage))
        used = sum(self.seconds.get(n, 0.0) for n in earlier)
        return used + self.spent > 60 * self.minutes * share

    def save(self) -> None:
        """Write it down."""
        with writing(self.path):
            text = json.dumps({"seconds": self.seconds, "closed": sorted(self.closed)})
            write_whole(self.path, text, durable=False)
