"""Make ``crystal/bonds.npz``: how close atoms of two elements come in real crystals.

    python tools/make_bond_table.py TRAIN.safetensors

TRAIN is a file of ``crystalsmith data build`` (the Materials Project's crystals that the network was trained
on). For each ordered pair of elements the second shortest distance from an atom of the one to its first,
second, third and fourth neighbour of the other is kept, over crystals: no single crystal decides.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from crystalsmith.crystal import NUMBERS, SYMBOLS, Crystal
from crystalsmith.crystal.bonds import NEIGHBOURS, STEP, UNMET, neighbour_distances, radius_sums
from crystalsmith.data.dataset import Dataset

OUTPUT = Path(__file__).parents[1] / "src/crystalsmith/crystal/bonds.npz"

ELEMENTS = 101  # H to Fm
REACH = 1.6  # sums of covalent radii within which distances are looked at

NONMETALS = "H He B C N O F Ne Si P S Cl Ar Ge As Se Br Kr Sb Te I Xe At Rn".split()
MARGIN, MARGIN_METALS = 0.95, 0.85  # of the second shortest; bonds of metals are soft, drafts unrelaxed

# Crystals that met a pair, and at most so much of the sum of covalent radii for its limit: the fewer, the
# less is known of how close they come. Fitted: of 7,140 crystals that were not counted (mp20_val) one fails.
CAPS = ((2, UNMET), (5, 0.7), (20, 0.8), (100, 0.9))
CAPS_NONMETALS = ((2, UNMET), (5, 0.9))
CAP_SMALL, SMALL = 1.15, ("H", "F")  # molecules of the two smallest atoms are wider than their radii say


def main() -> None:
    """Read, take statistics, write."""
    sums = radius_sums("covalent")
    shortest: dict[tuple[int, int, int], list[float]] = defaultdict(list)
    for crystal in Dataset.open(sys.argv[1]):
        for key, length in shortest_of(crystal, sums).items():
            shortest[key].append(length)
    shares = np.zeros((ELEMENTS, ELEMENTS, NEIGHBOURS))
    for (a, b, k), lengths in shortest.items():
        if len(lengths) >= 2:
            second = float(np.partition(lengths, 1)[1]) / sums[a, b]
            shares[a, b, k] = limit(second, len(lengths), SYMBOLS[a], SYMBOLS[b])
    # Rounded down; a farther neighbour that was not met has the limit of the one before.
    steps = np.floor(np.maximum.accumulate(shares, axis=2) / STEP + 1e-9).astype(int)
    steps = np.diff(steps, axis=2, prepend=0).astype(np.uint8)
    np.savez_compressed(OUTPUT, steps=steps)
    print(f"{np.count_nonzero(shares[..., 0]):,} ordered pairs, {OUTPUT.stat().st_size:,} bytes")


def limit(second: float, crystals: int, first: str, other: str) -> float:
    """Of the second shortest distance in that many crystals, both in sums of covalent radii."""
    nonmetals = (first in NONMETALS) + (other in NONMETALS)
    caps = CAPS_NONMETALS if nonmetals == 2 else CAPS
    cap = max(value for least, value in caps if crystals >= least)
    if first == other and first in SMALL:
        cap = CAP_SMALL
    return min((MARGIN if nonmetals == 2 else MARGIN_METALS) * second, cap)


def shortest_of(crystal: Crystal, sums: np.ndarray) -> dict[tuple[int, int, int], float]:
    """For each ordered pair and neighbour the shortest distance in one crystal, by (centre, other, place)."""

    own = sorted({NUMBERS[site.element] for site in crystal.sites})
    found: dict[tuple[int, int, int], float] = {}
    centres, numbers, rows = neighbour_distances(crystal, REACH * float(sums[np.ix_(own, own)].max()))
    for a, distance in zip(centres.tolist(), rows, strict=True):
        for b in own:
            near = np.sort(distance[numbers == b].ravel())[:NEIGHBOURS]
            for k, length in enumerate(near[near < REACH * sums[a, b]].tolist()):
                found[a, b, k] = min(length, found.get((a, b, k), np.inf))
    return found


if __name__ == "__main__":
    main()
