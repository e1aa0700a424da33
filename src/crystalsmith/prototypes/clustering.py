"""Crystals of one arrangement that are alike: clusters of free parameters and of the cell's shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crystalsmith.assignments import Assignment, positions_of
from crystalsmith.prototypes.alignment import Move, fit, moves
from crystalsmith.prototypes.arrangements import Members
from crystalsmith.symmetry import strain_to_lattice, tables

RADII = ((0.10, 0.08), (0.18, 0.20))
"""How far a member may be from the centre: root mean square of the atoms, in (volume / atoms)^(1/3), and of
the cell's shape, the norm of the difference of the log-strains.

First the narrow ones; what is left alone is then gathered in wide ones, which still lead to the right basin.
"""

TRIED = 4
"""Members that are tried as the middle of the next cluster."""

_ROUNDS = 3
"""Times that the members are laid on the centre anew."""


@dataclass(frozen=True, eq=False)
class Cluster:
    """Crystals that are alike.

    Attributes:
        number, slots: their arrangement.
        w: (n, 3) torus coordinates of the centre, slot by slot, in [0, 1).
        strain: (6,) log-strain of the centre without its isotropic part.
        ratio: logarithm of the volume over that of the atoms, the mean.
        spread: root mean square distance of the atoms from the centre's, in (volume / atoms)^(1/3).
        strain_spread, ratio_spread: root mean square of the same of strains and ratios.
        rows: (m,) the members in the data set.
        elements: (m, k) atomic numbers on each slot.
        e_above_hull: (m,) eV/atom, NaN where unknown.
    """

    number: int
    slots: Assignment
    w: np.ndarray
    strain: np.ndarray
    ratio: float
    spread: float
    strain_spread: float
    ratio_spread: float
    rows: np.ndarray
    elements: np.ndarray
    e_above_hull: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)


def unit_lattice(number: int, slots: Assignment, strain: np.ndarray) -> np.ndarray:
    """(3, 3) conventional lattice of a log-strain with a volume of 1 per atom."""
    size = tables().multiplicity
    first = positions_of(number).first
    atoms = sum(int(size[first + p]) for slot in slots for p in slot)
    return strain_to_lattice(number, strain, float(atoms))


def clusters_of(
    members: Members, radii: Sequence[tuple[float, float]] = RADII, least: int = 2
) -> list[Cluster]:
    """Clusters of at least so many members; a crystal is in one at most.

    Args:
        members: crystals of one arrangement.
        radii: see ``RADII``.
        least: members that a cluster needs.
    """
    ways = moves(members.number, members.slots, members.slots)
    left = np.arange(len(members.rows))
    found: list[Cluster] = []
    for apart, strained in radii:
        more, left = _gathered(members, ways, left, apart, strained, least)
        found += more
    return found


def _gathered(
    members: Members, ways: tuple[Move, ...], rest: np.ndarray, apart: float, strained: float, least: int
) -> tuple[list[Cluster], np.ndarray]:
    """Clusters of one radius among some members, and who is in none."""
    found: list[Cluster] = []
    alone: list[np.ndarray] = []
    while len(rest) >= least:
        tried = rest[np.unique(np.linspace(0, len(rest) - 1, min(TRIED, len(rest))).astype(int))]
        best = max((_around(members, ways, rest, i, apart, strained) for i in tried.tolist()), key=len)
        if len(best) < least:
            alone.append(tried)
            rest = rest[~np.isin(rest, tried)]
            continue
        cluster, inside = _settled(members, ways, rest, best, apart, strained)
        if len(inside) >= least:
            found.append(cluster)
            rest = rest[~np.isin(rest, inside)]
        else:
            alone.append(tried)
            rest = rest[~np.isin(rest, tried)]
    return found, np.sort(np.concatenate([rest, *alone]))


def _around(
    members: Members, ways: tuple[Move, ...], rest: np.ndarray, i: int, apart: float, strained: float
) -> np.ndarray:
    """Those near a member, itself first."""
    alike = rest[np.linalg.norm(members.strain[rest] - members.strain[i], axis=1) <= strained]
    lattice = unit_lattice(members.number, members.slots, members.strain[i])
    fitted = fit(
        members.number, members.slots, members.w[i], lattice, members.slots, members.w[alike], ways, apart
    )
    near = alike[fitted.distance <= apart]
    return np.concatenate([[i], near[near != i]])


def _settled(
    members: Members,
    ways: tuple[Move, ...],
    rest: np.ndarray,
    inside: np.ndarray,
    apart: float,
    strained: float,
) -> tuple[Cluster, np.ndarray]:
    """The cluster around the mean of some members, and who is in it; the first of them is the medoid."""
    w, strain = members.w[inside[0]], members.strain[inside[0]]
    number, slots = members.number, members.slots
    for round_ in range(_ROUNDS):
        lattice = unit_lattice(number, slots, strain)
        if round_:
            alike = rest[np.linalg.norm(members.strain[rest] - strain, axis=1) <= strained]
            fitted = fit(number, slots, w, lattice, slots, members.w[alike], ways, apart)
            near = fitted.distance <= apart
            if near.sum() < 2:
                break
            inside = alike[near]
            laid, chosen, distance = fitted.w[near], fitted.move[near], fitted.distance[near]
        else:
            fitted = fit(number, slots, w, lattice, slots, members.w[inside], ways)
            laid, chosen, distance = fitted.w, fitted.move, fitted.distance
        w, strain = laid.mean(0), members.strain[inside].mean(0)
    order = np.array([ways[k].slots for k in chosen])
    ratio = members.ratio[inside]
    cluster = Cluster(
        number=number,
        slots=slots,
        w=w - np.floor(w),
        strain=strain,
        ratio=float(ratio.mean()),
        spread=float(np.sqrt(np.mean(distance**2))),
        strain_spread=float(np.sqrt(np.mean(np.sum((members.strain[inside] - strain) ** 2, axis=1)))),
        ratio_spread=float(ratio.std()),
        rows=members.rows[inside],
        elements=np.take_along_axis(members.elements[inside], order, axis=1),
        e_above_hull=members.e_above_hull[inside],
    )
    return cluster, inside
