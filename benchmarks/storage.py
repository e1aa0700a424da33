"""Rows per second of every way to keep crystals, and whether memory stays where it is.

    python benchmarks/storage.py mp20_val.safetensors -n 100000
    python benchmarks/storage.py mp20_val.safetensors -n 10000 --only database --url postgresql://me:word@host/db

The crystals of the source are written again and again, each time with a cell of another size. Every way is
measured in a process of its own; its memory is looked at after a fifth of the rows and at the end. The last
ones are what a database of ``discover`` does: ``database`` writes 100 crystals in a transaction, and ``load``
reads them all; ``relax`` is all of a run but its relaxations, ``evaluate`` validity and uniqueness, where
the memory is that of all rows. The second rate is that of a second of processor, where others share the
machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ase.calculators.emt import EMT

from crystalsmith.assignments import Request
from crystalsmith.crystal import Crystal, Site
from crystalsmith.crystal.io import Limits, read_records
from crystalsmith.crystal.io.export import export
from crystalsmith.crystal.io.parquet import ParquetShards
from crystalsmith.crystal.io.rows import Row
from crystalsmith.discovery.candidate import Candidate, State
from crystalsmith.discovery.database import CrystalDatabase
from crystalsmith.evaluation.run import evaluate_sets
from crystalsmith.evaluation.settings import Settings
from crystalsmith.generation.tries import Generated
from crystalsmith.potentials import RelaxSettings, Resources
from crystalsmith.potentials.outcome import Outcome, relax_crystal
from crystalsmith.potentials.run import relax_into

BATCH = 100
WITHIN = frozenset({"Li", "Na", "Mg", "O"})


class Watch:
    """Time and memory after a fifth of the rows, when all is loaded and cached, and at the end."""

    def __init__(self, count: int) -> None:
        self.fifth, self.count, self.rows, self.early, self.before = count // 5, count, 0, 0.0, 0
        self.began, self.spent = time.perf_counter(), time.process_time()

    def tick(self, rows: int = 1) -> None:
        self.rows += rows
        if not self.early and self.fifth <= self.rows < self.count:
            self.early, self.before = memory(), self.rows
            self.began, self.spent = time.perf_counter(), time.process_time()

    def report(self) -> dict[str, float]:
        rows = self.count - self.before
        return {
            "rows": self.rows,
            "rows_per_second": round(rows / (time.perf_counter() - self.began)),
            "rows_per_cpu_second": round(rows / (time.process_time() - self.spent)),
            "memory_mb": round(memory()),
            "grown_mb": round(memory() - self.early, 1) if self.early else 0.0,
        }


def memory() -> float:
    """MB that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def crystals(source: str, count: int) -> Iterator[Crystal]:
    """As many as wanted, no two of them the same."""
    from crystalsmith.data import Dataset

    data = Dataset.open(source)
    for k in range(count):
        crystal = data[k % len(data)]
        a, b, c, *angles = crystal.cell
        scale = 1 + 1e-4 * (k // len(data) + 1)
        yield replace(crystal, cell=(a * scale, b * scale, c * scale, *angles))


def prepare(source: str, count: int, folder: Path) -> Path:
    """Shards to read, in place once."""
    place = folder / "given"
    if not place.exists():
        with ParquetShards(place) as shards:
            for k, crystal in enumerate(crystals(source, count)):
                shards.add(Row(f"c{k}", crystal, energy=-5.0))
    return place


def write(source: str, count: int, folder: Path, url: str) -> Watch:
    made = crystals(source, count)
    watch = Watch(count)
    with ParquetShards(folder / "written") as shards:
        for k, crystal in enumerate(made):
            shards.add(Row(f"c{k}", crystal, energy=-5.0))
            watch.tick()
    return watch


def make(source: str, count: int, folder: Path, url: str) -> Watch:
    """What the making of the crystals alone takes, which is part of ``write`` and of databases."""
    watch = Watch(count)
    for _ in crystals(source, count):
        watch.tick()
    return watch


def read(source: str, count: int, folder: Path, url: str) -> Watch:
    place = prepare(source, count, folder)
    watch = Watch(count)
    for _ in read_records(place):
        watch.tick()
    return watch


def within(source: str, count: int, folder: Path, url: str) -> Watch:
    place = prepare(source, count, folder)
    next(read_records(place))
    watch = Watch(count)
    for _ in read_records(place, Limits(within=WITHIN)):
        watch.tick()
    return watch


def exported(ending: str) -> Callable[[str, int, Path, str], Watch]:
    def run(source: str, count: int, folder: Path, url: str) -> Watch:
        place = prepare(source, count, folder)
        watch = Watch(count)

        def told() -> Iterator[object]:
            for record in read_records(place):
                watch.tick()
                yield record

        export([told()], folder / f"out{ending}")
        return watch

    return run


def read_lines(source: str, count: int, folder: Path, url: str) -> Watch:
    exported(".jsonl")(source, count, folder, url)
    watch = Watch(count)
    for _ in read_records(folder / "out.jsonl"):
        watch.tick()
    return watch


def fill(base: CrystalDatabase, source: str, count: int) -> Iterator[int]:
    """Write in batches; how many rows each time."""
    batch = []
    for k, crystal in enumerate(crystals(source, count), 1):
        letters = tuple((s.element, s.letter) for s in crystal.sites)
        made = Generated("o", k, 1, k, Request(crystal.space_group, letters), crystal, None, True)
        batch.append((made, Candidate(f"c{k}", {"id": "o"}, k, (State("generated", crystal, -5.0),))))
        if len(batch) == BATCH or k == count:
            base.add_generated(batch)
            yield len(batch)
            batch = []


def database(source: str, count: int, folder: Path, url: str) -> Watch:
    base = CrystalDatabase(url or str(folder / "crystals.db"), f"run-{time.time_ns()}")
    base.load()
    watch = Watch(count)
    for rows in fill(base, source, count):
        watch.tick(rows)
    return watch


def load(source: str, count: int, folder: Path, url: str) -> Watch:
    run, place = f"run-{time.time_ns()}", url or str(folder / "loaded.db")
    base = CrystalDatabase(place, run)
    base.load()
    assert sum(fill(base, source, count)) == count
    watch = Watch(count)
    watch.tick(len(CrystalDatabase(place, run).load()[0]))
    return watch


class AtRest:
    """An engine that has found every crystal at rest: what is left is what a run itself holds and does."""

    name, slots = "at rest", 1

    def __init__(self, outcome: Outcome, watch: Watch) -> None:
        self.outcome, self.watch = outcome, watch

    def each(
        self, function: Any, items: Iterable[Crystal], **_: Any
    ) -> Generator[list[tuple[int, Outcome, float]]]:
        for place, crystal in enumerate(items):
            stages = {name: replace(stage, crystal=crystal) for name, stage in self.outcome.stages.items()}
            self.watch.tick()
            yield [(place, replace(self.outcome, start=crystal, stages=stages), 0.01)]


def relax(source: str, count: int, folder: Path, url: str) -> Watch:
    """Shards in, shards out; the rate is that of everything but the relaxations."""
    place, settings = prepare(source, count, folder), RelaxSettings(only="symmetric", format="parquet")
    copper = Crystal(225, (3.6, 3.6, 3.6, 90, 90, 90), (Site("Cu", "a"),))
    outcome = relax_crystal(copper, EMT(), settings)
    watch = Watch(count)
    engine: Any = AtRest(outcome, watch)
    result = relax_into(place, folder / "relaxed", settings, Resources("ase.calculators.emt:EMT", 1, engine))
    assert f"{count} of {count} crystals relaxed" in str(result) and not result.lost
    return watch


def evaluate(source: str, count: int, folder: Path, url: str) -> Watch:
    """Validity and uniqueness; memory before and after, for it is not flat."""
    place = prepare(source, count, folder)
    settings = Settings(metrics=("validity", "uniqueness"))
    small = [record for record, _ in zip(read_records(place), range(200), strict=False)]
    evaluate_sets([("few", small)], small, settings=settings, workers=1)  # loads what it needs
    watch = Watch(count)
    watch.early = memory()
    evaluation = evaluate_sets([("all", place)], small, settings=settings, workers=1)
    watch.rows = evaluation.columns[0].size
    return watch


WAYS: dict[str, Callable[[str, int, Path, str], Watch]] = {
    "make": make,
    "write": write,
    "read": read,
    "within": within,
    "optimade": exported(".optimade.jsonl"),
    "jsonl": exported(".jsonl"),
    "read jsonl": read_lines,
    "database": database,
    "load": load,
    "relax": relax,
    "evaluate": evaluate,
}
ASKED_FOR = ("database", "load", "relax", "evaluate")
"""Ways that are only gone where they are asked for."""


def measured(way: str, source: str, count: int, folder: Path, url: str, answer: object) -> None:
    answer.put(WAYS[way](source, count, folder, url).report())  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", help="a training file")
    parser.add_argument("-n", "--rows", type=int, default=20_000)
    parser.add_argument("--only", action="append", choices=WAYS, help="may be repeated")
    parser.add_argument("--url", default="", help="a PostgreSQL server in place of SQLite")
    args = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        for way in args.only or [name for name in WAYS if name not in ASKED_FOR]:
            answer = context.Queue()
            words = (way, args.source, args.rows, Path(folder), args.url, answer)
            process = context.Process(target=measured, args=words)
            process.start()
            found = answer.get()
            process.join()
            print(json.dumps({"way": way, **found}), flush=True)


if __name__ == "__main__":
    main()
