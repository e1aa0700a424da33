"""Held-out log-likelihood of the prior over Wyckoff positions, beside the frequency table's.

    python benchmarks/prior.py mp20_test.safetensors -n 1000

Natural logarithms, means over crystals: of the number of formula units in the primitive cell, of the space
group given the composition, of the assignment given group and composition, and of the assignment given group
and numbers of sites, for which the frequency table has an answer too. Equivalent assignments count as one.
Then how often the crystal's own assignment, its group and the number of formula units with it, is the first,
among the first 5 and the first 20 of the list: given the atoms of the primitive cell, and given the formula
alone with cells of up to 200 atoms.
"""

from __future__ import annotations

import argparse
import os
import time
from math import factorial, gcd, log, prod

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from checkpoints import add_checkpoint

from crystalsmith.assignments import Formula, images, positions_of, to_pairs
from crystalsmith.crystal.elements import SYMBOLS
from crystalsmith.data import Dataset
from crystalsmith.data.wyckoff import occupations
from crystalsmith.diffusion import Model, load_model
from crystalsmith.orders.bounds import Bounds
from crystalsmith.orders.formula import FormulaKind
from crystalsmith.orders.frequencies import WyckoffPrior
from crystalsmith.prior import (
    AssignmentPrior,
    Known,
    KnownCrystals,
    Prototypes,
    known_assignments,
    likely_choices,
    worth_a_look,
)

ORDERS = 64
LARGEST = 200
WIDTH = 40


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


def place(prior: AssignmentPrior, k: Known, most: int) -> int:
    """Where the crystal's own assignment stands among the likely ones, from 0; beyond all if it is none.

    Args:
        prior: whose list.
        k: the crystal.
        most: atoms in the largest cell that is looked at; 0 where the crystal's own is given.
    """
    units = gcd(*k.counts)
    ratio = tuple(n // units for n in k.counts)
    formula = Formula(tuple((SYMBOLS[z], n) for z, n in zip(k.elements, ratio, strict=True)))
    bounds = Bounds() if most else Bounds(atoms=sum(k.counts))
    cells = worth_a_look(prior, k.elements, ratio, FormulaKind(formula).cells(bounds, max(most, sum(ratio))))
    symbols = [SYMBOLS[z] for z in k.elements]
    own = k.space_group, to_pairs(k.space_group, symbols, k.assignment)
    found = [(r.space_group, r.sites) for r in likely_choices(prior, k.elements, ratio, cells, WIDTH)]
    return found.index(own) if own in found else len(found) + WIDTH


def main() -> None:
    """Parse arguments, evaluate, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("-n", type=int, default=1000)
    p.add_argument("--seed", type=int, default=0)
    add_checkpoint(p)
    p.add_argument("--known", help="data file whose crystals are the prototypes, not the checkpoint's")
    p.add_argument("--max-atoms", type=int, help="largest cell that is asked for; else what the model saw")
    a = p.parse_args()
    model = load_model(a.checkpoint)
    assert isinstance(model, Model) and model.prior is not None
    limit = a.max_atoms or model.max_atoms
    held = known_assignments(occupations(Dataset.open(a.data).subset(max_atoms=limit)))
    held = [held[int(i)] for i in np.random.default_rng(a.seed).permutation(len(held))[: a.n]]
    known = occupations(Dataset.open(a.known)) if a.known else model.occupations
    prototypes = Prototypes(KnownCrystals.read(known))
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
        for words, most in (("atoms given", 0), ("formula alone", LARGEST)):
            began = time.time()
            places = np.array([place(prior, k, most) for k in held])
            first, five, twenty = (100 * (places < n).mean() for n in (1, 5, 20))
            seconds = (time.time() - began) / len(held)
            print(
                f"  {words:32} first {first:5.1f} %  of 5 {five:5.1f} %  of 20 {twenty:5.1f} %"
                f"   ({1000 * seconds:.0f} ms a crystal)",
                flush=True,
            )


if __name__ == "__main__":
    main()
