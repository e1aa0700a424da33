"""The prior: exact probabilities of cells, space groups and assignments, given a composition.

Known crystals and the network speak together. With prototypes of total weight w, those that agree with an
answer of weight w', and the network's probability q of it, the answer has the probability
(w' + c q) / (w + c): where similar crystals are known they decide, elsewhere the network does.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from typing import TypeVar

import numpy as np

from crystalsmith.assignments import Assignment, CompositionPlan, Plan, SitePlan, images, positions_of
from crystalsmith.assignments.possible_groups import possible_groups
from crystalsmith.networks.assignment_network import AssignmentNetwork
from crystalsmith.prior.filling import fill
from crystalsmith.prior.prototypes import Prototypes
from crystalsmith.prior.questions import AskGroups, AskPositions, AskUnits, Talk, hear, remembered

# What the network's word weighs beside prototypes: between the best points of a coarse grid by the likelihood
# of 400 crystals of mp20_val, which is flat there.
TRUST_UNITS, TRUST_GROUPS, TRUST_ATOMS, TRUST_SITES = 0.3, 0.4, 0.06, 0.01

Key = tuple[int, ...]
T = TypeVar("T")
Cell = tuple[int, Assignment]
"""Space group and assignment."""


class AssignmentPrior:
    """Probabilities of what crystals do. All logarithms are natural.

    Elements are atomic numbers, cations first (``formula_order``), with their numbers beside them. What needs
    the network is there twice: as a talk (``prior.questions``), for many at once, and answered.

    Args:
        network: the trained network; its answers are worked out in double precision, so that what is likelier
            does not hang on what else is asked at the same time.
        prototypes: known crystals; none to hear the network alone.
    """

    def __init__(self, network: AssignmentNetwork, prototypes: Prototypes | None = None) -> None:
        self.network = copy.deepcopy(network).double().eval()
        self.prototypes = prototypes or Prototypes([])
        self._plans = lru_cache(maxsize=1024)(_plan)
        self._units: dict[Hashable, np.ndarray] = {}
        self._groups: dict[Hashable, np.ndarray] = {}

    def hear(self, talk: Talk[T]) -> T:
        """Answer a talk to its end."""
        return hear(self.network, talk)

    def units(self, elements: Key, ratio: Key, most: int) -> np.ndarray:
        """(most,) log-probabilities of 1, 2, ... smallest formula units in the primitive cell.

        Args:
            elements: E atomic numbers.
            ratio: atoms of each in the smallest formula unit.
            most: largest number that may be.
        """
        return self.hear(self.ask_units(elements, ratio, most))

    def ask_units(self, elements: Key, ratio: Key, most: int) -> Talk[np.ndarray]:
        """``units`` as a talk."""
        lent = self.prototypes.units(elements, ratio)
        weight = np.array([lent.get(k, 0.0) for k in range(1, most + 1)])
        question = AskUnits(elements, ratio, most)
        q = np.exp((yield from remembered(self._units, question, question)))
        return np.asarray(np.log((weight + TRUST_UNITS * q) / (weight.sum() + TRUST_UNITS)))

    def groups(self, elements: Key, counts: Key) -> np.ndarray:
        """(231,) log-probabilities of the space groups, -inf for those that cannot hold the composition.

        Args:
            elements: E atomic numbers.
            counts: atoms of each in the primitive cell.
        """
        return self.hear(self.ask_groups(elements, counts))

    def ask_groups(self, elements: Key, counts: Key) -> Talk[np.ndarray]:
        """``groups`` as a talk."""
        weight = self._weight_of_groups(elements, counts)
        q = np.exp((yield from self.ask_groups_of_network(elements, counts)))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log((weight + TRUST_GROUPS * q) / (weight.sum() + TRUST_GROUPS)))

    def assignments(self, elements: Key, counts: Key, cells: Sequence[Cell]) -> np.ndarray:
        """(n,) log-probabilities of canonical assignments in their groups, given numbers of atoms.

        An assignment stands for all that are equivalent to it.
        """
        return self.hear(self.ask_assignments(elements, counts, cells))

    def ask_assignments(self, elements: Key, counts: Key, cells: Sequence[Cell]) -> Talk[np.ndarray]:
        """``assignments`` as a talk."""
        lent = self.prototypes.by_atoms(elements, counts)
        weight = self._weight_of_groups(elements, counts)
        base = TRUST_ATOMS * np.exp((yield from self.ask_groups_of_network(elements, counts)))
        q = np.exp((yield from self.ask_network_assignments(elements, counts, cells)))
        own = np.array([lent.get(cell, 0.0) for cell in cells])
        groups = np.array([g for g, _ in cells], dtype=int)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log((own + base[groups] * q) / (weight[groups] + base[groups])))

    def letters(self, elements: Key, sites: Key, cells: Sequence[Cell], max_atoms: int) -> np.ndarray:
        """(n,) log-probabilities of canonical assignments in one group, given numbers of sites."""
        return self.hear(self.ask_letters(elements, sites, cells, max_atoms))

    def ask_letters(
        self, elements: Key, sites: Key, cells: Sequence[Cell], max_atoms: int
    ) -> Talk[np.ndarray]:
        """``letters`` as a talk."""
        group = cells[0][0]
        lent = self.prototypes.by_sites(group, elements, sites)
        within = {c: w for c, w in lent.items() if _atoms(c) <= max_atoms}
        q = np.exp((yield from self.ask_network_assignments(elements, sites, cells, max_atoms)))
        own = np.array([within.get(cell, 0.0) for cell in cells])
        return np.asarray(np.log((own + TRUST_SITES * q) / (sum(within.values()) + TRUST_SITES)))

    def network_assignments(
        self, elements: Key, numbers: Key, cells: Sequence[Cell], max_atoms: int = 0
    ) -> np.ndarray:
        """(n,) log-probabilities by the network alone; numbers are of sites where ``max_atoms`` is not 0."""
        return self.hear(self.ask_network_assignments(elements, numbers, cells, max_atoms))

    def ask_network_assignments(
        self, elements: Key, numbers: Key, cells: Sequence[Cell], max_atoms: int = 0
    ) -> Talk[np.ndarray]:
        """``network_assignments`` as a talk."""
        members = [(k, g, image) for k, (g, a) in enumerate(cells) for image in images(g, a)]
        fillings = [fill(self._plans(g, numbers, max_atoms), a) for _, g, a in members]
        groups = [g for _, g, _ in members]
        (logs,) = yield [AskPositions(elements, numbers, max_atoms > 0, groups, fillings, whole=True)]
        total = np.full(len(cells), -np.inf)
        np.logaddexp.at(total, [k for k, _, _ in members], logs)
        return total

    def ask_groups_of_network(self, elements: Key, counts: Key) -> Talk[np.ndarray]:
        """Finds out (231,) log-probabilities of the space groups by the network alone."""
        question = AskGroups(elements, counts, possible_groups(counts))
        return (yield from remembered(self._groups, question, (elements, counts)))

    def plan(self, space_group: int, numbers: Key, max_atoms: int = 0) -> Plan:
        """Of exact numbers of atoms, or of sites where ``max_atoms`` is not 0."""
        return self._plans(space_group, numbers, max_atoms)

    def _weight_of_groups(self, elements: Key, counts: Key) -> np.ndarray:
        weight = np.zeros(231)
        for (group, _), w in self.prototypes.by_atoms(elements, counts).items():
            weight[group] += w
        return weight


def _plan(space_group: int, numbers: Key, max_atoms: int) -> Plan:
    return SitePlan(space_group, numbers, max_atoms) if max_atoms else CompositionPlan(space_group, numbers)


def _atoms(cell: Cell) -> int:
    size = positions_of(cell[0]).size
    return sum(size[p] for own in cell[1] for p in own)


def total(logs: np.ndarray) -> float:
    """Logarithm of the sum of probabilities given by logarithms (n,); -inf for none."""
    return float(np.logaddexp.reduce(logs)) if len(logs) else -math.inf
