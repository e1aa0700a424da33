"""A network's answers under conditions, as samplers take them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crystalsmith.conditions import Spread, Steering
from crystalsmith.diffusion.fields import LatticeField, PositionField
from crystalsmith.diffusion.samplers import Denoise, State
from crystalsmith.graph import Layout

TORUS = 12.0
"""One over the variance of an orthonormal coordinate of which nothing is known, of a period of one."""


class Steered:
    """A ``Denoise`` whose noise leads to clean crystals that satisfy conditions.

    Exactly known coordinates stand at their values at all noise levels: the network sees them without noise.

    Args:
        steering: the conditions.
        position, lattice: the fields.
        layout: of the batch.
        denoise: without conditions.
    """

    def __init__(
        self,
        steering: Steering,
        position: PositionField,
        lattice: LatticeField,
        layout: Layout,
        denoise: Denoise,
    ) -> None:
        self.steering, self.denoise = steering, denoise
        self.position, self.lattice, self.layout = position, lattice, layout

    def keep(self, state: State) -> State:
        """A state with its known coordinates."""
        w, strain = self.steering.keep(state["position"], state["lattice"])
        return {"position": w, "lattice": strain}

    def __call__(self, state: State, t: Tensor) -> State:
        lay, unit = self.layout, self.lattice.unit(self.layout)
        state = self.keep(state)
        eps = self.denoise(state, t)
        sigma, width = self.position.schedule.sigma(t), self.lattice.schedule.sigma(t)
        w = self.position.move(lay, state["position"], -sigma * eps["position"])
        strain = self.lattice.move(lay, state["lattice"], -width * eps["lattice"])
        spread = Spread(
            1 / math.sqrt(1 / float(sigma) ** 2 + TORUS),
            unit * width / torch.sqrt(1 + width**2),
            float(t),
        )
        z, e = self.steering.steer(w, strain, spread)
        return {"position": eps["position"] - z / sigma, "lattice": eps["lattice"] - e / unit / width}
