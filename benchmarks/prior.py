"""Held-out log-likelihood of the prior over Wyckoff positions, beside the frequency table's.

    python benchmarks/prior.py mp20_test.safetensors -n 1000

Natural logarithms, means over crystals: of the number of formula units in the primitive cell, of the space
group given the composition, of the assignment given group and composition, and of the assignment given group
and numbers of sites, for which the frequency table has an answer too. Equivalent assignments count as one.
"""

from __future__ import annotations

import argparse
import os
import time
from math import factorial, gcd, log, prod

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from crystalsmith.assignments import images, positions_of
from crystalsmith.data import Dataset
from crystalsmith.data.wyckoff import occupations
from crystalsmith.diffusion import Model, load_model
from crystalsmith.orders.frequencies import WyckoffPrior
from crystalsmith.prior import AssignmentPrior, Known, KnownCrystals, Prototypes, known_assignments

ORDERS = 64


def frequency_table(table: WyckoffPrior, k: Known, rng: np.random.Generator) -> float:
    """Log-probability by frequencies; the mean over random orders of filling, so an estimate.

    Drawing without replacement makes a probability hang on the order; see ``WyckoffPrior.draw``. The limit of
    the primitive cell is left out, which can only make the table look better.
    """
    p = table.probabilities(k.space_group, sum(k.sites))
    fixed = np.array(positions_of(k.space_group).fixed)
    total = 0.0
    for image in images(k.space_group, k.assignment):
        ways = prod(factorial(len(own)) // prod(factorial(own.count(x)) for x in set(own)) for own in image)
        letters = np.array([x for own in image for x in own])
        for _ in range(ORDERS):
            left, chance = p.copy(), 1.0
            for x in rng.permutation(letters):
                chance *= left[x] / left.sum()
                if fixed[x]:
                    left[x] = 0.0
            total += ways * chance / ORDERS
    return log(max(total, 1e-300))


def main() -> None:
    """Parse arguments, evaluate, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("-n", type=int, default=1000)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--checkpoint")
    a = p.parse_args()
    model = load_model(a.checkpoint)
    assert isinstance(model, Model) and model.prior is not None
    limit = model.max_atoms
    held = known_assignments(occupations(Dataset.open(a.data).subset(max_atoms=limit)))
    held = [held[int(i)] for i in np.random.default_rng(a.seed).permutation(len(held))[: a.n]]
    prototypes = Prototypes(KnownCrystals.read(model.occupations))
    table = WyckoffPrior(model.wyckoff_counts)
    rng = np.random.default_rng(a.seed)
    print(f"{len(held)} crystals of {a.data}, nats a crystal")
    print(f"{'':34} {'units':>8} {'group':>8} {'assignment | atoms':>20} {'assignment | sites':>20}")
    frequencies = np.mean([frequency_table(table, k, rng) for k in held])
    print(f"{'frequency table':34} {'':8} {'':8} {'':20} {frequencies:20.3f}")
    for name, prior in (
        ("network alone", AssignmentPrior(model.prior)),
        ("network and prototypes (shipped)", AssignmentPrior(model.prior, prototypes)),
    ):
        began = time.time()
        sums = np.zeros(4)
        for k in held:
            counts, units = k.counts, gcd(*k.counts)
            ratio = tuple(n // units for n in counts)
            cell = [(k.space_group, k.assignment)]
            sums += [
                prior.units(k.elements, ratio, limit // sum(ratio))[units - 1],
                prior.groups(k.elements, counts)[k.space_group],
                prior.assignments(k.elements, counts, cell)[0],
                prior.letters(k.elements, k.sites, cell, limit)[0],
            ]
        u, g, x, s = sums / len(held)
        seconds = (time.time() - began) / len(held)
        print(
            f"{name:34} {u:8.3f} {g:8.3f} {x:20.3f} {s:20.3f}   ({1000 * seconds:.0f} ms a crystal)",
            flush=True,
        )


if __name__ == "__main__":
    main()
