"""A function over many items: order, failures, time limits, dead workers."""

import os
import time

import pytest

from crystalsmith.errors import StructureError
from crystalsmith.runs.pool import DIED, Failed, available_cores, guarded, parallel_map


def work(x):
    if x == "die":
        os._exit(9)
    if x == "hang":
        while True:
            time.sleep(0.01)
    if x == "refuse":
        raise StructureError("flat cell: no volume")
    if x == "crash":
        raise ZeroDivisionError("here")
    if x == "swallow":  # a library that takes any exception for its own
        while True:
            try:
                time.sleep(0.01)
            except Exception:
                pass
    return x * 2


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_items_and_failures_cost_one_item(workers):
    items = [1, "refuse", 3, "crash", "ab"]
    seen = []
    results = parallel_map(work, items, workers=workers, chunk=2, on_done=seen.extend)
    assert results[0] == 2 and results[2] == 6 and results[4] == "abab"
    assert results[1] == Failed("flat cell: no volume")
    assert results[3] == Failed("ZeroDivisionError: here")
    assert sorted(place for place, _, _ in seen) == list(range(5))
    assert all(seconds >= 0 for _, _, seconds in seen)


@pytest.mark.parametrize("item", ["hang", "swallow"])
def test_what_takes_too_long_is_stopped(item):
    began = time.monotonic()
    assert guarded(work, item, 0.2) == Failed("took longer than 0.2 s")
    assert time.monotonic() - began < 5
    assert guarded(work, 4, 0.2) == 8


def test_an_item_that_kills_its_process_costs_only_itself():
    items = [*range(20), "die", *range(20, 30), "die"]
    results = parallel_map(work, items, workers=2, chunk=4)
    expected = [Failed(DIED) if x == "die" else x * 2 for x in items]
    assert results == expected


def test_no_items_and_cores():
    assert parallel_map(work, []) == []
    assert available_cores() >= 1
