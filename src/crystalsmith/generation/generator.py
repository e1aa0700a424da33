"""From orders to crystals."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from crystalsmith.crystal import Crystal
from crystalsmith.crystal.validity import fault
from crystalsmith.errors import ConfigError
from crystalsmith.generation.batching import Try, drain, fill, sample
from crystalsmith.generation.choice import best_records
from crystalsmith.generation.drafts import drafter_of
from crystalsmith.generation.tries import BatchStep, Generated, Key
from crystalsmith.orders.limits import (
    BATCH_ATOMS,
    LETTERS,
    MAX_TRIES,
    OrderWarning,
    check_orders,
    choose_sampler,
    positive,
)
from crystalsmith.orders.order import Order, parse_orders

if TYPE_CHECKING:
    from crystalsmith.diffusion import AnyModel


def generate(
    model: AnyModel,
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
        **options: further options. ``best_of``: drafts of each crystal, of which the best one is returned.
            ``judges`` and ``potential``: who decides, see ``ranking.resolve_judges``. All others are those of
            ``generate_batches``.

    Returns:
        Crystals as they are finished. One that is given up is left out with an ``OrderWarning``;
        ``generate_records`` has the order, seed and failures beside each.

    Raises:
        OrderError: orders that are wrong or beyond the model.
        ConfigError: an unknown sampler or judge, or an impossible setting.
        RelaxationError: an unknown potential, or one that cannot be loaded.
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
    model: AnyModel,
    orders: Iterable[Order | Mapping[str, Any]],
    *,
    seed: int = 0,
    best_of: int = 1,
    judges: str | Iterable[str] | None = None,
    potential: str | None = None,
    **options: Any,
) -> Iterator[Generated]:
    """As ``generate``, with a record for every crystal asked for, failures included, as they are finished."""
    from crystalsmith.ranking import Ladder

    ladder = Ladder.of(model, judges, potential, positive("best_of", best_of))
    batches = generate_batches(model, orders, seed=seed, best_of=best_of, **options)
    if ladder is not None:
        return best_records(batches, ladder, best_of)
    return (record for batch in batches for record in batch if record.final)


def generate_batches(
    model: AnyModel,
    orders: Iterable[Order | Mapping[str, Any]],
    *,
    seed: int = 0,
    batch_atoms: int = BATCH_ATOMS,
    steps: int | None = None,
    sampler: str | None = None,
    max_tries: int = MAX_TRIES,
    letters: str = LETTERS[0],
    best_of: int = 1,
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
        letters: where letters come from that an order leaves open, one of ``limits.LETTERS``.
        best_of: drafts of each crystal, K; all of them are yielded, draft j of crystal i with index i K + j.
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
    check_orders(parsed, model, letters)
    positive("batch_atoms", batch_atoms)
    positive("max_tries", max_tries)
    positive("best_of", best_of)
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ConfigError(f"seed must be a whole number, not {seed!r}")
    sampler, steps = choose_sampler(model.method, sampler, steps)
    total = model.callbacks(steps)
    drafter = drafter_of(model, letters)
    known = {} if done is None else done

    def tell(crystals: int) -> Callable[..., None] | None:
        if on_event is None:
            return None
        report = on_event
        return lambda step, *_: report(BatchStep(crystals, min(step + 1, total), total))

    def run() -> Iterator[list[Generated]]:
        again: deque[Try] = deque()
        first = (
            Try(order, index, 1, draft, best_of)
            for order in parsed
            for index in range(order.count)
            for draft in range(best_of)
        )
        while batch := fill(chain(drain(again), first), again, batch_atoms, seed, drafter):
            if all(t.key in known for t, _, _ in batch):
                again.extend(t.next for t, _, _ in batch if known[t.key] is not None and t.number < max_tries)
                continue
            # All of a batch that was cut off half way: its other members show in a crystal's last digits.
            requests, seeds = [r for _, r, _ in batch], [s for _, _, s in batch]
            made = sample(model, requests, seeds, tell(len(batch)), steps=steps, sampler=sampler)
            fresh = []
            for (t, request, try_seed), crystal in zip(batch, made, strict=True):
                failure = crystal if isinstance(crystal, str) else fault(crystal)
                if t.key in known:
                    failure = known[t.key]
                else:
                    sound = crystal if isinstance(crystal, Crystal) and failure is None else None
                    final = failure is None or t.number >= max_tries
                    name = t.key
                    fresh.append(
                        Generated(
                            *name,
                            seed=try_seed,
                            request=request,
                            crystal=sound,
                            failure=failure,
                            final=final,
                            log_prior=request.log_prior,
                        )
                    )
                if failure is not None and t.number < max_tries:
                    again.append(t.next)
            yield fresh

    return run()
