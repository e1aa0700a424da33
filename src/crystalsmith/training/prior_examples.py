"""Known assignments as the network of the prior sees them in training: tensors of one batch after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd

import numpy as np
import torch
from torch import Tensor

from crystalsmith.assignments import CompositionPlan, Plan, SitePlan
from crystalsmith.assignments.possible_groups import possible_groups
from crystalsmith.networks.assignment_network import ATOMS, RATIO, SITES, Elements, Steps
from crystalsmith.prior.filling import allowed_of, candidates_of, fill, padded, steps_of
from crystalsmith.prior.known import Known


@dataclass(frozen=True)
class PriorBatch:
    """Targets and inputs of B crystals; padded to E elements and T sites.

    Attributes:
        ratio, counts, numbers: the elements with what the three questions are told of them.
        units, most: (B,) formula units in the primitive cell, and how many could be.
        group, groups: (B,) space groups, and (B, 231) which could be.
        steps: of the filling.
        candidates: (B, PLACES) rows of the group's positions.
        allowed: (B, T, PLACES) boolean; taken: (B, T) positions; real: (B, T) no padding.
    """

    ratio: Elements
    counts: Elements
    numbers: Elements
    units: Tensor
    most: Tensor
    group: Tensor
    groups: Tensor
    steps: Steps
    candidates: Tensor
    allowed: Tensor
    taken: Tensor
    real: Tensor


class PriorExamples:
    """Known assignments with their fillings under both plans.

    Args:
        known: crystals.
        max_atoms: atoms in the largest primitive cell; what plans and numbers of formula units go up to.
    """

    def __init__(self, known: list[Known], max_atoms: int) -> None:
        self.known, self.max_atoms = known, max_atoms
        plans: dict[tuple[object, ...], Plan] = {}

        def plan(kind: type[CompositionPlan] | type[SitePlan], *key: object) -> Plan:
            if (kind, *key) not in plans:
                plans[(kind, *key)] = kind(*key)  # type: ignore[arg-type]
            return plans[(kind, *key)]

        self.by_atoms = [fill(plan(CompositionPlan, k.space_group, k.counts), k.assignment) for k in known]
        self.by_sites = [fill(plan(SitePlan, k.space_group, k.sites, max_atoms), k.assignment) for k in known]
        self.length = np.array([sum(k.sites) for k in known])

    def __len__(self) -> int:
        return len(self.known)

    def epoch(self, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Rows of one batch after another, each crystal once, those of a batch of similar length."""
        order = rng.permutation(len(self))
        chunks = [
            chunk[np.argsort(self.length[chunk], kind="stable")]
            for chunk in np.array_split(order, max(1, len(order) // (50 * size)))
        ]
        batches = [b for chunk in chunks for b in np.array_split(chunk, max(1, len(chunk) // size))]
        for k in rng.permutation(len(batches)):
            yield batches[int(k)]

    def batch(self, rows: np.ndarray, by_sites: np.ndarray, known: Tensor | None = None) -> PriorBatch:
        """The tensors of some rows.

        Args:
            rows: (B,).
            by_sites: (B,) boolean: told the numbers of sites in place of those of atoms.
            known: (B, 119) 0 for elements that are told by their properties alone.
        """
        crystals = [self.known[int(r)] for r in rows]
        fillings = [
            (self.by_sites if s else self.by_atoms)[int(r)] for r, s in zip(rows, by_sites, strict=True)
        ]
        n, t = max(len(k.elements) for k in crystals), max(len(f.taken) for f in fillings)
        number = padded([k.elements for k in crystals], n)
        counts = padded([k.counts for k in crystals], n)
        units = torch.tensor([gcd(*k.counts) for k in crystals])
        ratio = counts // units[:, None]
        most = (self.max_atoms // ratio.sum(1)).clamp(min=1)
        told = counts.clone()
        kind = torch.full((len(rows),), ATOMS)
        sites = torch.tensor(by_sites)
        told[sites] = padded([k.sites for k in crystals], n)[sites]
        kind[sites] = SITES
        hidden = None if known is None else torch.gather(known, 1, number)

        def elements(count: Tensor, what: Tensor) -> Elements:
            return Elements(number, count, what, hidden)

        groups = [k.space_group for k in crystals]
        return PriorBatch(
            ratio=elements(ratio, torch.full((len(rows),), RATIO)),
            counts=elements(counts, torch.full((len(rows),), ATOMS)),
            numbers=elements(told, kind),
            units=units,
            most=most,
            group=torch.tensor(groups),
            groups=torch.from_numpy(np.stack([possible_groups(k.counts) for k in crystals])),
            steps=steps_of(fillings, groups),
            candidates=candidates_of(groups),
            allowed=allowed_of(fillings),
            taken=padded([f.taken for f in fillings], t),
            real=padded([[1] * len(f.taken) for f in fillings], t) > 0,
        )
