"""What the network of the prior is trained on: exact log-likelihoods of known assignments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crystalsmith.networks.assignment_network import AssignmentNetwork
from crystalsmith.training.prior_examples import PriorBatch, PriorExamples


@dataclass(frozen=True)
class LogLikelihoods:
    """Natural logarithms by crystal, (B,) each.

    Attributes:
        units: of the number of formula units in the primitive cell, given elements and ratio.
        group: of the space group, given the composition of the primitive cell.
        positions: of the canonical assignment, given the group and numbers of atoms or of sites.
    """

    units: Tensor
    group: Tensor
    positions: Tensor


def log_likelihoods(network: AssignmentNetwork, b: PriorBatch) -> LogLikelihoods:
    """What the network thinks of a batch of known crystals."""
    most = int(b.most.max())
    units = network.units(b.ratio, most)
    units = units.masked_fill(torch.arange(1, most + 1) > b.most[:, None], -torch.inf).log_softmax(1)
    group = network.groups(b.counts).masked_fill(~b.groups, -torch.inf).log_softmax(1)
    logits = network.positions(b.numbers, b.group, b.steps, b.candidates)
    # Padded steps allow nothing; anything will do there.
    allowed = b.allowed | ~b.real[:, :, None]
    chosen = logits.masked_fill(~allowed, -torch.inf).log_softmax(2).gather(2, b.taken[:, :, None])[:, :, 0]
    return LogLikelihoods(
        units=units.gather(1, b.units[:, None] - 1)[:, 0],
        group=group.gather(1, b.group[:, None])[:, 0],
        positions=torch.where(b.real, chosen, 0.0).sum(1),
    )


@torch.no_grad()
def validate_prior(network: AssignmentNetwork, examples: PriorExamples, size: int = 256) -> dict[str, float]:
    """Mean log-likelihoods of held-out crystals, nats a crystal.

    Returns:
        ``units``, ``group``, and the positions given atoms (``atoms``) and given numbers of sites
        (``sites``).
    """
    was_training = network.training
    network.eval()
    sums = dict.fromkeys(("units", "group", "atoms", "sites"), 0.0)
    for rows in np.array_split(np.argsort(examples.length), max(1, len(examples) // size)):
        for by_sites in (False, True):
            found = log_likelihoods(network, examples.batch(rows, np.full(len(rows), by_sites)))
            sums["sites" if by_sites else "atoms"] += float(found.positions.sum())
        sums["units"] += float(found.units.sum())
        sums["group"] += float(found.group.sum())
    network.train(was_training)
    return {name: total / len(examples) for name, total in sums.items()}
