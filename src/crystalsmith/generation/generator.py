"""From orders to crystals."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crystalsmith.conditions import unmet
from crystalsmith.crystal import Crystal
from crystalsmith.crystal.validity import fault
from crystalsmith.errors import ConfigError
from crystalsmith.generation.batching import Member, Try, batch_maker, fill, in_turn
from crystalsmith.generation.choice import best_records
from crystalsmith.generation.drafts import drafter_of
from crystalsmith.generation.known import KnownPhases, model_known
from crystalsmith.generation.library import library_of, with_known
from crystalsmith.generation.templates import Templates
from crystalsmith.generation.tries import BatchStep, Generated, Key
from crystalsmith.orders.limits import OrderWarning, check_orders, choose_sampler, positive
from crystalsmith.orders.order import Order, parse_orders
from crystalsmith.orders.settings import BATCH_ATOMS, LETTERS, MAX_TRIES
from crystalsmith.runs.engines import Engine, Local

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


@dataclass(frozen=True)
class Part:
    """What is made together with others, and comes out as if it were made alone.

    Attributes:
        orders: ``Order`` objects or mappings.
        seed: of this part.
        done: as for ``generate_batches``.
    """

    orders: Iterable[Order | Mapping[str, Any]]
    seed: int = 0
    done: Mapping[Key, str | None] | None = None


def generate_batches(
    model: AnyModel,
    orders: Iterable[Order | Mapping[str, Any]],
    *,
    seed: int = 0,
    done: Mapping[Key, str | None] | None = None,
    **options: Any,
) -> Generator[list[Generated]]:
    """Make crystals to order, batch by batch, with every try.

    Batches are made up of the orders in turn and bounded by their atoms. Tries whose crystals are wreckage
    (``validity.fault``) are followed by others, with other letters where these are drawn, when the first
    tries of all crystals have been made.

    Args:
        model: what ``crystalsmith.load_model`` returned.
        orders: ``Order`` objects or mappings.
        seed: seed of the run.
        done: tries of an earlier run of the same orders and their failures (None for a sound crystal). They
            are not made or yielded again, and yet make up batches as they did, so that what remains comes out
            the same.
        **options: those of ``generate_parts``.

    Yields:
        Tries of one batch that are not in ``done``.

    Raises:
        OrderError: orders that are wrong or beyond the model.
        ConfigError: an unknown sampler or impossible setting.
        DataError: a file of known arrangements that cannot be read.
    """
    parts = generate_parts(model, [Part(orders, seed, done)], **options)

    def run() -> Generator[list[Generated]]:
        with closing(parts):
            for _, batch in parts:
                yield batch

    return run()


def generate_parts(
    model: AnyModel,
    parts: Sequence[Part],
    *,
    batch_atoms: int = BATCH_ATOMS,
    steps: int | None = None,
    sampler: str | None = None,
    max_tries: int = MAX_TRIES,
    letters: str = LETTERS[0],
    best_of: int = 1,
    workers: int = 1,
    engine: Engine | None = None,
    prototypes: Templates | str | os.PathLike[str] | None = None,
    on_event: Callable[[BatchStep], None] | None = None,
    new_only: bool = False,
    known: Sequence[str | os.PathLike[str]] = (),
) -> Generator[tuple[int, list[Generated]]]:
    """As ``generate_batches`` for several lists of orders, a batch of each in turn.

    Args:
        model: what ``crystalsmith.load_model`` returned.
        parts: what to make; no batch holds crystals of two of them.
        batch_atoms: most atoms (primitive cells) in a batch; a larger crystal has one of its own.
        steps: sampler steps; the model's default if None.
        sampler: name of the sampler; the model's default if None.
        max_tries: tries for one crystal.
        letters: where letters come from that an order leaves open, one of ``limits.LETTERS``.
        best_of: drafts of each crystal, K; all of them are yielded, draft j of crystal i with index i K + j.
        workers: processes that sample; with several, ``on_event`` is not told of steps. Crystals are the
            same with any number. Close the iterator to end them early.
        engine: where it is done, in place of ``workers``.
        prototypes: known arrangements that crystals are made from beside the network's: a file of them, a
            ``prototypes.Library``, or "none"; the model's own if None.
        on_event: told of every sampler step.
        new_only: make none of the crystals that are known to the model or stand in ``known``; others take
            their places.
        known: files of crystals that count as known beside those of the model, and that crystals are made
            from as well; a ``Library`` has its own for that.

    Yields:
        Number of the part, and tries of one batch that are not done yet.

    Raises:
        OrderError: orders that are wrong or beyond the model.
        ConfigError: an unknown sampler or impossible setting.
        DataError: a file of known arrangements that cannot be read.
    """
    asked = [parse_orders(part.orders) for part in parts]
    for parsed in asked:
        check_orders(parsed, model, letters, new_only)
    for name, value in (
        ("batch_atoms", batch_atoms),
        ("max_tries", max_tries),
        ("best_of", best_of),
        ("workers", workers),
    ):
        positive(name, value)
    for part in parts:
        if isinstance(part.seed, bool) or not isinstance(part.seed, int):
            raise ConfigError(f"seed must be a whole number, not {part.seed!r}")
    sampler, steps = choose_sampler(model.method, sampler, steps)
    make = batch_maker(model, engine or Local(workers), on_event, steps=steps, sampler=sampler)
    if prototypes is None or isinstance(prototypes, (str, os.PathLike)):
        prototypes = library_of(model, prototypes, known)
    informed = with_known(model, prototypes)
    drafters = [drafter_of(informed, letters, new_only, prototypes) for _ in parts]
    for drafter, parsed in zip(drafters, asked, strict=True):
        drafter.expect(parsed)
    earlier = [{} if part.done is None else part.done for part in parts]
    # The reference phases, of which no more than the group and the atoms are kept, do not tell enough.
    refused = model_known(model, known) if new_only else None

    def first(part: int) -> Iterator[Try]:
        return (
            Try(order, index, 1, draft, best_of, part)
            for order in asked[part]
            for index in range(order.count)
            for draft in range(best_of)
        )

    def run() -> Generator[tuple[int, list[Generated]]]:
        # All first tries, then all second ones, ...: so batches do not hang on how many are made at a time.
        tries = {k: first(k) for k in range(len(parts))}
        while tries:
            failed: dict[int, list[Try]] = {}
            batches = in_turn(fill(t, batch_atoms, parts[k].seed, drafters[k]) for k, t in tries.items())
            for batch, made in make(batches, lambda t: t.key in earlier[t.part]):
                part = batch[0].attempt.part
                before = earlier[part]
                fresh = [
                    _outcome(member, crystal, max_tries, refused)
                    for member, crystal in zip(batch, made or (), strict=made is not None)
                    if member.attempt.key not in before
                ]
                now = {r.key: r.failure for r in fresh}
                failures = [now[key] if key in now else before[key] for key in (m.attempt.key for m in batch)]
                again = [
                    m.attempt.next
                    for m, failure in zip(batch, failures, strict=True)
                    if failure is not None and m.attempt.number < max_tries
                ]
                if again:
                    failed.setdefault(part, []).extend(again)
                if fresh:
                    yield part, fresh
            for k, late in failed.items():
                drafters[k].expect(list(dict.fromkeys(t.order for t in late)))
            tries = {k: iter(failed[k]) for k in sorted(failed)}

    return run()


def _outcome(
    member: Member, crystal: Crystal | str, max_tries: int, refused: KnownPhases | None
) -> Generated:
    failure = crystal if isinstance(crystal, str) else fault(crystal)
    if failure is None and member.request.conditions:
        failure = unmet(crystal, member.request.conditions)  # type: ignore[arg-type]
    if failure is None and refused is not None and refused.holds(crystal):  # type: ignore[arg-type]
        failure = "known"
    return Generated(
        *member.attempt.key,
        seed=member.seed,
        request=member.request,
        crystal=crystal if isinstance(crystal, Crystal) and failure is None else None,
        failure=failure,
        final=failure is None or member.attempt.number >= max_tries,
        log_prior=member.request.log_prior,
    )
