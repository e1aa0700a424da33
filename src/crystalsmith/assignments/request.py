"""What one crystal is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crystalsmith.assignments.pairs import Pairs
from crystalsmith.assignments.start import Start
from crystalsmith.symmetry import space_group

KINDS = ("network", "prototype", "refined")
"""How a crystal comes about: all by the network, a known arrangement as it is, or one denoised briefly."""


@dataclass(frozen=True)
class Request:
    """What one crystal is made of: how an order is filled in, and what a model is asked for.

    Attributes:
        space_group: number.
        sites: (element, Wyckoff letter) of every orbit; ``"*"`` for a letter that is left to the method.
        log_prior: logarithm of its probability within its order, given what was drawn before (the
            composition of a system; the group or the numbers of sites where an order leaves them open); None
            where nothing is known of it.
        start: a known arrangement that it begins with; None where the network makes it from noise.
        conditions: what the crystal is to satisfy, ``conditions.Condition`` objects.
    """

    space_group: int
    sites: Pairs
    log_prior: float | None = field(default=None, compare=False)
    start: Start | None = field(default=None, compare=False)
    conditions: tuple[Any, ...] = ()

    @property
    def kind(self) -> str:
        """How it comes about, one of ``KINDS``."""
        if self.start is None:
            return "network"
        return "refined" if self.start.time else "prototype"

    @property
    def n_orbits(self) -> int:
        """Number of orbits."""
        return len(self.sites)

    @property
    def n_atoms(self) -> int:
        """Number of atoms in the primitive cell."""
        group = space_group(self.space_group)
        return sum(group.position(letter).multiplicity_primitive for _, letter in self.sites)

    @property
    def freedom(self) -> int:
        """Free parameters of the positions that no condition holds."""
        group = space_group(self.space_group)
        held = {k for condition in self.conditions for k in condition.sites_held}
        return sum(group.wyckoff[x].dof for k, (_, x) in enumerate(self.sites) if k not in held)
