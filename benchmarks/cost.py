"""What a campaign costs: wall time and core hours, by a formula, a discrete event simulation, and measured.

    python benchmarks/cost.py predict --seconds 8 --deviation 6      # table for 10^4, 10^6, 10^8 crystals
    python benchmarks/cost.py validate                               # the formula against the simulation
    python benchmarks/cost.py measure -n 20 --seconds 2           # both against 1 and 2 workers here

The model: the coordinator hands out tasks of ``group`` items one by one, and needs ``handling`` seconds for
each; a core needs the items' time and ``overhead`` seconds for a task, and ``start`` seconds before its
first. Either the cores are the limit or the coordinator is; at the end all wait for the longest item.
"""

from __future__ import annotations

import argparse
import heapq
import math
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from crystalsmith.runs.engines import engine_of

TASK_SECONDS, MOST_ITEMS, A_SLOT = 60.0, 500, 2  # as runs/engines/remote.py chooses them


@dataclass(frozen=True)
class Campaign:
    """Items, cores, and seconds.

    Attributes:
        items, cores: their numbers.
        seconds, deviation: of an item, mean and standard deviation.
        overhead: seconds that a task costs on its core.
        handling: seconds that a task costs the coordinator.
        start: seconds of a core before its first task.
    """

    items: int
    cores: int
    seconds: float
    deviation: float = 0.0
    overhead: float = 0.02
    handling: float = 0.005
    start: float = 10.0

    @property
    def group(self) -> int:
        """Items of a task, unless the end is near."""
        few = math.ceil(self.items / (A_SLOT * self.cores))
        return max(1, min(MOST_ITEMS, int(TASK_SECONDS / self.seconds), few))


@dataclass(frozen=True)
class Cost:
    """Attributes: seconds from start to end; core hours that are held; share of them spent on items."""

    wall: float
    core_hours: float
    efficiency: float


def cost_of(c: Campaign, wall: float) -> Cost:
    """What is paid where all cores are held until the end."""
    return Cost(wall, wall * c.cores / 3600, c.items * c.seconds / (wall * c.cores))


def predicted(c: Campaign) -> Cost:
    """By the formula: full tasks, then ever smaller ones, each part at the pace of cores or coordinator."""
    near = min(c.items, A_SLOT * c.cores * c.group)  # items that are left when tasks begin to shrink
    rounds = A_SLOT * c.cores
    small = rounds * (1 + math.log(near / rounds)) if near > rounds else float(near)
    wall = c.start + _part(c, c.items - near, (c.items - near) / c.group) + _part(c, near, small)
    if c.cores > 1:
        # Out at the end are all cores' items, or those that the coordinator handed out within their spread.
        out = min(c.cores, c.items)
        if small * c.handling > near * c.seconds / c.cores:
            out = min(out, max(1, round(c.deviation / c.handling)))
            wall += c.seconds
        wall += c.deviation * math.log(out)  # the longest of so many, of an exponential tail
    return cost_of(c, wall)


def _part(c: Campaign, items: int, tasks: float) -> float:
    """Seconds for so many items in so many tasks."""
    cores = min(c.cores, c.items)
    return max((items * c.seconds + tasks * (c.overhead + c.handling)) / cores, tasks * c.handling)


def sizes(c: Campaign) -> Iterator[int]:
    """Items of one task after another, smaller at the end."""
    left = c.items
    while left:
        most = math.ceil(left / (A_SLOT * c.cores))
        size = min(left, max(1, min(MOST_ITEMS, int(TASK_SECONDS / c.seconds), most)))
        left -= size
        yield size


def simulated(c: Campaign, seed: int = 0) -> Cost:
    """By events: a free core asks, the coordinator serves one after another, times are drawn from gamma."""
    random = Random(seed)
    free = [c.start] * c.cores
    coordinator, end = c.start, 0.0
    shape = (c.seconds / c.deviation) ** 2 if c.deviation else 0.0
    for size in sizes(c):
        asked = heapq.heappop(free)
        coordinator = max(coordinator, asked) + c.handling
        # the sum of so many draws of a gamma distribution is one of a gamma distribution
        work = random.gammavariate(size * shape, c.seconds / shape) if shape else size * c.seconds
        finished = coordinator + c.overhead + work
        end = max(end, finished)
        heapq.heappush(free, finished)
    return cost_of(c, end)


def shown(c: Campaign, cost: Cost) -> str:
    """A row of the table."""
    hours = f"{cost.wall / 3600:,.2f} h" if cost.wall < 360_000 else f"{cost.wall / 86_400:,.0f} d"
    return f"| {c.items:,} | {c.cores:,} | {hours} | {cost.core_hours:,.0f} | {100 * cost.efficiency:.0f} % |"


def predict(a: argparse.Namespace) -> None:
    """Print the table."""
    print("| crystals | cores | wall time | core hours | efficiency |\n|---|---|---|---|---|")
    for items in (10**4, 10**6, 10**8):
        for cores in (1, 100, 10_000):
            c = Campaign(items, cores, a.seconds, a.deviation, a.overhead, a.handling, a.start)
            print(shown(c, predicted(c)))


def validate(a: argparse.Namespace) -> None:
    """Print how far the formula is from the simulation, for campaigns that are drawn at random."""
    random, off = Random(a.seed), []
    print("| crystals | cores | seconds | handling | formula, s | simulation, s | off |")
    print("|---|---|---|---|---|---|---|")
    for _ in range(a.number):
        items, cores = round(10 ** random.uniform(3, 6)), round(10 ** random.uniform(0, 4))
        seconds, handling = 10 ** random.uniform(-0.5, 2), 10 ** random.uniform(-3, -1)
        deviation = seconds * random.uniform(0, 1)
        c = Campaign(items, cores, seconds, deviation, a.overhead, handling, a.start)
        formula, events = predicted(c).wall, statistics.mean(simulated(c, n).wall for n in range(3))
        off.append(formula / events - 1)
        print(
            f"| {items:,} | {cores:,} | {seconds:.1f} | {handling:.3f} | {formula:,.0f} | {events:,.0f} |"
            f" {100 * off[-1]:+.1f} % |"
        )
    sizes_of = sorted(map(abs, off))
    print(f"off by {100 * statistics.median(sizes_of):.1f} % (median), {100 * sizes_of[-1]:.1f} % (worst)")


def timed(engine: str, workers: int, items: list[float]) -> float:
    """Seconds that an engine takes for items that need time and no processor: a busy machine spoils less."""
    began = time.perf_counter()
    with engine_of(engine, workers, None) as chosen:
        for _ in chosen.each(time.sleep, items):
            pass
    return time.perf_counter() - began


def measure(a: argparse.Namespace) -> None:
    """Print measured and predicted times with 1 and 2 workers."""
    random = Random(0)
    items = [random.uniform(0.5, 1.5) * a.seconds for _ in range(a.number)]
    mean, deviation = statistics.mean(items), statistics.pstdev(items)
    print("| workers | start, s | measured, s | formula, s | simulation, s |\n|---|---|---|---|---|")
    for workers in (1, 2):
        start = timed(a.engine, workers, [0.0] * workers)
        c = Campaign(a.number, workers, mean, deviation, a.overhead, a.handling, start)
        formula, events = predicted(c).wall, statistics.mean(simulated(c, n).wall for n in range(20))
        took = timed(a.engine, workers, items)
        print(f"| {workers} | {start:.1f} | {took:.1f} | {formula:.1f} | {events:.1f} |")


def main() -> None:
    """Carry out one of the three."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("predict", "validate", "measure"))
    parser.add_argument("-n", "--number", type=int, default=40, help="items measured, or campaigns drawn")
    parser.add_argument("--seed", type=int, default=1, help="of the campaigns that are drawn")
    parser.add_argument("--engine", default="local", help="as crystalsmith takes it")
    for name, value in (("seconds", 8.0), ("deviation", 6.0)):
        parser.add_argument(f"--{name}", type=float, default=value, help=f"of an item (default: {value})")
    for name in ("overhead", "handling", "start"):
        value = Campaign.__dataclass_fields__[name].default
        parser.add_argument(f"--{name}", type=float, default=value, help=f"seconds (default: {value})")
    a = parser.parse_args()
    {"predict": predict, "validate": validate, "measure": measure}[a.what](a)


if __name__ == "__main__":
    main()
