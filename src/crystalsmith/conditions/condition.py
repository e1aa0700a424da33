"""What a crystal is to satisfy, as one signature: values that are known, and misfits that are to be small.

A sampler of the diffusion sees, at every noise level, the clean crystal that its network expects, and how far
it may be from that. A condition speaks of that clean crystal alone, so that it needs to know nothing of
networks, samplers and noise: it *holds* some of its coordinates (a cell, the sites of a host), it tells a
*misfit* (minus the logarithm of a likelihood; distances that are too short, an energy, a measured pattern),
or it *projects* the crystal. Holds of a tolerance and misfits of several conditions add up as logarithms of
likelihoods do. ``steering`` carries them out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from crystalsmith.crystal import Crystal
from crystalsmith.graph import CrystalBatch, Layout


@dataclass(frozen=True)
class Held:
    """Coordinates of a batch that are known: B crystals with S orbits.

    Attributes:
        w: (S, 3) torus coordinates, read where ``w_tolerance`` is finite.
        w_tolerance: (S,) standard deviation, in units of the reference cell's cube root; 0 for an exact
            value, infinity for an orbit of which nothing is known.
        strain: (B, 6) log-strains around the reference cell, read where ``strain_tolerance`` is finite.
        strain_tolerance: (B, 6) standard deviation; 0 for an exact value, infinity for an unknown one.
    """

    w: Tensor
    w_tolerance: Tensor
    strain: Tensor
    strain_tolerance: Tensor

    @staticmethod
    def nothing(layout: Layout) -> Held:
        """Of a batch of which nothing is known."""
        like, orbits = layout.volume, len(layout.crystal)
        return Held(
            like.new_zeros(orbits, 3),
            like.new_full((orbits,), torch.inf),
            like.new_zeros(layout.size, 6),
            like.new_full((layout.size, 6), torch.inf),
        )

    def with_strain(self, strain: Tensor, tolerance: Tensor) -> Held:
        """The same with log-strains (B, 6) known to a tolerance (B, 6)."""
        return replace(self, strain=strain, strain_tolerance=tolerance)

    def with_sites(self, w: Tensor, tolerance: Tensor) -> Held:
        """The same with torus coordinates (S, 3) known to a tolerance (S,)."""
        return replace(self, w=w, w_tolerance=tolerance)


class Condition:
    """What a crystal is to satisfy; derive from it and write one or more of the methods.

    Requests that share an equal condition share its calls, so conditions are hashable, as frozen dataclasses
    are.

    Attributes:
        begins: time of the schedules, from 1 (all noise) down to 0, from which on its misfit counts. Where a
            misfit says nothing of a blurred crystal, it had better wait until atoms have found their places.
        rounds: how often its misfit is evaluated at most for a step of the sampler.
    """

    begins: float = 1.0
    rounds = 12

    def hold(self, layout: Layout) -> Held | None:
        """What is known of crystals of this layout; asked once for a batch.

        Raises:
            OrderError: the condition does not suit them.
        """
        return None

    def misfit(self, crystals: CrystalBatch) -> Tensor | None:
        """(B,) minus the logarithm of the likelihood of each crystal, differentiable in ``w`` and ``strain``.

        Depends for each crystal on that crystal alone.
        """
        return None

    def project(self, crystals: CrystalBatch) -> CrystalBatch:
        """The crystals made to satisfy the condition, where that is a simple thing to do."""
        return crystals

    def finish(self, crystal: Crystal) -> Crystal:
        """A crystal that was sampled under the condition, with what is known exactly put in its place.

        Raises:
            CrystalsmithError: it cannot satisfy it.
        """
        return crystal

    def adapt(self, crystal: Crystal) -> Crystal:
        """A known crystal that is taken as it is, made to satisfy the condition as far as that is simple.

        Raises:
            CrystalsmithError: it cannot satisfy it.
        """
        return self.finish(crystal)

    def fault(self, crystal: Crystal) -> str | None:
        """How a finished crystal fails the condition, a few words without figures; None where it does not."""
        return None

    @property
    def sites_held(self) -> tuple[int, ...]:
        """Places among a request's sites, from 0, of those whose position it knows."""
        return ()

    @property
    def has_misfit(self) -> bool:
        """Whether the class tells a misfit."""
        return type(self).misfit is not Condition.misfit

    @property
    def has_projection(self) -> bool:
        """Whether the class projects."""
        return type(self).project is not Condition.project
