"""The prior: exact probabilities of cells, space groups and assignments, given a composition.

Known crystals and the network speak together. With prototypes of total weight w, those that agree with an
answer of weight w', and the network's probability q of it, the answer has the probability
(w' + c q) / (w + c): where similar crystals are known they decide, elsewhere the network does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from crystalsmith.assignments import Assignment, CompositionPlan, Plan, SitePlan, images, positions_of
from crystalsmith.assignments.possible_groups import possible_groups
from crystalsmith.networks.assignment_network import ATOMS, RATIO, SITES, AssignmentNetwork, Elements
from crystalsmith.prior.filling import allowed_of, candidates_of, fill, padded, steps_of
from crystalsmith.prior.prototypes import Prototypes

# What the network's word weighs beside prototypes: between the best points of a coarse grid by the likelihood
# of 400 crystals of mp20_val, which is flat there.
TRUST_UNITS, TRUST_GROUPS, TRUST_ATOMS, TRUST_SITES = 0.3, 0.4, 0.06, 0.01

BATCH = 512

Key = tuple[int, ...]
Cell = tuple[int, Assignment]
"""Space group and assignment."""


class AssignmentPrior:
    """Probabilities of what crystals do. All logarithms are natural.

    Elements are atomic numbers, cations first (``formula_order``), with their numbers beside them.

    Args:
        network: the trained network.
        prototypes: known crystals; none to hear the network alone.
    """

    def __init__(self, network: AssignmentNetwork, prototypes: Prototypes | None = None) -> None:
        self.network = network.eval()
        self.prototypes = prototypes or Prototypes([])
        self._plans = lru_cache(maxsize=256)(_plan)
        self._units = lru_cache(maxsize=256)(self._units_of_network)
        self.groups_of_network = lru_cache(maxsize=256)(self._ask_groups)

    def units(self, elements: Key, ratio: Key, most: int) -> np.ndarray:
        """(most,) log-probabilities of 1, 2, ... smallest formula units in the primitive cell.

        Args:
            elements: E atomic numbers.
            ratio: atoms of each in the smallest formula unit.
            most: largest number that may be.
        """
        lent = self.prototypes.units(elements, ratio)
        weight = np.array([lent.get(k, 0.0) for k in range(1, most + 1)])
        q = np.exp(self._units(elements, ratio, most))
        return np.asarray(np.log((weight + TRUST_UNITS * q) / (weight.sum() + TRUST_UNITS)))

    def groups(self, elements: Key, counts: Key) -> np.ndarray:
        """(231,) log-probabilities of the space groups, -inf for those that cannot hold the composition.

        Args:
            elements: E atomic numbers.
            counts: atoms of each in the primitive cell.
        """
        weight = self._weight_of_groups(elements, counts)
        q = np.exp(self.groups_of_network(elements, counts))
        with np.errstate(divide="ignore"):
            return np.asarray(np.log((weight + TRUST_GROUPS * q) / (weight.sum() + TRUST_GROUPS)))

    def assignments(self, elements: Key, counts: Key, cells: Sequence[Cell]) -> np.ndarray:
        """(n,) log-probabilities of canonical assignments in their groups, given numbers of atoms.

        An assignment stands for all that are equivalent to it.
        """
        lent = self.prototypes.by_atoms(elements, counts)
        weight = self._weight_of_groups(elements, counts)
        base = TRUST_ATOMS * np.exp(self.groups_of_network(elements, counts))
        q = np.exp(self.network_assignments(elements, counts, cells))
        own = np.array([lent.get(cell, 0.0) for cell in cells])
        groups = np.array([g for g, _ in cells], dtype=int)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.log((own + base[groups] * q) / (weight[groups] + base[groups])))

    def letters(self, elements: Key, sites: Key, cells: Sequence[Cell], max_atoms: int) -> np.ndarray:
        """(n,) log-probabilities of canonical assignments in one group, given numbers of sites."""
        group = cells[0][0]
        lent = self.prototypes.by_sites(group, elements, sites)
        within = {c: w for c, w in lent.items() if _atoms(c) <= max_atoms}
        q = np.exp(self.network_assignments(elements, sites, cells, max_atoms))
        own = np.array([within.get(cell, 0.0) for cell in cells])
        return np.asarray(np.log((own + TRUST_SITES * q) / (sum(within.values()) + TRUST_SITES)))

    @torch.no_grad()
    def network_assignments(
        self, elements: Key, numbers: Key, cells: Sequence[Cell], max_atoms: int = 0
    ) -> np.ndarray:
        """(n,) log-probabilities by the network alone; numbers are of sites where ``max_atoms`` is not 0."""
        members = [(k, g, image) for k, (g, a) in enumerate(cells) for image in images(g, a)]
        logs = np.empty(len(members))
        for begin in range(0, len(members), BATCH):
            part = members[begin : begin + BATCH]
            fillings = [fill(self._plans(g, numbers, max_atoms), a) for _, g, a in part]
            groups = [g for _, g, _ in part]
            logits = self.network.positions(
                told(elements, numbers, SITES if max_atoms else ATOMS, len(part)),
                torch.tensor(groups),
                steps_of(fillings, groups),
                candidates_of(groups),
            )
            length = max(len(f.taken) for f in fillings)
            taken = padded([f.taken for f in fillings], length)
            real = torch.arange(length) < torch.tensor([len(f.taken) for f in fillings])[:, None]
            logits = logits.masked_fill(~(allowed_of(fillings) | ~real[:, :, None]), -torch.inf)
            chosen = logits.log_softmax(2).gather(2, taken[:, :, None])[:, :, 0]
            logs[begin : begin + len(part)] = torch.where(real, chosen, 0.0).sum(1).numpy()
        total = np.full(len(cells), -np.inf)
        np.logaddexp.at(total, [k for k, _, _ in members], logs)
        return total

    def plan(self, space_group: int, numbers: Key, max_atoms: int = 0) -> Plan:
        """Of exact numbers of atoms, or of sites where ``max_atoms`` is not 0."""
        return self._plans(space_group, numbers, max_atoms)

    def _weight_of_groups(self, elements: Key, counts: Key) -> np.ndarray:
        weight = np.zeros(231)
        for (group, _), w in self.prototypes.by_atoms(elements, counts).items():
            weight[group] += w
        return weight

    @torch.no_grad()
    def _units_of_network(self, elements: Key, ratio: Key, most: int) -> np.ndarray:
        return np.asarray(
            self.network.units(told(elements, ratio, RATIO), most)[0].log_softmax(0).double().numpy()
        )

    @torch.no_grad()
    def _ask_groups(self, elements: Key, counts: Key) -> np.ndarray:
        """(231,) log-probabilities by the network alone."""
        possible = torch.from_numpy(possible_groups(counts).copy())
        logits = self.network.groups(told(elements, counts, ATOMS))[0].masked_fill(~possible, -torch.inf)
        return np.asarray(logits.log_softmax(0).double().numpy())


def told(elements: Key, numbers: Key, kind: int, repeat: int = 1) -> Elements:
    """One composition for the network, several times over."""

    def whole(values: Key) -> Tensor:
        return torch.tensor(values)[None].expand(repeat, -1)

    return Elements(whole(elements), whole(numbers), torch.full((repeat,), kind))


def _plan(space_group: int, numbers: Key, max_atoms: int) -> Plan:
    return SitePlan(space_group, numbers, max_atoms) if max_atoms else CompositionPlan(space_group, numbers)


def _atoms(cell: Cell) -> int:
    size = positions_of(cell[0]).size
    return sum(size[p] for own in cell[1] for p in own)


def total(logs: np.ndarray) -> float:
    """Logarithm of the sum of probabilities given by logarithms (n,); -inf for none."""
    return float(np.logaddexp.reduce(logs)) if len(logs) else -math.inf
