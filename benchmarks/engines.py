"""What an engine costs: throughput against the plain pool, time of a task, memory of the coordinator.

    python benchmarks/engines.py throughput --engines htex-local --workers 1 2
    python benchmarks/engines.py overhead --engines htex-local
    python benchmarks/engines.py memory --engines htex-local --tasks 100000

Tasks of ``throughput`` wait and do not compute, so that what is measured is the engine and not who else uses
the cores; ``warm`` leaves out the start of engine and workers. Those of ``overhead`` and ``memory`` do
nothing and are sent one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import psutil

from crystalsmith.runs.engines import Engine, engine_of, remote


def wait(seconds: float) -> float:
    """A task."""
    time.sleep(seconds)
    return seconds


def processes() -> ProcessPoolExecutor:
    """For ``engines:processes``, the executor of the standard library."""
    return ProcessPoolExecutor(int(os.environ.get("WORKERS", "1")))


def timed(engine: Engine, number: int, seconds: float) -> tuple[float, float]:
    """Seconds for so many tasks, from the beginning and from the first result."""
    began, first, done = time.perf_counter(), 0.0, 0
    for some in engine.each(wait, [seconds] * number, seconds=600, apart=True):
        first = first or time.perf_counter()
        done += len(some)
        assert all(result == seconds for _, result, _ in some)
    ended = time.perf_counter()
    assert done == number
    return ended - began, ended - first


def throughput(name: str, workers: int, number: int, seconds: float) -> dict[str, object]:
    """Against so many workers that lose no time at all, and with the start left out."""
    os.environ["WORKERS"] = str(workers)
    with tempfile.TemporaryDirectory() as folder, engine_of(name, workers, Path(folder)) as engine:
        whole, _ = timed(engine, number, seconds)
        warm, _ = timed(engine, number, seconds)
    ideal = number * seconds / workers
    return {
        "engine": name,
        "workers": workers,
        "tasks": number,
        "seconds of a task": seconds,
        "whole": round(whole, 2),
        "warm": round(warm, 2),
        "efficiency, whole": round(ideal / whole, 3),
        "efficiency, warm": round(ideal / warm, 3),
    }


def overhead(name: str, number: int) -> dict[str, object]:
    """Milliseconds of a task that does nothing, one item each, one worker."""
    os.environ["WORKERS"] = "1"
    remote._MOST_ITEMS = 1
    with tempfile.TemporaryDirectory() as folder, engine_of(name, 1, Path(folder)) as engine:
        _, seconds = timed(engine, number, 0.0)
    return {"engine": name, "tasks": number, "milliseconds of a task": round(1e3 * seconds / number, 2)}


def memory(name: str, number: int) -> dict[str, object]:
    """MB that this process holds at a tenth of the tasks and at the end."""
    os.environ["WORKERS"] = "1"
    remote._MOST_ITEMS = 1
    this, held, done, peak = psutil.Process(), {}, 0, 0
    began = time.perf_counter()

    def items() -> Iterator[float]:
        for _ in range(number):
            yield 0.0

    with tempfile.TemporaryDirectory() as folder, engine_of(name, 1, Path(folder)) as engine:
        for some in engine.each(wait, items(), seconds=600, apart=True):
            done += len(some)
            if done % (number // 10) < len(some):
                held[done * 10 // number] = this.memory_info().rss >> 20
            peak = max(peak, this.memory_info().rss >> 20) if done % 500 == 0 else peak
    assert done == number
    return {
        "engine": name,
        "tasks": number,
        "seconds": round(time.perf_counter() - began),
        "MB by tenths": held,
        "peak MB": peak,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("throughput", "overhead", "memory"))
    parser.add_argument("--engines", nargs="+", default=["local", "engines:processes", "htex-local"])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--tasks", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    here = str(Path(__file__).resolve().parent)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    for name in args.engines:
        if args.what == "throughput":
            for workers in args.workers:
                print(json.dumps(throughput(name, workers, args.tasks, args.seconds)), flush=True)
        else:
            print(
                json.dumps({"overhead": overhead, "memory": memory}[args.what](name, args.tasks)), flush=True
            )


if __name__ == "__main__":
    import engines  # under its own name, so that workers find its functions

    engines.main()
