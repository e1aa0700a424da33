"""Making up batches, and sampling them whatever happens to one crystal."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.assignments import Request
from crystalsmith.crystal import Crystal
from crystalsmith.errors import ConfigError, CrystalsmithError
from crystalsmith.generation.drafts import Drafter
from crystalsmith.generation.tries import Key, crystal_seed
from crystalsmith.orders.order import Order

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel


@dataclass(frozen=True)
class Try:
    """One try to be made.

    Attributes:
        order: what it is for.
        index: of the crystal, from 0.
        number: of the try, from 1.
        draft: of the crystal, from 0.
        drafts: that are made of each crystal.
    """

    order: Order
    index: int
    number: int
    draft: int = 0
    drafts: int = 1

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


def drain(queue: deque[Try]) -> Iterator[Try]:
    """Take from the front until the queue is empty, what is put there meanwhile included."""
    while queue:
        yield queue.popleft()


def fill(
    tries: Iterator[Try], left: deque[Try], batch_atoms: int, seed: int, drafter: Drafter
) -> list[tuple[Try, Request, int]]:
    """Take tries until the batch is full.

    Args:
        tries: where from.
        left: gets the one try too many, at its front.
        batch_atoms: most atoms in the batch, unless a single crystal has more.
        seed: of the run.
        drafter: makes requests of orders.

    Returns:
        Tries with their requests and seeds.
    """
    batch: list[tuple[Try, Request, int]] = []
    atoms = 0
    for t in tries:
        try_seed = crystal_seed(seed, t.order.id, t.place, t.number)
        # Of the crystal, not of the draft: all drafts of a crystal share their assignment.
        rng = np.random.default_rng(crystal_seed(seed, t.order.id, t.index, t.number))
        request = drafter.draft(t.order, t.index, rng, t.number)
        atoms += drafter.size(request)
        if batch and atoms > batch_atoms:
            left.appendleft(t)
            break
        batch.append((t, request, try_seed))
    return batch


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
