"""Every space group, and orders that nobody should send.

python benchmarks/robustness.py groups --each 20    # 230 groups x 20 random orders
python benchmarks/robustness.py malformed -n 10000  # random malformed orders
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from checkpoints import add_checkpoint


def groups(each: int, checkpoint: str | None, steps: int | None) -> None:
    """Random sites orders in all space groups."""
    from crystalsmith.diffusion import load_model
    from crystalsmith.errors import CrystalsmithError
    from crystalsmith.generation import generate_records
    from crystalsmith.orders import check_orders, parse_order

    torch.set_num_threads(1)
    model = load_model(checkpoint)
    elements = sorted(model.elements)
    rng = np.random.default_rng(0)
    orders, refused = [], Counter()
    for number in range(1, 231):
        for k in range(each):
            chosen = rng.choice(elements, size=int(rng.integers(1, 5)), replace=False)
            raw = {
                "id": f"{number}-{k}",
                "space_group": number,
                "sites": {str(e): int(rng.integers(1, 4)) for e in chosen},
                "count": 1,
            }
            try:
                order = parse_order(raw)
                check_orders([order], model)
                orders.append(order)
            except CrystalsmithError as e:
                refused[str(e).split(") ")[-1].split(" in the")[0][:60]] += 1
    start, made, failed, tries = time.time(), 0, Counter(), 0
    for g in generate_records(model, orders, seed=0, steps=steps):
        tries += g.tries
        if g.crystal is None:
            failed[str(g.failure)] += 1
        else:
            made += 1
    print(
        f"{230 * each} orders: {made} made in {tries} tries, {sum(refused.values())} refused, "
        f"{sum(failed.values())} failed, {time.time() - start:.0f} s"
    )
    for reason, n in (refused + failed).most_common(20):
        print(f"  {n} x {reason}")


def malformed(n: int) -> None:
    """Malformed orders from hypothesis."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    from crystalsmith.errors import CrystalsmithError
    from crystalsmith.orders import parse_order

    key = st.sampled_from(
        ["id", "space_group", "sites", "wyckoff", "count", "Count", "formula", "spacegroup"]
    ) | st.text(max_size=8)
    leaf = (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=12)
        | st.sampled_from(["Na", "Cl", "Xx", "a", "225", "Fm-3m"])
    )
    value = st.recursive(
        leaf,
        lambda c: st.lists(c, max_size=4) | st.dictionaries(st.text(max_size=3) | leaf, c, max_size=4),
        max_leaves=8,
    )
    seen: Counter[str] = Counter()

    @settings(max_examples=n, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(value | st.dictionaries(key, value, max_size=6))
    def one(order: object) -> None:
        try:
            parse_order(order)  # type: ignore[arg-type]
            seen["accepted"] += 1
        except CrystalsmithError as e:
            assert "\n" not in str(e)
            seen[type(e).__name__] += 1

    one()
    print(f"{sum(seen.values())} orders: {dict(seen)}, no traceback")


def main() -> None:
    """Parse arguments and run."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=["groups", "malformed"])
    p.add_argument("--each", type=int, default=20)
    p.add_argument("-n", type=int, default=10_000)
    add_checkpoint(p)
    p.add_argument("--steps", type=int)
    a = p.parse_args()
    if a.what == "groups":
        groups(a.each, a.checkpoint, a.steps)
    else:
        malformed(a.n)


if __name__ == "__main__":
    main()
