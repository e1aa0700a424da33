"""How fast assignments of Wyckoff positions are counted and listed, and how many there are.

    python benchmarks/enumeration.py mp20_test.safetensors -n 2000

For random crystals of a file of ``crystalsmith data build``: the assignments that make the composition of the
primitive cell in the crystal's space group. Where all are listed, the crystal's own must be among them.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice

import numpy as np

from crystalsmith.assignments import (
    canonical,
    count_assignments,
    from_pairs,
    list_assignments,
    positions_of,
)
from crystalsmith.assignments.counting import _count, ways_of_free
from crystalsmith.data import Dataset


def main() -> None:
    """Parse arguments, count, list, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("-n", type=int, default=2000, help="crystals (default: 2000)")
    p.add_argument("--listed", type=int, default=1000, help="assignments of one crystal that are listed")
    p.add_argument("--seed", type=int, default=0)
    a = p.parse_args()
    data = Dataset.open(a.data)
    rows = np.random.default_rng(a.seed).permutation(len(data))[: a.n]
    crystals = [data[int(row)] for row in rows]
    cases = []
    for crystal in crystals:
        pairs = [(site.element, site.letter) for site in crystal.sites]
        _, own = from_pairs(crystal.space_group, pairs)
        size = positions_of(crystal.space_group).size
        cases.append((crystal.space_group, tuple(sum(size[k] for k in sites) for sites in own), own))
    for cache in (count_assignments, _count, ways_of_free):
        cache.cache_clear()

    slowest, numbers = 0.0, []
    began = time.perf_counter()
    for group, counts, _ in cases:
        before = time.perf_counter()
        numbers.append(count_assignments(group, counts))
        slowest = max(slowest, time.perf_counter() - before)
    counting = time.perf_counter() - began
    every = [count_assignments(group, counts, distinct=False) for group, counts, _ in cases]

    found = complete = missing = 0
    began = time.perf_counter()
    for (group, counts, own), number in zip(cases, numbers, strict=True):
        listed = list(islice(list_assignments(group, counts), a.listed))
        found += len(listed)
        assert len(listed) == min(number, a.listed)
        if number <= a.listed:
            complete += 1
            missing += canonical(group, own) not in listed
    listing = time.perf_counter() - began

    largest = int(np.argmax(np.array(numbers, dtype=float)))
    n, crystal = len(cases), crystals[largest]
    quartiles = (sorted(numbers)[n * k // 4] for k in (1, 2, 3))
    print(f"{n} crystals of {a.data}")
    print(f"counting   {n / counting:,.0f} a second, the slowest {1000 * slowest:.1f} ms")
    print(f"listing    {found / listing:,.0f} assignments a second ({found:,} in {listing:.1f} s)")
    single, equivalent = sum(k == 1 for k in numbers) / n, sum(every) / sum(numbers)
    print(f"numbers    quartiles {', '.join(f'{q:,}' for q in quartiles)}; one only {100 * single:.1f} %")
    print(f"equivalent {equivalent:.1f} times as many with equivalent ones")
    print(
        f"largest    {numbers[largest]:,} for {crystal.formula} in space group {crystal.space_group},"
        f" {sum(cases[largest][1])} atoms"
    )
    print(f"listed in full: {complete} crystals, {missing} of them without the crystal's own assignment")


if __name__ == "__main__":
    main()
