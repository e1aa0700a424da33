"""From orders to crystals: seeds, batches, and another try for wreckage."""

from __future__ import annotations

import hashlib
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from crystalsmith.crystal import Crystal
from crystalsmith.errors import ConfigError, CrystalsmithError, OrderError
from crystalsmith.generation.orders import Order, parse_orders
from crystalsmith.generation.validity import fault
from crystalsmith.generation.wyckoff_prior import WyckoffPrior

if TYPE_CHECKING:
    from crystalsmith.diffusion import Model, Request

# crystalsmith.diffusion is imported inside functions: torch takes seconds, and bad orders are refused before.

BATCH_ATOMS = 768
"""Atoms in the primitive cells of one batch, about 64 crystals of the median order."""

MAX_TRIES = 10
"""Tries for one crystal before it is given up."""

MAX_ATOMS = 1000
"""Primitive cells beyond this are refused even when their letters are given."""

Key = tuple[str, int, int]
"""Order id, index within the order from 0, try from 1."""


class OrderWarning(UserWarning):
    """An order that the model can serve only beyond what it was trained for, or a crystal that it gave up."""


@dataclass(frozen=True)
class Generated:
    """What became of one try for one crystal.

    Attributes:
        order_id: id of its order.
        index: its place within the order, from 0.
        tries: which try this was, from 1.
        seed: seed of the try.
        request: what the model was asked for.
        crystal: the crystal, or None where the try failed.
        failure: why it failed, a few words without figures.
        final: no further try follows.
    """

    order_id: str
    index: int
    tries: int
    seed: int
    request: Request
    crystal: Crystal | None
    failure: str | None
    final: bool

    @property
    def key(self) -> Key:
        """Order id, index and try."""
        return self.order_id, self.index, self.tries


@dataclass(frozen=True)
class BatchStep:
    """How far the batch at work is: ``step`` of ``steps`` sampler steps for ``crystals`` crystals."""

    crystals: int
    step: int
    steps: int


def crystal_seed(seed: int, order_id: str, index: int, tries: int = 1) -> int:
    """Seed of one try, 63 bits: a hash of the run's seed and of the crystal's name, of nothing else."""
    text = f"crystalsmith\0{seed}\0{order_id}\0{index}\0{tries}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def check_orders(orders: Sequence[Order], model: Model) -> list[str]:
    """Compare orders with what the model was trained for.

    Returns:
        Warnings, one line each.

    Raises:
        OrderError: an order that no crystal within the model's limit satisfies.
    """
    notes = []
    for order in orders:
        least, limit = order.content.fewest_atoms(order.group), model.max_atoms
        if order.wyckoff is not None:
            limit = max(limit, MAX_ATOMS)
        where = f"order {order.id}: space group {order.space_group} ({order.group.symbol})"
        if model.max_atoms < least <= limit:
            notes.append(
                f"{where} with these letters has {least} atoms in the primitive cell; the model was trained"
                f" on at most {model.max_atoms}, so expect little"
            )
        elif least > limit:
            raise OrderError(
                f"{where} needs at least {least} atoms in the primitive cell for these sites; the limit is"
                f" {limit}: ask for fewer sites or another space group"
            )
    new = sorted({e for order in orders for e in order.content.elements} - set(model.elements))
    if new:
        notes.append(
            f"the model has never seen {', '.join(new)} in training; crystals that hold them are guesses"
        )
    return notes


def generate(
    model: Model,
    orders: Iterable[Order | Mapping[str, Any]],
    *,
    seed: int = 0,
    **options: Any,
) -> Iterator[Crystal]:
    """Make crystals to order.

    A crystal depends on the model, the seed, its order and its number within it, and on nothing else: not on
    the batch, the other orders or the number of threads (up to rounding in the last digits).

    Args:
        model: what ``crystalsmith.load_model`` returned.
        orders: ``Order`` objects or mappings such as ``{"space_group": 225, "sites": {"Na": 1, "Cl": 1},
            "count": 10}``.
        seed: seed of the run.
        **options: further options of ``generate_batches``.

    Returns:
        Crystals as they are finished. One that is given up is left out with an ``OrderWarning``;
        ``generate_records`` has the order, seed and failures beside each.

    Raises:
        OrderError: orders that are wrong or beyond the model.
        ConfigError: an unknown sampler or impossible setting.
    """
    parsed = parse_orders(orders)
    for note in check_orders(parsed, model):
        warnings.warn(note, OrderWarning, stacklevel=2)
    records = generate_records(model, parsed, seed=seed, **options)

    def crystals() -> Iterator[Crystal]:
        for record in records:
            if record.crystal is not None:
                yield record.crystal
            else:
                name = f"order {record.order_id}, crystal {record.index}"
                note = f"{name}: given up after {record.tries} tries ({record.failure})"
                warnings.warn(note, OrderWarning, stacklevel=2)

    return crystals()


def generate_records(
    model: Model,
    orders: Iterable[Order | Mapping[str, Any]],
    *,
    seed: int = 0,
    **options: Any,
) -> Iterator[Generated]:
    """As ``generate``, with a record for every crystal asked for, failures included, as they are finished."""
    batches = generate_batches(model, orders, seed=seed, **options)
    return (record for batch in batches for record in batch if record.final)


def generate_batches(
    model: Model,
    orders: Iterable[Order | Mapping[str, Any]],
    *,
    seed: int = 0,
    batch_atoms: int = BATCH_ATOMS,
    steps: int | None = None,
    sampler: str | None = None,
    max_tries: int = MAX_TRIES,
    on_event: Callable[[BatchStep], None] | None = None,
    done: Mapping[Key, str | None] | None = None,
) -> Iterator[list[Generated]]:
    """Make crystals to order, batch by batch, with every try.

    Batches are made up of the orders in turn and bounded by their atoms. A try whose crystal is wreckage
    (``validity.fault``) is followed by another one, with other letters where these are drawn, in the next
    batch.

    Args:
        model: what ``crystalsmith.load_model`` returned.
        orders: ``Order`` objects or mappings.
        seed: seed of the run.
        batch_atoms: most atoms (primitive cells) in a batch; a larger crystal has one of its own.
        steps: sampler steps; the model's default if None.
        sampler: name of the sampler; the model's default if None.
        max_tries: tries for one crystal.
        on_event: told of every sampler step.
        done: tries of an earlier run of the same orders and their failures (None for a sound crystal). They
            are not made or yielded again, and yet make up batches as they did, so that what remains comes out
            the same.

    Yields:
        Tries of one batch that are not in ``done``.

    Raises:
        OrderError: orders that are wrong or beyond the model.
        ConfigError: an unknown sampler or impossible setting.
    """
    parsed = parse_orders(orders)
    check_orders(parsed, model)
    _positive("batch_atoms", batch_atoms)
    _positive("max_tries", max_tries)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ConfigError(f"seed must be a whole number, not {seed!r}")
    sampler, total = resolve_sampler(sampler, steps)
    prior = WyckoffPrior(model.wyckoff_counts)
    known = {} if done is None else done

    def tell(crystals: int) -> Callable[..., None] | None:
        if on_event is None:
            return None
        report = on_event
        return lambda step, *_: report(BatchStep(crystals, min(step + 1, total), total))

    def run() -> Iterator[list[Generated]]:
        again: deque[_Try] = deque()
        first = (_Try(order, index, 1) for order in parsed for index in range(order.count))
        while batch := _fill(chain(_drain(again), first), again, batch_atoms, seed, prior, model.max_atoms):
            if all(t.key in known for t, _, _ in batch):
                again.extend(t.next for t, _, _ in batch if known[t.key] is not None and t.number < max_tries)
                continue
            # All of a batch that was cut off half way: its other members show in a crystal's last digits.
            requests, seeds = [r for _, r, _ in batch], [s for _, _, s in batch]
            made = _sample(model, requests, seeds, tell(len(batch)), steps=total, sampler=sampler)
            fresh = []
            for (t, request, try_seed), crystal in zip(batch, made, strict=True):
                failure = crystal if isinstance(crystal, str) else fault(crystal)
                if t.key in known:
                    failure = known[t.key]
                else:
                    sound = crystal if isinstance(crystal, Crystal) and failure is None else None
                    final = failure is None or t.number >= max_tries
                    name = t.order.id, t.index, t.number
                    fresh.append(
                        Generated(
                            *name, seed=try_seed, request=request, crystal=sound, failure=failure, final=final
                        )
                    )
                if failure is not None and t.number < max_tries:
                    again.append(t.next)
            yield fresh

    return run()


def resolve_sampler(sampler: str | None, steps: int | None) -> tuple[str, int]:
    """Name and steps of the sampler, the model's defaults filled in.

    Raises:
        ConfigError: unknown sampler, or steps that are no number of them.
    """
    from crystalsmith.diffusion.model import DEFAULT_CALLS, DEFAULT_SAMPLER
    from crystalsmith.diffusion.samplers import CALLS_PER_STEP, SAMPLERS

    name = DEFAULT_SAMPLER if sampler is None else sampler
    if name not in SAMPLERS:
        raise ConfigError(f"unknown sampler {name!r}; choose from {', '.join(SAMPLERS)}")
    if steps is None:
        return name, (DEFAULT_CALLS - 1) // CALLS_PER_STEP[name]
    return name, _positive("steps", steps)


def _positive(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value


@dataclass(frozen=True)
class _Try:
    order: Order
    index: int
    number: int

    @property
    def key(self) -> Key:
        return self.order.id, self.index, self.number

    @property
    def next(self) -> _Try:
        return _Try(self.order, self.index, self.number + 1)


def _drain(queue: deque[_Try]) -> Iterator[_Try]:
    while queue:
        yield queue.popleft()


def _fill(
    tries: Iterator[_Try], left: deque[_Try], batch_atoms: int, seed: int, prior: WyckoffPrior, max_atoms: int
) -> list[tuple[_Try, Request, int]]:
    """Take tries until the batch is full; one too many goes to the front of ``left``."""
    from crystalsmith.diffusion import Request

    batch: list[tuple[_Try, Request, int]] = []
    atoms = 0
    for t in tries:
        try_seed = crystal_seed(seed, t.order.id, t.index, t.number)
        rng = np.random.default_rng(try_seed)
        request = Request(t.order.space_group, t.order.content.draw(t.order.group, prior, rng, max_atoms))
        atoms += request.n_atoms
        if batch and atoms > batch_atoms:
            left.appendleft(t)
            break
        batch.append((t, request, try_seed))
    return batch


def _sample(
    model: Model,
    requests: list[Request],
    seeds: list[int],
    callback: Callable[..., None] | None,
    **options: Any,
) -> list[Crystal | str]:
    """Sample a batch; where that fails, its halves, until what fails stands alone and gives the reason."""
    import torch

    try:
        return list(model.sample(requests, seeds, callback=callback, **options))
    except ConfigError:
        raise
    except CrystalsmithError:
        reason = "not a crystal"
    except (MemoryError, torch.OutOfMemoryError):
        reason = "not enough memory"
    if len(requests) == 1:
        return [reason]
    half = len(requests) // 2
    halves = ((requests[:half], seeds[:half]), (requests[half:], seeds[half:]))
    return [crystal for r, s in halves for crystal in _sample(model, r, s, callback, **options)]
