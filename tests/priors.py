"""A small untrained network of the prior, loud enough to prefer some answers, and crystals that it knows."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

from crystals import KNOWN
from crystalsmith.data import pack
from crystalsmith.data.wyckoff import Occupations, occupations
from crystalsmith.networks.assignment_network import AssignmentNetwork, AssignmentNetworkConfig
from crystalsmith.prior import AssignmentPrior, Prototypes, known_assignments
from fake_model import FakeModel

TINY = AssignmentNetworkConfig(width=8, heads=2, layers=1)


def small_network(seed: int = 0) -> AssignmentNetwork:
    """Random weights; its answers differ by factors, not by percents."""
    torch.manual_seed(seed)
    network = AssignmentNetwork(TINY)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(0.4 * torch.randn_like(p))
        last = network.position_key[2]
        assert isinstance(last, torch.nn.Linear)
        last.weight.mul_(3)  # what tells the positions of one group apart is little otherwise
    return network.eval()


@cache
def known_occupations() -> Occupations:
    """The published crystals as a checkpoint keeps them."""
    return occupations(pack(list(KNOWN.values())))


@cache
def small_prior(prototypes: bool = False) -> AssignmentPrior:
    """With or without the published crystals."""
    known = Prototypes(known_assignments(known_occupations())) if prototypes else None
    return AssignmentPrior(small_network(), known)


def clever(**options: Any) -> FakeModel:
    """A model without a denoiser, but with a prior."""
    return FakeModel(prior=small_network(), occupations=known_occupations(), **options)
