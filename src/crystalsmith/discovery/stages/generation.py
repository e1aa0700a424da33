"""Crystals are made to order, batch by batch, and each batch is in the database before the next begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.stages.work import NO_TIME, Group, Work, all_over
from crystalsmith.generation import Generated
from crystalsmith.generation.generator import Part, generate_parts
from crystalsmith.runs.engines import Local

STAGE = "generation"


def generate(group: Group) -> None:
    """Make what is not made yet."""
    works = [work for work, _ in group]
    orders = [{order.id: order.to_mapping() for order in work.orders} for work in works]
    first, total = works[0], sum(map(asked, works))

    def tell() -> None:
        first.progress(STAGE, sum(len(work.candidates) for work in works), total)

    tell()
    # Crystals are the same with any number of processes; a GPU is one.
    on_cpu = str(getattr(first.model, "device", "cpu")) == "cpu"
    engine = first.engine if on_cpu or first.engine.name != "local" else Local(1)
    parts = [Part(work.orders, work.settings.seed, _done(work)) for work in works]
    with closing(generate_parts(first.model, parts, engine=engine)) as batches:
        for k, batch in batches:
            _keep(works[k], batch, orders[k])
            tell()
            if all_over(group):
                break


def asked(work: Work) -> int:
    """How many crystals there are to be."""
    return sum(order.count for order in work.orders)


def given_up(work: Work) -> Counter[str]:
    """Why crystals were given up, and how many for each reason."""
    made = {_key(c)[:2] for c in work.candidates.values()}
    lost = {f[:2]: f[3] for f in work.failures if f[:2] not in made}
    reasons = Counter(lost.values())
    return +(reasons | Counter({NO_TIME: asked(work) - len(work.candidates) - len(lost)}))


def _done(work: Work) -> dict[tuple[str, int, int], str | None]:
    done: dict[tuple[str, int, int], str | None] = {(o, n, t): reason for o, n, t, reason in work.failures}
    return done | {_key(c): None for c in work.candidates.values()}


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
