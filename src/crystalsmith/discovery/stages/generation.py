"""Crystals are made to order, batch by batch, and each batch is in the database before the next begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.stages.work import NO_TIME, Work
from crystalsmith.generation import Generated, generate_batches
from crystalsmith.runs.engines import Local

STAGE = "generation"


def generate(work: Work) -> Counter[str]:
    """Make what is not made yet.

    Returns:
        Why crystals were given up, and how many for each reason.
    """
    asked = sum(order.count for order in work.orders)
    if not work.closed(STAGE):
        _make(work, asked)
    made = {_key(c)[:2] for c in work.candidates.values()}
    lost = {f[:2]: f[3] for f in work.failures if f[:2] not in made}
    reasons = Counter(lost.values())
    return +(reasons | Counter({NO_TIME: asked - len(work.candidates) - len(lost)}))


def _make(work: Work, asked: int) -> None:
    by_id = {order.id: order.to_mapping() for order in work.orders}
    done: dict[tuple[str, int, int], str | None] = {(o, n, t): reason for o, n, t, reason in work.failures}
    done |= {_key(c): None for c in work.candidates.values()}
    work.progress(STAGE, len(work.candidates), asked)
    # Crystals are the same with any number of processes; a GPU is one.
    on_cpu = str(getattr(work.model, "device", "cpu")) == "cpu"
    engine = work.engine if on_cpu or work.engine.name != "local" else Local(1)
    batches = generate_batches(work.model, work.orders, seed=work.settings.seed, engine=engine, done=done)
    with closing(batches):
        for batch in batches:
            _keep(work, batch, by_id)
            work.progress(STAGE, len(work.candidates), asked)
            if work.over():
                break


def _keep(work: Work, batch: Sequence[Generated], orders: Mapping[str, Mapping[str, Any]]) -> None:
    records: list[tuple[Generated, Candidate | None]] = []
    for record in batch:
        if record.crystal is None:
            records.append((record, None))
            work.failures.append((*record.key, record.failure or ""))
            continue
        name = f"{record.order_id}-{record.index:04d}"
        order = {**orders[record.order_id], "index": record.index, "attempt": record.tries}
        states = (State("generated", record.crystal),)
        made = Candidate(name, order, record.seed, states, log_prior=record.log_prior)
        records.append((record, made))
    work.database.add_generated(records)
    work.candidates.update({c.name: c for _, c in records if c is not None})


def _key(candidate: Candidate) -> tuple[str, int, int]:
    return str(candidate.order["id"]), int(candidate.order["index"]), int(candidate.order["attempt"])
