"""How often the letters drawn for an order of sites are those of the real crystal it was made from.

    python benchmarks/letters.py mp20_test.safetensors -n 1000 --draws 20

Letters count as right when an element of the group's Euclidean normaliser takes them to the real ones. The
data file comes from ``crystalsmith data build``.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np
from checkpoints import add_checkpoint

from crystalsmith.crystal import Crystal
from crystalsmith.data import Dataset
from crystalsmith.diffusion import Model, load_model
from crystalsmith.generation.drafts import drafter_of
from crystalsmith.orders import Order
from crystalsmith.orders.limits import LETTERS
from crystalsmith.symmetry import space_group, tables

Pairs = tuple[tuple[str, str], ...]


def canonical(number: int, pairs: Pairs) -> tuple[tuple[str, int], ...]:
    """The smallest of all equivalent lists of (element, row in ``Tables``)."""
    t, group = tables(), space_group(number)
    count = t.normalizer_start[number] - t.normalizer_start[number - 1]
    rows = [(element, t.map_start[group.wyckoff[letter].index]) for element, letter in pairs]
    return min(tuple(sorted((e, int(t.map_to[row + k])) for e, row in rows)) for k in range(count))


def composition(number: int, pairs: Pairs) -> Counter[str]:
    """Atoms in the primitive cell."""
    group, result = space_group(number), Counter[str]()
    for element, letter in pairs:
        result[element] += group.wyckoff[letter].multiplicity_primitive
    return result


def main() -> None:
    """Parse arguments, draw, compare, print."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data")
    p.add_argument("-n", type=int, default=1000)
    p.add_argument("--draws", type=int, default=20)
    p.add_argument("--min-space-group", type=int, default=1)
    p.add_argument("--seed", type=int, default=0)
    add_checkpoint(p)
    a = p.parse_args()
    model = load_model(a.checkpoint)
    if not isinstance(model, Model) or model.prior is None:
        raise SystemExit("the checkpoint has no learned prior; add one with crystalsmith train-prior")
    data = Dataset.open(a.data).subset(min_space_group=a.min_space_group)
    rows = np.random.default_rng(a.seed).permutation(len(data))[: a.n]
    print(f"{len(model.occupations)} occupations known; {len(rows)} crystals, {a.draws} draws each")
    for letters in reversed(LETTERS):
        drafter = drafter_of(model, letters)
        right, stoichiometry, found, first = [], [], [], []
        for row in rows:
            crystal: Crystal = data[int(row)]
            truth = tuple((s.element, s.letter) for s in crystal.sites)
            target, atoms = canonical(crystal.space_group, truth), composition(crystal.space_group, truth)
            sites = Counter(element for element, _ in truth)
            order = Order(crystal.space_group, sites=dict(sites), count=a.draws)
            drawn = [
                drafter.draft(order, k, np.random.default_rng([a.seed, int(row), k]), 1).sites
                for k in range(a.draws)
            ]
            hits = [canonical(crystal.space_group, d) == target for d in drawn]
            right.append(np.mean(hits))
            found.append(any(hits))
            first.append(hits[0])
            stoichiometry.append(np.mean([composition(crystal.space_group, d) == atoms for d in drawn]))
        shares = [f"{100 * np.mean(x):.1f} %" for x in (first, right, stoichiometry, found)]
        print(
            f"{letters:12} right letters in the first draw {shares[0]}, in any one {shares[1]}, right"
            f" composition {shares[2]}, right letters among {a.draws} {shares[3]}",
            flush=True,
        )


if __name__ == "__main__":
    main()
