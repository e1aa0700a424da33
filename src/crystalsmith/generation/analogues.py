"""Wyckoff letters by analogy: sites take the letters that similar elements have in a known crystal.

Every training crystal of the same space group with as many sites for each element, in any assignment of its
elements to those asked for, is an analogue. Its weight falls with the dissimilarity d of the elements, summed
over them, as (1 + d / (2 k h^2))^-k. One analogue is drawn by weight and its letters are taken over. Where no
analogue is close, the sum of weights is small beside a constant, and letters are drawn from frequencies
instead; so are some everywhere, which is how letters come about that no training crystal has.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from itertools import permutations, product

import numpy as np

from crystalsmith.crystal import NUMBERS
from crystalsmith.crystal.properties import dissimilarity
from crystalsmith.data.wyckoff import Occupations
from crystalsmith.symmetry import SpaceGroup, tables
from crystalsmith.symmetry.spacegroup import letter_name

# Best likelihood of the letters of held-out crystals; flat around it.
_WIDTH, _POWER = 0.3, 3.0
_FREQUENCIES = 1e-3

_MOST_ASSIGNMENTS = 5040  # of elements to those of an analogue; orders with more are left to frequencies


class Analogues:
    """Known crystals, ready to lend their letters.

    Args:
        known: who sits where in them.
    """

    def __init__(self, known: Occupations) -> None:
        self._known = known
        self._of_group = lru_cache(maxsize=230)(self._read_group)
        self._weights = lru_cache(maxsize=1024)(self._weigh)

    def __len__(self) -> int:
        return len(self._known)

    def draw(
        self,
        group: SpaceGroup,
        sites: Mapping[str, int],
        rng: np.random.Generator,
        max_atoms: int | None = None,
    ) -> tuple[tuple[str, str], ...] | None:
        """Draw an analogue and take over its letters.

        Args:
            group: the space group.
            sites: inequivalent sites by element; the order of the elements does not matter.
            rng: source of randomness.
            max_atoms: largest primitive cell.

        Returns:
            (element, letter) for every site, sorted by letter, then element; None where frequencies decide.
        """
        order = sorted(sites, key=lambda e: (sites[e], NUMBERS[e]))
        key = tuple((NUMBERS[e], sites[e]) for e in order)
        edges, choices = self._weights(group.number, key, max_atoms)
        # The constant comes first, so that rounding at the upper end cannot reach beyond the last analogue.
        point = rng.random() * (edges[-1] + _FREQUENCIES) - _FREQUENCIES if len(edges) else -1.0
        if point < 0:
            return None
        row = min(int(np.searchsorted(edges, point, side="right")), len(edges) - 1)
        pairs = [
            (int(tables().letter[y]), element)
            for element, positions in zip(order, choices[row], strict=True)
            for y in positions
        ]
        return tuple((element, letter_name(letter)) for letter, element in sorted(pairs))

    def probability(
        self, group: SpaceGroup, sites: Mapping[str, int], max_atoms: int | None = None
    ) -> tuple[float, dict[tuple[tuple[int, ...], ...], float]]:
        """Chance that frequencies decide, and of each distinct choice by analogy.

        A choice lists the rows in ``Tables`` of each element's sites, elements by number of sites and atomic
        number.
        """
        order = sorted(sites, key=lambda e: (sites[e], NUMBERS[e]))
        edges, choices = self._weights(group.number, tuple((NUMBERS[e], sites[e]) for e in order), max_atoms)
        if not len(edges):
            return 1.0, {}
        total = edges[-1] + _FREQUENCIES
        result: dict[tuple[tuple[int, ...], ...], float] = defaultdict(float)
        for weight, choice in zip(np.diff(edges, prepend=0.0), choices, strict=True):
            result[choice] += float(weight / total)
        return _FREQUENCIES / total, dict(result)

    def _read_group(
        self, number: int
    ) -> dict[tuple[int, ...], tuple[np.ndarray, list[tuple[tuple[int, ...], ...]]]]:
        """Crystals of a space group by sites of each element, ascending: elements (n, m), their positions."""
        o = self._known
        found: dict[tuple[int, ...], tuple[list[list[int]], list[tuple[tuple[int, ...], ...]]]] = {}
        for i in np.flatnonzero(o.space_group == number).tolist():
            rows = slice(int(o.start[i]), int(o.start[i + 1]))
            sites: dict[int, list[int]] = defaultdict(list)
            for z, y in zip(o.element[rows].tolist(), o.wyckoff[rows].tolist(), strict=True):
                sites[z].append(y)
            order = sorted(sites, key=lambda z, s=sites: (len(s[z]), z))  # type: ignore[misc]
            elements, positions = found.setdefault(tuple(len(sites[z]) for z in order), ([], []))
            elements.append(order)
            positions.append(tuple(tuple(sites[z]) for z in order))
        return {sizes: (np.array(e), p) for sizes, (e, p) in found.items()}

    def _weigh(
        self, number: int, key: tuple[tuple[int, int], ...], max_atoms: int | None
    ) -> tuple[np.ndarray, list[tuple[tuple[int, ...], ...]]]:
        """Cumulative weights of all analogues, and the positions that each gives to the elements."""
        sizes = tuple(n for _, n in key)
        elements, positions = self._of_group(number).get(sizes, (np.zeros((0, len(key)), int), []))
        if len(positions) and max_atoms is not None:
            m = tables().multiplicity_primitive
            fits = [sum(int(m[y]) for ys in p for y in ys) <= max_atoms for p in positions]
            elements = elements[np.array(fits)]
            positions = [p for p, f in zip(positions, fits, strict=True) if f]
        if not positions or math.prod(math.factorial(sizes.count(n)) for n in set(sizes)) > _MOST_ASSIGNMENTS:
            return np.zeros(0), []
        asked = np.array([z for z, _ in key])
        weights, choices = [], []
        for assignment in _assignments(sizes):
            d = dissimilarity()[asked[None, :], elements[:, assignment]].sum(1)
            weights.append((1 + d / (2 * _POWER * _WIDTH**2)) ** -_POWER)
            choices += [tuple(p[k] for k in assignment) for p in positions]
        return np.cumsum(np.concatenate(weights)), choices


def _assignments(sizes: tuple[int, ...]) -> list[list[int]]:
    """All ways to match elements with those of an analogue that have as many sites; sizes ascend."""
    blocks = [[k for k, n in enumerate(sizes) if n == size] for size in sorted(set(sizes))]
    return [[k for block in choice for k in block] for choice in product(*(permutations(b) for b in blocks))]
