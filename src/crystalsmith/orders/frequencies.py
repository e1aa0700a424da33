"""Which Wyckoff letters a crystal's sites take, from frequencies alone.

Letters are drawn one site after another with probabilities that depend on the space group and on the number
of sites of the whole crystal. A letter without freedom is one set of points and can be taken once. Counts are
smoothed in two steps: towards the counts of neighbouring numbers of sites, and those towards a guess that
small orbits are likelier, so a group that was never seen works too.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crystalsmith.data.wyckoff import SITE_BINS, site_bin
from crystalsmith.errors import CheckpointError, OrderError
from crystalsmith.symmetry import SpaceGroup, space_group, tables

# Pseudo-counts of the two smoothing steps, and how much one bin tells about the next: best on held-out
# crystals, flat around it.
_TRUST_NEIGHBOURS = 5.0
_TRUST_GUESS = 2.0
_NEIGHBOUR = 0.3


def fewest_atoms(group: SpaceGroup, n_sites: int, taken: frozenset[str] | set[str] = frozenset()) -> int:
    """Fewest atoms that ``n_sites`` more sites add to the primitive cell, when some letters are ``taken``."""
    smallest_free = min(p.multiplicity_primitive for p in group.wyckoff.values() if p.dof)
    fixed = sorted(
        p.multiplicity_primitive
        for letter, p in group.wyckoff.items()
        if not p.dof and letter not in taken and p.multiplicity_primitive < smallest_free
    )[:n_sites]
    return sum(fixed) + (n_sites - len(fixed)) * smallest_free


def count_choices(group: SpaceGroup, sites: Mapping[str, int], max_atoms: int) -> int:
    """Number of distinct ways to give Wyckoff letters to the sites within a limit on the primitive cell.

    Args:
        group: the space group.
        sites: inequivalent sites by element.
        max_atoms: largest primitive cell that counts.

    Returns:
        The exact number; sites of one element are interchangeable.
    """
    shape = (*(n + 1 for n in sites.values()), max_atoms + 1)
    ways = np.zeros(shape, dtype=object)
    ways[(0,) * len(shape)] = 1
    for p in group.wyckoff.values():
        m = p.multiplicity_primitive
        if m > max_atoms:
            continue
        before = ways.copy()
        for axis in range(len(sites)):
            table, source = np.moveaxis(ways, axis, 0), np.moveaxis(before if p.dof == 0 else ways, axis, 0)
            for k in range(1, len(table)):
                table[k, ..., m:] += source[k - 1, ..., :-m]
    return int(ways[tuple(sites.values())].sum())


class WyckoffPrior:
    """Draws Wyckoff letters for the sites of an order.

    Args:
        counts: (1731, 6) how often each row of ``Tables`` was occupied in training, by ``SITE_BINS``; the
            checkpoint holds them.

    Raises:
        CheckpointError: counts of another shape, or negative ones.
    """

    def __init__(self, counts: np.ndarray) -> None:
        counts = np.asarray(counts)
        wanted = (len(tables().letter), len(SITE_BINS))
        if counts.shape != wanted or not np.all(counts >= 0):
            raise CheckpointError(
                f"the Wyckoff counts of the checkpoint have shape {counts.shape} instead of {wanted};"
                " use a checkpoint made by this version"
            )
        self._counts = counts.astype(float)

    def probabilities(self, which: int | str | SpaceGroup, n_sites: int) -> np.ndarray:
        """(letters,) probability of each letter of the group, a first, in a crystal of ``n_sites``."""
        group = space_group(which)
        rows = [p.index for p in group.wyckoff.values()]
        here = int(site_bin(n_sites))
        guess = np.array([1.0 / p.multiplicity_primitive for p in group.wyckoff.values()])
        nearness = _NEIGHBOUR ** np.abs(np.arange(len(SITE_BINS)) - here)
        broad = self._counts[rows] @ nearness + _TRUST_GUESS * guess / guess.sum()
        sharp = self._counts[rows, here] + _TRUST_NEIGHBOURS * broad / broad.sum()
        return sharp / sharp.sum()

    def draw(
        self,
        which: int | str | SpaceGroup,
        sites: Mapping[str, int],
        rng: np.random.Generator,
        max_atoms: int | None = None,
    ) -> tuple[tuple[str, str], ...]:
        """Draw letters for the sites, never an impossible set.

        Args:
            which: the space group.
            sites: inequivalent sites by element; the order of the elements does not matter.
            rng: source of randomness; the result depends on nothing else.
            max_atoms: largest primitive cell; at every site only letters are drawn that leave room for the
                rest.

        Returns:
            (element, letter) for every site, sorted by letter, then element.

        Raises:
            OrderError: if no choice of letters fits into ``max_atoms``.
        """
        group = space_group(which)
        elements = [element for element in sorted(sites) for _ in range(sites[element])]
        # Shuffled, so that no element has the first pick.
        elements = [elements[k] for k in np.argsort(rng.random(len(elements)), kind="stable")]
        least = fewest_atoms(group, len(elements))
        if max_atoms is not None and least > max_atoms:
            raise OrderError(
                f"{len(elements)} sites in {group.symbol} ({group.number}) make at least {least} atoms"
                f" in the primitive cell, more than the limit of {max_atoms}; ask for fewer sites"
            )
        probability = self.probabilities(group, len(elements))
        letters = list(group.wyckoff)
        taken: set[str] = set()
        room = max_atoms
        chosen: list[tuple[int, str]] = []
        for n, element in enumerate(elements):
            left = len(elements) - n - 1
            weight = np.array(
                [
                    0.0 if letter in taken or not _fits(group, letter, left, taken, room) else w
                    for letter, w in zip(letters, probability, strict=True)
                ]
            )
            edges = np.cumsum(weight)
            # The last letter with weight bounds the search against rounding at the upper end.
            k = min(
                int(np.searchsorted(edges, rng.random() * edges[-1], side="right")),
                int(np.flatnonzero(weight)[-1]),
            )
            position = group.wyckoff[letters[k]]
            if position.dof == 0:
                taken.add(position.letter)
            if room is not None:
                room -= position.multiplicity_primitive
            chosen.append((k, element))
        return tuple((element, letters[k]) for k, element in sorted(chosen))


def _fits(group: SpaceGroup, letter: str, left: int, taken: set[str], room: int | None) -> bool:
    """Whether ``left`` more sites still fit into ``room`` atoms after one on ``letter``."""
    if room is None:
        return True
    position = group.wyckoff[letter]
    gone = taken | {letter} if position.dof == 0 else taken
    return position.multiplicity_primitive + fewest_atoms(group, left, gone) <= room
