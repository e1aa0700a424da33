"""Processes of this machine."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

from crystalsmith.runs.pool import available_cores, parallel_each
from crystalsmith.runs.worker import Failed

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Local:
    """The pool of ``runs.pool``.

    Attributes:
        workers: processes; one for each core if None. With one, items are done in this process, unless they
            are to be ``apart``.
    """

    workers: int | None = None

    @property
    def name(self) -> str:
        """As ``--engine`` takes it."""
        return "local"

    @property
    def slots(self) -> int:
        """Processes."""
        return self.workers or available_cores()

    def each(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        *,
        seconds: float | None = None,
        chunk: int = 1,
        apart: bool = False,
    ) -> Generator[list[tuple[int, R | Failed, float]], None, None]:
        """As ``Engine.each``."""
        return parallel_each(function, items, workers=self.workers, seconds=seconds, chunk=chunk, apart=apart)
