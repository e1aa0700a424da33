"""What an engine is."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from crystalsmith.runs.worker import Failed

T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """What applies a function to many items, somewhere."""

    @property
    def name(self) -> str:
        """As ``--engine`` takes it."""

    @property
    def slots(self) -> int:
        """Items that are worked on at once, at most."""

    def each(
        self,
        function: Callable[[T], R],
        items: Iterable[T],
        *,
        seconds: float | None = None,
        chunk: int = 1,
        apart: bool = False,
    ) -> Generator[list[tuple[int, R | Failed, float]], None, None]:
        """Apply a function to items that come one after another; closing the generator ends the work.

        Args:
            function: of a module, so that it can be sent to another process; pure, for an item may be done
                twice where a worker is lost.
            items: taken as far as there is room for them.
            seconds: time limit for one item; what takes longer is ``Failed``.
            chunk: items that go to a worker at once, as long as their times are not known.
            apart: never in this process.

        Yields:
            (place, result, seconds) of items as they are done, in any order, each place once.
        """


def mapped(
    engine: Engine,
    function: Callable[[T], R],
    items: Sequence[T],
    *,
    seconds: float | None = None,
    chunk: int = 8,
) -> list[R | Failed]:
    """Result or ``Failed`` of each item, in the order of the items."""
    results: list[Any] = [Failed("not done")] * len(items)
    chunk = max(1, min(chunk, len(items) // (2 * engine.slots)))  # some for every worker
    for done in engine.each(function, items, seconds=seconds, chunk=chunk):
        for place, result, _ in done:
            results[place] = result
    return results
