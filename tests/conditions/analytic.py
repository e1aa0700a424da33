"""A model whose distribution is known: normal strains, positions anywhere."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from batches import VOLUMES
from crystalsmith.diffusion import LatticeField, LogSchedule, Model, PositionField, Statistics
from crystalsmith.diffusion.samplers import State
from crystalsmith.graph import CrystalBatch, Guide
from crystalsmith.networks import Denoiser, DenoiserConfig
from crystalsmith.symmetry import tables

LATTICE = LatticeField((0.1, 0.3, 0.3, 0.2, 0.2, 0.2), LogSchedule(0.02, 20.0))


class Known(Model):
    """Strains are normal with the field's scale, independent; positions are anywhere."""

    def denoise(self, batch: CrystalBatch, sigma: dict[str, Tensor], guide: Guide | None = None) -> State:
        width = sigma["lattice"][:, None]
        y = batch.strain / self.lattice.unit(batch.layout)
        eps = y * width / (1 + width**2) * batch.layout.strain_mask
        return {"position": torch.zeros_like(batch.w), "lattice": eps}


def known_model() -> Known:
    """In double precision."""
    torch.manual_seed(0)
    network = Denoiser(DenoiserConfig(scalars=16, vectors=4, edges=4, layers=1, form_factors=2)).double()
    counts = np.zeros((len(tables().dof), 6), np.int32)
    statistics = Statistics(np.array([0.0, *VOLUMES[1:]]), counts, np.bincount([11, 17], minlength=119), 20)
    return Known(network.eval(), PositionField(), LATTICE, statistics)
