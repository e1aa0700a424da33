"""Making up batches, and sampling them whatever happens to one crystal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from crystalsmith.assignments import Request
from crystalsmith.crystal import Crystal
from crystalsmith.errors import ConfigError, CrystalsmithError
from crystalsmith.generation.drafts import Drafter
from crystalsmith.generation.tries import BatchStep, Key, crystal_seed
from crystalsmith.orders.order import Order

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel
    from crystalsmith.runs.engines import Engine

T = TypeVar("T")


@dataclass(frozen=True)
class Try:
    """One try to be made.

    Attributes:
        order: what it is for.
        index: of the crystal, from 0.
        number: of the try, from 1.
        draft: of the crystal, from 0.
        drafts: that are made of each crystal.
        part: of those that are made together, the one that it is of.
    """

    order: Order
    index: int
    number: int
    draft: int = 0
    drafts: int = 1
    part: int = 0

    @property
    def place(self) -> int:
        """The draft's place among all of the order."""
        return self.index * self.drafts + self.draft

    @property
    def key(self) -> Key:
        """Order id, place and number."""
        return self.order.id, self.place, self.number

    @property
    def next(self) -> Try:
        """The one after this has failed."""
        return replace(self, number=self.number + 1)


class Member(NamedTuple):
    """One try in a batch: what is asked of the model for it, and its seed."""

    attempt: Try
    request: Request
    seed: int


def fill(tries: Iterable[Try], batch_atoms: int, seed: int, drafter: Drafter) -> Iterator[list[Member]]:
    """Make up batches of tries, in their order.

    Args:
        tries: where from.
        batch_atoms: most atoms in a batch, unless a single crystal has more.
        seed: of the run.
        drafter: makes requests of orders.
    """
    batch: list[Member] = []
    atoms = 0
    for t in tries:
        # The draft is of the crystal: all drafts of a crystal share their assignment.
        rng = np.random.default_rng(crystal_seed(seed, t.order.id, t.index, t.number))
        request = drafter.draft(t.order, t.index, rng, t.number, t.draft, t.drafts)
        size = drafter.size(request)
        if batch and atoms + size > batch_atoms:
            yield batch
            batch, atoms = [], 0
        batch.append(Member(t, request, crystal_seed(seed, t.order.id, t.place, t.number)))
        atoms += size
    if batch:
        yield batch


def in_turn(lists: Iterable[Iterable[T]]) -> Iterator[T]:
    """One of each, again and again, as long as they last."""
    waiting = deque(map(iter, lists))
    while waiting:
        one = waiting.popleft()
        for item in one:
            yield item
            waiting.append(one)
            break


Maker = Callable[
    [Iterator[list[Member]], Callable[[Try], bool]], Iterator[tuple[list[Member], list[Crystal | str] | None]]
]
"""Batches, in order, with what came of them; None for one whose tries are all known."""


def batch_maker(
    model: AnyModel, engine: Engine, on_event: Callable[[BatchStep], None] | None, **options: Any
) -> Maker:
    """What makes the crystals of batches.

    Args:
        model: the model.
        engine: where the work is done.
        on_event: told of every sampler step that is made in this process.
        **options: for ``Model.sample``.

    Raises:
        ConfigError: several workers and a model that is not on the CPU.
    """
    total = model.callbacks(options["steps"])

    def tell(crystals: int) -> Callable[..., None] | None:
        if on_event is None:
            return None
        report = on_event
        return lambda step, *_: report(BatchStep(crystals, min(step + 1, total), total))

    def here(batch: list[Member]) -> list[Crystal | str]:
        return sample(model, *_asked(batch), tell(len(batch)), **options)

    def one_by_one(batches: Iterator[list[Member]], known: Callable[[Try], bool]) -> Any:
        for batch in batches:
            # All of a batch that was cut off half way, so that what remains comes out the same.
            yield batch, None if all(known(m.attempt) for m in batch) else here(batch)

    def in_processes(batches: Iterator[list[Member]], known: Callable[[Try], bool]) -> Any:
        start = list(islice(batches, 2))
        if len(start) < 2 and here_alone:  # not worth the start of processes
            yield from one_by_one(iter(start), known)
            return
        yield from _by_workers(chain(start, batches), known, model, engine, options)

    here_alone = engine.name == "local"
    if here_alone and engine.slots == 1:
        return one_by_one
    if str(getattr(model, "device", "cpu")) != "cpu":
        raise ConfigError("several workers are for the CPU; on a GPU larger batches are faster (batch_atoms)")
    return in_processes


def _asked(batch: list[Member]) -> tuple[list[Request], list[int]]:
    return [m.request for m in batch], [m.seed for m in batch]


def _by_workers(
    batches: Iterator[list[Member]],
    known: Callable[[Try], bool],
    model: AnyModel,
    engine: Engine,
    options: dict[str, Any],
) -> Iterator[tuple[list[Member], list[Crystal | str] | None]]:
    """Batches in order, as they come back from processes."""
    import torch

    from crystalsmith.runs.pool import Failed

    waiting: deque[tuple[list[Member], int | None]] = deque()
    results: dict[int, list[Crystal | str]] = {}

    def items() -> Iterator[tuple[list[Request], list[int]]]:
        place = 0
        for batch in batches:
            if all(known(m.attempt) for m in batch):
                waiting.append((batch, None))
                continue
            waiting.append((batch, place))
            place += 1
            yield _asked(batch)

    def ready() -> Iterator[tuple[list[Member], list[Crystal | str] | None]]:
        while waiting and (waiting[0][1] is None or waiting[0][1] in results):
            batch, place = waiting.popleft()
            yield batch, None if place is None else results.pop(place)

    work = partial(_sample_here, model, options, torch.get_num_threads())
    with closing(engine.each(work, items(), chunk=1)) as done:
        for parts in done:
            for place, made, _ in parts:
                if isinstance(made, Failed):
                    size = next(len(batch) for batch, p in waiting if p == place)
                    made = [made.reason] * size
                results[place] = made
            yield from ready()
    yield from ready()


def _sample_here(
    model: AnyModel, options: dict[str, Any], threads: int, asked: tuple[list[Request], list[int]]
) -> list[Crystal | str]:
    """In a worker process, with as many threads as its parent has: they show in the last digits."""
    import torch

    torch.set_num_threads(threads)
    return sample(model, *asked, None, **options)


def sample(
    model: AnyModel,
    requests: list[Request],
    seeds: list[int],
    callback: Callable[..., None] | None,
    **options: Any,
) -> list[Crystal | str]:
    """Sample a batch; where that fails, its halves, until what fails stands alone.

    Args:
        model: the model.
        requests: n of them.
        seeds: n of them.
        callback: for ``Model.sample``.
        **options: for ``Model.sample``.

    Returns:
        n crystals, or in place of a crystal the reason why there is none.

    Raises:
        ConfigError: settings that the model refuses.
    """
    import torch

    try:
        return list(model.sample(requests, seeds, callback=callback, **options))
    except ConfigError:
        raise
    except CrystalsmithError:
        reason = "not a crystal"
    except (MemoryError, torch.OutOfMemoryError):
        reason = "not enough memory"
    except RuntimeError as error:
        # What torch raises on the CPU has no class of its own.
        if "allocate memory" not in str(error) and "not enough memory" not in str(error):
            raise
        reason = "not enough memory"
    if len(requests) == 1:
        return [reason]
    half = len(requests) // 2
    halves = ((requests[:half], seeds[:half]), (requests[half:], seeds[half:]))
    return [crystal for r, s in halves for crystal in sample(model, r, s, callback, **options)]
